/** The built command line as a user meets it: real processes, real pipes, exit codes. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import type { PacketRecord } from '../src/core/record.ts';
import type { FlowRecord } from '../src/flow/records.ts';
import type { VniRecord } from '../src/flow/vni.ts';
import type { SummaryRecord } from '../src/pipeline.ts';
import {
  block,
  END_OF_OPTIONS,
  enhancedPacket,
  interfaceDescription,
  join,
  option,
  pcapHeader,
  sectionHeader,
  text,
} from './capture/bytes.ts';
import { linesOf, runCommand } from './command.ts';
import { captures, sample, samples } from './samples.ts';

const main = path.resolve(import.meta.dirname, '../dist/bin/tunscope.js');
const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-cli-'));
afterAll(() => rmSync(scratch, { recursive: true }));

type Env = Readonly<Record<string, string>>;

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function collect(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}

/** Nothing of the environment but what is given: no terminal width or colours of whoever runs the tests. */
function start(args: readonly string[], env: Env = {}, stdin: 'ignore' | 'pipe' | number = 'ignore') {
  return spawn(process.execPath, [main, ...args], { cwd: samples, env, stdio: [stdin, 'pipe', 'pipe'] });
}

async function finish({
  child,
  stdout,
  stderr,
}: {
  child: ReturnType<typeof start>;
  stdout?: Promise<string>;
  stderr?: Promise<string>;
}): Promise<Result> {
  const [out, err, [status]] = await Promise.all([
    stdout ?? collect(child.stdout!),
    stderr ?? collect(child.stderr!),
    once(child, 'close'),
  ]);
  return { status, stdout: out, stderr: err };
}

function tunscope(args: readonly string[], env: Env = {}): Promise<Result> {
  return finish({ child: start(args, env) });
}

/** Output of a command that has to end well and say nothing on standard error. */
async function output(args: readonly string[], env: Env = {}): Promise<string> {
  const { status, stdout, stderr } = await tunscope(args, env);
  expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' });
  return stdout;
}

async function records<R>(...args: string[]): Promise<R[]> {
  return linesOf(await output([...args, '--ndjson'])).map((line) => JSON.parse(line) as R);
}

/** A FIFO as standard input: a pipe that stays open until `end`. */
function openPipe(name: string) {
  const file = path.join(scratch, name);
  execFileSync('mkfifo', [file]);
  const reader = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openSync(file, constants.O_WRONLY);
  return { reader, write: (bytes: Uint8Array) => writeSync(writer, bytes), end: () => closeSync(writer) };
}

/** Text of `stream` as it comes; `until` resolves when it has `pattern`. */
function follow(stream: Readable) {
  let text = '';
  let look = () => {};
  const all = new Promise<string>((resolve) => stream.on('end', () => resolve(text)));
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    look();
  });
  return {
    all,
    until: (pattern: RegExp) =>
      new Promise<string>((resolve, reject) => {
        look = () => {
          if (pattern.test(text)) resolve(text);
        };
        stream.on('end', () => reject(new Error(`ended without ${pattern}: ${text}`)));
        look();
      }),
  };
}

describe.concurrent('exit status and messages', () => {
  it.each([
    ['damaged-cut.pcap', 12, 1512],
    ['damaged-length.pcapng', 5, null],
  ])('prints every complete packet of %s, then says where it is damaged', async (file, packets, offset) => {
    const ndjson = await tunscope(['packets', '--ndjson', file]);
    expect(ndjson.status).toBe(1);
    expect(linesOf(ndjson.stdout).map((line) => (JSON.parse(line) as PacketRecord).number)).toEqual(
      Array.from({ length: packets }, (_, i) => i + 1),
    );
    expect(ndjson.stderr).toMatch(
      new RegExp(`^tunscope: ${file}: damaged at byte ${offset ?? '\\d+'}: \\S.+\\n$`),
    );
    for (const command of ['flows', 'vni']) {
      const { status, stdout, stderr } = await tunscope([command, '--json', file]);
      expect(status).toBe(1);
      expect(stderr).toBe(ndjson.stderr);
      const { summary } = JSON.parse(stdout) as { summary: SummaryRecord };
      expect(summary.packets).toBe(packets);
      expect(summary.captures[0].damage).toMatchObject({ file, text: expect.any(String) });
      expect(stderr).toContain(`${summary.captures[0].damage?.offset}: ${summary.captures[0].damage?.text}`);
    }
  });

  it.each<[string, string[], number, RegExp]>([
    ['a missing file', ['flows', 'missing.pcap'], 1, /missing\.pcap: no such file/],
    ['a directory', ['vni', 'craft'], 1, /craft: is a directory/],
    ['a file that is no capture', ['packets', 'README.md'], 1, /README\.md: not a capture/],
    ['a good file beside a missing one', ['flows', 'geneve-ovn.pcap', 'missing.pcap'], 1, /missing\.pcap/],
    ['an unknown option', ['flows', '--bogus', 'x.pcap'], 2, /unknown option '--bogus'.*--help/],
    ['a misspelt option', ['flows', '--jso', 'x.pcap'], 2, /--json/],
    ['an unknown command', ['flow', 'x.pcap'], 2, /unknown command 'flow'.*flows/],
    ['an unknown sort key', ['flows', '--sort', 'foo', 'x.pcap'], 2, /foo.*bytes, packets/],
    ['a sort key of another command', ['vni', '--sort', 'first', 'x.pcap'], 2, /first.*overhead/],
    ['no capture', ['flows'], 2, /no capture.* - /],
    ['a bad -d', ['flows', '-d', 'bad', 'x.pcap'], 2, /-d bad.*udp\.port==\d+,geneve/],
    ['a -d for an unknown protocol', ['flows', '-d', 'udp.port==1,nope', 'geneve-ovn.pcap'], 2, /nope/],
    ['a -d for an unknown table', ['flows', '-d', 'a.b==1,geneve', 'geneve-ovn.pcap'], 2, /a\.b.*udp\.port/],
    ['a count that is none', ['packets', '-c', 'x', 'x.pcap'], 2, /--count.*'x'/],
    ['a duration of nothing', ['packets', '--duration', '0', 'x.pcap'], 2, /--duration.*'0'/],
    ['a limit below nothing', ['flows', '--limit', '-1', 'x.pcap'], 2, /--limit.*'-1'/],
    ['two formats', ['flows', '--json', '--csv', 'x.pcap'], 2, /--json.*--csv/],
    ['an unknown VNI key', ['flows', '--vni-key', 'x', 'x.pcap'], 2, /--vni-key.*strict/],
    ['an option without its value', ['flows', '--sort'], 2, /--sort.*missing/],
  ])('answers %s in one line', async (_, args, status, message) => {
    const result = await tunscope(args);
    expect(result).toMatchObject({ status, stdout: '' });
    expect(result.stderr).toMatch(/^tunscope: [^\n]+\n$/);
    expect(result.stderr).toMatch(message);
  });

  it('explains itself when called without a command', async () => {
    const { status, stdout, stderr } = await tunscope([]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^Usage: tunscope .*\n/);
    expect(stderr).toContain('flows');
  });

  it('prints its version and help', async () => {
    expect(await output(['--version'])).toBe(`${packageJson.version}\n`);
    expect(await output(['--help'])).toMatch(/Commands:\s+flows .*vni .*packets /s);
    for (const command of ['flows', 'vni', 'packets']) {
      const help = await output([command, '--help']);
      expect(help).toMatch(new RegExp(`^Usage: tunscope ${command} `));
      for (const word of [
        '--decode-as',
        '--count',
        '--duration',
        '--json',
        '--ndjson',
        '--csv',
        '--limit',
        '-n',
      ])
        expect(help).toContain(word);
      expect(await output(['help', command])).toBe(help);
    }
  });
});

describe('pipes', () => {
  const capture = readFileSync(sample('direction-vnis.pcap'));

  it('ends quietly and well when its reader has enough', async () => {
    // More output than pipes hold, so that a write fails however late the reader goes.
    const many = Array.from({ length: 40 }, () => 'tcp-trouble.pcap');
    for (const args of [
      ['packets', '--ndjson', ...many],
      ['packets', '-V', ...many],
      ['packets', ...many],
    ]) {
      const child = start(args);
      const stderr = collect(child.stderr!);
      await once(child.stdout!, 'data');
      child.stdout!.destroy();
      const [status, signal] = await once(child, 'close');
      expect({ status, signal, stderr: await stderr }).toEqual({ status: 0, signal: null, stderr: '' });
    }
  });

  it.each(['flows', 'vni', 'packets'])('%s reads standard input from a pipe', async (command) => {
    const pipe = openPipe(`in-${command}`);
    const child = start([command, '--ndjson', '-'], {}, pipe.reader);
    closeSync(pipe.reader);
    pipe.write(capture);
    pipe.end();
    const piped = await finish({ child });
    expect(piped).toMatchObject({ status: 0, stderr: '' });
    const named = await output([command, '--ndjson', 'direction-vnis.pcap']);
    expect(piped.stdout).toBe(named.replaceAll('"file":"direction-vnis.pcap"', '"file":"-"'));
  });

  it('reads standard input from a file', async () => {
    const descriptor = openSync(sample('direction-vnis.pcap'), 'r');
    const child = start(['flows', '--json', '-'], {}, descriptor);
    closeSync(descriptor);
    const { status, stdout } = await finish({ child });
    expect(status).toBe(0);
    expect((JSON.parse(stdout) as { summary: SummaryRecord }).summary).toMatchObject({
      packets: 10,
      captures: [{ file: '-', packets: 10, damage: null }],
    });
  });

  it('prints packets while the pipe is open', async () => {
    const pipe = openPipe('packets-open');
    const child = start(['packets', '-'], {}, pipe.reader);
    closeSync(pipe.reader);
    const stdout = follow(child.stdout!);
    const closed = once(child, 'close');
    // A record is its header of 16 bytes and its data; the file's header takes 24.
    const firstTwo = 24 + 16 + capture.readUInt32LE(24 + 8);
    const cut = firstTwo + 16 + capture.readUInt32LE(firstTwo + 8);
    pipe.write(capture.subarray(0, cut));
    const before = await stdout.until(/^ +2 .*\n/m);
    expect(linesOf(before)).toHaveLength(2);
    // Half a packet is none yet.
    pipe.write(capture.subarray(cut, cut + 20));
    pipe.write(capture.subarray(cut + 20));
    await stdout.until(/^ +10 .*\n/m);
    expect(child.exitCode).toBeNull();
    pipe.end();
    expect(linesOf(await stdout.all)).toHaveLength(10);
    expect((await closed)[0]).toBe(0);
  });

  it.each([
    ['flows', 'SIGINT'],
    ['flows', 'SIGTERM'],
    ['vni', 'SIGINT'],
    ['packets', 'SIGTERM'],
  ] as const)('%s prints what it has on %s while the pipe is open', async (command, signal) => {
    const pipe = openPipe(`${command}-${signal}`);
    const child = start([command, '--json', '--progress', '-'], {}, pipe.reader);
    closeSync(pipe.reader);
    const stderr = follow(child.stderr!);
    const stdout = collect(child.stdout!);
    pipe.write(capture);
    await stderr.until(/\b10 packets/);
    child.kill(signal);
    expect((await finish({ child, stdout, stderr: stderr.all })).status).toBe(0);
    const document = JSON.parse(await stdout) as { summary: SummaryRecord; flows?: FlowRecord[] };
    expect(document.summary).toMatchObject({ packets: 10, captures: [{ damage: null }] });
    if (command === 'flows') expect(document.flows).toHaveLength(1);
    pipe.end();
  });
});

describe.concurrent('formats', () => {
  it.each(['flows', 'vni', 'packets'])('%s agrees with itself in JSON, NDJSON and CSV', async (command) => {
    const files = ['geneve-ovn.pcap', 'vxlan-edge.pcapng', 'l2-l3.pcapng', 'dns-tls.pcapng'];
    const [json, ndjson, csv] = await Promise.all(
      ['--json', '--ndjson', '--csv'].map((format) => output([command, format, ...files])),
    );
    const lines = linesOf(ndjson).map((line) => JSON.parse(line) as unknown);
    const document = JSON.parse(json) as { schema: number; [list: string]: unknown };
    expect(Object.keys(document)).toEqual(['schema', command, 'summary']);
    expect(document.schema).toBe(1);
    expect(document[command]).toEqual(lines);

    const rows = linesOf(csv).map(csvCells);
    expect(rows).toHaveLength(lines.length + 1);
    expect(rows.filter((row) => row.length !== rows[0].length)).toEqual([]);
    expect(rows[0]).toContain('vni');
  });

  it('merges several captures by time', async () => {
    const packets = await records<PacketRecord>(
      'packets',
      'vxlan-kernel.pcap',
      'geneve-ovn.pcap',
      'geneve-edge.pcapng',
    );
    const times = packets.map(({ time }) => time);
    expect(times).toEqual([...times].sort());
    const alone = (file: string) =>
      packets.filter((packet) => packet.file === file).map(({ number }) => number);
    expect(alone('geneve-ovn.pcap')).toEqual(Array.from({ length: 36 }, (_, i) => i + 1));
    expect(alone('vxlan-kernel.pcap')).toHaveLength(38);
    expect(packets[0].file).toBe('geneve-edge.pcapng');
    // One after the other on the command line, one after the other in the summary, whatever the times.
    const { summary } = JSON.parse(
      await output(['vni', '--json', 'vxlan-kernel.pcap', 'geneve-ovn.pcap']),
    ) as { summary: SummaryRecord };
    expect(summary.captures.map(({ file, packets }) => [file, packets])).toEqual([
      ['vxlan-kernel.pcap', 38],
      ['geneve-ovn.pcap', 36],
    ]);
    expect(summary.packets).toBe(74);
  });

  it('shows the bytes and the tree of packets', async () => {
    const tree = await output(['packets', '-V', '-x', '-c', '1', 'geneve-ovn.pcap']);
    expect(tree).toMatch(/^Frame 1: 100 bytes/);
    expect(tree).toMatch(/^ +.*Virtual Network Identifier.*5001/m);
    expect(tree).toMatch(/^ +0060 {2}(?:[0-9a-f]{2} ){3}[0-9a-f]{2} {2,}/m);
  });
});

function csvCells(line: string): string[] {
  const cells: string[] = [];
  // A comma before each cell, so that the empty first one is found like the others.
  for (const [, quoted, plain] of `,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^",]*))/g))
    cells.push(quoted?.replaceAll('""', '"') ?? plain);
  return cells;
}

describe.concurrent('what is read', () => {
  it('stops after -c packets', async () => {
    const packets = await records<PacketRecord>('packets', '-c', '7', 'geneve-ovn.pcap');
    expect(packets.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const { summary } = JSON.parse(await output(['flows', '--json', '-c', '7', 'geneve-ovn.pcap'])) as {
      summary: SummaryRecord;
    };
    expect(summary.packets).toBe(7);
  });

  it('stops after --duration seconds of capture time', async () => {
    const all = await records<PacketRecord>('packets', 'geneve-edge.pcapng');
    const some = await records<PacketRecord>('packets', '--duration', '0.0205', 'geneve-edge.pcapng');
    // Crafted packets are a millisecond apart.
    expect(some).toEqual(all.slice(0, 21));
  });

  it('takes a port for a protocol with -d', async () => {
    const moved = Buffer.from(readFileSync(sample('direction-vnis.pcap')));
    for (let at = 24; at < moved.length; at += 16 + moved.readUInt32LE(at + 8)) {
      const port = at + 16 + 14 + 20 + 2;
      expect(moved.readUInt16BE(port)).toBe(6081);
      moved.writeUInt16BE(6082, port);
    }
    const file = path.join(scratch, 'moved.pcap');
    writeFileSync(file, moved);
    const plain = await records<FlowRecord>('flows', file);
    expect(plain.map(({ vni, protocol }) => [vni, protocol])).not.toContainEqual([12345, 'tcp']);
    const decoded = await records<FlowRecord>('flows', '-d', 'udp.port==6082,geneve', file);
    expect(decoded).toMatchObject([{ vni: 12345, reverseVni: 23456, protocol: 'tcp', packets: 10 }]);
    expect(decoded[0].tunnels[0]).toMatchObject({ protocol: 'geneve', dstPort: 6082 });
  });
});

describe.concurrent('--vni-key', () => {
  const brief = (flows: FlowRecord[]) =>
    flows.map(({ vni, reverseVni, packets, tcp }) => [vni, reverseVni, packets, tcp?.retransmissions]);

  it('joins, separates or ignores the VNIs of the two directions', async () => {
    const file = 'direction-vnis.pcap';
    const auto = brief(await records('flows', '--vni-key', 'auto', file));
    expect(auto).toEqual([[12345, 23456, 10, 0]]);
    expect(brief(await records('flows', file))).toEqual(auto);
    const strict = brief(await records('flows', '--vni-key', 'strict', file));
    expect(strict.map(([vni, reverse]) => [vni, reverse])).toEqual([
      [12345, null],
      [23456, null],
    ]);
    expect(strict.reduce((sum, [, , packets]) => sum + packets!, 0)).toBe(10);
    expect(brief(await records('flows', '--vni-key', 'none', file))).toEqual([[null, null, 10, 0]]);
  });

  it('never mixes equal addresses of different networks', async () => {
    for (const key of ['auto', 'strict']) {
      expect(brief(await records('flows', '--vni-key', key, 'overlapping-vnis.pcap'))).toEqual([
        [100, null, 10, 0],
        [200, null, 10, 0],
        [300, null, 10, 0],
        [400, null, 10, 0],
      ]);
    }
    const vnis = await records<VniRecord>('vni', 'overlapping-vnis.pcap');
    expect(vnis.map(({ protocol, vni, flows, packets }) => [protocol, vni, flows, packets])).toEqual([
      ['geneve', 100, 1, 10],
      ['geneve', 200, 1, 10],
      ['vxlan', 300, 1, 10],
      ['vxlan', 400, 1, 10],
    ]);
  });
});

describe.concurrent('--sort and --limit', () => {
  it.each(['bytes', 'packets', 'last', 'duration'] as const)(
    'sorts flows by %s, largest first',
    async (key) => {
      const flows = await records<FlowRecord>(
        'flows',
        '--sort',
        key,
        'tcp-trouble.pcap',
        'vxlan-edge.pcapng',
      );
      const values = flows.map((flow) => flow[key]);
      expect(values).toEqual([...values].sort((a, b) => (a < b ? 1 : a > b ? -1 : 0)));
      expect(new Set(values).size).toBeGreaterThan(1);
    },
  );

  it('sorts flows by first packet and VNI upwards, by retransmissions downwards', async () => {
    const files = ['tcp-trouble.pcap', 'geneve-options.pcap'];
    const byVni = (await records<FlowRecord>('flows', '--sort', 'vni', ...files)).map(({ vni }) => vni ?? -1);
    expect(byVni).toEqual([...byVni].sort((a, b) => a - b));
    const first = (await records<FlowRecord>('flows', '--sort', 'first', ...files)).map((flow) => flow.first);
    expect(first).toEqual([...first].sort());
    const repeated = (await records<FlowRecord>('flows', '--sort', 'retransmissions', ...files)).map(
      ({ tcp }) => tcp?.retransmissions ?? 0,
    );
    expect(repeated[0]).toBeGreaterThan(0);
    expect(repeated).toEqual([...repeated].sort((a, b) => b - a));
  });

  it.each(['bytes', 'packets', 'flows', 'overhead'] as const)(
    'sorts VNIs by %s, largest first',
    async (key) => {
      const vnis = await records<VniRecord>('vni', '--sort', key, 'geneve-edge.pcapng');
      const values = vnis.map((vni) => vni[key]);
      expect(values).toEqual([...values].sort((a, b) => b - a));
    },
  );

  it('prints the top of the list with --limit, all of it without', async () => {
    const all = await records<FlowRecord>('flows', 'geneve-edge.pcapng');
    const top = await records<FlowRecord>('flows', '--limit', '3', 'geneve-edge.pcapng');
    const sizes = all.map(({ bytes }) => bytes).sort((a, b) => b - a);
    expect(top.map(({ bytes }) => bytes)).toEqual(sizes.slice(0, 3));
    expect(await records('vni', '--limit', '2', 'geneve-edge.pcapng')).toHaveLength(2);
    expect(await records('packets', '--limit', '2', 'geneve-edge.pcapng')).toHaveLength(2);
    const { stdout } = await tunscope(['flows', '--limit', '3', 'geneve-edge.pcapng']);
    expect(linesOf(stdout).at(-1)).toBe(
      `... and ${all.length - 3} more flows (--limit N, --sort KEY, --csv)`,
    );
  });
});

describe.concurrent('tables', () => {
  it.each([80, 200])('fit %i columns', async (width) => {
    for (const command of ['flows', 'vni']) {
      const { stdout } = await tunscope([command, '--limit', '10000', ...captures], {
        COLUMNS: String(width),
      });
      const lines = linesOf(stdout);
      expect(lines.length).toBeGreaterThan(50);
      expect(lines.filter((line) => line.length > width)).toEqual([]);
    }
  });

  it('are coloured only where somebody wants it', async () => {
    const args = ['flows', 'geneve-ovn.pcap'];
    const plain = await output(args);
    expect(plain).not.toContain('\x1b');
    expect(await output([...args, '--color', 'always'])).toContain('\x1b[1m');
    // The flag is nearer than the environment; without it the environment decides.
    expect(await output([...args, '--color', 'always'], { NO_COLOR: '1' })).toContain('\x1b[1m');
    expect(await output(args, { NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(plain);
    expect(await output([...args, '--color', 'never'], { FORCE_COLOR: '1' })).toBe(plain);
  });
});

describe.concurrent('text out of captures', () => {
  const ESCAPES = '\x1b]0;pwned\x07\x1b[31m\x9b31m\u202e\r\nfake line';

  function hostile(): string {
    const label = Buffer.from('a\x1b[31m\x07\x9bb', 'latin1');
    const dns = Buffer.concat([
      // One question: TXT of the hostile label.
      Buffer.from('123401000001000000000000', 'hex'),
      Buffer.from([label.length]),
      label,
      Buffer.from('0000100001', 'hex'),
    ]);
    const udp = Buffer.alloc(8);
    udp.writeUInt16BE(40000, 0);
    udp.writeUInt16BE(53, 2);
    udp.writeUInt16BE(8 + dns.length, 4);
    const ip = Buffer.from('4500000000010000401100000a0000010a000002', 'hex');
    ip.writeUInt16BE(20 + udp.length + dns.length, 2);
    const frame = Buffer.concat([Buffer.from('0200000000020200000000010800', 'hex'), ip, udp, dns]);
    const file = path.join(scratch, 'hostile.pcapng');
    writeFileSync(
      file,
      join(
        sectionHeader(),
        interfaceDescription([option(2, text(`eth${ESCAPES}`)), option(3, text(ESCAPES))], {}),
        // Name resolution: an IPv4 record (1), then the end of records.
        block(4, join(option(1, join(Uint8Array.of(10, 0, 0, 1), text(`host${ESCAPES}\0`))), END_OF_OPTIONS)),
        enhancedPacket(0, 1_000_000n, frame, { options: [option(1, text(`note ${ESCAPES}`))] }),
      ),
    );
    return file;
  }

  const file = hostile();
  // Line breaks end lines; everything else that a terminal obeys has no place in output.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
  const CONTROL = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/;

  it.each([
    [['packets']],
    [['packets', '-V']],
    [['packets', '-x']],
    [['packets', '--csv']],
    [['flows']],
    [['flows', '--csv']],
    [['vni']],
    [['vni', '--csv']],
  ])('reaches no terminal as control characters: %j', async (args) => {
    const stdout = await output([...args, file]);
    expect(stdout).not.toMatch(CONTROL);
    expect(stdout).not.toMatch(/^fake line/m);
    if (args[0] === 'packets' && args[1] !== '-x') expect(stdout).toContain('\\x1b');
  });

  it('is escaped where a terminal shows names', async () => {
    for (const command of ['flows', 'packets'] as const) {
      const { stdout } = await runCommand(command, [file], {}, { columns: 200 });
      expect(stdout).toContain('host\\x1b]0;pwned\\x07');
      // Bold headings are the tool's own.
      expect(stdout.replaceAll('\x1b[1m', '').replaceAll('\x1b[22m', '')).not.toMatch(CONTROL);
    }
  });

  it('is escaped in JSON, and the same once parsed', async () => {
    const ndjson = await output(['packets', '--ndjson', file]);
    expect(ndjson).not.toMatch(CONTROL);
    const [packet] = linesOf(ndjson).map((line) => JSON.parse(line) as PacketRecord);
    expect(packet.interface).toBe(`eth${ESCAPES}`);
    expect(packet.comment).toBe(`note ${ESCAPES}`);
  });

  it('is escaped in messages', async () => {
    const damaged = path.join(scratch, 'a\x1b[31mb.pcap');
    writeFileSync(damaged, join(pcapHeader(), Buffer.from([1, 2, 3])));
    const cut = await tunscope(['flows', damaged]);
    expect(cut.status).toBe(1);
    const missing = await tunscope(['flows', `${damaged}\x07`]);
    expect(missing.status).toBe(1);
    const option = await tunscope(['flows', '--\x1b[31m']);
    expect(option.status).toBe(2);
    for (const { stderr } of [cut, missing, option]) {
      expect(stderr).toContain('\\x1b');
      expect(stderr).not.toMatch(CONTROL);
    }
  });
});

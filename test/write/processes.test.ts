/** `-w` as a user meets it: files, pipes, signals, full disks. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCapture } from '../../src/capture/open.ts';
import { enhancedPacket, interfaceDescription, join, openBytes, sectionHeader } from '../capture/bytes.ts';
import { sample } from '../samples.ts';
import { contents } from './rewrite.ts';

const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');
const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-write-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const root = process.getuid?.() === 0;

/** A directory of its own for each test, so that what is left over shows. */
function directory(name: string): string {
  const folder = path.join(scratch, name);
  mkdirSync(folder);
  return folder;
}

function tunscope(args: readonly string[], options: { input?: Uint8Array; stdout?: number } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    input: options.input,
    stdio: ['pipe', options.stdout ?? 'pipe', 'pipe'],
    env: {},
    maxBuffer: 1 << 28,
  });
  return { status, stdout: stdout?.toString('latin1') ?? '', stderr: stderr.toString() };
}

const OK = { status: 0, stderr: '' };
const input = sample('vxlan-kernel.pcap');

async function packetsOf(file: string) {
  return (await contents(await openCapture(file))).packets;
}

describe('-w', () => {
  it.each(['packets', 'flows', 'vni'])(
    'of %s writes the packets, and changes nothing else',
    async (command) => {
      const folder = directory(`same-${command}`);
      const file = path.join(folder, 'out.pcapng');
      for (const format of [[], ['--json'], ['--ndjson'], ['--csv']]) {
        const plain = tunscope([command, input, ...format]);
        expect(tunscope([command, input, ...format, '-w', file])).toEqual(plain);
        expect(await packetsOf(file)).toEqual(await packetsOf(input));
        expect(tunscope([command, input, ...format, '--decap', '-w', file])).toEqual(plain);
        expect((await packetsOf(file)).length).toBe(38);
      }
      expect(readdirSync(folder)).toEqual(['out.pcapng']);
    },
  );

  it.each(['flows', 'vni'])('of %s writes the same with any number of threads', async (command) => {
    const folder = directory(`threads-${command}`);
    for (const decap of [[], ['--decap']]) {
      const written = ['1', '3'].map((workers) => {
        const file = path.join(folder, workers);
        const args = [
          command,
          sample('geneve-ovn.pcap'),
          '--json',
          '--workers',
          workers,
          '-w',
          file,
          ...decap,
        ];
        return [tunscope(args), readFileSync(file).toString('hex')];
      });
      expect(written[1]).toEqual(written[0]);
    }
  });

  it('writes what --count and --limit leave', async () => {
    const file = path.join(directory('count'), 'out.pcapng');
    tunscope(['packets', input, '-c', '5', '-w', file]);
    expect(await packetsOf(file)).toEqual((await packetsOf(input)).slice(0, 5));
    tunscope(['packets', input, '--limit', '3', '-w', file]);
    expect((await packetsOf(file)).length).toBe(3);
  });

  it.each(['packets', 'flows', 'vni', 'flows --by ip.src'])(
    'of %s writes what -Y lets through',
    async (command) => {
      const file = path.join(directory(`filter-${command.replaceAll(' ', '')}`), 'out.pcapng');
      const matching = tunscope(['packets', input, '-Y', 'icmp', '--ndjson']).stdout.trimEnd().split('\n');
      const numbers = matching.map((line) => JSON.parse(line).number as number);
      expect(numbers.length).toBeGreaterThan(5);
      expect(tunscope([...command.split(' '), input, '-Y', 'icmp', '-w', file])).toMatchObject(OK);
      const all = await packetsOf(input);
      const renumbered = numbers.map((number, i) => ({ ...all[number - 1], number: i + 1 }));
      expect(await packetsOf(file)).toEqual(renumbered);
    },
  );

  it('writes every packet before damage', async () => {
    const file = path.join(directory('damage'), 'out.pcapng');
    const { status, stderr } = tunscope(['flows', sample('damaged-cut.pcap'), '-w', file]);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^tunscope: .* damaged at byte 1512: [^\n]*\n$/),
    ]);
    expect(await packetsOf(file)).toHaveLength(12);
  });

  it('takes a capture behind --decap for a capture', async () => {
    const file = path.join(directory('behind'), 'out.pcapng');
    expect(tunscope(['packets', '-w', file, '--decap', input])).toMatchObject(OK);
    expect(await packetsOf(file)).toHaveLength(38);
    const { stderr } = tunscope(['packets', '-w', file, '--decap=2', sample('geneve-edge.pcapng')]);
    expect(stderr).toMatch(/^tunscope: --decap left out packets: \d+ in fewer than 2 tunnels/);
  });

  it('writes to standard output with packets alone', async () => {
    const file = path.join(directory('stdout'), 'out.pcapng');
    const descriptor = openSync(file, 'w');
    expect(tunscope(['packets', input, '-w', '-'], { stdout: descriptor })).toEqual({ ...OK, stdout: '' });
    closeSync(descriptor);
    expect(await packetsOf(file)).toEqual(await packetsOf(input));
    const { stdout } = tunscope(['packets', '-', '-w', '-', '--decap'], { input: readFileSync(input) });
    const { packets } = await contents(await openBytes(Buffer.from(stdout, 'latin1')));
    expect(packets).toHaveLength(38);
  });

  it('ends quietly where nobody reads standard output any more, and completes the file', async () => {
    const file = path.join(directory('head'), 'out.pcapng');
    const pipeline = (options: string) =>
      spawnSync('bash', [
        '-c',
        `"$0" "$1" packets "$2" ${options} | head -c 1; exit \${PIPESTATUS[0]}`,
        process.execPath,
        main,
        input,
        file,
      ]);
    for (const options of ['-w -', '-V -w "$3"']) {
      const { status, stderr } = pipeline(options);
      expect([status, stderr.toString()]).toEqual([0, '']);
    }
    expect(readdirSync(path.dirname(file))).toEqual(['out.pcapng']);
    expect((await contents(await openCapture(file))).damage).toBeNull();
  });
});

describe('refusals', () => {
  const usage = (stderr: string) => ({ status: 2, stdout: '', stderr: expect.stringMatching(stderr) });
  it.each([
    [['flows', input, '-w', '-'], '^tunscope: -w -: results go to standard output already; [^\n]*\n$'],
    [['vni', input, '-w', '-'], '^tunscope: -w -: results go'],
    [['packets', input, '-w', '-', '--json'], '^tunscope: -w -: results go'],
    [['packets', input, '-w', '-', '-x'], '^tunscope: -w -: results go'],
    [['packets', input, '--decap'], '^tunscope: --decap says what -w writes: name a file with -w\n$'],
    [['packets', input, '-w', 'x', '--decap=0'], "^tunscope: [^\n]*'0' is invalid[^\n]*\n$"],
    [['packets', input, '-w', 'x', '--decap=all'], "^tunscope: [^\n]*'all' is invalid[^\n]*\n$"],
    [['packets', input, '-w'], '^tunscope: [^\n]*argument missing[^\n]*\n$'],
  ])('%j', (args, stderr) => {
    expect(tunscope(args)).toEqual(usage(stderr));
  });

  it('the file that is read, under any name', () => {
    const folder = directory('same-file');
    const file = path.join(folder, 'a.pcap');
    writeFileSync(file, readFileSync(input));
    symlinkSync(file, path.join(folder, 'symbolic.pcap'));
    linkSync(file, path.join(folder, 'hard.pcap'));
    for (const name of ['a.pcap', 'symbolic.pcap', 'hard.pcap', '../same-file/a.pcap']) {
      const result = tunscope(['flows', input, file, '-w', path.join(folder, name)]);
      expect(result).toEqual(usage('^tunscope: -w [^\n]*: is the capture that is read\n$'));
    }
    const redirected = spawnSync('bash', [
      '-c',
      '"$0" "$1" flows - -w "$2" < "$2"',
      process.execPath,
      main,
      file,
    ]);
    expect(redirected.status).toBe(2);
    expect(readFileSync(file)).toEqual(readFileSync(input));
    expect(readdirSync(folder).sort()).toEqual(['a.pcap', 'hard.pcap', 'symbolic.pcap']);
  });
});

describe('what cannot be written is told in one line, and what is there stays', () => {
  const failure = (text: string) => ({ status: 1, stdout: '', stderr: expect.stringMatching(text) });

  it('directories, and files in none', () => {
    const folder = directory('nowhere');
    expect(tunscope(['flows', input, '-w', folder])).toEqual(
      failure('^tunscope: /[^\n]*: is a directory\n$'),
    );
    const lost = path.join(folder, 'no', 'x.pcapng');
    expect(tunscope(['flows', input, '-w', lost])).toEqual(
      failure('^tunscope: /[^\n]*: no such directory\n$'),
    );
    const behind = path.join(input, 'x.pcapng');
    expect(tunscope(['flows', '-', '-w', behind], { input: readFileSync(input) })).toEqual(
      failure('^tunscope: /[^\n]*: no such [^\n]*\n$'),
    );
  });

  it('a full device: results are printed all the same', () => {
    const { status, stdout, stderr } = tunscope(['flows', input, '-w', '/dev/full']);
    expect(stdout).toBe(tunscope(['flows', input]).stdout);
    expect([status, stderr]).toEqual([1, 'tunscope: /dev/full: no space left on the device\n']);
  });

  it('a full device as standard output', () => {
    const descriptor = openSync('/dev/full', 'w');
    const { status, stderr } = tunscope(['packets', input, '-w', '-'], { stdout: descriptor });
    closeSync(descriptor);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^tunscope: standard output: [^\n]*\n$/)]);
  });

  it.skipIf(!root)(
    'a full disk keeps the old file and the packets that were written (needs root)',
    async () => {
      const disk = directory('disk');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
      try {
        const file = path.join(disk, 'out.pcapng');
        writeFileSync(file, 'good');
        const { status, stdout, stderr } = tunscope(['vni', '-', '--json', '-w', file], {
          input: many(5000),
        });
        expect(status).toBe(1);
        expect(JSON.parse(stdout).summary.packets).toBe(5000);
        const left =
          /^tunscope: \S*: no space left on the device; what was written before is in (\S*)\n$/.exec(
            stderr,
          )?.[1];
        expect(readFileSync(file, 'utf8')).toBe('good');
        const { packets, damage } = await contents(await openCapture(left!));
        expect(damage).toBeNull();
        expect(packets.length).toBeGreaterThan(0);
        expect(packets.length).toBeLessThan(5000);
      } finally {
        execFileSync('umount', [disk]);
      }
    },
  );

  it.skipIf(!root)('a read-only file system (needs root)', () => {
    const disk = directory('readonly');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,ro', 'tmpfs', disk]);
    try {
      const result = tunscope(['flows', input, '-w', path.join(disk, 'out.pcapng')]);
      expect(result).toEqual(failure('^tunscope: /[^\n]*: on a read-only file system\n$'));
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it.skipIf(root)('a directory that is not ours (needs not to be root)', () => {
    const folder = directory('denied');
    chmodSync(folder, 0o555);
    const result = tunscope(['flows', input, '-w', path.join(folder, 'out.pcapng')]);
    expect(result).toEqual(failure('^tunscope: /[^\n]*: permission denied\n$'));
  });

  it('a pipe whose reader is gone', async () => {
    const pipe = path.join(directory('fifo'), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const child = start(['vni', '-', '--json', '-w', pipe]);
    const reader = spawn('head', ['-c', '1', pipe], { stdio: 'ignore' });
    child.stdin.write(many(1));
    await once(reader, 'exit');
    child.stdin.end(many(2000).subarray(many(0).length));
    const { status, stdout, stderr } = await result(child);
    expect([status, stderr]).toEqual([1, `tunscope: ${pipe}: nobody reads it any more\n`]);
    expect(JSON.parse(stdout).summary.packets).toBe(2001);
  });
});

describe('where it is written', () => {
  it('replaces a file, keeping its mode, through symbolic links too', async () => {
    const folder = directory('replace');
    const file = path.join(folder, 'out.pcapng');
    const link = path.join(folder, 'link');
    writeFileSync(file, 'old');
    chmodSync(file, 0o600);
    symlinkSync('out.pcapng', link);
    expect(tunscope(['flows', input, '-w', link])).toMatchObject(OK);
    expect(await packetsOf(file)).toHaveLength(38);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readlinkSync(link)).toBe('out.pcapng');
    expect(readdirSync(folder).sort()).toEqual(['link', 'out.pcapng']);
  });

  it('writes devices and pipes as they are', async () => {
    expect(tunscope(['flows', input, '-w', '/dev/null'])).toMatchObject(OK);
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
    const pipe = path.join(directory('pipe'), 'pipe');
    execFileSync('mkfifo', [pipe]);
    const child = start(['flows', input, '-w', pipe]);
    const { stdout } = spawnSync('cat', [pipe], { maxBuffer: 1 << 26 });
    expect(await result(child)).toMatchObject(OK);
    const { packets } = await contents(await openBytes(stdout));
    expect(packets).toEqual(await packetsOf(input));
  });
});

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  it('completes the file with the packets so far', async () => {
    const folder = directory(signal);
    const file = path.join(folder, 'out.pcapng');
    writeFileSync(file, 'old');
    const child = start(['packets', '-', '-w', file]);
    child.stdin.write(many(3));
    await lines(child, 3);
    expect(readFileSync(file, 'utf8')).toBe('old');
    child.kill(signal);
    const [status] = await once(child, 'close');
    expect(status).toBe(0);
    const { packets, damage } = await contents(await openCapture(file));
    expect([packets.length, damage]).toEqual([3, null]);
    expect(readdirSync(folder)).toEqual(['out.pcapng']);
  });

  it('ends a wait for the reader of a pipe', async () => {
    const folder = directory(`${signal}-pipe`);
    const [source, pipe] = ['source', 'pipe'].map((name) => path.join(folder, name));
    execFileSync('mkfifo', [source, pipe]);
    const child = start(['packets', source, '-w', pipe]);
    // Opens when the child does, which handles signals by then.
    const writer = openSync(source, 'w');
    writeSync(writer, many(1));
    child.kill(signal);
    const [status] = await once(child, 'close');
    closeSync(writer);
    expect(status).toBe(0);
  });
});

/** A capture of so many packets of 1000 bytes. */
function many(count: number): Buffer {
  const data = new Uint8Array(1000);
  const packets = Array.from({ length: count }, (_, i) => enhancedPacket(0, BigInt(i), data));
  return Buffer.from(join(sectionHeader(), interfaceDescription(), ...packets));
}

function start(args: readonly string[]) {
  return spawn(process.execPath, [main, ...args], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
}

async function result(child: ReturnType<typeof start>) {
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

/** Waits until the child has printed so many lines. */
async function lines(child: ReturnType<typeof start>, count: number): Promise<void> {
  let seen = 0;
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    seen += chunk.split('\n').length - 1;
    if (seen >= count) return;
  }
}

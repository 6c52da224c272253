/** Captures that fail while they are read, change under the reader, or cannot be read at all. */
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { FlowRecord } from '../../src/flow/records.ts';
import type { SummaryRecord } from '../../src/pipeline.ts';
import { join, pcapHeader, pcapRecord } from '../capture/bytes.ts';
import { linesOf } from '../command.ts';
import { sample } from '../samples.ts';
import { finish, inShell, makeFifo, root, start, tunnelled, tunscope } from './processes.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-inputs-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const small = sample('geneve-ovn.pcap');
const record = pcapRecord(20, 0, tunnelled(0));

const COMMANDS = [
  'flows --json',
  'flows --json --workers 2',
  'vni --json',
  'packets --json',
  'check --json',
  'mesh --json',
];

describe.concurrent('what cannot be read', () => {
  it.each<[string, string, RegExp]>([
    ['a directory', scratch, /: is a directory\n$/],
    ['a missing file', path.join(scratch, 'missing'), /: no such file\n$/],
    ['a file below a file', path.join(small, 'x'), /: no such file\n$/],
    ['a path with a name too long', path.join(scratch, 'x'.repeat(300)), /: [^\n]+\n$/],
    ['nothing', '', /: no such file\n$/],
  ])('is told in one line: %s', async (_, file, reason) => {
    for (const args of [[file], [small, file], [file, '--workers', '2']]) {
      const { status, stdout, stderr } = await tunscope(['flows', '--json', ...args]);
      expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
      expect(stderr).toMatch(/^tunscope: [^\n]+\n$/);
      expect(stderr).toMatch(reason);
    }
  });

  it.skipIf(!root)('is told in one line: files of other users (needs root)', () => {
    const file = path.join(scratch, 'secret');
    writeFileSync(file, readFileSync(small));
    chmodSync(file, 0o600);
    chmodSync(scratch, 0o755);
    const script = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"';
    const reason = expect.stringMatching(/^tunscope: [^\n]*: permission denied\n$/);
    const refused = (status: number) => ({ status, signal: null, stdout: '', stderr: reason });
    expect(inShell(script, ['packets', file])).toEqual(refused(1));
    for (const option of ['--k8s', '--tls-keys', '--config'])
      expect(inShell(script, ['packets', option, file, '/dev/null'])).toEqual(refused(2));
    expect(inShell(script, ['packets', '--esp-sa', `@${file}`, '/dev/null'])).toEqual(refused(2));
  });

  it.each(COMMANDS)('at its first byte, is damage: %s', async (command) => {
    // Addresses from 0 on are nobody's.
    const { status, stdout, stderr } = await tunscope([...command.split(' '), '/proc/self/mem']);
    expect([status, stderr]).toEqual([
      1,
      'tunscope: /proc/self/mem: damaged at byte 0: input/output error\n',
    ]);
    expect((JSON.parse(stdout) as { summary: SummaryRecord }).summary.packets).toBe(0);
  });

  it.each(['--k8s', '--tls-keys', '--config', '--esp-sa'])(
    'as the file of %s is told in one line',
    async (option) => {
      for (const file of [
        scratch,
        '/proc/self/mem',
        path.join(scratch, 'missing'),
        '/dev/null',
        '/dev/zero',
      ]) {
        // Read by Node, which names the call that failed.
        if (option === '--config' && file === '/proc/self/mem') continue;
        // Half a gigabyte of it.
        if (option === '--k8s' && file === '/dev/zero') continue;
        // A file without keys is one.
        if (option === '--esp-sa' && file === '/dev/null') continue;
        const value = option === '--esp-sa' ? `@${file}` : file;
        const { status, stdout, stderr } = await tunscope(['packets', option, value, small]);
        expect({ file, status, stdout, stderr }).toEqual({
          file,
          status: 2,
          stdout: '',
          stderr: expect.stringMatching(/^tunscope: [^\n]+\n$/),
        });
        expect(stderr).not.toMatch(/E[A-Z]{2,}:/);
      }
    },
  );
});

describe.concurrent.each(COMMANDS)('a pipe whose writer dies in the middle of a packet: %s', (command) => {
  it('gives the packets before', async () => {
    const fifo = makeFifo(path.join(scratch, `dying ${command}`));
    const finished = tunscope([...command.split(' '), fifo]);
    // Waits for the command to open it.
    const writer = openSync(fifo, 'w');
    writeSync(writer, join(pcapHeader(), record, record, record.subarray(0, 30)));
    closeSync(writer);
    const { status, stdout, stderr } = await finished;
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tunscope: [^\n]*: damaged at byte \d+: [^\n]+\n$/);
    const { summary } = JSON.parse(stdout) as { summary: SummaryRecord };
    expect(summary.packets).toBe(2);
    expect(summary.captures[0].damage?.offset).toBe(24 + 2 * record.length);
  });
});

/** Several blocks that are read, and far more output than the pipe to a reader that waits holds. */
const PACKETS = 5000;
const heavy = pcapRecord(20, 0, join(tunnelled(0), new Uint8Array(1000)));
const size = 24 + PACKETS * heavy.length;
const pattern = join(pcapHeader(), ...Array.from({ length: PACKETS }, () => heavy));

function large(): string {
  const file = path.join(mkdtempSync(path.join(scratch, 'large-')), 'large.pcap');
  writeFileSync(file, pattern);
  return file;
}

/** Numbers of packets that are printed where `change` is done to the file in the middle. */
async function numbers(workers: string, change: (file: string) => void) {
  const file = large();
  const child = start(['packets', '--ndjson', '--workers', workers, file]);
  child.stdout!.pause();
  await once(child.stdout!, 'readable');
  change(file);
  const { status, stdout, stderr } = await finish(child);
  const printed = linesOf(stdout).map((line) => (JSON.parse(line) as { number: number }).number);
  expect(printed).toEqual(printed.map((_, i) => i + 1));
  return { status, stderr, count: printed.length };
}

describe.concurrent.each(['1', '2'])('a file that changes while %s threads work on it', (workers) => {
  it('may grow: packets that come in time count', async () => {
    const { status, stderr, count } = await numbers(workers, (file) => {
      appendFileSync(file, join(...Array.from({ length: 100 }, () => heavy)));
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect([PACKETS, PACKETS + 100]).toContain(count);
  });

  it('may grow by half a packet', async () => {
    const { status, stderr, count } = await numbers(workers, (file) =>
      appendFileSync(file, heavy.subarray(0, 50)),
    );
    expect(count).toBe(PACKETS);
    if (status === 0) expect(stderr).toBe('');
    else expect([status, stderr]).toEqual([1, expect.stringContaining(`damaged at byte ${size}: `)]);
  });

  it.each([0, 30, size / 2])('may be cut to %d bytes', async (left) => {
    const { status, stderr, count } = await numbers(workers, (file) => truncateSync(file, Math.trunc(left)));
    expect(count).toBeLessThanOrEqual(PACKETS);
    if (status === 0) expect(stderr).toBe('');
    else
      expect([status, stderr]).toEqual([
        1,
        expect.stringMatching(/^tunscope: [^\n]+: damaged at byte \d+: [^\n]+\n$/),
      ]);
  });

  it('may be replaced: what was opened is read to its end', async () => {
    const { status, stderr, count } = await numbers(workers, (file) => {
      rmSync(file);
      writeFileSync(file, 'something else');
    });
    expect({ status, stderr, count }).toEqual({ status: 0, stderr: '', count: PACKETS });
  });

  it('may be cut at any time: flows are those of the packets counted', async () => {
    const file = large();
    const child = start(['flows', '--json', '--progress', '--workers', workers, file]);
    await once(child.stderr!, 'readable');
    truncateSync(file, 100);
    const { status, stdout } = await finish(child);
    const { flows, summary } = JSON.parse(stdout) as { flows: FlowRecord[]; summary: SummaryRecord };
    expect(status).toBe(summary.captures[0].damage === null ? 0 : 1);
    expect(flows.reduce((sum, { packets }) => sum + packets, 0)).toBe(summary.packets);
  });
});

it('address space that is limited is told in one line', () => {
  for (const command of ['flows', 'vni']) {
    // V8 reserves 10 GB for the kernel's memory, whatever of it is used.
    const { status, stdout, stderr } = inShell('ulimit -v 8000000; exec "$@"', [command, small]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^tunscope: no address space [^\n]+\n$/);
  }
});

/** SIGINT and SIGTERM: whatever a command does just then, it prints what it has, once, and ends well. */
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
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
import { finish, follow, makeFifo, start, tunnelled, writeCapture } from './processes.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-signals-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** More output than pipes hold, in any format. */
const crowded = writeCapture(path.join(scratch, 'crowded.pcap'), 10_000, 5000);

/** Many batches. */
const COPIES = 40;
const long = path.join(scratch, 'long.pcap');
const tenThousand = readFileSync(crowded);
writeFileSync(long, join(tenThousand, ...Array.from({ length: COPIES - 1 }, () => tenThousand.subarray(24))));

interface Document {
  readonly schema: number;
  readonly summary: SummaryRecord;
  readonly flows?: FlowRecord[];
  readonly vnis?: { packets: number }[];
  readonly packets?: { number: number }[];
}

/** A document with one summary, whose records are those of the packets that it counts. */
function expectWhole(stdout: string): SummaryRecord {
  const { summary, flows, packets } = JSON.parse(stdout) as Document;
  expect(stdout.match(/"type":"summary"/g)).toHaveLength(1);
  const sum = flows?.reduce((total, { packets }) => total + packets, 0) ?? packets?.length;
  if (sum !== undefined) expect(sum).toBe(summary.packets);
  return summary;
}

describe.concurrent.each(SIGNALS)('%s', (signal) => {
  it.each(['flows --json', 'packets --json --workers 2', 'check --json', 'mesh --json'])(
    'at once, before the command has begun or after: %s',
    async (command) => {
      const child = start([...command.split(' '), crowded]);
      child.kill(signal);
      const result = await finish(child);
      expect(result.stderr).toBe('');
      // Dead before it could hear, interrupted before there was anything, or later.
      if (result.signal !== null) expect(result.signal).toBe(signal);
      else expect(result.status).toBe(0);
      if (result.stdout !== '') expectWhole(result.stdout);
    },
  );

  it.each([
    'flows --json',
    'flows --json --workers 2',
    'vni --json --workers 2',
    'check --json',
    'mesh --json',
  ])('in the middle of a file: %s', async (command) => {
    const child = start([...command.split(' '), '--progress', long]);
    const stderr = follow(child.stderr!);
    const finished = finish(child);
    await stderr.until(/\d packets/);
    child.kill(signal);
    const result = await finished;
    // Where the test is late, the end of the process may come first: no handler is left then.
    if (result.signal === null) expect(result.status).toBe(0);
    const { packets, captures } = expectWhole(result.stdout);
    expect(packets).toBeGreaterThan(0);
    expect(packets).toBeLessThanOrEqual(COPIES * 10_000);
    expect(captures[0].damage).toBeNull();
  });

  it.each(['flows --json', 'flows --json --workers 2', 'packets --json', 'packets --json --workers 2'])(
    'while the reader of the output is slow: %s',
    async (command) => {
      const child = start([...command.split(' '), crowded]);
      child.stdout!.pause();
      await once(child.stdout!, 'readable');
      child.kill(signal);
      const { status, stdout, stderr } = await finish(child);
      expect([status, stderr]).toEqual([0, '']);
      expectWhole(stdout);
    },
  );

  it.each([
    'check --json',
    'mesh --json',
    'flows --by ip.src --json',
    'flows --json --workers 2',
    'check --sarif',
  ])('while a pipe stays open: %s', async (command) => {
    const child = start([...command.split(' '), '--progress', '-'], { stdio: 'pipe' });
    const stderr = follow(child.stderr!);
    const finished = finish(child);
    child.stdin!.write(join(pcapHeader(), ...[0, 1, 2].map((i) => pcapRecord(i, 0, tunnelled(i)))));
    await stderr.until(/\b3 packets/);
    child.kill(signal);
    const { status, stdout } = await finished;
    expect(status).toBe(0);
    if (command.includes('--json')) expect(expectWhole(stdout)).toMatchObject({ packets: 3 });
    else expect(JSON.parse(stdout).runs).toHaveLength(1);
  });

  it.each([
    ['--k8s', ''],
    ['--tls-keys', ''],
    ['--esp-sa', '@'],
    ['--macsec-key', '@'],
  ])('while %s is waited for', async (option, prefix) => {
    const fifo = makeFifo(path.join(scratch, `${option}-${signal}`));
    const folder = mkdtempSync(path.join(scratch, 'out-'));
    const args = [
      'packets',
      option,
      prefix + fifo,
      sample('hbone-tls.pcapng'),
      '-w',
      path.join(folder, 'out.pcapng'),
    ];
    const child = start(args);
    const finished = finish(child);
    // Waits for the child to open it, in a thread of its own.
    const writer = await new Promise<number>((resolve) => setImmediate(() => resolve(openSync(fifo, 'w'))));
    writeSync(writer, 'half a l');
    child.kill(signal);
    expect(await finished).toEqual({ status: 0, signal: null, stdout: '', stderr: '' });
    closeSync(writer);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('again ends the command at once where its output is not taken', async () => {
    const child = start(['packets', '--ndjson', crowded]);
    child.stdout!.pause();
    await once(child.stdout!, 'readable');
    const dead = once(child, 'exit');
    child.kill(signal);
    // The first one may still be on its way: two that come together are one.
    while (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await dead).toEqual([null, signal]);
  });
});

it('a key log from a pipe is read to its end', async () => {
  const fifo = makeFifo(path.join(scratch, 'keys'));
  const child = start(['packets', '--tls-keys', fifo, sample('hbone-tls.pcapng')]);
  const finished = finish(child);
  const writer = openSync(fifo, 'w');
  writeSync(writer, '# no secrets\n');
  writeSync(writer, 'in it\n');
  closeSync(writer);
  const { status, stderr } = await finished;
  expect([status, stderr]).toEqual([
    2,
    expect.stringMatching(/^tunscope: --tls-keys [^\n]*: no secrets [^\n]*\n$/),
  ]);
  expect(linesOf(stderr)).toHaveLength(1);
});

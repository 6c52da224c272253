/** The first and the last moment that captures can tell, clocks that go backwards, and what lies beyond: in every output. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  enhancedPacket,
  interfaceDescription,
  join,
  option,
  pcapHeader,
  pcapRecord,
  sectionHeader,
  u64,
} from '../capture/bytes.ts';
import { type CommandName, linesOf, runCommand } from '../command.ts';
import { tunnelled } from './processes.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-times-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const data = tunnelled(0);

function written(name: string, ...parts: Uint8Array[]): string {
  const file = path.join(scratch, name);
  writeFileSync(file, join(...parts));
  return file;
}

/** The interface's times count from so many seconds after 1970. */
const from = (seconds: bigint) => interfaceDescription([option(14, u64(seconds))]);

const FIRST = '1970-01-01T00:00:00.000000000Z';
const cases: { name: string; file: string; times: string[]; flow: [first: string, last: string] }[] = [
  {
    name: 'all of 32 bits, backwards',
    file: written(
      'backwards.pcap',
      pcapHeader(),
      ...[0xffffffff, 0x80000000, 0x7fffffff, 0].map((seconds) =>
        pcapRecord(seconds, seconds === 0 ? 0 : 999_999, data),
      ),
    ),
    times: [
      '2106-02-07T06:28:15.999999000Z',
      '2038-01-19T03:14:08.999999000Z',
      '2038-01-19T03:14:07.999999000Z',
      FIRST,
    ],
    flow: [FIRST, '2106-02-07T06:28:15.999999000Z'],
  },
  {
    name: 'before and beyond them',
    file: written(
      'beyond.pcapng',
      sectionHeader(),
      from(-5_000_000_000n),
      from(2n ** 62n),
      from(-(2n ** 62n)),
      enhancedPacket(0, 1n, data),
      enhancedPacket(1, 0n, data),
      enhancedPacket(2, 0n, data),
    ),
    times: [
      '1811-07-23T15:06:40.000001000Z',
      // No date has them.
      '4611686018427388000.000000000',
      '-4611686018427388000.000000000',
    ],
    flow: [FIRST, '2106-02-07T06:28:15.999999999Z'],
  },
];

describe.each(cases)('$name', ({ file, times, flow: [first, last] }) => {
  const output = async (command: CommandName, options: object) => {
    const { status, stdout, stderr } = await runCommand(command, [file], options);
    expect([status, stderr]).toEqual([0, '']);
    return stdout;
  };
  const records = async (command: CommandName) =>
    linesOf(await output(command, { ndjson: true })).map((line) => JSON.parse(line));
  /** Cells of a column; none here has a comma in it. Those that a spreadsheet would calculate begin with '. */
  const column = async (command: CommandName, name: string) => {
    const [header, ...rows] = linesOf(await output(command, { csv: true })).map((line) =>
      line.trimEnd().split(','),
    );
    return rows.map((row) => row[header.indexOf(name)].replace(/^'/, ''));
  };

  it('packets', async () => {
    expect((await records('packets')).map(({ time }) => time)).toEqual(times);
    expect(await column('packets', 'time')).toEqual(times);
    const tree = await output('packets', { tree: true });
    expect([...tree.matchAll(/^Frame \d+: \d+ bytes, (\S+)$/gm)].map(([, time]) => time)).toEqual(times);
    const lines = linesOf(await output('packets', {}));
    expect(lines).toHaveLength(times.length);
    // Seconds since the first packet, however many and whatever their sign.
    for (const line of lines) expect(line).toMatch(/^ *\d+ +-?\d+\.\d{6} {2}geneve /);
  });

  it.each(['flows', 'vni'] as const)('%s', async (command) => {
    expect(await records(command)).toMatchObject([{ first, last, packets: times.length }]);
    expect([await column(command, 'first'), await column(command, 'last')]).toEqual([[first], [last]]);
    expect(linesOf(await output(command, {}))).toHaveLength(2);
  });

  it('whatever the order of files', async () => {
    const { stdout } = await runCommand('flows', [file, file], { ndjson: true, countCopies: true });
    expect(JSON.parse(stdout)).toMatchObject({ first, last, packets: 2 * times.length });
  });
});

/**
 * Every command on captures made to break readers: it ends in its time, with a status that is documented, no stack trace,
 * machine output that parses, and the same packets counted by all.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { check } from '../../src/commands/check.ts';
import { mesh } from '../../src/commands/mesh.ts';
import { CaptureError } from '../../src/errors.ts';
import type { SummaryRecord } from '../../src/pipeline.ts';
import { type CommandName, linesOf, type Output, runCommand, runWith } from '../command.ts';
import { captures, sample } from '../samples.ts';

const shared = process.env.TUNSCOPE_SHARED;
/** Milliseconds for one command on one file; the largest has 3 MB. Measured: 1.1 s at a load of 3. */
const MOST_TIME = 10_000;
/** Bytes that all of it may take, the test runner included. */
const MOST_MEMORY = 1.5 * 2 ** 30;

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(md|txt|log|tsv)$/.test(entry.name))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

const groups: [name: string, files: () => string[]][] = [
  ['the samples', () => captures.map(sample)],
  ...(shared === undefined
    ? []
    : ['third-party/malformed', 'third-party/formats', 'lab'].map((name): [string, () => string[]] => [
        name,
        () =>
          filesBelow(path.join(shared, 'captures', name)).filter(
            (file) => name !== 'lab' || path.basename(file).startsWith('craft_'),
          ),
      ])),
];

/** Status 1 stands for damage, also for files that are no capture; 3 for findings. */
async function outcome(run: () => Promise<Output>): Promise<Output> {
  const began = performance.now();
  let output: Output;
  try {
    output = await run();
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    output = { status: 1, stdout: '', stderr: `tunscope: ${error.message}\n` };
  }
  expect(performance.now() - began).toBeLessThan(MOST_TIME);
  return output;
}

const rejections: unknown[] = [];
const reject = (reason: unknown) => rejections.push(reason);
process.on('unhandledRejection', reject);
afterAll(() => {
  process.off('unhandledRejection', reject);
});

const outcomes = new Map<string, number>();

describe.each(groups)('every command on %s', (name, files) => {
  it('ends well', { timeout: 600_000 }, async () => {
    const all = files();
    expect(all.length).toBeGreaterThan(10);
    for (const file of all) {
      const runs: [string, () => Promise<Output>][] = [
        ...(['flows', 'vni', 'packets'] as CommandName[]).map((command): [string, () => Promise<Output>] => [
          command,
          () => runCommand(command, [file], { json: true }),
        ]),
        ['packets -V -x', () => runCommand('packets', [file], { tree: true, hex: true })],
        ['packets --csv', () => runCommand('packets', [file], { csv: true })],
        [
          'packets -Y',
          () => runCommand('packets', [file], { filter: 'inner.tcp or frame.len < 60 or geneve.option' }),
        ],
        ['check', () => runWith((context) => check([file], { json: true }, context))],
        ['mesh', () => runWith((context) => mesh([file], { json: true }, context))],
        ['mesh --path', () => runWith((context) => mesh([file], { path: '10.0.0.1' }, context))],
      ];
      const statuses = new Set<number>();
      const counts = new Set<number>();
      for (const [command, run] of runs) {
        const { status, stdout, stderr } = await outcome(run);
        const where = `${command} ${file}`;
        expect([0, 1, 3], where).toContain(status);
        expect(stderr, where).not.toMatch(/\n {4}at |undefined|\[object/);
        // Lines of messages have no control bytes but their ends.
        // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
        expect(stderr, where).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f]/);
        if (status !== 3) statuses.add(status);
        if (stdout.startsWith('{')) {
          const { summary } = JSON.parse(stdout) as { summary: SummaryRecord };
          counts.add(summary.packets);
        }
        if (command === 'packets --csv' && stdout !== '') counts.add(linesOf(stdout).length - 1);
      }
      expect(statuses.size, file).toBeLessThanOrEqual(1);
      expect(counts.size, file).toBeLessThanOrEqual(1);
      const status = [...statuses][0] ?? 3;
      outcomes.set(`${name}: status ${status}`, (outcomes.get(`${name}: status ${status}`) ?? 0) + 1);
    }
    expect(rejections).toEqual([]);
    expect(process.memoryUsage().rss).toBeLessThan(MOST_MEMORY);
  });
});

it('says what came of it', () => {
  console.log([...outcomes].map(([what, count]) => `${what}: ${count}`).join('\n'));
});

/** Threads share the work, not the result: what is printed is the same for any number of them. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { captures, sample } from '../samples.ts';

const root = path.resolve(import.meta.dirname, '../..');
const directory = mkdtempSync(path.join(tmpdir(), 'tunscope-parallel-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** A capture of more batches than the ring of the threads has slots. */
const generated = path.join(directory, 'generated.pcap');
execFileSync(process.execPath, [path.join(root, 'bench/generate.mjs'), '60000', '4000', generated]);

function output(args: readonly string[], workers: number, input?: Buffer): string {
  const tool = path.join(root, 'dist/bin/tunscope.js');
  return execFileSync(process.execPath, [tool, ...args, '--workers', String(workers)], {
    input,
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  });
}

describe.each([
  ['flows', '--ndjson'],
  ['flows', '--json'],
  ['flows', '--csv', '--sort', 'duration'],
  ['flows', '--limit', '20'],
  ['flows', '--ndjson', '--vni-key', 'none'],
  ['vni', '--ndjson'],
  ['vni', '--json'],
  ['packets', '--ndjson'],
  ['packets', '--json', '--count', '5000'],
])('%s %s %s %s', (...args) => {
  const command = args.filter((argument) => argument !== undefined);
  it('prints the same with one, two and three threads', () => {
    const expected = output([...command, generated], 1);
    expect(expected.length).toBeGreaterThan(1000);
    for (const workers of [2, 3]) expect(output([...command, generated], workers)).toBe(expected);
  });
});

describe.each(['auto', 'strict'])('fragments, halves and all else in the samples, with %s keys', (vniKey) => {
  const whole = captures.filter((name) => !name.startsWith('damaged')).map(sample);
  it.each(['flows', 'vni'])('are the same %s', (command) => {
    const args = [command, '--ndjson', '--vni-key', vniKey, ...whole];
    const expected = output(args, 1);
    for (const workers of [2, 5]) expect(output(args, workers)).toBe(expected);
  });
});

it('makes records of packets of several files, with comments and interfaces of their own', () => {
  const whole = captures.filter((name) => !name.startsWith('damaged')).map(sample);
  const args = ['packets', '--ndjson', ...whole, generated];
  const expected = output(args, 1);
  for (const workers of [2, 5]) expect(output(args, workers)).toBe(expected);
});

it('works on a pipe', () => {
  const input = readFileSync(generated);
  expect(output(['flows', '--ndjson', '-'], 2, input)).toBe(output(['flows', '--ndjson', generated], 1));
});

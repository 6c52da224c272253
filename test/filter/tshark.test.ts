/**
 * The packets that filters match against those that tshark finds, over captures of a corpus that cannot be part of the
 * project (its licences differ): TUNSCOPE_SHARED names the directory that has it in `captures/`.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DIFFERENCES, type Difference } from './differences.ts';
import { matching } from './matching.ts';
import { inRanges } from './ranges.ts';

interface Goldens {
  readonly tshark: string;
  readonly captures: readonly string[];
  /** Frames by filter and index of the capture. */
  readonly filters: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const goldens = JSON.parse(readFileSync(join(import.meta.dirname, 'goldens.json'), 'utf8')) as Goldens;
const filters = Object.keys(goldens.filters);
const shared = process.env.TUNSCOPE_SHARED;

function globbed(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

const used = new Set<Difference>();
function explained(capture: string, filter: string, frame: number): boolean {
  const difference = DIFFERENCES.find(
    ({ captures, frames, filters: some }) =>
      globbed(captures, capture) &&
      (frames === undefined || [...inRanges(frames)].includes(frame)) &&
      (some === undefined || some.includes(filter)),
  );
  if (difference !== undefined) used.add(difference);
  return difference !== undefined;
}

it('the goldens have every filter of the list', () => {
  const list = readFileSync(join(import.meta.dirname, 'filters.txt'), 'utf8').split('\n');
  expect(filters).toEqual(list.filter((line) => line !== '' && !line.startsWith('# ')));
});

describe.skipIf(!shared)(`agreement with tshark ${goldens.tshark} (TUNSCOPE_SHARED names the corpus)`, () => {
  it.each(goldens.captures.map((name, index) => ({ name, index })))('$name', async ({ name, index }) => {
    const found = await matching(join(shared ?? '', 'captures', name), filters);
    const unexplained = filters.flatMap((filter, i) => {
      const ours = new Set(found[i]);
      const theirs = new Set(inRanges(goldens.filters[filter][index] ?? '0'));
      theirs.delete(0);
      const differing = [...new Set([...ours, ...theirs])].filter(
        (frame) => ours.has(frame) !== theirs.has(frame),
      );
      return differing
        .filter((frame) => !explained(name, filter, frame))
        .map((frame) => `${filter}: ${frame} is matched by ${ours.has(frame) ? 'us' : 'tshark'} alone`);
    });
    expect(unexplained).toEqual([]);
  });

  it('needs every difference of the list', () => {
    expect(DIFFERENCES.filter((difference) => !used.has(difference))).toEqual([]);
  });
});

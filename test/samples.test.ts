/** What the built commands print of every sample, compared with the goldens beside them. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linesOf } from './command.ts';
import { captures, samples } from './samples.ts';

const golden = path.join(samples, 'golden');
const actual = mkdtempSync(path.join(tmpdir(), 'tunscope-goldens-'));
const kinds = ['packets.ndjson', 'flows.ndjson', 'vni.ndjson', 'tree.txt'];
const names = captures.map((file) => file.replace(/\.pcap(ng)?$/, ''));

// One process makes them all: the same script that `npm run goldens` starts.
beforeAll(() => promisify(execFile)(process.execPath, [path.join(golden, 'update.mjs'), actual]));
afterAll(() => rmSync(actual, { recursive: true }));

describe.each(names)('%s', (name) => {
  it.each(kinds)('prints its golden .%s', (kind) => {
    const file = path.join(golden, `${name}.${kind}`);
    if (!existsSync(file))
      expect.fail(
        `samples/golden/${name}.${kind} is missing: npm run goldens makes it; read it, then commit it`,
      );
    // Line by line: a difference then shows the record it is in.
    const [expected, printed] = [file, path.join(actual, `${name}.${kind}`)].map((from) =>
      linesOf(readFileSync(from, 'utf8')),
    );
    for (const [i, line] of printed.entries())
      expect(line, `line ${i + 1}; if it is right: npm run goldens`).toBe(expected[i]);
    expect(printed.length, 'number of lines').toBe(expected.length);
  });
});

it('has no golden without a sample', () => {
  const wanted = new Set(names.flatMap((name) => kinds.map((kind) => `${name}.${kind}`)));
  const surplus = readdirSync(golden).filter((file) => file !== 'update.mjs' && !wanted.has(file));
  expect(surplus).toEqual([]);
});

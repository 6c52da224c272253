/** What the fuzzer found, and what it begins with: none of it goes wrong (again). */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'vitest';
import { TARGETS } from '../../fuzz/targets.ts';
import { captures, sample } from '../samples.ts';

const directory = path.join(import.meta.dirname, 'found');
const found = readdirSync(directory);
const whole = captures.map((name) => new Uint8Array(readFileSync(sample(name))));

describe.each(TARGETS)('$name', (target) => {
  it('takes its seeds', async () => {
    for (const capture of whole) for (const seed of await target.seeds(capture)) await target.run(seed);
  });

  // Files are called after their target and what they show.
  it.each(found.filter((name) => name.startsWith(`${target.name}-`)))('%s', async (name) => {
    await target.run(new Uint8Array(readFileSync(path.join(directory, name))));
  });
});

/** Tells which functions a test file reached (see `telling` in mutants.ts). */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, expect } from 'vitest';

declare global {
  var reached: Set<string> | undefined;
}

const directory = process.env.MUTATION_REACHED;
if (directory) {
  afterAll(() => {
    const test = path.relative(process.cwd(), expect.getState().testPath!);
    writeFileSync(path.join(directory, encodeURIComponent(test)), [...(globalThis.reached ?? [])].join('\n'));
  });
}

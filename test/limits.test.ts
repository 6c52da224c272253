/** docs/limits.md says what the source says. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const rows = readFileSync(path.join(root, 'docs/limits.md'), 'utf8')
  .split('\n')
  .map((line) => /^\| (.+) \| (.+) \| `(\w+)` in (\S+) \| .+ \|$/.exec(line))
  .filter((match) => match !== null);

describe('limits that are documented', () => {
  it('are many', () => expect(rows.length).toBeGreaterThan(30));
  it.each(rows.map(([, what, limit, name, file]) => [what, limit, name, file]))(
    '%s: %s, by %s in %s',
    (_, limit, name, file) => {
      const source = readFileSync(path.join(root, file), 'utf8');
      const value = new RegExp(`\\b${name} = ([^;]+);`).exec(source);
      expect(value?.[1]).toBe(limit);
    },
  );
});

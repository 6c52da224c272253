/** What package-lock.json brings in: under which licences, unchanged, and without running anything when it is installed. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

interface Locked {
  readonly license?: string;
  readonly dev?: boolean;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly hasInstallScript?: boolean;
}

const file = path.resolve(import.meta.dirname, '../package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Locked> };
const packages = Object.entries(lock.packages)
  .filter(([where]) => where !== '')
  .map(([where, locked]) => ({ name: where.replace(/^.*node_modules\//, ''), ...locked }));

/** What users get with the tool asks for no more than a notice. */
const PRODUCTION = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'];
/** What only tests and builds use is not passed on: a licence may also ask that changes to the package be published. */
const DEVELOPMENT = [...PRODUCTION, 'MIT OR Apache-2.0', 'MPL-2.0'];

/** Older than the lockfile's `license`: stated in its package.json as `licenses`. */
const STATED_ELSEWHERE: Record<string, string> = { cap: 'MIT' };

describe('packages of package-lock.json', () => {
  it('have licences that allow what is done with them', () => {
    const others = packages
      .map(({ name, dev, license = STATED_ELSEWHERE[name] }) => ({ name, dev: dev === true, license }))
      .filter(({ dev, license }) => !(dev ? DEVELOPMENT : PRODUCTION).includes(license));
    expect(others).toEqual([]);
  });

  it('run nothing when they are installed, but for the optional cap', () => {
    expect(packages.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name)).toEqual([
      'cap',
    ]);
  });

  it('come from the registry, with the hash of what was published', () => {
    const others = packages.filter(
      ({ integrity, resolved = 'https://registry.npmjs.org/' }) =>
        !integrity?.startsWith('sha512-') || !resolved.startsWith('https://registry.npmjs.org/'),
    );
    expect(others.map(({ name }) => name)).toEqual([]);
  });
});

/** `tunscope mesh` as users run it: the built command. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { captures, sample } from '../samples.ts';
import { meshOutput } from './mesh.ts';

const bin = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');

function tunscope(...args: string[]) {
  return spawnSync(process.execPath, [bin, 'mesh', ...args], { encoding: 'utf8', cwd: sample('') });
}

describe('tunscope mesh', () => {
  it('prints mode, tunnels and journeys for people', () => {
    const { status, stdout, stderr } = tunscope('ambient-syn-only.pcapng');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^iptables\+geneve \(syn-only\), confidence 99\.0 %\n/);
    expect(stdout).toMatch(/^istioout +1001 +10\.244\.1\.1 +10\.244\.1\.2:6081 /m);
  });

  it('reads CONNECT with a key log beside the capture', () => {
    const { status, stdout } = tunscope('hbone-tls.pcapng', '--tls-keys', 'hbone-tls.keys', '--ndjson');
    const [mesh, ...rest] = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(status).toBe(0);
    expect(mesh.journeys.some(({ connect }: { connect: unknown }) => connect !== null)).toBe(true);
    expect(rest.at(-1).type).toBe('summary');
  });

  it.each([
    [['--csv', 'ambient-syn-only.pcapng'], /^tunscope: mesh has no table to write as --csv; try --ndjson\n$/],
    [['--path', 'a b c', 'ambient-syn-only.pcapng'], /^tunscope: --path a b c: expected ADDRESS/],
    [['--path', '10.0.0.1', '--json', 'ambient-syn-only.pcapng'], /^tunscope: --path draws for people/],
    [['--tls-keys', 'README.md', 'hbone-tls.pcapng'], /^tunscope: --tls-keys README\.md: no secrets/],
  ])('%j is wrong usage, in one line', (args, message) => {
    const { status, stdout, stderr } = tunscope(...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('fits 80 columns and prints no control bytes', async () => {
    for (const file of ['ambient-syn-only.pcapng', 'hbone-tls.pcapng', 'mesh/ist-04.pcap']) {
      for (const options of [{}, { path: '10.244.1.4' }, { path: '10.244.1.10' }]) {
        const { stdout } = await meshOutput([sample(file)], { color: 'never', ...options }, 80);
        for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
        expect(stdout.replaceAll('\n', '')).toMatch(/^[ -~]*$/);
      }
    }
  });

  it('prints documents that fit the schema', async () => {
    const schema = JSON.parse(
      readFileSync(new URL('../../docs/schema/tunscope-1.schema.json', import.meta.url), 'utf8'),
    );
    const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, strictRequired: true });
    ajv.addSchema(schema);
    const validate = ajv.getSchema(`${schema.$id}#/$defs/meshDocument`)!;
    const made = readdirSync(sample('mesh')).map((name) => `mesh/${name}`);
    for (const file of [...captures, ...made]) {
      const { stdout } = await meshOutput([sample(file)], { json: true });
      validate(JSON.parse(stdout));
      expect(validate.errors, file).toBeNull();
    }
  });
});

#!/usr/bin/env node
// Writes the goldens of every sample with the built commands: node samples/golden/update.mjs [DIRECTORY]
// Run it through `npm run goldens`, which builds first; read the diff before it is committed.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const tool = join(here, '../../dist/bin/tunscope.js');
const directory = resolve(process.argv[2] ?? here);
mkdirSync(directory, { recursive: true });
// Records name the capture as the command line does: relative, the same on every machine.
process.chdir(join(here, '..'));

const outputs = {
  'packets.ndjson': ['packets', '--ndjson'],
  'flows.ndjson': ['flows', '--ndjson'],
  'vni.ndjson': ['vni', '--ndjson'],
  'tree.txt': ['packets', '-V'],
};

const written = new Set();
for (const file of readdirSync('.').filter((name) => /\.pcap(ng)?$/.test(name))) {
  for (const [kind, command] of Object.entries(outputs)) {
    const golden = `${file.replace(/\.pcap(ng)?$/, '')}.${kind}`;
    if (written.has(golden)) throw new Error(`two samples would have the golden ${golden}`);
    written.add(golden);
    const output = openSync(join(directory, golden), 'w');
    // The damaged samples complain on standard error and end with 1; test/cli.test.ts looks at that.
    spawnSync(process.execPath, [tool, ...command, file], { stdio: ['ignore', output, 'ignore'] });
    closeSync(output);
  }
}
for (const name of readdirSync(directory)) {
  if (/\.(ndjson|txt)$/.test(name) && !written.has(name)) rmSync(join(directory, name));
}

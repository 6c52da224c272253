#!/usr/bin/env node
// Writes the goldens of every sample with the built commands: node samples/golden/update.mjs [DIRECTORY]
// Run it through `npm run goldens`, which builds first; read the diff before it is committed.
import { createWriteStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { flows } from '../../dist/src/commands/flows.js';
import { packets } from '../../dist/src/commands/packets.js';
import { vni } from '../../dist/src/commands/vni.js';

const here = dirname(fileURLToPath(import.meta.url));
const directory = resolve(process.argv[2] ?? here);
mkdirSync(directory, { recursive: true });
// Records name the capture as the command line does: relative, the same on every machine.
process.chdir(join(here, '..'));

const outputs = {
  'packets.ndjson': (file, context) => packets([file], { ndjson: true }, context),
  'flows.ndjson': (file, context) => flows([file], { ndjson: true, vniKey: 'auto' }, context),
  'vni.ndjson': (file, context) => vni([file], { ndjson: true, vniKey: 'auto' }, context),
  'tree.txt': (file, context) => packets([file], { tree: true }, context),
};

const written = new Set();
for (const file of readdirSync('.').filter((name) => /\.pcap(ng)?$/.test(name))) {
  for (const [kind, command] of Object.entries(outputs)) {
    const golden = `${file.replace(/\.pcap(ng)?$/, '')}.${kind}`;
    if (written.has(golden)) throw new Error(`two samples would have the golden ${golden}`);
    written.add(golden);
    const stdout = createWriteStream(join(directory, golden));
    // The damaged samples complain on standard error and end with 1; test/cli.test.ts looks at that.
    const stderr = new Writable({ write: (_chunk, _encoding, done) => done() });
    await command(file, { stdout, stderr, env: {}, signal: new AbortController().signal });
    stdout.end();
    await finished(stdout);
  }
}
for (const name of readdirSync(directory)) {
  if (/\.(ndjson|txt)$/.test(name) && !written.has(name)) rmSync(join(directory, name));
}

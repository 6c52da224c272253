#!/usr/bin/env node
// Writes the crafted samples: node samples/craft/craft.mjs [DIRECTORY] [SET...]
// The same run always gives the same bytes: no clock, no random numbers.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const all = [
  'geneve-edge',
  'option-decoders',
  'vxlan-edge',
  'vnis',
  'link-layers',
  'l2-l3',
  'dns-tls',
  'sealed',
  'overlay-health',
  'damaged',
  'plugins',
  'ambient',
];

const [directory = join(dirname(fileURLToPath(import.meta.url)), '..'), ...chosen] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
for (const name of chosen.length ? chosen : all) {
  const { default: make } = await import(`./sets/${name}.mjs`);
  for (const [file, data] of Object.entries(make())) {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), data);
    console.log(`${file}: ${data.length} bytes`);
  }
}

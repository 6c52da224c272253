/**
 * Texts that terminals, spreadsheets and parsers obey, wherever a capture or a file has room for one: none of them gets
 * through any output, and machines read them as they were.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { check } from '../../src/commands/check.ts';
import type { Context } from '../../src/commands/context.ts';
import { flows } from '../../src/commands/flows.ts';
import { mesh } from '../../src/commands/mesh.ts';
import { packets } from '../../src/commands/packets.ts';
import { fields, optionDecoders, protocols } from '../../src/commands/registered.ts';
import { vni } from '../../src/commands/vni.ts';
import { linesOf, runWith } from '../command.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-texts-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/**
 * A formula, a colour that this program has not, a bell, DEL, C1, bidi marks, what has no width, line ends of all kinds,
 * separators of CSV, quotes, HTML, Markdown and a link of SARIF.
 */
const HOSTILE =
  '=x\x1b[666m\x07\x7f\x85\x9b31m\u061c\u200b\u200f\u2028\u202e\u2066\ufeff\r\n=fake,\t"<b>\'|`[a](1)\\';
/** As fields of bytes have it. */
const LATIN = HOSTILE.replace(/[^\0-\xff]/g, '');

execFileSync(process.execPath, [path.join(import.meta.dirname, 'texts.mjs'), scratch, HOSTILE]);
const inDirectory = (name: string) => path.join(scratch, name);
const capture = inDirectory(readdirSync(scratch).find((name) => name.endsWith('.pcapng'))!);
const given = {
  plugin: [inDirectory('plugin.json'), inDirectory('plugin.mjs')],
  tlsKeys: inDirectory('keys'),
  k8s: inDirectory('pods.json'),
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
const OBEYED = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: of this program's own
const OWN = /\x1b\[\d{1,2}m/g;

function expectNeutral(text: string): void {
  // The line at fault is enough to see.
  const lines = text.replace(OWN, '').split('\n');
  expect(lines.find((line) => OBEYED.test(line) || line.startsWith('=fake'))).toBeUndefined();
}

type Run = (options: object, context: Context) => Promise<number>;
const COMMANDS: Record<string, Run> = {
  flows: (options, context) => flows([capture], { vniKey: 'auto', ...options }, context),
  'flows --by': (options, context) => {
    const by =
      'frame.interface_name,dns.qry.name,tls.handshake.extensions_server_name,hostile.text,pppoed.tags.ac_name';
    return flows([capture], { vniKey: 'auto', by, ...options }, context);
  },
  vni: (options, context) => vni([capture], { vniKey: 'auto', ...options }, context),
  packets: (options, context) => packets([capture], options, context),
  check: (options, context) => check([capture], options, context),
  mesh: (options, context) => mesh([capture], options, context),
  protocols,
  fields,
  options: optionDecoders,
};

/** What people read, by command: options, and what shows that the texts were there to print. */
const TEXTS: [command: string, options: object][] = [
  ...Object.keys(COMMANDS).map((command): [string, object] => [command, {}]),
  ['packets', { tree: true }],
  ['packets', { tree: true, hex: true }],
  ['packets', { hex: true }],
  ['packets', { diagram: true }],
  ['packets', { tree: true, diagram: true }],
  ['mesh', { path: '10.0.0.1' }],
  ['mesh', { path: HOSTILE.replaceAll(/[\s,>]/g, '') }],
];

describe.each(TEXTS)('%s %j', (command, options) => {
  it.each([
    ['a pipe', {}, undefined],
    ['a pipe, in colour', { color: 'always' }, undefined],
    ['a terminal', {}, { columns: 200 }],
    ['a narrow terminal', {}, { columns: 40 }],
  ])('on %s', async (_, more, terminal) => {
    for (const files of [given, { ...given, k8s: undefined }]) {
      const { stdout, stderr } = await runWith(
        (context) => COMMANDS[command]({ ...files, ...options, ...more }, context),
        terminal,
      );
      expect(stdout).not.toBe('');
      expectNeutral(stdout);
      expectNeutral(stderr);
    }
  });
});

it('the tree shows them all, escaped', async () => {
  const { stdout } = await runWith((context) => COMMANDS.packets({ ...given, tree: true }, context));
  for (const label of [
    'Name',
    'TXT',
    'Server Name',
    'ALPN Next Protocol',
    'AC-Name',
    'Text',
    'Kind',
    'Header: :authority',
  ])
    expect(stdout).toMatch(new RegExp(`^ *${label}: =x\\\\x1b\\[666m`, 'm'));
});

/** All texts in a value, keys among them. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return [...Object.keys(value), ...Object.values(value).flatMap(textsIn)];
}

/** Commands whose records have texts of the capture or of the files. */
const TELLING: Record<string, readonly string[]> = {
  flows: [],
  'flows --by': [HOSTILE, LATIN],
  vni: [],
  packets: [HOSTILE, LATIN],
  check: [],
  mesh: [LATIN],
  protocols: [],
  fields: [],
  options: [],
};

describe.each(Object.entries(TELLING))('%s', (command, texts) => {
  const run = async (options: object) => {
    const { stdout, stderr } = await runWith((context) =>
      COMMANDS[command]({ ...given, ...options }, context),
    );
    expectNeutral(stdout);
    expectNeutral(stderr);
    return stdout;
  };

  it('--json and --ndjson are the texts themselves, in a record per line', async () => {
    const document = JSON.parse(await run({ json: true }));
    const records = linesOf(await run({ ndjson: true })).map((line) => JSON.parse(line));
    for (const all of [textsIn(document), textsIn(records)])
      for (const text of texts)
        expect(
          all.some((one) => one.includes(text)),
          JSON.stringify(text),
        ).toBe(true);
  });

  it.skipIf(command === 'mesh')('--csv has as many cells in each row, none of them a formula', async () => {
    const rows = linesOf(await run({ csv: true })).map(cellsOf);
    expect(rows.length).toBeGreaterThan(1);
    for (const cells of rows) {
      expect(cells).toHaveLength(rows[0].length);
      for (const cell of cells) expect(cell).not.toMatch(/^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/);
    }
  });
});

function cellsOf(line: string): string[] {
  const cells: string[] = [];
  for (const [, quoted, plain] of `,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/g))
    cells.push(quoted?.replaceAll('""', '"') ?? plain);
  return cells;
}

it('check --sarif names the file as a URI, and has no links but its own', async () => {
  const { stdout } = await runWith((context) => check([capture], { ...given, sarif: true }, context));
  expectNeutral(stdout);
  const [{ results }] = JSON.parse(stdout).runs as {
    results: {
      message: { text: string };
      locations: { physicalLocation: { artifactLocation: { uri: string } } }[];
    }[];
  }[];
  expect(results.length).toBeGreaterThan(0);
  for (const { message, locations } of results) {
    expect(message.text).not.toMatch(/\[[^\]]*\]\(/);
    for (const { physicalLocation } of locations) {
      const { uri } = physicalLocation.artifactLocation;
      expect(uri).toMatch(/^[\w.~!*'()%/-]+$/);
      expect(decodeURIComponent(uri)).toBe(capture);
    }
  }
});

describe('messages quote what users wrote, harmlessly', () => {
  const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');
  it.each([
    ['flows', HOSTILE],
    [HOSTILE],
    ['flows', `--${HOSTILE}`],
    ['flows', '-Y', HOSTILE],
    ['flows', '-Y', `ip.src == "${HOSTILE}`],
    ['flows', '--by', HOSTILE],
    ['flows', '-d', HOSTILE],
    ['flows', '--sort', HOSTILE],
    ['flows', '--workers', HOSTILE],
    ['flows', '--plugin', HOSTILE],
    ['flows', '--plugin', `${HOSTILE}.json`],
    ['flows', '--config', HOSTILE],
    ['flows', '--k8s', HOSTILE],
    ['flows', '--esp-sa', HOSTILE],
    ['flows', '--esp-sa', `@${HOSTILE}`],
    ['flows', '-w', `${HOSTILE}/${HOSTILE}`],
    ['flows', '-i', HOSTILE],
    ['packets', '--tls-keys', HOSTILE],
    ['check', '--rule', HOSTILE],
    ['mesh', '--path', HOSTILE],
    ['explain', HOSTILE],
    ['completion', HOSTILE],
  ])('%j %j', (...args) => {
    const words = args.filter((word) => word !== undefined);
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words, capture].slice(0, 5), {
      env: {},
      encoding: 'utf8',
    });
    expect([1, 2]).toContain(status);
    expectNeutral(stdout);
    expectNeutral(stderr);
    expect(stderr).toMatch(/^tunscope: /);
    expect(stderr).not.toMatch(/\n {4}at /);
  });
});

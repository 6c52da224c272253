/** Plug-ins that are modules, in a directory from which Node finds no 'tunscope'; and what happens when they fail. */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { PacketRecord } from '../../src/core/record.ts';
import type { FlowRecord } from '../../src/flow/records.ts';
import type { VniRecord } from '../../src/flow/vni.ts';
import { capture, file, plugins, records, scratch, tunscope } from './run.ts';

const run = promisify(execFile);

const schema = JSON.parse(
  readFileSync(new URL('../../docs/schema/tunscope-1.schema.json', import.meta.url), 'utf8'),
);
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true }).addSchema(schema);
const isPacket = ajv.getSchema(`${schema.$id}#/$defs/packet`)!;
const isSummary = ajv.getSchema(`${schema.$id}#/$defs/summary`)!;
const root = path.resolve(import.meta.dirname, '../..');
const typescript = path.join(root, 'node_modules/typescript/bin/tsc');

/** A project of somebody who writes plug-ins: what he installed, and the samples. */
function project(name: string): string {
  const directory = path.join(scratch, name);
  mkdirSync(path.join(directory, 'node_modules'), { recursive: true });
  symlinkSync(root, path.join(directory, 'node_modules/tunscope'));
  symlinkSync(path.join(root, 'node_modules/@types'), path.join(directory, 'node_modules/@types'));
  writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
  return directory;
}

const options = '--strict --exactOptionalPropertyTypes --target es2023 --module nodenext --types node'.split(
  ' ',
);

describe('the samples', () => {
  it('in JavaScript', async () => {
    const seal = file('seal.mjs', readFileSync(path.join(plugins, 'seal.mjs'), 'utf8'));
    const packets = await records<PacketRecord>(['packets', '--plugin', seal, capture]);
    expect(packets[5].tunnels[0].options![0]).toMatchObject({
      name: 'acme.seal',
      fields: { 'acme.seal.key': 9, 'acme.seal.sum': 0x5ea1 },
    });
    const { stdout } = await tunscope(['packets', '-V', '--plugin', seal, capture]);
    expect(stdout).toContain('      Key: key of 2029 (9)\n');
  });

  it('in TypeScript: typed without a cast, and compiled', async () => {
    const directory = project('compiled');
    copyFileSync(path.join(plugins, 'journal.ts'), path.join(directory, 'journal.ts'));
    await run(process.execPath, [typescript, ...options, 'journal.ts'], { cwd: directory });
    const journal = path.join(directory, 'journal.js');
    const packets = await records<PacketRecord>(['packets', '--plugin', journal, capture]);
    expect(packets[15].layers.at(-1)!.fields).toEqual({
      'acmejournal.entries': 2,
      'acmejournal.entry': ['boot', 'link up'],
    });
    expect(packets[16].remarks.map(({ code }) => code)).toEqual(['acmejournal.overrun']);
  }, 240_000);

  it('in TypeScript, as this Node has it', async () => {
    const { status, stdout, stderr } = await tunscope([
      'protocols',
      '--plugin',
      path.join(plugins, 'journal.ts'),
    ]);
    if ('typescript' in process.features && process.features.typescript) {
      expect(status).toBe(0);
      expect(stdout).toContain('acmejournal');
    } else {
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(
        /journal\.ts: Node v[\d.]+ does not run TypeScript: compile it \(npx tsc\), or use Node 22\.18 or later\n$/,
      );
    }
  });
});

it('values of fields have their types', async () => {
  const directory = project('types');
  const write = (name: string, text: string) =>
    writeFileSync(
      path.join(directory, name),
      `import { computed, type Details, defineOption, definePlugin, defineProtocol, flag, ipv4, u16, u64 } from 'tunscope';
const one = u16('x.one', 'One', 0); const two = flag('x.two', 'Two', 2, 1); const three = ipv4('x.three', 'Three', 4);
const big = u64('x.big', 'Big', 8); const made = computed<number>('x.made', 'Made', 'uint');
const view = new DataView(new ArrayBuffer(16));
${text}\n`,
    );
  write(
    'right.ts',
    `const a: number = one.read(view, 0) + 1; const b: boolean = two.read(view, 0);
const c: string = three.read(view, 0); const d: bigint = BigInt(big.read(view, 0));
export default definePlugin({ name: 'x', options: [defineOption({ name: 'x', title: 'X', reference: '', table: 'geneve.option',
  class: 1, type: 2, length: 16, fields: [one, two, three, big] })], protocols: [defineProtocol({ name: 'x', title: 'X',
  reference: '', fields: [one], minLength: 2, on: [['udp.port', 1]], step(view, start, layers) { layers.next(a, one.read(view, start)); },
  details(out) { out.computed(made, one.read(out.view, out.start) + Number(b) + Number(d), out.start, 2); }, info: () => c })] });`,
  );
  write(
    'wrong.ts',
    `const a: string = one.read(view, 0);
const b: number = two.read(view, 0);
const step = (out: Details) => out.computed(made, 'text', 0, 1);
definePlugin({ name: 'x', options: [{ name: 'x' }] });`,
  );
  const { stdout } = await run(
    process.execPath,
    [typescript, ...options, '--noEmit', 'right.ts', 'wrong.ts'],
    { cwd: directory },
  ).catch((failed: { stdout: string }) => failed);
  expect(stdout.match(/^\S+\(\d+/gm)).toEqual(['wrong.ts(5', 'wrong.ts(6', 'wrong.ts(7', 'wrong.ts(8']);
}, 240_000);

const IMPORTS = "import * as t from 'tunscope';\nconst f = t.u16('bad.field', 'Field', 0);\n";
const asProtocol = (change: string, field = 'f') => `${IMPORTS}
export default t.definePlugin({ name: 'bad', protocols: [{ name: 'bad', title: 'Bad', reference: '', fields: [${field}],
  minLength: 2, on: [['udp.port', 7750]], step() {}, ${change} }] });`;

/** Seven packets of the capture go to port 7750 (one comes from it), one of which is cut four bytes into the payload. */
const PACKETS = [7, 9, 10, 11, 12, 13, 14];

describe('a protocol that fails', () => {
  it.each([
    ['throws', "step() { throw new Error('no\\x1bway'); }", 'plug-in bad threw: no'],
    ['throws nothing', 'step() { throw undefined; }', 'plug-in bad threw: undefined'],
    [
      'reads beyond the packet',
      'step(view, start, layers) { view.getUint8(layers.end); }',
      'plug-in bad threw: Offset is outside',
    ],
    [
      'goes back',
      'step(_view, start, layers) { layers.body = start - 1; }',
      'plug-in bad threw: its step left body at',
    ],
    [
      'goes nowhere',
      'step(_view, start, layers) { layers.body = NaN; }',
      'plug-in bad threw: its step left body at NaN',
    ],
    [
      'makes the packet longer',
      'step(_view, start, layers) { layers.end += 100; layers.limit += 100; }',
      'its step left end at',
    ],
    [
      'names no table',
      "step(_view, start, layers) { layers.next('udp.port', 5); }",
      'its step left table udp.port',
    ],
    ['names no key', 'step(_view, start, layers) { layers.next(0, 1.5); }', 'its step left the keys 1.5'],
    [
      'invents layers',
      'step(_view, start, layers) { layers.count = 60; }',
      'its step left another number of layers',
    ],
    [
      'has no VNI',
      "flow: { tunnel: { name: 'bad', vni() { throw new Error('none'); } } }",
      'plug-in bad threw: none',
    ],
    [
      'has half a VNI',
      "flow: { tunnel: { name: 'bad', vni: () => 0.5 } }",
      'plug-in bad threw: number is not',
    ],
  ])('%s', async (_what, change, text) => {
    const bad = file('bad.mjs', asProtocol(change));
    const packets = await records<PacketRecord>(['packets', '--plugin', bad, capture]);
    const failed = packets.filter(({ remarks }) => remarks.some(({ code }) => code === 'plugin.threw'));
    expect(failed.map(({ number }) => number)).toEqual(PACKETS);
    for (const { stop, remarks, protocols } of failed) {
      expect(stop).toBe('threw');
      expect(protocols).toEqual(['eth', 'ip', 'udp', 'bad']);
      expect(remarks.at(-1)!.text).toContain(text);
    }
    for (const packet of packets) expect(isPacket(packet), JSON.stringify(isPacket.errors)).toBe(true);
    const tree = await tunscope(['packets', '-V', '--plugin', bad, capture]);
    expect([tree.status, tree.stderr]).toEqual([0, '']);
    expect(tree.stdout.match(/\(plugin\.threw\)\]/g)).toHaveLength(PACKETS.length);
    expect(tree.stdout).not.toContain('\x1b');
    for (const command of ['flows', 'vni']) {
      const { status, stdout, stderr } = await tunscope([command, '--json', '--plugin', bad, capture]);
      expect([status, stderr]).toEqual([0, '']);
      const { summary, ...lists } = JSON.parse(stdout);
      expect(isSummary(summary), JSON.stringify(isSummary.errors)).toBe(true);
      expect(summary.stopped.threw).toBe(PACKETS.length);
      const list: (FlowRecord | VniRecord)[] = lists[command] ?? lists.vnis;
      expect(list.reduce((sum, { packets }) => sum + packets, 0)).toBe(17);
    }
    expect((await tunscope(['flows', '--plugin', bad, capture])).stderr).toContain(
      '7 on which a plug-in failed',
    );
  });

  it.each([
    ['in its details', "details() { throw new Error('late'); }", 'f', 'plug-in bad threw: late'],
    [
      'with branches open',
      "details(out) { out.open('a', out.start, 1); out.open('b', out.start, 1); throw new Error('late'); }",
      'f',
      'threw: late',
    ],
    [
      'with fields from elsewhere',
      'details(out) { out.field(f, out.start - 8); }',
      'f',
      'bad.field at -8 with 2 bytes lies outside',
    ],
    [
      'with values that are none',
      'details(out) { out.computed(f, 5n, out.start, 2); }',
      'f',
      'bad.field has no value',
    ],
    [
      'when a field is read',
      '',
      "{ ...f, read() { throw new Error('unread'); } }",
      'plug-in bad threw: unread',
    ],
    ['when a field reads nonsense', '', '{ ...f, read: () => 12n }', 'bigint is not what was asked for'],
  ])('%s', async (_what, change, field, text) => {
    const bad = file('late.mjs', asProtocol(change, field));
    const packets = await records<PacketRecord>(['packets', '--plugin', bad, capture]);
    const failed = packets.flatMap(({ number, remarks }) =>
      remarks.filter(({ code }) => code === 'plugin.threw').map((remark) => ({ number, remark })),
    );
    expect(failed.map(({ number }) => number)).toEqual(PACKETS);
    for (const { remark } of failed) expect(remark.text).toContain(text);
    const filtered = await tunscope(['flows', '-Y', 'bad.field > 7', '--plugin', bad, capture]);
    expect(filtered.status).toBe(0);
    const tree = await tunscope(['packets', '-V', '--plugin', bad, capture]);
    expect(tree.stdout.match(/^ {4}\[error: .*\(plugin\.threw\)\]$/gm)).toHaveLength(PACKETS.length);
  });

  it('on the way to a line, and when it is asked whether a packet is its own', async () => {
    const bad = file(
      'info.mjs',
      asProtocol("info() { throw new Error('speechless'); }, plausible() { throw 1; }"),
    );
    const { status, stdout, stderr } = await tunscope(['packets', '--plugin', bad, capture]);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout.match(/plug-in bad threw: speechless/g)).toHaveLength(6);
  });

  it('without an end: layers are limited', async () => {
    const bad = file(
      'loop.mjs',
      `import { definePlugin, table } from 'tunscope';
const ports = table('udp.port');
export default definePlugin({ name: 'loop', protocols: [{ name: 'loop', title: 'L', reference: '', fields: [], minLength: 0,
  on: [['udp.port', 7760]], step(_v, _s, layers) { layers.next(ports, 7760); } }] });`,
    );
    const packets = await records<PacketRecord>(['packets', '--plugin', bad, capture]);
    expect(packets[14].stop).toBe('too-deep');
  });
});

it('an option that fails is a remark', async () => {
  const bad = file(
    'option.mjs',
    `${IMPORTS}const shown = t.u16('bad.shown', 'Shown', 2, { show() { throw new Error('unseen'); } });
export default t.definePlugin({ name: 'bad', options: [{ name: 'bad.o', title: 'O', reference: '', table: 'geneve.option',
  class: 0xff20, type: 1, length: 8, fields: [{ ...f, read() { throw new Error('unread'); } }] },
  { name: 'bad.s', title: 'S', reference: '', table: 'geneve.option', class: 0xff20, type: 0x82, length: 4, fields: [shown] }] });`,
  );
  const packets = await records<PacketRecord>(['packets', '--plugin', bad, capture]);
  expect(
    packets
      .flatMap(({ number, remarks }) => remarks.map(({ code, text }) => [number, code, text]))
      .slice(0, 3),
  ).toEqual([
    [1, 'plugin.threw', 'plug-in bad threw: unread'],
    [2, 'plugin.threw', 'plug-in bad threw: unread'],
    [3, 'geneve.option-length', expect.any(String)],
  ]);
  const { stdout } = await tunscope(['packets', '-V', '--plugin', bad, capture]);
  expect(stdout.match(/threw: unread/g)).toHaveLength(2);
});

describe('a module that is no plug-in', () => {
  it.each([
    ['syntax.mjs', 'export default 1;\n\nlet a = ;', "syntax.mjs:3: SyntaxError: Unexpected token ';'"],
    ['throws.mjs', "\nthrow new Error('no\\nline');", 'throws.mjs:2: Error: no'],
    ['missing.mjs', "import 'no-such-package';", "missing.mjs: Error: Cannot find package 'no-such-package'"],
    ['name.mjs', "import { nothing } from 'tunscope';", "does not provide an export named 'nothing'"],
    [
      'none.mjs',
      'export const a = 1;',
      'none.mjs: default export: expected definePlugin({ ... }), found none',
    ],
    ['number.mjs', 'export default 5;', 'number.mjs: default export: expected an object, found 5'],
    [
      'common.cjs',
      'module.exports = { name: 5 };',
      "common.cjs: default export: name: expected a name like 'acme.tenant', found 5",
    ],
    [
      'step.mjs',
      asProtocol('step: 1'),
      'step.mjs: default export: protocols[0].step: expected a function, found 1',
    ],
    ['key.mjs', asProtocol("on: [['udp.port']]"), 'protocols[0].on[0]: expected a table and a key'],
    [
      'far.mjs',
      asProtocol('', "t.u16('bad.far', 'Far', 7)"),
      'far.mjs: field bad.far of bad lies beyond the 2 bytes that bad guarantees',
    ],
    [
      'flow.mjs',
      asProtocol("flow: { ports: [f, t.u16('bad.p', 'P', 100)] }"),
      'protocols[0].flow.ports[1]: lies beyond the 2 bytes of the header',
    ],
    [
      'taken.mjs',
      asProtocol("on: [['udp.port', 53]]"),
      'taken.mjs: udp.port 53 is claimed by dns (tunscope) and by bad (bad)',
    ],
  ])('%s', async (name, text, message) => {
    file(name, text);
    const { status, stdout, stderr } = await tunscope(['flows', '--plugin', name, capture]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^tunscope: [^\n]+\n$/);
    expect(stderr).toContain(message);
  });
});

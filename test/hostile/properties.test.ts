/** What holds of every packet there can be: over all samples, the same cut anywhere, and with bytes changed at random. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/capture/batch.ts';
import type { CaptureInterface } from '../../src/capture/capture.ts';
import { openCapture } from '../../src/capture/open.ts';
import { check } from '../../src/commands/check.ts';
import { mesh } from '../../src/commands/mesh.ts';
import { Dissector } from '../../src/core/dissector.ts';
import type { Field, FieldValue } from '../../src/core/field.ts';
import { Layers } from '../../src/core/layers.ts';
import { FlowRoles, Outline } from '../../src/core/outline.ts';
import type { FieldRecord, PacketRecord } from '../../src/core/record.ts';
import { printable } from '../../src/core/text.ts';
import { packetTree } from '../../src/core/tree.ts';
import { Catalog, compileReader, type FieldReader } from '../../src/filter/index.ts';
import { packetRecord } from '../../src/output/packet-json.ts';
import type { SummaryRecord } from '../../src/pipeline.ts';
import { buildRegistry } from '../../src/registration.ts';
import { join, pcapHeader, pcapRecord, readAll } from '../capture/bytes.ts';
import { linesOf, runCommand, runWith } from '../command.ts';
import { captures, sample } from '../samples.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-properties-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const registry = buildRegistry([]);
const dissector = new Dissector(registry);
const roles = new FlowRoles(registry);
const catalog = new Catalog(registry);

const schema = JSON.parse(
  readFileSync(new URL('../../docs/schema/tunscope-1.schema.json', import.meta.url), 'utf8'),
);
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
ajv.addSchema(schema);

function expectValid(name: string, value: unknown): void {
  const validate = ajv.getSchema(`${schema.$id}#/$defs/${name}`)!;
  validate(value);
  expect(validate.errors ?? []).toEqual([]);
}

interface Frame {
  readonly linkType: number;
  /** On the wire. */
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** Frames of all samples, those of one length and link type once for each capture that repeats itself. */
const frames: Frame[] = [];
for (const name of captures) {
  const capture = await openCapture(sample(name));
  const seen = new Set<string>();
  for (const { data, length, interfaceIndex } of await readAll(capture)) {
    const { linkType } = capture.interfaces[interfaceIndex];
    const bytes = Buffer.from(data, 'hex');
    const kind = name.endsWith('.pcap') ? `${linkType} ${bytes.length}` : data;
    if (seen.has(kind) || bytes.length > 600) continue;
    seen.add(kind);
    frames.push({ linkType, length, bytes });
  }
}

const layers = new Layers();
const outline = new Outline();

interface Dissected {
  readonly record: PacketRecord;
  /** Start, body, end and limit of each layer, from the frame's start on. */
  readonly places: readonly (readonly [start: number, body: number, end: number, limit: number])[];
  readonly partial: boolean;
  readonly tree: readonly string[];
  read(reader: FieldReader): FieldValue[];
}

/** What lies around a frame in memory. */
const AROUND = 32;

function dissect({ linkType, length, bytes }: Frame): Dissected {
  const memory = new Uint8Array(AROUND + bytes.length + AROUND).fill(0xa5);
  memory.set(bytes, AROUND);
  const batch = new PacketBatch(memory, 1);
  batch.offset[0] = AROUND;
  batch.captured[0] = bytes.length;
  batch.length[0] = length;
  batch.count = 1;
  const { view } = batch;
  dissector.walk(view, AROUND, bytes.length, length, dissector.root(linkType), layers);
  outline.read(layers, roles, AROUND);
  const places = Array.from(
    { length: layers.count },
    (_, i) =>
      [layers.start(i), layers.bodyOf(i), layers.endOf(i), layers.limitOf(i)].map(
        (at) => at - AROUND,
      ) as unknown as Dissected['places'][number],
  );
  const record = packetRecord(dissector, roles, view, AROUND, layers, outline, {
    number: 1,
    seconds: 0,
    nanoseconds: 0,
    file: null,
    interface: null,
    length,
    captured: bytes.length,
    linkType,
    comment: null,
  });
  const tree = packetTree(dissector, view, AROUND, layers).map(({ text }) => text);
  const on = { linkType } as CaptureInterface;
  return {
    record,
    places,
    partial: layers.partial,
    tree,
    read(reader) {
      const value = reader.read({ batch, index: 0, layers, outline, interface: on });
      return value === null ? [] : Array.isArray(value) ? value : [value];
    },
  };
}

/** An `expect` for each of a million facts takes a minute: what is wrong is gathered, and expected to be nothing. */
function expectLayersInside({ bytes }: Frame, { places, partial, record }: Dissected): void {
  let before = 0;
  const wrong = places.filter(([start, body, end, limit], i) => {
    // Each begins where the one before said that its payload does: none overlaps another.
    const isIn = start === before && end <= limit && end <= bytes.length;
    before = body;
    const isPartial = partial && i === places.length - 1;
    return !(isIn && (isPartial || (start <= body && body <= end)));
  });
  const outside = record.layers.filter(({ offset, length }) => offset < 0 || offset + length > bytes.length);
  expect([wrong, outside]).toEqual([[], []]);
}

/** Fields of a protocol by name; a width that depends makes several of one. */
const known = new Map<string, Map<string, Field[]>>();
for (const { name, fields, detailFields = [] } of registry.protocols) {
  const byName = new Map<string, Field[]>();
  for (const field of [...fields, ...detailFields])
    byName.set(field.name, [...(byName.get(field.name) ?? []), field]);
  known.set(name, byName);
}

/** Values of the fields of a record, by name. */
function valuesOf(record: PacketRecord): Map<string, FieldValue[]> {
  const values = new Map<string, FieldValue[]>();
  const note = (fields: FieldRecord) => {
    for (const [name, value] of Object.entries(fields))
      values.set(name, [...(values.get(name) ?? []), ...(Array.isArray(value) ? value : [value])]);
  };
  for (const { fields, options } of record.layers) {
    note(fields);
    for (const option of options ?? []) note(option.fields ?? {});
  }
  return values;
}

const readers = new Map<string, FieldReader>();
function readerOf(name: string): FieldReader {
  const reader = readers.get(name) ?? compileReader(name, catalog, roles);
  readers.set(name, reader);
  return reader;
}

/** Values that a reader stops at. */
const MOST = 16;

/** The record, the tree, and what reads single fields say the same. */
function expectAgreement(dissected: Dissected): void {
  const wrong: unknown[] = [];
  for (const [name, values] of valuesOf(dissected.record)) {
    const read = dissected.read(readerOf(name));
    if (JSON.stringify(read) !== JSON.stringify(values.slice(0, MOST))) wrong.push({ name, values, read });
  }
  const shown = new Set(dissected.tree.map((text) => text.replace(/^[01. ]+ = /, '')));
  for (const { protocol, fields } of dissected.record.layers) {
    for (const [name, value] of Object.entries(fields)) {
      const ways = known.get(protocol)?.get(name) ?? [];
      for (const one of ways.length === 0 ? [] : Array.isArray(value) ? value : [value]) {
        const texts = ways.map((field) => `${field.label}: ${printable(field.show(one))}`);
        if (!texts.some((text) => shown.has(text))) wrong.push({ name, texts });
      }
    }
  }
  expect(wrong).toEqual([]);
}

describe('every frame of the samples', () => {
  it('of which there are many', () => expect(frames.length).toBeGreaterThan(300));

  it('has layers that lie in it, one behind the other, and one meaning', () => {
    for (const frame of frames) {
      const dissected = dissect(frame);
      expectLayersInside(frame, dissected);
      expectAgreement(dissected);
    }
  });

  it('cut anywhere has the same layers before the cut', () => {
    const stacks = new Set<string>();
    for (const frame of frames) {
      const whole = dissect(frame);
      // Two of each kind: thousands of cuts of the same are no news.
      const kinds = [1, 2].map((i) => `${i} ${whole.record.protocols} ${whole.record.stop}`);
      const kind = kinds.find((one) => !stacks.has(one));
      if (kind === undefined) continue;
      stacks.add(kind);
      for (let size = 0; size < frame.bytes.length; size++) {
        const cut = { ...frame, bytes: frame.bytes.subarray(0, size) };
        const dissected = dissect(cut);
        expectLayersInside(cut, dissected);
        const { record, partial } = dissected;
        expect(record.protocols).toEqual(whole.record.protocols.slice(0, record.protocols.length));
        const complete = record.layers.length - (partial ? 1 : 0);
        const facts = ({ layers }: PacketRecord) =>
          layers.slice(0, complete).map((layer, i) =>
            // The last one's details may be what is cut.
            i < complete - 1 ? [layer.protocol, layer.offset, layer.length, layer.fields] : layer.offset,
          );
        if (JSON.stringify(facts(record)) !== JSON.stringify(facts(whole.record)))
          expect(facts(record)).toEqual(facts(whole.record));
        // A header that is all there is not lost, but where it takes more to tell the protocol.
        const headers = whole.places.filter(([start, body]) => start < size && body <= size).length;
        if (record.stop === 'truncated')
          expect(complete).toBeGreaterThanOrEqual(Math.min(headers, whole.places.length - 1));
      }
    }
  });
});

const change = fc.tuple(fc.nat(), fc.nat(255));
const mutated = fc
  .record({
    frame: fc.constantFrom(...frames),
    changes: fc.array(change, { maxLength: 5 }),
    cut: fc.option(fc.nat()),
    more: fc.nat(3),
  })
  .map(({ frame, changes, cut, more }): Frame => {
    const size = cut === null ? frame.bytes.length : cut % (frame.bytes.length + 1);
    const bytes = frame.bytes.slice(0, size);
    for (const [at, value] of changes) if (size > 0) bytes[at % size] = value;
    return { ...frame, bytes, length: Math.max(frame.length, size) + more };
  });

describe('frames with bytes changed', () => {
  it('have layers that lie in them, one meaning, and a record that fits the schema', () => {
    fc.assert(
      fc.property(mutated, (frame) => {
        const dissected = dissect(frame);
        expectLayersInside(frame, dissected);
        expectAgreement(dissected);
        expectValid('packet', dissected.record);
      }),
      { numRuns: 3000 },
    );
  });

  it('add up in every command, whose output fits the schema', { timeout: 120_000 }, async () => {
    const file = path.join(scratch, 'mutated.pcap');
    await fc.assert(
      fc.asyncProperty(fc.array(mutated, { minLength: 1, maxLength: 60 }), async (list) => {
        // One file has one link type.
        const { linkType } = list[0];
        const chosen = list.filter((frame) => frame.linkType === linkType);
        const records = chosen.map(({ bytes, length }, i) => pcapRecord(i, 0, bytes, { length }));
        writeFileSync(file, join(pcapHeader({ linkType, snapLength: 0 }), ...records));
        const wire = chosen.reduce((sum, { length }) => sum + length, 0);
        await expectSums(file, { packets: chosen.length, bytes: wire });
      }),
      { numRuns: 40 },
    );
  });
});

describe('sums over flows, over VNIs, the summary and the capture', () => {
  it.each(captures)('are the same: %s', (name) => expectSums(sample(name)));
});

interface Counted {
  readonly packets: number;
  readonly outerBytes: number;
  readonly bytes: number;
}
const sumOf = (records: readonly Counted[], key: keyof Counted) =>
  records.reduce((sum, record) => sum + record[key], 0);

async function expectSums(file: string, total?: { packets: number; bytes: number }): Promise<void> {
  const options = { json: true, countCopies: true };
  const documents = await Promise.all(
    (['flows', 'vni', 'packets'] as const).map(async (command) => {
      const document = JSON.parse((await runCommand(command, [file], options)).stdout);
      expectValid(`${command}Document`, document);
      return document;
    }),
  );
  const [{ flows, summary }, { vni }, { packets }] = documents;
  for (const more of [check, mesh]) {
    const { stdout } = await runWith((context) => more([file], { json: true }, context));
    documents.push(JSON.parse(stdout));
  }
  const one = summary as SummaryRecord;
  // What stops a walk may lie in an application, which only packets looks into.
  for (const document of documents)
    expect(document.summary).toEqual({ ...one, stopped: document.summary.stopped });
  expect(one).toMatchObject(total ?? {});
  expect(one.captures.reduce((sum, capture) => sum + capture.packets, 0)).toBe(one.packets);
  expect(packets).toHaveLength(one.packets);
  expect(packets.reduce((sum: number, { length }: PacketRecord) => sum + length, 0)).toBe(one.bytes);
  for (const records of [flows, vni] as Counted[][]) {
    expect(sumOf(records, 'packets')).toBe(one.packets);
    expect(sumOf(records, 'outerBytes')).toBe(one.bytes);
  }
  expect(sumOf(flows, 'bytes')).toBe(sumOf(vni, 'bytes'));
  const byTable = await runCommand('flows', [file], { csv: true, countCopies: true });
  expect(linesOf(byTable.stdout)).toHaveLength(flows.length + 1);
}

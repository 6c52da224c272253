/** A plug-in as a document: options and protocols of fixed fields, described without code. */
import type { Field } from '../core/field.ts';
import { type Layers, Stop } from '../core/layers.ts';
import {
  defineOption,
  defineProtocol,
  type FlowRole,
  type OptionDecoder,
  type OptionGroups,
  type OptionItem,
  type Plugin,
  type Protocol,
  table,
} from '../core/protocol.ts';
import { LONGEST_HEADER, readField, readRest } from './fields.ts';
import { Item, listText } from './item.ts';

/** Entries of a document, each. */
const MAXIMUM_DECODERS = 10_000;
const MAXIMUM_PROTOCOLS = 1000;
const MAXIMUM_FIELDS = 256;
const MAXIMUM_KEYS = 1000;
/** Option data: the length of a Geneve option has five bits and counts words. */
const LONGEST_DATA = 124;

/** What there is before the document. */
export interface Known {
  /** Tables in which protocols are found. */
  readonly tables: ReadonlySet<string>;
  /** Families of options. */
  readonly families: ReadonlySet<string>;
}

export function readDocument(value: unknown, known: Known): Plugin {
  const given = new Item(value).object(['plugin', 'name'], ['$schema', 'options', 'protocols']);
  given.plugin.oneOf([1]);
  const protocols = given.protocols.given ? given.protocols.list(MAXIMUM_PROTOCOLS) : [];
  const tables = tablesOf(protocols, known);
  return {
    name: given.name.name(),
    protocols: protocols.map((item) => readProtocol(item, tables)),
    options: (given.options.given ? given.options.list(MAXIMUM_DECODERS) : []).flatMap((item) =>
      readOptions(item, known),
    ),
  };
}

function readFields(item: Item, list = false): Field[] {
  return item.list(MAXIMUM_FIELDS).map((child) => readField(child, list));
}

/** One decoder for each length. */
function readOptions(item: Item, known: Known): OptionDecoder[] {
  const given = item.object(
    ['name', 'title', 'class', 'type', 'length', 'fields'],
    ['reference', 'family', 'groups', 'rest'],
  );
  const lengths = given.length.oneOrList(LONGEST_DATA).map((length) => length.integer(0, LONGEST_DATA));
  const longest = Math.max(...lengths);
  if (lengths.length === 0) given.length.wrong('expected at least one length');
  if (lengths.length > 1 && (given.groups.given || given.rest.given))
    given.length.wrong('an option with groups or a rest has one length, of what is before them');
  const fields = readFields(given.fields);
  checkReach(given.fields, fields, longest, 'bytes of data');
  const groups = given.groups.given ? readGroups(given.groups, fields) : undefined;
  const option = {
    name: given.name.name(),
    title: given.title.text(),
    reference: given.reference.given ? given.reference.text() : '',
    table: given.family.given ? given.family.oneOf([...known.families]) : 'geneve.option',
    class: given.class.integer(0, 0xffff),
    type: given.type.integer(0, 0xff),
    ...(groups ? { groups } : {}),
    ...(given.rest.given ? { rest: readRest(given.rest) } : {}),
  };
  return lengths.map((length) =>
    defineOption({ ...option, length, fields: fields.filter((field) => field.at + field.size <= length) }),
  );
}

/** No field lies beyond `length` bytes. */
function checkReach(item: Item, fields: readonly Field[], length: number, what: string): void {
  const beyond = fields.findIndex((field) => field.at + field.size > length);
  if (beyond < 0) return;
  const { at, size } = fields[beyond];
  new Item(undefined, [...item.path, beyond]).wrong(
    `takes bytes ${at} to ${at + size - 1}, but there are ${length} ${what}`,
  );
}

function readGroups(item: Item, fields: readonly Field[]): OptionGroups {
  const given = item.object(['title', 'items'], ['size', 'present']);
  const items = given.items.list(MAXIMUM_FIELDS).map((child): OptionItem => {
    const { bit, fields: inner, rest } = child.object([], ['bit', 'fields', 'rest']);
    if (inner.given === rest.given) child.wrong("expected either 'fields' or 'rest'");
    if (bit.given && !given.present.given) bit.wrong("means nothing without 'present'");
    const content = inner.given ? readFields(inner, true) : [readRest(rest, true)];
    if (content.length === 0) inner.wrong('expected at least one field');
    return { fields: content, ...(bit.given ? { bit: bit.integer(1, 0xffffffff) } : {}) };
  });
  if (items.length === 0) given.items.wrong('expected at least one item');
  return {
    title: given.title.text(),
    items,
    ...(given.size.given ? { size: fieldNamed(given.size, fields) } : {}),
    ...(given.present.given ? { present: fieldNamed(given.present, fields) } : {}),
  };
}

/** The field that an item names, one that holds a number. */
function fieldNamed(item: Item, fields: readonly Field[]): Field<number> {
  const field = fields.find(({ name }) => name === item.value);
  if (field === undefined)
    return item.wrong(
      `expected the name of a field beside it: ${listText(fields.map(({ name }) => name)) || 'there is none'}`,
    );
  if (field.type !== 'uint' || field.size > 4)
    item.wrong(`field ${field.name} is no number without sign of at most 4 bytes`);
  return field as Field<number>;
}

/** Tables that protocols can be in: those there are, and those in which the document's own look for their payloads. */
function tablesOf(protocols: readonly Item[], known: Known): Set<string> {
  const tables = new Set(known.tables);
  for (const { value } of protocols) {
    const name = (value as { next?: { table?: unknown } } | null)?.next?.table;
    if (typeof name === 'string') tables.add(name);
  }
  return tables;
}

/** Largest key of a table. */
function largestKey(name: string): number {
  return name.endsWith('.port') || name === 'ethertype' ? 0xffff : name === 'ip.proto' ? 0xff : 0xffffffff;
}

function readProtocol(item: Item, tables: ReadonlySet<string>): Protocol {
  const given = item.object(
    ['name', 'title', 'on', 'length', 'fields'],
    ['reference', 'require', 'header', 'total', 'next', 'tunnel'],
  );
  const name = given.name.name();
  const minLength = given.length.integer(1, LONGEST_HEADER);
  const fields = readFields(given.fields);
  checkReach(given.fields, fields, minLength, 'bytes of header');
  const holds = readRequired(given.require, fields);
  const header = readLength(given.header, fields);
  const total = readLength(given.total, fields);
  const next = given.next.given ? readNext(given.next, fields, tables) : undefined;
  const flow = given.tunnel.given ? readTunnel(given.tunnel, name, fields) : undefined;
  return defineProtocol({
    name,
    title: given.title.text(),
    reference: given.reference.given ? given.reference.text() : '',
    fields,
    minLength,
    on: readKeys(given.on, tables),
    step(view, start, layers) {
      if (!holds(view, start)) {
        layers.stop = Stop.unknown;
        return;
      }
      if (header) layers.body = start + header(view, start);
      const bytes = total?.(view, start) ?? Number.POSITIVE_INFINITY;
      if (layers.body < start + minLength || start + bytes < layers.body) {
        layers.body = start + minLength;
        layers.stop = Stop.malformed;
        return;
      }
      layers.trim(start + bytes);
      next?.(view, start, layers);
    },
    // A tunnel's port is not the client's to draw, but any client may draw it: only what must hold tells.
    plausible: (view, start, end) =>
      end - start >= minLength && holds(view, start) && (flow === undefined || given.require.given),
    ...(flow ? { flow } : {}),
    application: flow === undefined && next === undefined,
  });
}

function readKeys(item: Item, tables: ReadonlySet<string>): [string, number][] {
  const keys: [string, number][] = [];
  for (const [name, child] of item.properties()) {
    if (!tables.has(name))
      child.wrong(`no table is called '${name}'; there are ${listText([...tables].sort())}`);
    for (const key of child.oneOrList(MAXIMUM_KEYS)) keys.push([name, key.integer(0, largestKey(name))]);
  }
  return keys;
}

type Test = (view: DataView, start: number) => boolean;
type Count = (view: DataView, start: number) => number;

/** Whether fields have the values that make a header one of this protocol. */
function readRequired(item: Item, fields: readonly Field[]): Test {
  if (!item.given) return () => true;
  const required = [...item.properties(MAXIMUM_FIELDS)].map(([name, child]) => {
    const flagged = fields.find((field) => field.name === name && field.type === 'bool');
    if (flagged) return { field: flagged, value: child.boolean() };
    return {
      field: fieldNamed(new Item(name, child.path), fields),
      value: child.integer(0, Number.MAX_SAFE_INTEGER),
    };
  });
  return (view, start) => required.every(({ field, value }) => field.read(view, start) === value);
}

/** A number of bytes in a field, and so many more. */
function readLength(item: Item, fields: readonly Field[]): Count | undefined {
  if (!item.given) return undefined;
  const given = item.object(['field'], ['plus']);
  const field = fieldNamed(given.field, fields);
  const plus = given.plus.given ? given.plus.integer(0, LONGEST_HEADER) : 0;
  return (view, start) => field.read(view, start) + plus;
}

function readNext(
  item: Item,
  fields: readonly Field[],
  tables: ReadonlySet<string>,
): (view: DataView, start: number, layers: Layers) => void {
  const given = item.object(['table'], ['field', 'key']);
  const name = given.table.text();
  if (!tables.has(name)) given.table.wrong(`no table is called '${name}'`);
  if (given.field.given === given.key.given) item.wrong("expected either 'field' or 'key'");
  const index = table(name);
  if (given.key.given) {
    const key = given.key.integer(0, largestKey(name));
    return (_view, _start, layers) => layers.next(index, key);
  }
  const field = fieldNamed(given.field, fields);
  return (view, start, layers) => layers.next(index, field.read(view, start));
}

function readTunnel(item: Item, name: string, fields: readonly Field[]): FlowRole {
  const given = item.object([], ['vni', 'valid']);
  if (!given.vni.given) {
    if (given.valid.given) given.valid.wrong("means nothing without 'vni'");
    return { tunnel: { name, vni: () => -1 } };
  }
  const vni = fieldNamed(given.vni, fields);
  if (!given.valid.given) return { tunnel: { name, vni: vni.read } };
  const valid = fields.find((field) => field.name === given.valid.value && field.type === 'bool');
  if (valid === undefined) return given.valid.wrong('expected the name of a boolean field beside it');
  return { tunnel: { name, vni: (view, start) => (valid.read(view, start) ? vni.read(view, start) : -1) } };
}

/** Whether what a module exports is a plug-in: nothing but its author's editor has checked its types. */
import type { Field, FieldType } from '../core/field.ts';
import { LONGEST_HEADER } from './fields.ts';
import type { Item } from './item.ts';

const MANY = 10_000;
const FIELD_TYPES: readonly FieldType[] = ['uint', 'int', 'bool', 'ether', 'ipv4', 'ipv6', 'bytes', 'string'];
const WORD = 0xffffffff;

export function checkPlugin(item: Item): void {
  if (!item.given) item.wrong('expected definePlugin({ ... }), found none');
  const given = item.object(['name'], ['protocols', 'options']);
  given.name.name();
  if (given.protocols.given) for (const protocol of given.protocols.list(MANY)) checkProtocol(protocol);
  if (given.options.given) for (const option of given.options.list(MANY)) checkOption(option);
}

function checkProtocol(item: Item): void {
  const given = item.object(
    ['name', 'title', 'reference', 'fields', 'minLength', 'on', 'step'],
    ['detailFields', 'plain', 'details', 'info', 'flow', 'plausible', 'application', 'heuristic'],
  );
  given.name.name();
  given.title.text();
  checkReference(given.reference);
  const bytes = given.minLength.integer(0, LONGEST_HEADER);
  for (const field of given.fields.list(MANY)) checkField(field, true);
  if (given.detailFields.given) for (const field of given.detailFields.list(MANY)) checkField(field);
  for (const key of given.on.list(MANY)) {
    const [name, value, ...more] = key.list(2);
    if (value === undefined || more.length > 0) key.wrong('expected a table and a key');
    name.text();
    value.integer(0, WORD);
  }
  given.step.callable();
  for (const call of [given.details, given.info, given.plausible]) if (call.given) call.callable();
  if (given.application.given) given.application.boolean();
  if (given.heuristic.given) {
    const heuristic = given.heuristic.object(['table', 'matches'], ['key']);
    heuristic.table.text();
    heuristic.matches.callable();
    if (heuristic.key.given) heuristic.key.integer(0, WORD);
  }
  if (given.flow.given) checkFlow(given.flow, bytes);
}

function checkFlow(item: Item, bytes: number): void {
  const given = item.object([], ['addresses', 'ports', 'conversation', 'fragment', 'tunnel']);
  if (given.addresses.given) checkPair(given.addresses, ['ipv4', 'ipv6', 'ether'], bytes);
  if (given.ports.given) checkPair(given.ports, ['uint'], bytes);
  if (given.conversation.given) given.conversation.callable();
  if (given.fragment.given) {
    const { part, identification } = given.fragment.object(['part', 'identification']);
    part.callable();
    identification.callable();
  }
  if (given.tunnel.given) {
    const { name, vni, options } = given.tunnel.object(['name', 'vni'], ['options']);
    if (typeof name.value === 'function') name.callable();
    else name.name();
    vni.callable();
    if (options.given) checkTunnelOptions(options);
  }
}

/** Source and destination, which lie in the header. */
function checkPair(item: Item, types: readonly FieldType[], bytes: number): void {
  const pair = item.list(2);
  if (pair.length !== 2) item.wrong('expected two fields: source and destination');
  for (const end of pair) {
    const field = checkField(end, true);
    if (!types.includes(field.type) || (field.type === 'uint' && (field.size !== 2 || field.mask !== 0)))
      end.wrong(types.includes('uint') ? 'expected a field of 16 bits' : 'expected an address field');
    if (field.at + field.size > bytes) end.wrong(`lies beyond the ${bytes} bytes of the header`);
  }
}

/** The list is read in steps of at least `minimum` bytes, of which its fields must not need more. */
function checkTunnelOptions(item: Item): void {
  const given = item.object(['table', 'from', 'minimum', 'length', 'class', 'type']);
  given.table.text();
  given.from.integer(0, LONGEST_HEADER);
  const minimum = given.minimum.integer(1, LONGEST_HEADER);
  for (const [part, size] of [
    [given.length, 4],
    [given.class, 2],
    [given.type, 1],
  ] as const) {
    const field = checkField(part, true);
    if (field.type !== 'uint' || field.size > size)
      part.wrong(`expected a number of at most ${8 * size} bits`);
    if (field.at + field.size > minimum) part.wrong(`lies beyond the ${minimum} bytes of an option's header`);
  }
}

function checkOption(item: Item): void {
  const given = item.object(
    ['name', 'title', 'reference', 'table', 'class', 'type', 'length', 'fields'],
    ['groups', 'rest'],
  );
  given.name.name();
  given.title.text();
  checkReference(given.reference);
  given.table.text();
  given.class.integer(0, 0xffff);
  given.type.integer(0, 0xff);
  given.length.integer(0, LONGEST_HEADER);
  for (const field of given.fields.list(MANY)) checkField(field, true);
  if (given.rest.given) checkField(given.rest);
  if (!given.groups.given) return;
  const { title, items, size, present } = given.groups.object(['title', 'items'], ['size', 'present']);
  title.text();
  for (const part of [size, present]) {
    if (!part.given) continue;
    const field = checkField(part, true);
    if (field.type !== 'uint' || field.size > 4) part.wrong('expected a number of at most 32 bits');
  }
  for (const part of items.list(MANY)) {
    const { bit, fields } = part.object(['fields'], ['bit']);
    if (bit.given) bit.integer(1, WORD);
    for (const field of fields.list(MANY)) checkField(field);
  }
}

function checkReference(item: Item): void {
  if (item.value !== '') item.text();
}

function checkField(item: Item, placed = false): Field {
  const given = item.object(
    ['name', 'label', 'type', 'at', 'size', 'mask', 'list', 'read', 'show'],
    ['nameOf'],
  );
  given.name.name();
  given.label.text();
  given.type.oneOf(FIELD_TYPES);
  given.at.integer(0, LONGEST_HEADER);
  given.size.integer(placed ? 1 : 0, LONGEST_HEADER);
  given.mask.integer(0, WORD);
  given.list.boolean();
  given.read.callable();
  given.show.callable();
  if (given.nameOf.given) given.nameOf.callable();
  return item.value as Field;
}

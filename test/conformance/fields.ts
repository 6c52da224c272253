/**
 * The fields that are compared: tshark's column, and where a record has the same fact. Most have one name for it; the
 * rest is said here, once.
 */
import type { LayerRecord, OptionRecord, PacketRecord } from '../../src/core/record.ts';

/** How cells are made comparable: numbers whatever their base, or text. */
export type Kind = 'number' | 'text';

export interface ComparedField {
  /** What counts and the list of differences call it. */
  readonly name: string;
  /** tshark's name of it. */
  readonly column: string;
  readonly kind: Kind;
  /** Values in wire order, one for each occurrence. */
  readonly ours: (packet: PacketRecord) => string[];
  /** What tshark's cell holds, made comparable; the cell split at its commas where absent. */
  readonly theirs?: (cell: string) => string[];
}

type Value = string | number | boolean;

function values(layer: LayerRecord, name: string): Value[] {
  const value = layer.fields[name];
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

const plain = (value: Value) => (typeof value === 'boolean' ? String(Number(value)) : String(value));

/** A field that has tshark's name. */
function same(column: string, kind: Kind = 'number'): ComparedField {
  return {
    name: column,
    column,
    kind,
    ours: ({ layers }) => layers.flatMap((l) => values(l, column).map(plain)),
  };
}

function ofLayers(
  column: string,
  kind: Kind,
  protocol: string,
  read: (layer: LayerRecord) => (Value | undefined)[],
): ComparedField {
  return {
    name: column,
    column,
    kind,
    ours: ({ layers }) =>
      layers
        .filter((layer) => layer.protocol === protocol)
        .flatMap(read)
        .filter((value) => value !== undefined)
        .map(plain),
  };
}

function ofOptions(
  column: string,
  kind: Kind,
  read: (option: OptionRecord) => Value,
  theirs?: (cell: string) => string[],
): ComparedField {
  const field = ofLayers(column, kind, 'geneve', (layer) => (layer.options ?? []).map(read));
  return theirs ? { ...field, theirs } : field;
}

/** VNIs in `tunnels`, which say what the layers' fields say once more. */
function ofTunnels(column: string, ...protocols: readonly string[]): ComparedField {
  return {
    name: `tunnels[].vni (${protocols[0]})`,
    column,
    kind: 'number',
    ours: ({ tunnels }) =>
      tunnels.filter(({ protocol }) => protocols.includes(protocol)).map(({ vni }) => String(vni)),
  };
}

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0');

/** Bits 7 to 5 of an option's fourth byte are reserved; records hold an option's meaning, not those. */
function withoutReservedBits(option: string): string {
  const word = Number.parseInt(option.slice(6, 8), 16) & 0x1f;
  return option.slice(0, 6) + hex(word, 2) + option.slice(8);
}

const split = (cell: string) => (cell === '' ? [] : cell.split(','));

export const FIELDS: readonly ComparedField[] = [
  same('eth.src', 'text'),
  same('eth.dst', 'text'),
  // A value from 1 to 1500 is a length (802.3), which tshark calls eth.len.
  ofLayers('eth.type', 'number', 'eth', (layer) =>
    values(layer, 'eth.type').filter((type) => type === 0 || Number(type) > 1500),
  ),
  same('vlan.id'),
  same('arp.opcode'),
  same('ip.src', 'text'),
  same('ip.dst', 'text'),
  same('ip.proto'),
  same('ip.len'),
  same('ip.frag_offset'),
  same('ip.flags.mf'),
  same('ipv6.src', 'text'),
  same('ipv6.dst', 'text'),
  same('ipv6.nxt'),
  same('ipv6.plen'),
  same('udp.srcport'),
  same('udp.dstport'),
  same('udp.length'),
  same('tcp.srcport'),
  same('tcp.dstport'),
  same('sctp.srcport'),
  same('sctp.dstport'),
  same('icmp.type'),
  same('icmpv6.type'),
  same('geneve.version'),
  same('geneve.flags.oam'),
  same('geneve.flags.critical'),
  same('geneve.flags.reserved'),
  same('geneve.proto_type'),
  same('geneve.vni'),
  same('geneve.reserved'),
  ofOptions('geneve.option.class', 'number', (option) => option.class),
  ofOptions('geneve.option.type', 'number', (option) => option.type),
  ofOptions('geneve.option.type.critical', 'number', (option) => option.critical),
  // tshark's bytes are those of the whole option.
  ofOptions(
    'geneve.option',
    'text',
    ({ class: optionClass, type, length, data }) =>
      hex(optionClass, 4) + hex(type, 2) + hex(length / 4, 2) + data,
    (cell) => split(cell).map(withoutReservedBits),
  ),
  // tshark's list begins with the length of all options, and counts each option with its header.
  ofLayers('geneve.option.length', 'number', 'geneve', (layer) => [
    ...values(layer, 'geneve.options_length'),
    ...(layer.options ?? []).map((option) => option.length + 4),
  ]),
  same('vxlan.flags'),
  same('vxlan.flags_reserved'),
  same('vxlan.flag_g'),
  same('vxlan.flag_i'),
  same('vxlan.flag_d'),
  same('vxlan.flag_a'),
  same('vxlan.gbp'),
  same('vxlan.vni'),
  same('vxlan.reserved8'),
  same('vxlan.reserved_16'),
  same('vxlan.ver'),
  same('vxlan.i_bit'),
  same('vxlan.p_bit'),
  same('vxlan.o_bit'),
  same('vxlan.next_proto'),
  ofTunnels('geneve.vni', 'geneve'),
  ofTunnels('vxlan.vni', 'vxlan', 'vxlan-gpe'),
];

/** Columns to ask tshark for. */
export const COLUMNS: readonly string[] = [
  'frame.number',
  'frame.time_epoch',
  'frame.len',
  'frame.cap_len',
  'frame.protocols',
  'frame.encap_type',
  ...new Set(FIELDS.map((field) => field.column)),
];

/** tshark's values of a field, comparable with `field.ours`. */
export function theirValues(field: ComparedField, cell: string): string[] {
  const list = field.theirs ? field.theirs(cell) : split(cell);
  // Bases and widths are display: 0x0800 is 2048.
  return field.kind === 'number' ? list.map((value) => String(Number(value))) : list;
}

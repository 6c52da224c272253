/** What names mean: protocols, their fields, fields of decoded options, either-end aliases, and what is said of a frame. */
import type { Field } from '../core/field.ts';
import { optionFields } from '../core/option.ts';
import type { OptionDecoder, Protocol } from '../core/protocol.ts';
import type { Registry } from '../core/registry.ts';
import { UsageError } from '../errors.ts';

/** Types of values; those of fields but for numbers of 64 bits, which are compared by their bytes. */
export type Kind =
  | 'uint'
  | 'int'
  | 'bool'
  | 'uint64'
  | 'ether'
  | 'ipv4'
  | 'ipv6'
  | 'bytes'
  | 'string'
  | 'protocol'
  | 'time';

/** Where in a layer a field is. */
export type Place =
  /** At its offset from the layer's start. */
  | { readonly where: 'header' }
  /** Where the protocol's `details` say. */
  | { readonly where: 'details' }
  /** In each option of the layer. */
  | { readonly where: 'option' }
  /** In the data of options that the decoder describes. */
  | { readonly where: 'data'; readonly decoder: OptionDecoder };

export type LayerField = Place & {
  /** Number of the protocol in the registry. */
  readonly protocol: number;
  readonly field: Field;
};

export type Meaning = { readonly name: string; readonly kind: Kind } & (
  | { readonly of: 'fields'; readonly fields: readonly LayerField[] }
  | { readonly of: 'protocol'; readonly protocol: number }
  /** Options as a whole, of protocols that have a table of this name. */
  | { readonly of: 'options'; readonly protocols: readonly number[] }
  | { readonly of: 'frame'; readonly property: FrameProperty }
  | { readonly of: 'vni' }
);

/** Facts that a frame has apart from its bytes, with Wireshark's names. */
const FRAME = {
  frame: 'protocol',
  'frame.number': 'uint',
  'frame.len': 'uint',
  'frame.cap_len': 'uint',
  'frame.time_epoch': 'time',
  'frame.protocols': 'string',
  'frame.interface_name': 'string',
  'frame.comment': 'string',
} as const satisfies Record<string, Kind>;
export type FrameProperty = keyof typeof FRAME;

const PREFIXES = ['outer', 'inner', 'tunnel'];

export function kindOf({ type, size }: Field): Kind {
  return type === 'uint' && size === 8 ? 'uint64' : type;
}

export class Catalog {
  readonly registry: Registry;
  private readonly fields = new Map<string, LayerField[]>();
  /** Names of both ends' fields: 'ip.addr' for ip.src and ip.dst. */
  private readonly aliases = new Map<string, readonly string[]>();
  /** Protocols by the table of their options. */
  private readonly optionProtocols = new Map<string, number[]>();

  constructor(registry: Registry) {
    this.registry = registry;
    for (const [number, protocol] of registry.protocols.entries()) this.addProtocol(protocol, number);
    for (const { decoder } of registry.options) {
      for (const protocol of this.optionProtocols.get(decoder.table) ?? []) {
        for (const field of optionFields(decoder)) this.add({ where: 'data', decoder, protocol, field });
      }
    }
  }

  private addProtocol({ fields, detailFields, flow }: Protocol, protocol: number): void {
    const table = flow?.tunnel?.options?.table;
    if (table !== undefined) {
      const others = this.optionProtocols.get(table) ?? [];
      this.optionProtocols.set(table, [...others, protocol]);
    }
    for (const field of fields) this.add({ where: 'header', protocol, field });
    for (const field of detailFields ?? []) {
      const inOption = table !== undefined && field.name.startsWith(`${table}.`);
      this.add({ where: inOption ? 'option' : 'details', protocol, field });
    }
    for (const pair of [flow?.addresses, flow?.ports]) {
      const alias = pair && eitherEnd(pair[0].name, pair[1].name);
      if (alias) this.aliases.set(alias, [pair[0].name, pair[1].name]);
    }
  }

  private add(field: LayerField): void {
    const { name } = field.field;
    const known = this.fields.get(name);
    if (known === undefined) this.fields.set(name, [field]);
    else if (kindOf(known[0].field) === kindOf(field.field)) known.push(field);
    else throw new UsageError(`field ${name} has two types: ${known[0].field.type} and ${field.field.type}`);
  }

  /** Null where nothing has this name. */
  find(name: string): Meaning | null {
    const protocol = this.registry.indexOf(name);
    if (protocol >= 0) return { name, kind: 'protocol', of: 'protocol', protocol };
    if (name === 'vni') return { name, kind: 'uint', of: 'vni' };
    if (Object.hasOwn(FRAME, name)) {
      const property = name as FrameProperty;
      return { name, kind: FRAME[property], of: 'frame', property };
    }
    const protocols = this.optionProtocols.get(name);
    if (protocols) return { name, kind: 'protocol', of: 'options', protocols };
    const fields = (this.aliases.get(name) ?? [name]).flatMap((one) => this.fields.get(one) ?? []);
    return fields.length === 0 ? null : { name, kind: kindOf(fields[0].field), of: 'fields', fields };
  }

  /** All names there are. */
  names(): string[] {
    const protocols = this.registry.protocols.map(({ name }) => name);
    const maps = [this.fields, this.aliases, this.optionProtocols].flatMap((map) => [...map.keys()]);
    return [...new Set([...protocols, ...maps, ...Object.keys(FRAME), 'vni'])].sort();
  }

  /** Names like one that nothing has, the likeliest first. */
  suggestions(given: string): string[] {
    let wrong = given;
    for (;;) {
      const dot = wrong.indexOf('.');
      if (dot < 0 || !PREFIXES.includes(wrong.slice(0, dot))) break;
      wrong = wrong.slice(dot + 1);
    }
    if (wrong.length > LONGEST) return [];
    const most = Math.max(1, wrong.length / 4);
    return this.names()
      .filter((name) => Math.abs(name.length - wrong.length) <= most)
      .map((name) => ({ name, distance: distance(wrong.toLowerCase(), name) }))
      .filter((candidate) => candidate.distance <= most)
      .sort((a, b) => a.distance - b.distance)
      .slice(0, 3)
      .map(({ name }) => name);
  }
}

/** Characters of a name that may be one misspelt: none that there is has half as many. */
const LONGEST = 128;

/** Wireshark's name for a field at either end: ip.addr for ip.src and ip.dst, udp.port for udp.srcport and udp.dstport. */
function eitherEnd(source: string, destination: string): string | null {
  const parts = [
    ['.src', '.dst', '.addr'],
    ['.srcport', '.dstport', '.port'],
  ];
  for (const [from, to, either] of parts) {
    const stem = source.slice(0, -from.length);
    if (source === stem + from && destination === stem + to) return stem + either;
  }
  return null;
}

/** Characters to insert, delete, change or swap with their neighbour (optimal string alignment). */
export function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}

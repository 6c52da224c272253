/**
 * Occurrences of a field in a walked packet, in wire order. What has a fixed place is read there, without allocating;
 * only what a protocol's `details` alone know is asked of them.
 */
import type { Field, FieldValue } from '../core/field.ts';
import type { Layers } from '../core/layers.ts';
import { fitsOption, readOption } from '../core/option.ts';
import { AddressKind, type FlowRoles } from '../core/outline.ts';
import type { Details, OptionView, Protocol } from '../core/protocol.ts';
import type { Packet } from '../pipeline.ts';
import type { Range, Section } from './ast.ts';
import type { Catalog, FrameProperty, LayerField, Meaning } from './catalog.ts';

export type Predicate = (packet: Packet) => boolean;

/** Receives occurrences; the first that returns true ends the scan, which then is true. */
export interface Visitor {
  /** The field is at `base + field.at`. */
  readonly at: (view: DataView, base: number) => boolean;
  /** The value was made: it has no place. */
  readonly value: (value: FieldValue) => boolean;
  /** A protocol or an option as a whole. */
  readonly span: (view: DataView, from: number, to: number) => boolean;
}

/** What a filter names: occurrences of `meaning` in a part of the packet. */
export interface Reference {
  readonly meaning: Meaning;
  readonly section: Section | null;
  readonly layers: readonly Range[] | null;
  /** A protocol is its header and all it contains, not the header alone. */
  readonly whole: boolean;
}

/** Looks at layer `i`. */
type Spot = (view: DataView, layers: Layers, i: number) => boolean;

/** Looks at an option: its offset, the bytes of its header and of its data, and class << 8 | type. */
type OptionSpot = (view: DataView, at: number, header: number, data: number, key: number) => boolean;

/** Runs a protocol's `details` for some of what they tell. */
class Collector implements Details {
  view: DataView = new DataView(new ArrayBuffer(0));
  layer = 0;
  start = 0;
  body = 0;
  end = 0;
  limit = 0;
  goesOn = false;
  private found = false;
  private readonly fields: ReadonlyMap<Field, Visitor>;
  private readonly options: OptionSpot | null;

  constructor(fields: ReadonlyMap<Field, Visitor>, options: OptionSpot | null) {
    this.fields = fields;
    this.options = options;
  }

  run(protocol: Protocol, view: DataView, layers: Layers, i: number): boolean {
    if (layers.partial && i === layers.count - 1) return false;
    this.view = view;
    this.layer = i;
    this.start = layers.start(i);
    this.body = layers.bodyOf(i);
    this.end = layers.endOf(i);
    this.limit = layers.limitOf(i);
    this.goesOn = layers.goesOn(i);
    this.found = false;
    protocol.details?.(this);
    return this.found;
  }

  field(field: Field, base: number): void {
    if (!this.found) this.found = this.fields.get(field)?.at(this.view, base) ?? false;
  }
  computed<V extends FieldValue>(field: Field<V>, value: V): void {
    if (!this.found) this.found = this.fields.get(field)?.value(value) ?? false;
  }
  option({ offset, headerLength, dataLength, class: optionClass, type }: OptionView): void {
    if (!this.found && this.options)
      this.found = this.options(this.view, offset, headerLength, dataLength, optionClass * 256 + type);
  }
  open(): void {}
  close(): void {}
  remark(): void {}
}

const NO_FIELDS: ReadonlyMap<Field, Visitor> = new Map();

function headerSpot({ at, size }: Field, visitor: Visitor): Spot {
  const reach = at + size;
  const visit = visitor.at;
  return (view, layers, i) => {
    const start = layers.start(i);
    return start + reach <= layers.endOf(i) && visit(view, start);
  };
}

function detailsSpot(protocol: Protocol, fields: ReadonlyMap<Field, Visitor>): Spot {
  const collector = new Collector(fields, null);
  return (view, layers, i) => collector.run(protocol, view, layers, i);
}

function optionsSpot(protocol: Protocol, visit: OptionSpot): Spot {
  const collector = new Collector(NO_FIELDS, visit);
  const { from, minimum, length, class: optionClass, type } = protocol.flow!.tunnel!.options!;
  return (view, layers, i) => {
    // The last layer may be cut or contradict itself: its details know which of its options count.
    if (i === layers.count - 1) return collector.run(protocol, view, layers, i);
    const body = layers.bodyOf(i);
    for (let at = layers.start(i) + from; at + minimum <= body; ) {
      const data = length.read(view, at);
      const next = at + minimum + data;
      if (next > body) return false;
      if (visit(view, at, minimum, data, optionClass.read(view, at) * 256 + type.read(view, at))) return true;
      at = next;
    }
    return false;
  };
}

/** A field of an option: in its header, or in data that a decoder describes. */
function optionSpot(place: LayerField, visitor: Visitor, catalog: Catalog): OptionSpot {
  if (place.where !== 'data') return (view, at) => visitor.at(view, at);
  const { decoder, field } = place;
  const wanted = decoder.class * 256 + decoder.type;
  const candidates = catalog.registry.optionDecoders(decoder.table, decoder.class, decoder.type);
  const decodes = (data: number) => {
    for (const candidate of candidates) if (fitsOption(candidate, data)) return candidate === decoder;
    return false;
  };
  if (decoder.fields.includes(field))
    return (view, at, header, data, key) => key === wanted && decodes(data) && visitor.at(view, at + header);
  return (view, at, header, data, key) => {
    if (key !== wanted || !decodes(data)) return false;
    let found = false;
    readOption(decoder, view, at + header, at + header + data, {
      field(other, base) {
        if (!found && other === field) found = visitor.at(view, base);
      },
      computed(other, value) {
        if (!found && other === field) found = visitor.value(value);
      },
      open() {},
      close() {},
    });
    return found;
  };
}

/** What to look at in layers of protocol number `protocol`. */
function fieldSpots(
  places: readonly LayerField[],
  protocol: Protocol,
  visitorFor: (field: Field) => Visitor,
  catalog: Catalog,
): Spot[] {
  const spots: Spot[] = [];
  const details = new Map<Field, Visitor>();
  for (const place of places) {
    const visitor = visitorFor(place.field);
    if (place.where === 'header') spots.push(headerSpot(place.field, visitor));
    else if (place.where === 'details') details.set(place.field, visitor);
    else spots.push(optionsSpot(protocol, optionSpot(place, visitor, catalog)));
  }
  if (details.size > 0) spots.push(detailsSpot(protocol, details));
  return spots;
}

function spotOf(spots: readonly Spot[]): Spot {
  if (spots.length === 1) return spots[0];
  return (view, layers, i) => {
    for (const spot of spots) if (spot(view, layers, i)) return true;
    return false;
  };
}

/** Per protocol number what to look at in its layers, null for nothing. */
function spotTable(
  { meaning, whole }: Reference,
  catalog: Catalog,
  visitorFor: (field: Field | null) => Visitor,
): (Spot | null)[] {
  const { protocols } = catalog.registry;
  const table: (Spot | null)[] = protocols.map(() => null);
  if (meaning.of === 'protocol') {
    const { span } = visitorFor(null);
    table[meaning.protocol] = whole
      ? (view, layers, i) => span(view, layers.start(i), layers.endOf(i))
      : (view, layers, i) => span(view, layers.start(i), layers.bodyOf(i));
  } else if (meaning.of === 'options') {
    const { span } = visitorFor(null);
    for (const number of meaning.protocols)
      table[number] = optionsSpot(protocols[number], (view, at, header, data) =>
        span(view, at, at + header + data),
      );
  } else if (meaning.of === 'fields') {
    for (const number of new Set(meaning.fields.map(({ protocol }) => protocol))) {
      const places = meaning.fields.filter(({ protocol }) => protocol === number);
      table[number] = spotOf(fieldSpots(places, protocols[number], visitorFor, catalog));
    }
  }
  return table;
}

/** First layer inside tunnel `n`. */
function insideTunnel({ outline, layers }: Packet, roles: FlowRoles, n: number): number {
  const header = outline.tunnelLayer(n);
  let i = header + 1;
  // Of IP directly in IP the outer header is the tunnel's, with its extension headers.
  if (roles.tunnels[layers.protocol(header)] === null) {
    while (i < layers.count && !isIp(roles.addressKind[layers.protocol(i)])) i++;
  }
  return i;
}

const isIp = (kind: number) => kind === AddressKind.ipv4 || kind === AddressKind.ipv6;

/** Number of the tunnel, -1 where the packet has none with this index. */
function tunnelNumber({ outline }: Packet, index: number): number {
  const n = index < 0 ? outline.tunnelCount + index : index;
  return n < outline.tunnelCount ? n : -1;
}

function firstLayer(packet: Packet, roles: FlowRoles, section: Section | null): number {
  if (section === null) return 0;
  const n = section.kind === 'inner' ? packet.outline.tunnelCount : tunnelNumber(packet, section.index);
  return n <= 0 ? 0 : insideTunnel(packet, roles, n - 1);
}

function endLayer(packet: Packet, roles: FlowRoles, section: Section | null): number {
  if (section === null) return packet.layers.count;
  if (section.kind === 'inner') return packet.layers.ownCount;
  const n = tunnelNumber(packet, section.index);
  return n < 0 ? 0 : insideTunnel(packet, roles, n);
}

function layerInRanges(ranges: readonly Range[], number: number, total: number): boolean {
  for (const { start, length, last } of ranges) {
    const from = start < 0 ? total + 1 + start : start;
    const to =
      last !== null ? (last < 0 ? total + 1 + last : last) : length === null ? total : from + length - 1;
    if (number >= from && number <= to) return true;
  }
  return false;
}

/** How many layers of [from, to) have the protocol of layer `i`. */
function likeLayer(layers: Layers, i: number, from: number, to: number): number {
  let count = 0;
  for (let j = from; j < to; j++) if (layers.protocol(j) === layers.protocol(i)) count++;
  return count;
}

function scanPart(table: readonly (Spot | null)[], reference: Reference, roles: FlowRoles): Predicate {
  const { section, layers: ranges } = reference;
  return (packet) => {
    const { layers } = packet;
    const first = firstLayer(packet, roles, section);
    const end = endLayer(packet, roles, section);
    for (let i = first; i < end; i++) {
      const spot = table[layers.protocol(i)];
      if (spot === null) continue;
      if (ranges !== null) {
        const number = likeLayer(layers, i, first, i + 1);
        if (!layerInRanges(ranges, number, likeLayer(layers, i, first, end))) continue;
      }
      if (spot(packet.batch.view, layers, i)) return true;
    }
    return false;
  };
}

function scanAll(table: readonly (Spot | null)[]): Predicate {
  return ({ layers, batch: { view } }) => {
    const { count } = layers;
    for (let i = 0; i < count; i++) {
      const spot = table[layers.protocol(i)];
      if (spot?.(view, layers, i)) return true;
    }
    return false;
  };
}

function scanVnis(section: Section | null, roles: FlowRoles, { value }: Visitor): Predicate {
  return (packet) => {
    const { outline, layers, batch } = packet;
    const only = section?.kind === 'tunnel' ? tunnelNumber(packet, section.index) : -1;
    if (section !== null && only < 0) return false;
    const end = section === null ? outline.tunnelCount : only + 1;
    for (let n = section === null ? 0 : only; n < end; n++) {
      const layer = outline.tunnelLayer(n);
      const vni = roles.tunnelVni(batch.view, layers.protocol(layer), layers.start(layer));
      if (vni >= 0 && value(vni)) return true;
    }
    return false;
  };
}

function scanFrame(property: FrameProperty, catalog: Catalog, { value, span }: Visitor): Predicate {
  switch (property) {
    case 'frame':
      return ({ batch: { view, offset, captured }, index }) =>
        span(view, offset[index], offset[index] + captured[index]);
    case 'frame.number':
      return ({ batch, index }) => value(batch.number(index));
    case 'frame.len':
      return ({ batch, index }) => value(batch.length[index]);
    case 'frame.cap_len':
      return ({ batch, index }) => value(batch.captured[index]);
    case 'frame.time_epoch':
      return ({ batch, index }) => value(batch.seconds[index] + batch.nanoseconds[index] / 1e9);
    case 'frame.interface_name':
      return (packet) => packet.interface.name !== null && value(packet.interface.name);
    case 'frame.comment':
      return ({ batch, index }) => batch.comments?.has(index) === true && value(batch.comments.get(index)!);
    case 'frame.protocols':
      return ({ layers }) => {
        let names = '';
        for (let i = 0; i < layers.count; i++)
          names += `${i === 0 ? '' : ':'}${catalog.registry.protocols[layers.protocol(i)].name}`;
        return value(names);
      };
  }
}

/** A scan of packets for `reference`; `visitorFor` makes the receiver for each field that it can be, null for spans. */
export function scan(
  reference: Reference,
  catalog: Catalog,
  roles: FlowRoles,
  visitorFor: (field: Field | null) => Visitor,
): Predicate {
  const { meaning, section, layers } = reference;
  if (meaning.of === 'frame') return scanFrame(meaning.property, catalog, visitorFor(null));
  if (meaning.of === 'vni') return scanVnis(section, roles, visitorFor(null));
  const table = spotTable(reference, catalog, visitorFor);
  return section === null && layers === null ? scanAll(table) : scanPart(table, reference, roles);
}

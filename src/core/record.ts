/** A walked packet as the object that `packets --ndjson` prints; its shape is docs/schema's `packet`. */

import { diagnose } from './diagnose.ts';
import type { Dissector } from './dissector.ts';
import type { Field, FieldValue } from './field.ts';
import { type Layers, type StopName, stopName } from './layers.ts';
import { isVariable, readOption } from './option.ts';
import type { FlowRoles, Outline } from './outline.ts';
import type { Details, OptionDecoder, OptionView, Protocol, Remark, Severity } from './protocol.ts';
import type { Registry } from './registry.ts';
import { hexNumber, hexText, timeText } from './text.ts';
import { takeThrown } from './threw.ts';

/** Values by field name; arrays for fields of which there may be several. */
export type FieldRecord = Record<string, FieldValue | FieldValue[]>;

export interface OptionRecord {
  class: number;
  type: number;
  critical: boolean;
  length: number;
  name: string | null;
  vendor: string | null;
  data: string;
  fields?: FieldRecord;
}

export interface TunnelRecord {
  protocol: string;
  vni: number | null;
  src: string | null;
  dst: string | null;
  srcPort: number | null;
  dstPort: number | null;
  options?: OptionRecord[];
}

export interface LayerRecord {
  protocol: string;
  /** Bytes from the start of the frame, and of the header. */
  offset: number;
  length: number;
  /** True where the layer belongs to a packet quoted by an ICMP error. */
  quoted?: true;
  fields: FieldRecord;
  options?: OptionRecord[];
}

/** What a packet completed of an encrypted stream: no bytes of the frame stand for it. */
export interface DecryptedRecord {
  protocol: string;
  fields: Record<string, FieldValue | FieldValue[]>;
}

export interface PacketRecord {
  type: 'packet';
  schema: 1;
  number: number;
  time: string;
  epoch: number;
  file: string | null;
  interface: string | null;
  length: number;
  captured: number;
  linkType: number;
  vni: number | null;
  src: string | null;
  dst: string | null;
  srcPort: number | null;
  dstPort: number | null;
  protocols: string[];
  tunnels: TunnelRecord[];
  layers: LayerRecord[];
  stop: StopName | null;
  remarks: Remark[];
  decrypted?: DecryptedRecord[];
  comment?: string;
}

/** Where a packet comes from. */
export interface PacketSource {
  readonly number: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly file: string | null;
  readonly interface: string | null;
  readonly length: number;
  readonly captured: number;
  readonly linkType: number;
  readonly comment: string | null;
}

/** Decoded fields of an option, null where no decoder knows its class, type and length. */
export function decodeOption(registry: Registry, view: DataView, option: OptionView): OptionRecord {
  const decoder = registry.option(option.table, option.class, option.type, option.dataLength);
  const from = option.offset + option.headerLength;
  const record: OptionRecord = {
    class: option.class,
    type: option.type,
    critical: option.critical,
    length: option.dataLength,
    name: decoder?.name ?? null,
    vendor: option.vendor,
    data: hexText(view, from, from + option.dataLength),
  };
  if (decoder) record.fields = optionFieldRecord(decoder, view, from, from + option.dataLength);
  return record;
}

function optionFieldRecord(decoder: OptionDecoder, view: DataView, from: number, to: number): FieldRecord {
  const fields: FieldRecord = {};
  readOption(decoder, view, from, to, {
    field: (field, base) => put(fields, field, field.read(view, base)),
    computed: (field, value) => put(fields, field, value),
    open() {},
    close() {},
  });
  return fields;
}

function put(fields: FieldRecord, field: Field, value: FieldValue): void {
  if (!field.list) {
    fields[field.name] = value;
    return;
  }
  const list = fields[field.name];
  if (Array.isArray(list)) list.push(value);
  else fields[field.name] = [value];
}

/** Fixed fields of a layer whose bytes are there. */
export function* presentFields(protocol: Protocol, start: number, end: number): Generator<Field> {
  for (const field of protocol.fields) if (start + field.at + field.size <= end) yield field;
}

class RecordDetails implements Details {
  readonly registry: Registry;
  readonly view: DataView;
  readonly frameStart: number;
  readonly remarks: Remark[] = [];
  layer = 0;
  start = 0;
  body = 0;
  end = 0;
  limit = 0;
  private record: LayerRecord = { protocol: '', offset: 0, length: 0, fields: {} };

  constructor(registry: Registry, view: DataView, frameStart: number) {
    this.registry = registry;
    this.view = view;
    this.frameStart = frameStart;
  }

  begin(layers: Layers, i: number, record: LayerRecord): void {
    this.layer = i;
    this.start = layers.start(i);
    this.body = layers.bodyOf(i);
    this.end = layers.endOf(i);
    this.limit = layers.limitOf(i);
    this.record = record;
  }

  field(field: Field, base: number): void {
    put(this.record.fields, field, field.read(this.view, base));
  }
  computed<V extends FieldValue>(field: Field<V>, value: V): void {
    put(this.record.fields, field, value);
  }
  open(): void {}
  close(): void {}
  option(option: OptionView): void {
    this.record.options ??= [];
    this.record.options.push(decodeOption(this.registry, this.view, option));
    const remark = optionRemark(this.registry, option);
    if (remark)
      this.remark(
        remark.code,
        'warning',
        option.offset,
        option.headerLength + option.dataLength,
        remark.text,
      );
  }
  remark(code: string, severity: Severity, offset: number, length: number, text: string): void {
    if (this.record.quoted) return; // a copy of another packet, cut by intent: its lengths cannot agree
    this.remarks.push({ code, severity, layer: this.layer, offset: offset - this.frameStart, length, text });
  }
}

/** What is odd about an option seen against the registry: nothing, or one remark. */
export function optionRemark(registry: Registry, option: OptionView): { code: string; text: string } | null {
  if (registry.option(option.table, option.class, option.type, option.dataLength)) return null;
  const what = `class ${hexNumber(option.class, 4)} type ${hexNumber(option.type, 2)}`;
  const decoders = registry.optionDecoders(option.table, option.class, option.type);
  if (decoders.length > 0) {
    const lengths = decoders
      .map((decoder) => `${isVariable(decoder) ? 'at least ' : ''}${decoder.length}`)
      .join(' or ');
    return {
      code: 'geneve.option-length',
      text: `option ${what} has ${option.dataLength} data bytes, its definition ${lengths}`,
    };
  }
  if (option.critical) {
    return {
      code: 'geneve.critical-unknown',
      text: `critical option ${what} is not registered here: an endpoint that does not know it drops the packet`,
    };
  }
  return null;
}

/** Address text of the layer's source or destination. */
export function layerAddress(
  roles: FlowRoles,
  layers: Layers,
  view: DataView,
  layer: number,
  side: 0 | 1,
): string | null {
  const field = layer < 0 ? undefined : roles.protocols[layers.protocol(layer)].flow?.addresses?.[side];
  return field ? field.read(view, layers.start(layer)) : null;
}

/** Port of the layer's source or destination. */
export function layerPort(
  roles: FlowRoles,
  layers: Layers,
  view: DataView,
  layer: number,
  side: 0 | 1,
): number | null {
  const field = layer < 0 ? undefined : roles.protocols[layers.protocol(layer)].flow?.ports?.[side];
  return field ? field.read(view, layers.start(layer)) : null;
}

/** VNI of the innermost tunnel that has one. */
export function innermostVni(tunnels: readonly { vni: number | null }[]): number | null {
  for (let i = tunnels.length - 1; i >= 0; i--) if (tunnels[i].vni !== null) return tunnels[i].vni;
  return null;
}

/** The packet at `frameStart`, walked into `layers` and outlined into `outline`, as a record. */
export function packetRecord(
  dissector: Dissector,
  roles: FlowRoles,
  view: DataView,
  frameStart: number,
  layers: Layers,
  outline: Outline,
  source: PacketSource,
): PacketRecord {
  const { registry } = dissector;
  const details = new RecordDetails(registry, view, frameStart);
  const layerRecords: LayerRecord[] = [];
  takeThrown(); // of packets that were not shown
  for (let i = 0; i < layers.count; i++) {
    const protocol = registry.protocols[layers.protocol(i)];
    const start = layers.start(i);
    const record: LayerRecord = {
      protocol: protocol.name,
      offset: start - frameStart,
      length: layers.bodyOf(i) - start,
      fields: {},
    };
    if (layers.quoted >= 0 && i >= layers.quoted) record.quoted = true;
    layerRecords.push(record);
    details.begin(layers, i, record);
    for (const field of presentFields(protocol, start, layers.endOf(i))) details.field(field, start);
    if (!(layers.partial && i === layers.count - 1)) protocol.details?.(details);
    const thrown = takeThrown();
    if (thrown !== null) details.remark('plugin.threw', 'error', start, record.length, thrown);
  }
  const stop = diagnose(dissector, layers, frameStart);
  if (stop) details.remarks.push(stop);

  const tunnels: TunnelRecord[] = [];
  for (let i = 0; i < outline.tunnelCount; i++) {
    const layer = outline.tunnelLayer(i);
    const protocol = layers.protocol(layer);
    const start = layers.start(layer);
    const vni = roles.tunnelVni(view, protocol, start);
    const tunnel: TunnelRecord = {
      protocol: roles.tunnelName(view, protocol, start),
      vni: vni < 0 ? null : vni,
      src: layerAddress(roles, layers, view, outline.tunnelNetwork(i), 0),
      dst: layerAddress(roles, layers, view, outline.tunnelNetwork(i), 1),
      srcPort: layerPort(roles, layers, view, outline.tunnelTransport(i), 0),
      dstPort: layerPort(roles, layers, view, outline.tunnelTransport(i), 1),
    };
    if (roles.tunnels[protocol]?.options) tunnel.options = layerRecords[layer].options ?? [];
    tunnels.push(tunnel);
  }

  const record: PacketRecord = {
    type: 'packet',
    schema: 1,
    number: source.number,
    time: timeText(source.seconds, source.nanoseconds),
    epoch: source.seconds + source.nanoseconds / 1e9,
    file: source.file,
    interface: source.interface,
    length: source.length,
    captured: source.captured,
    linkType: source.linkType,
    vni: innermostVni(tunnels),
    src: layerAddress(roles, layers, view, outline.network, 0),
    dst: layerAddress(roles, layers, view, outline.network, 1),
    srcPort: layerPort(roles, layers, view, outline.transport, 0),
    dstPort: layerPort(roles, layers, view, outline.transport, 1),
    protocols: layerRecords.map((layer) => layer.protocol),
    tunnels,
    layers: layerRecords,
    stop: stopName(layers.stop),
    remarks: details.remarks,
  };
  if (source.comment !== null) record.comment = source.comment;
  return record;
}

/** A walked packet as the JSON object of docs/schema's `packet`: the one place that says what is in it. */
import { diagnose } from '../core/diagnose.ts';
import type { Dissector } from '../core/dissector.ts';
import type { Field, FieldValue } from '../core/field.ts';
import { type Layers, stopName } from '../core/layers.ts';
import { readOption } from '../core/option.ts';
import type { FlowRoles, Outline } from '../core/outline.ts';
import type { Details, OptionView, Remark, Severity } from '../core/protocol.ts';
import {
  layerAddress,
  layerPort,
  optionRemark,
  type PacketRecord,
  type PacketSource,
} from '../core/record.ts';
import { hexText, timeText } from '../core/text.ts';
import { takeThrown } from '../core/threw.ts';
import { jsonText } from './json.ts';
import { JsonBytes, type Literal, literal } from './json-bytes.ts';
import { encloseArray, key, type Member, Members, OBJECT_END } from './json-fields.ts';

const KEYS = {
  captured: key('captured'),
  class: literal(',{"class":'),
  code: literal(',{"code":'),
  comment: key('comment'),
  critical: key('critical'),
  data: key('data'),
  decrypted: key('decrypted'),
  dst: key('dst'),
  dstPort: key('dstPort'),
  epoch: key('epoch'),
  fields: key('fields'),
  file: key('file'),
  interface: key('interface'),
  layer: key('layer'),
  layers: key('layers'),
  length: key('length'),
  linkType: key('linkType'),
  name: key('name'),
  number: literal('{"type":"packet","schema":1,"number":'),
  offset: key('offset'),
  options: key('options'),
  protocol: literal(',{"protocol":'),
  protocols: key('protocols'),
  quoted: literal(',"quoted":true'),
  remarks: key('remarks'),
  severity: key('severity'),
  src: key('src'),
  srcPort: key('srcPort'),
  stop: key('stop'),
  text: key('text'),
  time: key('time'),
  tunnels: key('tunnels'),
  type: key('type'),
  vendor: key('vendor'),
  vni: key('vni'),
};

/** What all layers of a protocol have in common. */
interface Shape {
  readonly name: Literal;
  readonly head: Literal;
  readonly details: ((out: Details) => void) | undefined;
  /** Of each fixed field: how it is read, how many bytes of the layer must be there, where it goes. */
  readonly reads: readonly Field['read'][];
  readonly ends: Int32Array;
  readonly members: readonly Member[];
}

/** Makes the records of one dissector's packets. */
export class PacketJson implements Details {
  /** The records; whoever takes some out of it sets it back. */
  readonly out = new JsonBytes(1 << 16);
  view!: DataView;
  layer = 0;
  start = 0;
  body = 0;
  end = 0;
  limit = 0;
  goesOn = false;
  private readonly dissector: Dissector;
  private readonly roles: FlowRoles;
  private readonly shapes: readonly Shape[];
  private readonly fields = new Members();
  private readonly optionFields = new Members();
  // Tunnels stand before the layers, whose options they repeat.
  private readonly layers = new JsonBytes(1 << 13);
  private readonly options = new JsonBytes(1 << 12);
  /** Where the options of each layer end. */
  private readonly optionEnds: number[] = [];
  private readonly remarks = new JsonBytes(1 << 10);
  private frameStart = 0;
  private quoted = false;
  private readonly optionSink = {
    field: (field: Field, base: number) =>
      this.optionFields.put(this.optionFields.of(field), field.read(this.view, base)),
    computed: (field: Field, value: FieldValue) => this.optionFields.put(this.optionFields.of(field), value),
    open() {},
    close() {},
  };

  constructor(dissector: Dissector, roles: FlowRoles) {
    this.dissector = dissector;
    this.roles = roles;
    this.shapes = dissector.registry.protocols.map(({ name, fields, details }) => ({
      name: literal(`,${jsonText(name)}`),
      head: literal(`,{"protocol":${jsonText(name)},"offset":`),
      details,
      reads: fields.map(({ read }) => read),
      ends: Int32Array.from(fields, ({ at, size }) => at + size),
      members: fields.map((field) => this.fields.of(field)),
    }));
  }

  /** Adds the packet at `frameStart`, walked into `layers` and outlined into `outline`, to `out`. */
  write(view: DataView, frameStart: number, layers: Layers, outline: Outline, source: PacketSource): void {
    const { out, remarks } = this;
    this.view = view;
    this.frameStart = frameStart;
    this.layers.length = 0;
    this.options.length = 0;
    remarks.length = 0;
    takeThrown(); // of packets that were not shown
    for (let i = 0; i < layers.count; i++) this.writeLayer(layers, i);
    const stop = diagnose(this.dissector, layers, frameStart);
    if (stop) this.writeRemark(stop);

    out.literal(KEYS.number);
    out.number(source.number);
    out.literal(KEYS.time);
    out.string(timeText(source.seconds, source.nanoseconds));
    out.literal(KEYS.epoch);
    out.number(source.seconds + source.nanoseconds / 1e9);
    out.literal(KEYS.file);
    out.value(source.file);
    out.literal(KEYS.interface);
    out.value(source.interface);
    out.literal(KEYS.length);
    out.number(source.length);
    out.literal(KEYS.captured);
    out.number(source.captured);
    out.literal(KEYS.linkType);
    out.number(source.linkType);
    out.literal(KEYS.vni);
    out.value(this.innermostVni(layers, outline));
    this.writeEnds(layers, outline.network, outline.transport);
    out.literal(KEYS.protocols);
    let from = out.length;
    for (let i = 0; i < layers.count; i++) out.literal(this.shapes[layers.protocol(i)].name);
    encloseArray(out, from);
    out.literal(KEYS.tunnels);
    from = out.length;
    for (let i = 0; i < outline.tunnelCount; i++) this.writeTunnel(layers, outline, i);
    encloseArray(out, from);
    out.literal(KEYS.layers);
    from = out.length;
    out.append(this.layers, 0, this.layers.length);
    encloseArray(out, from);
    out.literal(KEYS.stop);
    out.value(stopName(layers.stop));
    out.literal(KEYS.remarks);
    from = out.length;
    out.append(remarks, 0, remarks.length);
    encloseArray(out, from);
    if (source.comment !== null) {
      out.literal(KEYS.comment);
      out.string(source.comment);
    }
    if (source.decrypted !== undefined && source.decrypted.length > 0) {
      out.literal(KEYS.decrypted);
      out.text(jsonText(source.decrypted));
    }
    out.byte(OBJECT_END);
  }

  private writeLayer(layers: Layers, i: number): void {
    const { view, fields, layers: out } = this;
    const { head, details, reads, ends, members } = this.shapes[layers.protocol(i)];
    const start = layers.start(i);
    const end = layers.endOf(i);
    this.layer = i;
    this.start = start;
    this.body = layers.bodyOf(i);
    this.end = end;
    this.limit = layers.limitOf(i);
    this.goesOn = layers.goesOn(i);
    this.quoted = layers.quoted >= 0 && i >= layers.quoted;

    out.literal(head);
    out.number(start - this.frameStart);
    out.literal(KEYS.length);
    out.number(this.body - start);
    out.literal(KEYS.fields);
    fields.begin();
    for (let j = 0; j < members.length; j++)
      if (start + ends[j] <= end) fields.put(members[j], reads[j](view, start));
    if (!(layers.partial && i === layers.count - 1)) details?.(this);
    const thrown = takeThrown();
    if (thrown !== null) this.remark('plugin.threw', 'error', start, this.body - start, thrown);
    fields.write(out);
    if (this.quoted) out.literal(KEYS.quoted);
    this.optionEnds[i] = this.options.length;
    if (this.optionStart(i) < this.options.length) this.writeOptions(out, i);
    out.byte(OBJECT_END);
  }

  private optionStart(layer: number): number {
    return layer === 0 ? 0 : this.optionEnds[layer - 1];
  }

  private writeOptions(out: JsonBytes, layer: number): void {
    out.literal(KEYS.options);
    const from = out.length;
    out.append(this.options, this.optionStart(layer), this.optionEnds[layer]);
    encloseArray(out, from);
  }

  private writeTunnel(layers: Layers, outline: Outline, i: number): void {
    const { out, roles, view } = this;
    const layer = outline.tunnelLayer(i);
    const protocol = layers.protocol(layer);
    const vni = roles.tunnelVni(view, protocol, layers.start(layer));
    out.literal(KEYS.protocol);
    out.string(roles.tunnelName(view, protocol, layers.start(layer)));
    out.literal(KEYS.vni);
    out.value(vni < 0 ? null : vni);
    this.writeEnds(layers, outline.tunnelNetwork(i), outline.tunnelTransport(i));
    if (roles.tunnels[protocol]?.options) this.writeOptions(out, layer);
    out.byte(OBJECT_END);
  }

  private writeEnds(layers: Layers, network: number, transport: number): void {
    const { out, roles, view } = this;
    out.literal(KEYS.src);
    out.value(layerAddress(roles, layers, view, network, 0));
    out.literal(KEYS.dst);
    out.value(layerAddress(roles, layers, view, network, 1));
    out.literal(KEYS.srcPort);
    out.value(layerPort(roles, layers, view, transport, 0));
    out.literal(KEYS.dstPort);
    out.value(layerPort(roles, layers, view, transport, 1));
  }

  /** VNI of the innermost tunnel that has one. */
  private innermostVni(layers: Layers, outline: Outline): number | null {
    for (let i = outline.tunnelCount - 1; i >= 0; i--) {
      const layer = outline.tunnelLayer(i);
      const vni = this.roles.tunnelVni(this.view, layers.protocol(layer), layers.start(layer));
      if (vni >= 0) return vni;
    }
    return null;
  }

  field(field: Field, base: number): void {
    this.fields.put(this.fields.of(field), field.read(this.view, base));
  }
  computed<V extends FieldValue>(field: Field<V>, value: V): void {
    this.fields.put(this.fields.of(field), value);
  }
  open(): void {}
  close(): void {}
  option(option: OptionView): void {
    const { view, options: out } = this;
    const { registry } = this.dissector;
    const decoder = registry.option(option.table, option.class, option.type, option.dataLength);
    const from = option.offset + option.headerLength;
    out.literal(KEYS.class);
    out.number(option.class);
    out.literal(KEYS.type);
    out.number(option.type);
    out.literal(KEYS.critical);
    out.value(option.critical);
    out.literal(KEYS.length);
    out.number(option.dataLength);
    out.literal(KEYS.name);
    out.value(decoder?.name ?? null);
    out.literal(KEYS.vendor);
    out.value(option.vendor);
    out.literal(KEYS.data);
    out.string(hexText(view, from, from + option.dataLength));
    if (decoder) {
      out.literal(KEYS.fields);
      this.optionFields.begin();
      readOption(decoder, view, from, from + option.dataLength, this.optionSink);
      this.optionFields.write(out);
    }
    out.byte(OBJECT_END);
    const remark = optionRemark(registry, option);
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
    if (this.quoted) return; // a copy of another packet, cut by intent: its lengths cannot agree
    this.writeRemark({ code, severity, layer: this.layer, offset: offset - this.frameStart, length, text });
  }

  private writeRemark({ code, severity, layer, offset, length, text }: Remark): void {
    const { remarks: out } = this;
    out.literal(KEYS.code);
    out.string(code);
    out.literal(KEYS.severity);
    out.string(severity);
    out.literal(KEYS.layer);
    out.number(layer);
    out.literal(KEYS.offset);
    out.number(offset);
    out.literal(KEYS.length);
    out.number(length);
    out.literal(KEYS.text);
    out.string(text);
    out.byte(OBJECT_END);
  }
}

const decoder = new TextDecoder();
const writers = new WeakMap<Dissector, PacketJson>();

/** The packet at `frameStart`, walked into `layers` and outlined into `outline`: the object that `packets --ndjson` prints. */
export function packetRecord(
  dissector: Dissector,
  roles: FlowRoles,
  view: DataView,
  frameStart: number,
  layers: Layers,
  outline: Outline,
  source: PacketSource,
): PacketRecord {
  let writer = writers.get(dissector);
  if (writer === undefined) {
    writer = new PacketJson(dissector, roles);
    writers.set(dissector, writer);
  }
  writer.out.length = 0;
  writer.write(view, frameStart, layers, outline, source);
  return JSON.parse(decoder.decode(writer.out.bytes.subarray(0, writer.out.length)));
}

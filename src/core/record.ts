/** What is told of a packet, as the objects that `packets --ndjson` prints, and what all ways of telling it share. */
import type { Field, FieldValue } from './field.ts';
import type { Layers, StopName } from './layers.ts';
import { isVariable } from './option.ts';
import type { FlowRoles } from './outline.ts';
import type { OptionView, Protocol, Remark } from './protocol.ts';
import type { Registry } from './registry.ts';
import { hexNumber } from './text.ts';

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
  /** What it completed of encrypted streams. */
  readonly decrypted?: readonly DecryptedRecord[];
}

/** Fixed fields of a layer whose bytes are there. */
export function* presentFields(protocol: Protocol, start: number, end: number): Generator<Field> {
  for (const field of protocol.fields) if (start + field.at + field.size <= end) yield field;
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

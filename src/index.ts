/**
 * tunscope as a library: read captures, walk packets, account flows. Importing it does nothing else.
 *
 * ```ts
 * import { analyseFlows, openCaptures } from 'tunscope';
 * for (const flow of await analyseFlows(await openCaptures(['node.pcapng']))) console.log(flow.vni, flow.bytes);
 * ```
 */
import { builtins } from '../dissectors/index.ts';
import type { Capture } from './capture/capture.ts';
import { Dissector } from './core/dissector.ts';
import { FlowRoles } from './core/outline.ts';
import { Registry } from './core/registry.ts';
import { FlowAccounting, type VniKey } from './flow/accounting.ts';
import { type FlowRecord, FlowRecords } from './flow/records.ts';
import { run } from './pipeline.ts';

export { builtins } from '../dissectors/index.ts';
export { PacketBatch } from './capture/batch.ts';
export type {
  Capture,
  CaptureDamage,
  CaptureFile,
  CaptureInterface,
  LiveControl,
  LiveInterfaceRecord,
  LiveRecord,
} from './capture/capture.ts';
export { CaptureWriter } from './capture/capture-writer.ts';
export { type DecapOptions, DecapWriter, type LeftOut } from './capture/decap-writer.ts';
export { type Destination, openDestination, StreamDestination } from './capture/destination.ts';
export { openCapture, openCaptures } from './capture/open.ts';
export { type InterfaceDescription, PcapngWriter } from './capture/pcapng-writer.ts';
export { Dissector } from './core/dissector.ts';
export * from './core/field.ts';
export { Layers, Stop, type StopName, stopName } from './core/layers.ts';
export { type OptionSink, optionFields, readOption } from './core/option.ts';
export { FlowRoles, Outline } from './core/outline.ts';
export * from './core/protocol.ts';
export type {
  FieldRecord,
  LayerRecord,
  OptionRecord,
  PacketRecord,
  PacketSource,
  TunnelRecord,
} from './core/record.ts';
export { type ProtocolKey, type RegisteredOption, Registry } from './core/registry.ts';
export { packetTree, type TreeLine } from './core/tree.ts';
export { DecryptingCapture } from './decrypt/decrypting-capture.ts';
export { SecurityAssociation } from './decrypt/esp.ts';
export { type HboneOptions, HboneReader } from './decrypt/hbone.ts';
export type * from './decrypt/hbone-record.ts';
export { HBONE_PORT } from './decrypt/hbone-record.ts';
export { KeyLog } from './decrypt/key-log.ts';
export { MacsecKey } from './decrypt/macsec.ts';
export { CaptureError, OutputError, UsageError } from './errors.ts';
export {
  Catalog,
  compileFilter,
  compileReader,
  type FieldReader,
  type Filter,
  FilterError,
} from './filter/index.ts';
export { FlowAccounting, type VniKey } from './flow/accounting.ts';
export { mergeFlows } from './flow/merge.ts';
export { type FlowRecord, FlowRecords, type TcpRecord } from './flow/records.ts';

export { type VniRecord, vniRecords } from './flow/vni.ts';
export { packetRecord } from './output/packet-json.ts';
export { type Packet, type PacketSink, type RunOptions, run, type SummaryRecord } from './pipeline.ts';

/** All flows of a capture, read to its end with the built-in protocols. */
export async function analyseFlows(
  capture: Capture,
  options: { vniKey?: VniKey } = {},
): Promise<FlowRecord[]> {
  const dissector = new Dissector(new Registry().add(builtins), { application: false });
  const accounting = new FlowAccounting(dissector, new FlowRoles(dissector.registry), options.vniKey);
  await run(capture, dissector, accounting.roles, accounting);
  const records = new FlowRecords(accounting);
  return records.ids().map((id) => records.record(id));
}

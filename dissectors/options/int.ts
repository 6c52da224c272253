/**
 * In-band Network Telemetry (P4.org INT dataplane specification 2.1, sections "INT-MD Metadata Header Format" and
 * "INT-MX Header Format"): the option's type is the type of INT header.
 *
 *   |Ver|D|E|M|       Reserved        | Hop ML  |RemainingHopCnt|      (E, M, Hop ML and count: MD only)
 *   |      Instruction Bitmap       |        Domain Specific ID     |
 *   |         DS Instruction        |            DS Flags           |
 *   ~ MD: metadata of each hop, the last hop's first; MX: metadata  ~
 *
 * Each hop's are in the order of the bitmap's bits, domain-specific ones behind them, the checksum complement last. How
 * much a source adds for itself only its domain knows: it is taken for hops as far as it is long enough.
 */
import { bytes, computed, flag, u8, u16, u24, u32, u64 } from '../../src/core/field.ts';
import { defineOption, type OptionItem } from '../../src/core/protocol.ts';

/** "All-ones reserved value indicating invalid". */
const missing = (bits: number) => ({ [2 ** bits - 1]: 'Not available' });
const word = { list: true, values: missing(32) };
const half = { list: true, values: missing(16) };
const id = { list: true, values: missing(8) };
const occupancy = { list: true, values: missing(24) };

const hopLength = u8('int.hop_ml', 'Per-hop metadata length', 2, { mask: 0x1f, scale: 4, unit: ' bytes' });
const instructions = u16('int.instructions', 'Instruction bitmap', 4, { base: 'hex' });

const version = u8('int.version', 'Version', 0, { mask: 0xf0 });
const discard = flag('int.flags.discard', 'Discard', 0, 0x08);
const domain = [
  u16('int.ds.id', 'Domain specific ID', 6, { base: 'hex' }),
  u16('int.ds.instructions', 'Domain specific instruction', 8, { base: 'hex' }),
  u16('int.ds.flags', 'Domain specific flags', 10, { base: 'hex' }),
];

const HOP: readonly OptionItem[] = [
  { bit: 0x8000, fields: [u32('int.node_id', 'Node ID', 0, word)] },
  {
    bit: 0x4000,
    fields: [
      u16('int.l1.ingress_interface', 'Level 1 ingress interface', 0, half),
      u16('int.l1.egress_interface', 'Level 1 egress interface', 2, half),
    ],
  },
  { bit: 0x2000, fields: [u32('int.hop_latency', 'Hop latency', 0, word)] },
  {
    bit: 0x1000,
    fields: [
      u8('int.queue.id', 'Queue ID', 0, id),
      u24('int.queue.occupancy', 'Queue occupancy', 1, occupancy),
    ],
  },
  { bit: 0x0800, fields: [u64('int.ingress_timestamp', 'Ingress timestamp', 0, { list: true })] },
  { bit: 0x0400, fields: [u64('int.egress_timestamp', 'Egress timestamp', 0, { list: true })] },
  {
    bit: 0x0200,
    fields: [
      u32('int.l2.ingress_interface', 'Level 2 ingress interface', 0, word),
      u32('int.l2.egress_interface', 'Level 2 egress interface', 4, word),
    ],
  },
  { bit: 0x0100, fields: [u32('int.tx_utilization', 'Egress interface TX utilization', 0, word)] },
  {
    bit: 0x0080,
    fields: [
      u8('int.buffer.id', 'Buffer ID', 0, id),
      u24('int.buffer.occupancy', 'Buffer occupancy', 1, occupancy),
    ],
  },
  // Reserved bits stand for four bytes each, which hops that do not know them fill with ones.
  ...[0x0040, 0x0020, 0x0010, 0x0008, 0x0004, 0x0002].map((bit) => ({
    bit,
    fields: [bytes('int.reserved_metadata', 'Reserved metadata', 0, 4, { list: true })],
  })),
  { fields: [computed<string>('int.ds.metadata', 'Domain specific metadata', 'bytes', { list: true })] },
  {
    bit: 0x0001,
    fields: [u32('int.checksum_complement', 'Checksum complement', 0, { ...word, base: 'hex' })],
  },
];

const int = { reference: 'P4 INT 2.1', table: 'geneve.option', class: 0x0103, length: 12 };

export const intMd = defineOption({
  ...int,
  name: 'int.md',
  title: 'INT-MD',
  type: 0x01,
  fields: [
    version,
    discard,
    flag('int.flags.hops_exceeded', 'Max hop count exceeded', 0, 0x04),
    flag('int.flags.mtu_exceeded', 'MTU exceeded', 0, 0x02),
    hopLength,
    u8('int.remaining_hops', 'Remaining hop count', 3),
    instructions,
    ...domain,
  ],
  groups: { title: 'Hop', size: hopLength, present: instructions, items: HOP },
  rest: computed<string>('int.other_metadata', 'Other metadata', 'bytes'),
});

export const intMx = defineOption({
  ...int,
  name: 'int.mx',
  title: 'INT-MX',
  type: 0x03,
  fields: [version, discard, instructions, ...domain],
  rest: computed<string>('int.source_metadata', 'Source-inserted metadata', 'bytes'),
});

/** cPacket: what a monitoring device notes of a packet that it mirrors (as Wireshark's packet-geneve.c reads it). */
import { u8, u16, u32, u48 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

export const cpacketMetadata = defineOption({
  name: 'cpacket.metadata',
  title: 'cPacket metadata',
  reference: 'Wireshark packet-geneve.c',
  table: 'geneve.option',
  class: 0x0164,
  type: 0x00,
  length: 24,
  fields: [
    u32('geneve.option.cPacket.packetid', 'cPacket Packet ID', 0),
    u16('geneve.option.cPacket.orig_len', 'cPacket Original length', 4),
    u8('geneve.option.cPacket.reserved', 'cPacket Reserved', 6, { base: 'hex' }),
    u8('geneve.option.cPacket.version', 'cPacket Metadata version', 7),
    u48('geneve.option.cPacket.ts_sec', 'cPacket Timestamp (s)', 8),
    u32('geneve.option.cPacket.ts_nsec', 'cPacket Timestamp (ns)', 14),
    u16('geneve.option.cPacket.ts_fracns', 'cPacket Timestamp (frac. ns)', 18),
    u16('geneve.option.cPacket.device_id', 'cPacket Device ID', 20),
    u16('geneve.option.cPacket.port_id', 'cPacket Port ID', 22),
  ],
});

/**
 * Stateless Transport Tunneling (draft-davie-stt-08 section 3): the header of a frame that was cut into what look like
 * TCP segments, of which the first has it.
 *
 *    0                   1                   2                   3
 *   |    Version    |     Flags     |   L4 offset   |   Reserved    |
 *   |       Max. Segment Size       |  PCP  |V|       VLAN ID       |
 *   |                         Context ID, 8 bytes                   |
 *   |            Padding            |   Ethernet frame ...
 *
 * In the TCP header before it, the sequence number is | length of the whole frame 16 | offset of the segment 16 | and the
 * acknowledgment number identifies the frame.
 */
import { flag, u8, u16, u64 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const etherType = table('ethertype');

const HEADER = 18;
const PORT = 7471;
/** STT's TCP header never has options. */
const TCP_HEADER = 20;

// In the TCP header, relative to its start.
const tcpDestination = u16('stt.dport', 'Destination Port', 2);
const frameLength = u16('stt.pkt_len', 'Packet Length', 4);
const segmentOffset = u16('stt.seg_off', 'Segment Offset', 6);
const tcpDataOffset = u8('stt.tcp.data_offset', 'Data Offset', 12, { mask: 0xf0 });

const version = u8('stt.version', 'Version', 0);
const reservedFlags = u8('stt.flags.rsvd', 'Reserved', 1, { mask: 0xf0 });
const isTcp = flag('stt.flags.tcp', 'TCP payload', 1, 0x08);
const isIpv4 = flag('stt.flags.ipv4', 'IPv4 packet', 1, 0x04);
const checksumPartial = flag('stt.flags.csum_partial', 'Checksum partial', 1, 0x02);
const checksumVerified = flag('stt.flags.csum_verified', 'Checksum verified', 1, 0x01);
const l4Offset = u8('stt.l4offset', 'L4 Offset', 2);
const reserved = u8('stt.reserved', 'Reserved', 3, { base: 'hex' });
const maximumSegment = u16('stt.mss', 'Max Segment Size', 4);
const priority = u16('stt.vlan.pcp', 'PCP', 6, { mask: 0xe000 });
const hasVlan = u16('stt.vlan.v', 'V flag', 6, { mask: 0x1000 });
const vlan = u16('stt.vlan.id', 'VLAN ID', 6, { mask: 0x0fff });
const context = u64('stt.context_id', 'Context ID', 8, { base: 'hex' });
const padding = u16('stt.padding', 'Padding', 16, { base: 'hex' });

export const stt = defineProtocol({
  name: 'stt',
  title: 'Stateless Transport Tunneling',
  reference: 'draft-davie-stt-08',
  fields: [
    version,
    reservedFlags,
    isTcp,
    isIpv4,
    checksumPartial,
    checksumVerified,
    l4Offset,
    reserved,
    maximumSegment,
    priority,
    hasVlan,
    vlan,
    context,
    padding,
  ],
  minLength: HEADER,
  on: [],
  // Not by port: segments but the first have no header, and port 7471 is in the range that clients draw from.
  heuristic: {
    table: 'tcp.port',
    key: PORT,
    matches(view, start, end) {
      const tcp = start - TCP_HEADER;
      return (
        tcp >= 0 &&
        end - start >= HEADER &&
        tcpDestination.read(view, tcp) === PORT &&
        tcpDataOffset.read(view, tcp) === 5 &&
        segmentOffset.read(view, tcp) === 0 &&
        frameLength.read(view, tcp) >= HEADER + 14 &&
        version.read(view, start) === 0 &&
        reservedFlags.read(view, start) === 0 &&
        reserved.read(view, start) === 0
      );
    },
  },
  step(view, _start, layers) {
    // The frame goes on in other segments: what is missing is cut, not wrong.
    if (layers.count > 1) {
      const tcp = layers.start(layers.count - 2);
      layers.limit = Math.max(layers.limit, tcp + TCP_HEADER + frameLength.read(view, tcp));
    }
    layers.next(etherType, 0x6558);
  },
  // The network identifier is what a controller makes of the context; the low half is what VMware's NVP used.
  flow: { tunnel: { name: 'stt', vni: (view, start) => view.getUint32(start + 12) } },
});

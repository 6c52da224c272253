/**
 * Generic Routing Encapsulation (RFC 2784, RFC 2890), its version 1 for PPTP (RFC 2637 section 4.1), and NVGRE
 * (RFC 7637 section 3.2).
 *
 *    0                   1                   2                   3
 *   |C|R|K|S|s|Recur|A| Flags | Ver |         Protocol Type         |
 *   |      Checksum (optional)      |       Offset (optional)       |
 *   |                        Key (optional)                         |
 *   |                  Sequence Number (optional)                   |
 *   |              Acknowledgment Number (version 1)                |
 *
 * Version 1 uses the key for | payload length 16 | call ID 16 |; NVGRE for | virtual subnet ID 24 | flow ID 8 |.
 */
import { flag, u8, u16, u24, u32 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
/** What is no EtherType outside GRE. */
const greProtocol = table('gre.proto');

const ETHERNET = 0x6558;
const ERSPAN_I_II = 0x88be;
const ERSPAN_III = 0x22eb;

const flags = u16('gre.flags_and_version', 'Flags and Version', 0, { base: 'hex' });
const checksumBit = flag('gre.flags.checksum', 'Checksum Bit', 0, 0x8000, 2);
const routingBit = flag('gre.flags.routing', 'Routing Bit', 0, 0x4000, 2);
const keyBit = flag('gre.flags.key', 'Key Bit', 0, 0x2000, 2);
const sequenceBit = flag('gre.flags.sequence_number', 'Sequence Number Bit', 0, 0x1000, 2);
const strictBit = flag('gre.flags.strict_source_route', 'Strict Source Route Bit', 0, 0x0800, 2);
const recursion = u16('gre.flags.recursion_control', 'Recursion control', 0, { mask: 0x0700 });
const acknowledgmentBit = flag('gre.flags.ack', 'Acknowledgment', 0, 0x0080, 2);
const version = u16('gre.flags.version', 'Version', 0, {
  mask: 0x0007,
  values: { 0: 'GRE', 1: 'Enhanced GRE' },
});
const protocolType = u16('gre.proto', 'Protocol Type', 2, { base: 'hex', values: etherTypeName });

// Optional fields, each relative to its own place.
const checksum = u16('gre.checksum', 'Checksum', 0, { base: 'hex' });
const offset = u16('gre.offset', 'Offset', 2);
const key = u32('gre.key', 'Key', 0, { base: 'hex' });
const subnet = u24('nvgre.vsid', 'Virtual Subnet ID (VSID)', 0);
const flowId = u8('nvgre.flow_id', 'Flow ID', 3);
const payloadLength = u16('gre.key.payload_length', 'Payload Length', 0);
const callId = u16('gre.key.call_id', 'Call ID', 2);
const sequence = u32('gre.sequence_number', 'Sequence Number', 0);
const acknowledgment = u32('gre.ack_number', 'Acknowledgment Number', 0);

/** Where the key is, if there is one: behind the checksum, which always comes with the offset. */
const keyAt = (view: DataView, start: number) => start + (checksumBit.read(view, start) ? 8 : 4);

/**
 * RFC 7637 has no mark of its own: Ethernet with a key and neither checksum nor sequence number, and a VSID outside
 * the reserved 0 to 0xfff. Those are what other senders' small keys look like (Open vSwitch, Linux gretap).
 */
const isNvgre = (view: DataView, start: number) =>
  protocolType.read(view, start) === ETHERNET &&
  flags.read(view, start) === 0x2000 &&
  subnet.read(view, start + 4) > 0xfff;

/** ERSPAN type I is type II without header and sequence number (draft-foschiano-erspan section 4.1). */
const isErspanI = (view: DataView, start: number) =>
  protocolType.read(view, start) === ERSPAN_I_II && !sequenceBit.read(view, start);

function tunnelName(view: DataView, start: number): string {
  if (isErspanI(view, start)) return 'erspan';
  return isNvgre(view, start) ? 'nvgre' : 'gre';
}

/** PPTP's call IDs differ by direction: they name no network. */
function tunnelKey(view: DataView, start: number): number {
  if (!keyBit.read(view, start) || version.read(view, start) === 1) return -1;
  const at = keyAt(view, start);
  return isNvgre(view, start) ? subnet.read(view, at) : key.read(view, at);
}

function details(out: Details): void {
  const { view, start, body } = out;
  let at = start + 4;
  if (checksumBit.read(view, start)) {
    if (at + 4 > body) return;
    out.field(checksum, at);
    out.field(offset, at);
    at += 4;
  }
  if (keyBit.read(view, start)) {
    if (at + 4 > body) return;
    if (version.read(view, start) === 1) {
      out.field(payloadLength, at);
      out.field(callId, at);
    } else {
      out.field(key, at);
      if (isNvgre(view, start)) {
        out.field(subnet, at);
        out.field(flowId, at);
      }
    }
    at += 4;
  }
  if (sequenceBit.read(view, start)) {
    if (at + 4 > body) return;
    out.field(sequence, at);
    at += 4;
  }
  if (version.read(view, start) === 1 && acknowledgmentBit.read(view, start) && at + 4 <= body) {
    out.field(acknowledgment, at);
  }
}

export const gre = defineProtocol({
  name: 'gre',
  title: 'Generic Routing Encapsulation',
  reference: 'RFC 2784',
  fields: [
    flags,
    checksumBit,
    routingBit,
    keyBit,
    sequenceBit,
    strictBit,
    recursion,
    acknowledgmentBit,
    version,
    protocolType,
  ],
  detailFields: [checksum, offset, key, subnet, flowId, payloadLength, callId, sequence, acknowledgment],
  minLength: 4,
  on: [
    ['ip.proto', 47],
    ['udp.port', 4754], // RFC 8086
  ],
  step(view, start, layers) {
    const enhanced = version.read(view, start) === 1;
    if (
      version.read(view, start) > 1 ||
      routingBit.read(view, start) ||
      (enhanced && !keyBit.read(view, start))
    ) {
      layers.stop = Stop.unknown; // RFC 2784 section 2.3: packets with source routes are dropped
      return;
    }
    let body = start + 4;
    if (checksumBit.read(view, start)) body += 4;
    if (keyBit.read(view, start)) body += 4;
    if (sequenceBit.read(view, start)) body += 4;
    if (enhanced && acknowledgmentBit.read(view, start)) body += 4;
    layers.body = body;
    if (body > layers.end) {
      layers.stop = body > layers.limit ? Stop.malformed : Stop.truncated; // the key may not be there to be read
      return;
    }
    // PPTP acknowledges with packets that have no payload.
    if (enhanced) layers.trim(body + payloadLength.read(view, keyAt(view, start)));
    const protocol = protocolType.read(view, start);
    if (isErspanI(view, start)) layers.next(etherType, ETHERNET);
    else layers.next(protocol === ERSPAN_I_II || protocol === ERSPAN_III ? greProtocol : etherType, protocol);
  },
  details,
  flow: { tunnel: { name: tunnelName, vni: tunnelKey } },
});

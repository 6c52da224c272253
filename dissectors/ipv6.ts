/**
 * Internet Protocol version 6 (RFC 8200 section 3).
 *
 *   0                   1                   2                   3
 *   |version| traffic class |              flow label               |
 *   |        payload length         |  next header  |   hop limit   |
 *   |                    source address, 16 bytes                   |
 *   |                 destination address, 16 bytes                 |
 *
 * Extension headers are layers of their own (ipv6-extensions.ts).
 */
import { ipv6 as ipv6Field, u8, u16, u32 } from '../src/core/field.ts';
import { type Layers, Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { ipProtocolName } from './names/ip-protocols.ts';

const ipProtocol = table('ip.proto');

export const HEADER = 40;
const NO_NEXT_HEADER = 59;

const version = u8('ipv6.version', 'Version', 0, { mask: 0xf0 });
const trafficClass = u32('ipv6.tclass', 'Traffic Class', 0, { mask: 0x0ff00000, base: 'hex' });
const dscp = u32('ipv6.tclass.dscp', 'Differentiated Services Codepoint', 0, { mask: 0x0fc00000 });
export const ecn = u32('ipv6.tclass.ecn', 'Explicit Congestion Notification', 0, {
  mask: 0x00300000,
  values: { 0: 'Not-ECT', 1: 'ECT(1)', 2: 'ECT(0)', 3: 'CE' },
});
const flowLabel = u32('ipv6.flow', 'Flow Label', 0, { mask: 0x000fffff, base: 'hex' });
export const payloadLength = u16('ipv6.plen', 'Payload Length', 4);
export const next = u8('ipv6.nxt', 'Next Header', 6, { values: ipProtocolName });
export const hopLimit = u8('ipv6.hlim', 'Hop Limit', 7);
export const source = ipv6Field('ipv6.src', 'Source Address', 8);
export const destination = ipv6Field('ipv6.dst', 'Destination Address', 24);

/** Names the payload of an IPv6 or extension header; 59 means that there is none (RFC 8200 section 4.7). */
export function nextHeader(layers: Layers, value: number): void {
  if (value !== NO_NEXT_HEADER) layers.next(ipProtocol, value);
}

export const ipv6 = defineProtocol({
  name: 'ipv6',
  title: 'Internet Protocol Version 6',
  reference: 'RFC 8200',
  fields: [version, trafficClass, dscp, ecn, flowLabel, payloadLength, next, hopLimit, source, destination],
  minLength: HEADER,
  on: [
    ['link', 229],
    ['ethertype', 0x86dd],
    ['ip.proto', 41],
    ['vxlan.next_proto', 2],
    ['nsh.next_proto', 2],
    ['ppp.protocol', 0x0057],
  ],
  step(view, start, layers) {
    if (version.read(view, start) !== 6) {
      layers.stop = Stop.malformed;
      return;
    }
    // A payload length of 0 is a jumbogram (RFC 2675) or a BIG TCP super-packet: what is there counts.
    const payload = payloadLength.read(view, start);
    if (payload !== 0) layers.trim(start + HEADER + payload);
    nextHeader(layers, next.read(view, start));
  },
  plain: {
    is: [[version, 6]],
    total: { field: payloadLength, plus: HEADER },
    next: { table: ipProtocol, field: next },
  },
  details(out) {
    const payload = payloadLength.read(out.view, out.start);
    const room = out.limit - out.start - HEADER;
    if (payload === 0 && next.read(out.view, out.start) !== NO_NEXT_HEADER) {
      out.remark(
        'ipv6.length-zero',
        'note',
        out.start + 4,
        2,
        'payload length 0: jumbogram or segmentation offload, the captured length is used',
      );
    } else if (payload > room) {
      out.remark(
        'ipv6.length-beyond',
        'warning',
        out.start + 4,
        2,
        `payload length ${payload} is more than the ${room} bytes there are`,
      );
    }
  },
  flow: { addresses: [source, destination] },
});

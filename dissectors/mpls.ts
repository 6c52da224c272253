/**
 * Multiprotocol Label Switching (RFC 3032 section 2.1): one layer per entry of the label stack.
 *
 *   0                   1                   2                   3
 *   |                 label 20              | TC 3|S|      TTL      |
 *
 * Nothing names the payload of the last entry (S set): its first four bits tell (RFC 4928), and where they are 0 there
 * is a pseudowire control word (RFC 4385, RFC 4448), or an Ethernet frame without one.
 */
import { u16, u32 } from '../src/core/field.ts';
import { type Layers, Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
const stack = table('mpls.stack');
const pseudowire = table('mpls.pseudowire');
const channel = table('pwach.channel_type');

const ENTRY = 4;
const FRAME_HEADER = 14;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const ETHERNET = 0x6558;

const LABELS: Readonly<Record<number, string>> = {
  0: 'IPv4 Explicit-Null',
  1: 'Router Alert',
  2: 'IPv6 Explicit-Null',
  3: 'Implicit-Null',
  7: 'Entropy Label Indicator (ELI)',
  13: 'Generic Associated Channel Label (GAL)',
  14: 'OAM Alert',
  15: 'Extension Label',
};

const label = u32('mpls.label', 'MPLS Label', 0, { mask: 0xfffff000, values: LABELS });
const trafficClass = u32('mpls.exp', 'MPLS Experimental Bits', 0, { mask: 0x0e00 });
const bottom = u32('mpls.bottom', 'MPLS Bottom Of Label Stack', 0, { mask: 0x0100 });
const timeToLive = u32('mpls.ttl', 'MPLS TTL', 0, { mask: 0x00ff });

/** Type of the Ethernet header at `at`, where it is there; 0 otherwise. */
const frameType = (view: DataView, at: number, end: number) =>
  at + FRAME_HEADER <= end ? view.getUint16(at + FRAME_HEADER - 2) : 0;

/** Many addresses begin with 0 as control words do: here is a frame if its type has a name, and none 4 bytes later has. */
const isBareFrame = (view: DataView, at: number, end: number) =>
  etherTypeName(frameType(view, at, end)) !== undefined &&
  at + ENTRY + FRAME_HEADER <= end &&
  etherTypeName(frameType(view, at + ENTRY, end)) === undefined;

/** What the bytes behind the last entry are. */
function payload(view: DataView, at: number, layers: Layers): void {
  switch (at < layers.end ? view.getUint8(at) >> 4 : 4) {
    case 4:
      layers.next(etherType, IPV4);
      break;
    case 6:
      layers.next(etherType, IPV6);
      break;
    case 1:
      layers.next(channel, at + 4 <= layers.end ? view.getUint16(at + 2) : 0);
      break;
    case 0:
      if (isBareFrame(view, at, layers.end)) layers.next(etherType, ETHERNET);
      else layers.next(pseudowire, 0);
      break;
    default:
      layers.next(etherType, ETHERNET);
  }
}

export const mpls = defineProtocol({
  name: 'mpls',
  title: 'MultiProtocol Label Switching Header',
  reference: 'RFC 3032',
  fields: [label, trafficClass, bottom, timeToLive],
  minLength: ENTRY,
  on: [
    ['ethertype', 0x8847],
    ['ethertype', 0x8848],
    ['mpls.stack', 0],
    ['ip.proto', 137],
    ['udp.port', 6635],
    ['vxlan.next_proto', 5],
    ['nsh.next_proto', 5],
    ['ppp.protocol', 0x0281],
    ['ppp.protocol', 0x0283],
  ],
  step(view, start, layers) {
    if (bottom.read(view, start) === 0) layers.next(stack, 0);
    else payload(view, start + ENTRY, layers);
  },
  info: (view, start) => `Label ${label.show(label.read(view, start))}`,
});

const zeros = u16('pweth.cw.reserved', 'Reserved', 0, { mask: 0x0fff, base: 'hex' });
const sequence = u16('pweth.cw.sequence_number', 'PW sequence number (ethernet)', 2);

/** RFC 4448 section 4.6: | 0 0 0 0 | reserved 12 | sequence number 16 | */
export const pseudowireControlWord = defineProtocol({
  name: 'pwethcw',
  title: 'PW Ethernet Control Word',
  reference: 'RFC 4448',
  fields: [zeros, sequence],
  minLength: ENTRY,
  on: [['mpls.pseudowire', 0]],
  step(view, start, layers) {
    const type = frameType(view, start + ENTRY, layers.end);
    // Neither a frame behind a control word nor one without: something else travels here.
    if (type > 1500 && etherTypeName(type) === undefined) layers.stop = Stop.unknown;
    else layers.next(etherType, ETHERNET);
  },
});

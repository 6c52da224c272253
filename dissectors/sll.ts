/**
 * Linux "cooked" captures, version 1 (LINKTYPE_LINUX_SLL): what libpcap puts in place of a link-layer header when it
 * captures on all interfaces at once.
 *
 *   0             2        4             6                 14         16
 *   | packet type | ARPHRD | addr length | address (8)     | protocol | payload
 */
import { bytes, ether, ipv4, u16 } from '../src/core/field.ts';
import type { Layers } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
const linuxType = table('sll.ltype');
const hardwareType = table('sll.hatype');

export const PACKET_TYPES: Readonly<Record<number, string>> = {
  0: 'Unicast to us',
  1: 'Broadcast',
  2: 'Multicast',
  3: 'Unicast to another host',
  4: 'Sent by us',
};

/** ARPHRD_ values of Linux' if_arp.h that are seen on hosts with overlay networks. */
export const HARDWARE_TYPES: Readonly<Record<number, string>> = {
  1: 'Ethernet',
  32: 'InfiniBand',
  280: 'CAN',
  512: 'PPP',
  768: 'IPv4 tunnel',
  769: 'IPv6 tunnel',
  772: 'Loopback',
  776: 'IPv6-in-IPv4 tunnel',
  778: 'GRE over IP',
  803: 'IEEE 802.11 with radiotap',
  823: 'GRE over IPv6',
  824: 'Netlink',
  65534: 'None',
};

/** Linux' own numbers where the protocol is no EtherType (if_ether.h). */
const LINUX_TYPES: Readonly<Record<number, string>> = {
  1: 'Novell 802.3 raw',
  3: 'All packets',
  4: '802.2 LLC',
  12: 'CAN',
};

const isEtherType = (value: number) => value >= 0x600;

/** The protocol field under the name that fits its value, as Wireshark has it. */
export function protocolFields(at: number) {
  return {
    ethernet: u16('sll.etype', 'Protocol', at, { base: 'hex', values: etherTypeName }),
    linux: u16('sll.ltype', 'Protocol', at, { base: 'hex', values: LINUX_TYPES }),
    put(out: Details): void {
      out.field(isEtherType(this.ethernet.read(out.view, out.start)) ? this.ethernet : this.linux, out.start);
    },
  };
}

/** The address field of eight bytes, by the length that the header gives. */
export function addressFields(at: number) {
  return {
    ether: ether('sll.src.eth', 'Source', at),
    ipv4: ipv4('sll.src.ipv4', 'Source', at),
    other: bytes('sll.src.other', 'Source', at, 8),
    put(out: Details, length: number): void {
      if (length === 6) out.field(this.ether, out.start);
      else if (length === 4) out.field(this.ipv4, out.start);
      else if (length > 0) out.field(this.other, out.start);
    },
  };
}

/** ARPHRD_FRAD, radiotap and netlink headers give the protocol field a meaning of their own, or none. */
export function payload(layers: Layers, hardware: number, protocol: number): void {
  if (hardware === 770 || hardware === 803 || hardware === 824) layers.next(hardwareType, hardware);
  else layers.next(isEtherType(protocol) ? etherType : linuxType, protocol);
}

export const packetType = u16('sll.pkttype', 'Packet type', 0, { values: PACKET_TYPES });
export const hardware = u16('sll.hatype', 'Link-layer address type', 2, { values: HARDWARE_TYPES });
export const addressLength = u16('sll.halen', 'Link-layer address length', 4);
export const address = addressFields(6);
const protocol = protocolFields(14);

export const sll = defineProtocol({
  name: 'sll',
  title: 'Linux cooked capture v1',
  reference: 'LINKTYPE_LINUX_SLL',
  fields: [packetType, hardware, addressLength],
  detailFields: [address.ether, address.ipv4, address.other, protocol.ethernet, protocol.linux],
  minLength: 16,
  on: [['link', 113]],
  step(view, start, layers) {
    payload(layers, hardware.read(view, start), protocol.ethernet.read(view, start));
  },
  plain: { is: [[hardware, 1]], next: { table: etherType, field: protocol.ethernet, least: 0x600 } },
  details(out) {
    address.put(out, addressLength.read(out.view, out.start));
    protocol.put(out);
  },
  info: (view, start) => packetType.show(packetType.read(view, start)),
});

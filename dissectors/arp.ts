/**
 * Address Resolution Protocol (RFC 826) and Reverse ARP (RFC 903), for IPv4 on Ethernet.
 *
 *   0                   1                   2                   3
 *   |         hardware type         |         protocol type         |
 *   |  hw size (6)  | proto size (4)|            opcode             |
 *   |                 sender hardware address                       |
 *   |    (6 bytes)  |       sender IP address (4 bytes)     ...
 *   |                 target hardware address                       |
 *   |    (6 bytes)  |       target IP address (4 bytes)             |
 *
 * Other protocols and sizes of address are named, not decoded.
 */
import { ether, ipv4, u8, u16 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { defineProtocol } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const LENGTH = 28;
const IPV4 = 0x0800;

const hardwareType = u16('arp.hw.type', 'Hardware type', 0, { values: { 1: 'Ethernet', 6: 'IEEE 802' } });
const protocolType = u16('arp.proto.type', 'Protocol type', 2, { base: 'hex', values: etherTypeName });
const hardwareSize = u8('arp.hw.size', 'Hardware size', 4);
const protocolSize = u8('arp.proto.size', 'Protocol size', 5);
export const opcode = u16('arp.opcode', 'Opcode', 6, {
  values: {
    1: 'request',
    2: 'reply',
    3: 'reverse request',
    4: 'reverse reply',
    8: 'inverse request',
    9: 'inverse reply',
  },
});
export const senderHardware = ether('arp.src.hw_mac', 'Sender MAC address', 8);
export const senderAddress = ipv4('arp.src.proto_ipv4', 'Sender IP address', 14);
const targetHardware = ether('arp.dst.hw_mac', 'Target MAC address', 18);
export const targetAddress = ipv4('arp.dst.proto_ipv4', 'Target IP address', 24);

const isKnownForm = (view: DataView, start: number) =>
  protocolType.read(view, start) === IPV4 &&
  hardwareSize.read(view, start) === 6 &&
  protocolSize.read(view, start) === 4;

export const arp = defineProtocol({
  name: 'arp',
  title: 'Address Resolution Protocol',
  reference: 'RFC 826',
  fields: [hardwareType, protocolType, hardwareSize, protocolSize, opcode],
  detailFields: [senderHardware, senderAddress, targetHardware, targetAddress],
  minLength: LENGTH,
  on: [
    ['ethertype', 0x0806],
    ['ethertype', 0x8035],
  ],
  step(view, start, layers) {
    if (isKnownForm(view, start)) layers.trim(start + LENGTH);
    else layers.stop = Stop.unknown;
  },
  details(out) {
    if (!isKnownForm(out.view, out.start)) return;
    for (const field of [senderHardware, senderAddress, targetHardware, targetAddress])
      out.field(field, out.start);
  },
  info(view, start) {
    if (!isKnownForm(view, start)) return opcode.show(opcode.read(view, start));
    const sender = senderAddress.read(view, start);
    const target = targetAddress.read(view, start);
    switch (opcode.read(view, start)) {
      case 1:
        if (sender === target) return `Gratuitous ARP for ${sender}`;
        return `Who has ${target}? Tell ${sender}`;
      case 2:
        return `${sender} is at ${senderHardware.read(view, start)}`;
      case 3:
        return `Who is ${targetHardware.read(view, start)}? Tell ${senderHardware.read(view, start)}`;
      case 4:
        return `${targetHardware.read(view, start)} is at ${target}`;
      default:
        return opcode.show(opcode.read(view, start));
    }
  },
  // Read only where the step accepted the form, which lies within the minimum length.
  flow: { addresses: [senderAddress, targetAddress] },
});

/**
 * Linux "cooked" captures, version 2 (LINKTYPE_LINUX_SLL2), which also name the interface. Wireshark lists both
 * versions as 'sll'.
 *
 *   0          2          4                 8        10            11            12             20
 *   | protocol | reserved | interface index | ARPHRD | packet type | addr length | address (8)  | payload
 */
import { u8, u16, u32 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { addressFields, HARDWARE_TYPES, PACKET_TYPES, payload, protocolFields } from './sll.ts';

const protocol = protocolFields(0);
export const interfaceIndex = u32('sll.ifindex', 'Interface index', 4);
export const hardware = u16('sll.hatype', 'Link-layer address type', 8, { values: HARDWARE_TYPES });
export const packetType = u8('sll.pkttype', 'Packet type', 10, { values: PACKET_TYPES });
export const addressLength = u8('sll.halen', 'Link-layer address length', 11);
export const address = addressFields(12);

export const sll2 = defineProtocol({
  name: 'sll2',
  title: 'Linux cooked capture v2',
  reference: 'LINKTYPE_LINUX_SLL2',
  fields: [interfaceIndex, hardware, packetType, addressLength],
  detailFields: [address.ether, address.ipv4, address.other, protocol.ethernet, protocol.linux],
  minLength: 20,
  on: [['link', 276]],
  step(view, start, layers) {
    payload(layers, hardware.read(view, start), protocol.ethernet.read(view, start));
  },
  plain: { is: [[hardware, 1]], next: { table: table('ethertype'), field: protocol.ethernet, least: 0x600 } },
  details(out) {
    protocol.put(out);
    address.put(out, addressLength.read(out.view, out.start));
  },
  info: (view, start) => packetType.show(packetType.read(view, start)),
});

/**
 * Raw IP (LINKTYPE_RAW): no header of its own, the packet's version tells IPv4 from IPv6. Old files have 12 or 14,
 * which are what DLT_RAW is on the system that wrote them.
 */
import { u8 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const ipVersion = table('ip.version');
const etherType = table('ethertype');

const ETHER_TYPES: Readonly<Record<number, number>> = { 4: 0x0800, 6: 0x86dd };

const version = u8('raw.version', 'IP version', 0, { mask: 0xf0 });

export const raw = defineProtocol({
  name: 'raw',
  title: 'Raw packet data',
  reference: 'LINKTYPE_RAW',
  fields: [],
  minLength: 1,
  on: [
    ['link', 101],
    ['link', 12],
    ['link', 14],
  ],
  step(view, start, layers) {
    layers.body = start; // the byte belongs to the packet
    const value = version.read(view, start);
    const type = ETHER_TYPES[value];
    if (type === undefined) layers.next(ipVersion, value);
    else layers.next(etherType, type);
  },
  plain: { header: 0, next: { table: etherType, field: version, keys: ETHER_TYPES } },
});

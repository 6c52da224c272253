/**
 * Raw IP (LINKTYPE_RAW): no header of its own, the packet's version tells IPv4 from IPv6. Old files have 12 or 14,
 * which are what DLT_RAW is on the system that wrote them.
 */
import { u8 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const ipVersion = table('ip.version');
const etherType = table('ethertype');

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
    if (value === 4) layers.next(etherType, 0x0800);
    else if (value === 6) layers.next(etherType, 0x86dd);
    else layers.next(ipVersion, value);
  },
});

/**
 * BSD loopback (LINKTYPE_NULL, LINKTYPE_LOOP): an address family and then the packet.
 *
 *   | address family 32 | payload
 *
 * NULL has the family in the byte order of the host that captured, LOOP in network order. Families are small numbers:
 * whichever order leaves the upper half zero is the one.
 */
import { type Field, u32 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const etherType = table('ethertype');
const families = table('null.family');

const IPV4 = 0x0800;
const IPV6 = 0x86dd;

/** IPv6 has another number in each BSD: 24 NetBSD and OpenBSD, 28 FreeBSD, 30 Darwin. */
const FAMILIES: Readonly<Record<number, string>> = {
  2: 'IP',
  7: 'OSI',
  16: 'AppleTalk',
  23: 'IPX',
  24: 'IPv6',
  28: 'IPv6',
  30: 'IPv6',
};

const family: Field<number> = {
  ...u32('null.family', 'Family', 0, { values: FAMILIES }),
  read(view, base) {
    const value = view.getUint32(base);
    return value > 0xffff ? view.getUint32(base, true) : value;
  },
};

export const loopback = defineProtocol({
  name: 'null',
  title: 'Null/Loopback',
  reference: 'LINKTYPE_NULL, LINKTYPE_LOOP',
  fields: [family],
  minLength: 4,
  on: [
    ['link', 0],
    ['link', 108],
  ],
  step(view, start, layers) {
    const value = family.read(view, start);
    if (FAMILIES[value] === 'IP') layers.next(etherType, IPV4);
    else if (FAMILIES[value] === 'IPv6') layers.next(etherType, IPV6);
    else layers.next(families, value);
  },
});

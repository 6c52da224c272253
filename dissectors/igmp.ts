/**
 * Internet Group Management Protocol (RFC 1112, RFC 2236, RFC 3376).
 *
 *   |     type      | max resp time |           checksum            |
 *   |                         group address                         |
 *
 * Version 3 reports have no group here, but records; those are left alone.
 */
import { ipv4, u8, u16 } from '../src/core/field.ts';
import { defineProtocol } from '../src/core/protocol.ts';

const TYPES: Readonly<Record<number, string>> = {
  17: 'Membership Query',
  18: 'Membership Report', // version 1
  19: 'DVMRP',
  22: 'Membership Report',
  23: 'Leave Group',
  34: 'Membership Report', // version 3
};

const type = u8('igmp.type', 'Type', 0, { base: 'hex', values: TYPES });
const maximumResponse = u8('igmp.max_resp', 'Max Resp Time', 1, { show: (tenths) => `${tenths / 10} sec` });
const checksum = u16('igmp.checksum', 'Checksum', 2, { base: 'hex' });
const group = ipv4('igmp.maddr', 'Multicast Address', 4);

/** Types whose second word is a group address. */
const hasGroup = (value: number) => value === 17 || value === 18 || value === 22 || value === 23;

export const igmp = defineProtocol({
  name: 'igmp',
  title: 'Internet Group Management Protocol',
  reference: 'RFC 3376',
  fields: [type, maximumResponse, checksum],
  detailFields: [group],
  minLength: 8,
  on: [['ip.proto', 2]],
  step() {},
  details(out) {
    if (hasGroup(type.read(out.view, out.start))) out.field(group, out.start);
  },
  info(view, start) {
    const value = type.read(view, start);
    const name = TYPES[value] ?? `Type ${value}`;
    return hasGroup(value) ? `${name} group ${group.read(view, start)}` : name;
  },
});

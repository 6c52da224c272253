/**
 * Linux GRO hint (drivers/net/geneve.c, Linux 7.0): where the headers inside lie, so that a receiver can put segments
 * together. Bit fields of C, lowest bits first.
 *
 *   | inner protocol 2, nested IPv6 1, 0 | network offset 8 | transport offset 8 | length of headers 8 |
 */
import { flag, u8 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

const INNER: Readonly<Record<number, string>> = { 0: 'Ethernet', 1: 'IPv6', 2: 'IPv4' };

export const linuxGroHint = defineOption({
  name: 'linux.gro_hint',
  title: 'Linux GRO hint',
  reference: 'linux drivers/net/geneve.c',
  table: 'geneve.option',
  class: 0x0100,
  type: 0x01,
  length: 4,
  fields: [
    u8('linux.gro_hint.inner_proto', 'Inner protocol', 0, { mask: 0x03, values: INNER }),
    flag('linux.gro_hint.nested_ipv6', 'Nested header is IPv6', 0, 0x04),
    u8('linux.gro_hint.network_offset', 'Nested network header offset', 1),
    u8('linux.gro_hint.transport_offset', 'Nested transport header offset', 2),
    u8('linux.gro_hint.header_length', 'Nested header length', 3),
  ],
});

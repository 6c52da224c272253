/**
 * Cilium direct server return (bpf/lib/tunnel.h, bpf/lib/encap.h): the address and port of the service, from which the
 * answer has to be sent. On a connection's SYN and on every UDP packet.
 *
 *   | address 4 or 16 bytes | port 16 | padding 16 |
 */
import { ipv4, ipv6, u16 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

const dsr = {
  name: 'cilium.dsr',
  reference: 'cilium bpf/lib/tunnel.h',
  table: 'geneve.option',
  class: 0x014b,
  type: 0x81,
};

const port = (at: number) => u16('cilium.dsr.port', 'Service port', at);

export const ciliumDsr4 = defineOption({
  ...dsr,
  title: 'Cilium DSR service (IPv4)',
  length: 8,
  fields: [ipv4('cilium.dsr.ip', 'Service address', 0), port(4)],
});

export const ciliumDsr6 = defineOption({
  ...dsr,
  title: 'Cilium DSR service (IPv6)',
  length: 20,
  fields: [ipv6('cilium.dsr.ipv6', 'Service address', 0), port(16)],
});

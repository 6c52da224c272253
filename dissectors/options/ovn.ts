/**
 * OVN logical ports (ovn-architecture(7), "Tunnel Encapsulations"): the only Geneve option OVN sends.
 *
 *   | reserved 1 | ingress logical port 15 | egress logical port 16 |
 *
 * Egress ports from 32768 are multicast groups.
 */
import { u16 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

export const ovnPorts = defineOption({
  name: 'ovn.ports',
  title: 'OVN logical ports',
  reference: 'ovn-architecture(7)',
  table: 'geneve.option',
  class: 0x0102,
  type: 0x80,
  length: 4,
  fields: [
    u16('ovn.ingress_port', 'Ingress logical port', 0, { mask: 0x7fff }),
    u16('ovn.egress_port', 'Egress logical port', 2),
  ],
});

/** Before OVN had a class of its own: captures of 2014 and 2015. */
export const ovnPortsUnassigned = defineOption({
  ...ovnPorts,
  title: 'OVN logical ports (before class 0x0102)',
  class: 0x0000,
});

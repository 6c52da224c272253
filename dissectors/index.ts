/** The built-in protocols and option decoders: one line each. They enter by the same door as any plug-in. */
import { definePlugin } from '../src/core/protocol.ts';
import { arp } from './arp.ts';
import { ethernet } from './ethernet.ts';
import { geneve } from './geneve.ts';
import { gre } from './gre.ts';
import { icmp } from './icmp.ts';
import { icmpv6 } from './icmpv6.ts';
import { ipv4 } from './ipv4.ts';
import { ipv6 } from './ipv6.ts';
import {
  destinationOptions,
  fragment,
  hopByHop,
  hostIdentity,
  mobility,
  routing,
  shim6,
} from './ipv6-extensions.ts';
import { ovnPorts } from './options/ovn.ts';
import { sll } from './sll.ts';
import { sll2 } from './sll2.ts';
import { tcp } from './tcp.ts';
import { udp } from './udp.ts';
import { vlan } from './vlan.ts';
import { vxlan } from './vxlan.ts';

export const builtins = definePlugin({
  name: 'tunscope',
  protocols: [
    arp,
    destinationOptions,
    ethernet,
    fragment,
    geneve,
    gre,
    hopByHop,
    hostIdentity,
    icmp,
    icmpv6,
    ipv4,
    ipv6,
    mobility,
    routing,
    shim6,
    sll,
    sll2,
    tcp,
    udp,
    vlan,
    vxlan,
  ],
  options: [ovnPorts],
});

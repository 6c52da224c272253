/** The built-in protocols and option decoders: one line each. They enter by the same door as any plug-in. */
import { definePlugin } from '../src/core/protocol.ts';
import { ah } from './ah.ts';
import { arp } from './arp.ts';
import { dns, dnsTcp, llmnr, mdns } from './dns.ts';
import { esp } from './esp.ts';
import { ethernet } from './ethernet.ts';
import { geneve } from './geneve.ts';
import { gre } from './gre.ts';
import { icmp } from './icmp.ts';
import { icmpv6 } from './icmpv6.ts';
import { igmp } from './igmp.ts';
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
import { isakmp } from './isakmp.ts';
import { ovnPorts } from './options/ovn.ts';
import { sctp } from './sctp.ts';
import { sll } from './sll.ts';
import { sll2 } from './sll2.ts';
import { tcp } from './tcp.ts';
import { tls } from './tls.ts';
import { udp } from './udp.ts';
import { udpEncap } from './udp-encap.ts';
import { vlan } from './vlan.ts';
import { vxlan } from './vxlan.ts';

export const builtins = definePlugin({
  name: 'tunscope',
  protocols: [
    ah,
    arp,
    destinationOptions,
    dns,
    dnsTcp,
    esp,
    ethernet,
    fragment,
    geneve,
    gre,
    hopByHop,
    hostIdentity,
    icmp,
    icmpv6,
    igmp,
    ipv4,
    ipv6,
    isakmp,
    llmnr,
    mdns,
    mobility,
    routing,
    sctp,
    shim6,
    sll,
    sll2,
    tcp,
    tls,
    udp,
    udpEncap,
    vlan,
    vxlan,
  ],
  options: [ovnPorts],
});

/** The built-in protocols and option decoders: one line each. They enter by the same door as any plug-in. */
import { definePlugin } from '../src/core/protocol.ts';
import { ethernet } from './ethernet.ts';
import { geneve } from './geneve.ts';
import { icmp } from './icmp.ts';
import { icmpv6 } from './icmpv6.ts';
import { ipv4 } from './ipv4.ts';
import { ovnPorts } from './options/ovn.ts';
import { tcp } from './tcp.ts';
import { udp } from './udp.ts';
import { vlan } from './vlan.ts';

export const builtins = definePlugin({
  name: 'tunscope',
  protocols: [ethernet, vlan, ipv4, udp, geneve, icmp, icmpv6, tcp],
  options: [ovnPorts],
});

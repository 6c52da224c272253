/** The built-in protocols and option decoders: one line each. They enter by the same door as any plug-in. */
import { definePlugin } from '../src/core/protocol.ts';
import { ah } from './ah.ts';
import { arp } from './arp.ts';
import { dns, dnsTcp, llmnr, mdns } from './dns.ts';
import { erspan } from './erspan.ts';
import { esp } from './esp.ts';
import { etherip } from './etherip.ts';
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
import { llc } from './llc.ts';
import { loopback } from './loopback.ts';
import { macsec } from './macsec.ts';
import { mpls, pseudowireControlWord } from './mpls.ts';
import { nflog } from './nflog.ts';
import { nsh } from './nsh.ts';
import { awsAttachment, awsCookie, awsEndpoint } from './options/aws.ts';
import { ciliumDsr4, ciliumDsr6 } from './options/cilium.ts';
import { cpacketMetadata } from './options/cpacket.ts';
import { googleEndpoint, googleNetwork, googleProfile } from './options/google.ts';
import { intMd, intMx } from './options/int.ts';
import { linuxGroHint } from './options/linux.ts';
import { ovnPorts, ovnPortsUnassigned } from './options/ovn.ts';
import { oxideExternal, oxideMss, oxideMulticast } from './options/oxide.ts';
import { tencentAttachment, tencentCookie, tencentEndpoint } from './options/tencent.ts';
import { ppp } from './ppp.ts';
import { pppoeDiscovery, pppoeSession } from './pppoe.ts';
import { raw } from './raw.ts';
import { sctp } from './sctp.ts';
import { sll } from './sll.ts';
import { sll2 } from './sll2.ts';
import { stt } from './stt.ts';
import { tcp } from './tcp.ts';
import { tls } from './tls.ts';
import { udp } from './udp.ts';
import { udpEncap } from './udp-encap.ts';
import { serviceVlan, vlan } from './vlan.ts';
import { vxlan } from './vxlan.ts';
import { vxlanGpe } from './vxlan-gpe.ts';

export const builtins = definePlugin({
  name: 'tunscope',
  protocols: [
    ah,
    arp,
    destinationOptions,
    dns,
    dnsTcp,
    erspan,
    esp,
    etherip,
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
    llc,
    llmnr,
    loopback,
    macsec,
    mdns,
    mobility,
    mpls,
    nflog,
    nsh,
    ppp,
    pppoeDiscovery,
    pppoeSession,
    pseudowireControlWord,
    raw,
    routing,
    sctp,
    serviceVlan,
    shim6,
    sll,
    sll2,
    stt,
    tcp,
    tls,
    udp,
    udpEncap,
    vlan,
    vxlan,
    vxlanGpe,
  ],
  options: [
    awsAttachment,
    awsCookie,
    awsEndpoint,
    ciliumDsr4,
    ciliumDsr6,
    cpacketMetadata,
    googleEndpoint,
    googleNetwork,
    googleProfile,
    intMd,
    intMx,
    linuxGroHint,
    ovnPorts,
    ovnPortsUnassigned,
    oxideExternal,
    oxideMss,
    oxideMulticast,
    tencentAttachment,
    tencentCookie,
    tencentEndpoint,
  ],
});

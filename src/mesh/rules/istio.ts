/** The rules about Istio's ambient mode, in words. Findings are made in the files beside this one. */
import { defineRules } from '../../check/rule.ts';

export const istio = defineRules({
  noArp: {
    id: 'IST-01',
    severity: 'error',
    title: 'Nobody answers ARP at the other end of the tunnel',
    reference: 'istio-cni 1.20, net_linux.go',
    evidence:
      'Three or more ARP requests for 192.168.126.2 or 192.168.127.2, in VNI 1000 or 1001 or on the device itself, and no reply',
    meaning:
      'The pistioin or pistioout device is missing in the ztunnel pod, has another remote address, or ztunnel is down, so that nothing redirected arrives.',
    help: 'Look for pistioin and pistioout with ip -d link in the network namespace of ztunnel, and restart the ztunnel pod of this node so that istio-cni makes them again.',
  },
  address: {
    id: 'IST-02',
    severity: 'error',
    title: 'The two ends of the tunnel do not agree on the address of the node',
    reference: 'Linux drivers/net/geneve.c, geneve_lookup; istio-cni 1.20, net.go',
    evidence:
      'Packets of ztunnel go to another address than those of the node come from, or the node sends from two addresses under one VNI',
    meaning:
      'Linux finds a Geneve device by VNI and sender, so packets from an address that is not its remote are dropped without a word.',
    help: 'Compare the remote of pistioin and pistioout with the address that the node routes to the ztunnel pod from, and restart the ztunnel pod.',
  },
  noSocket: {
    id: 'IST-03',
    severity: 'error',
    title: 'ztunnel has no Geneve socket',
    reference: 'RFC 792; istio-cni 1.20, net_linux.go',
    evidence: 'ICMP port unreachable from the address of ztunnel, about UDP to the port of the tunnel',
    meaning:
      'The network namespace of ztunnel has no Geneve device on this port, so that everything redirected is lost.',
    help: 'Look for pistioin and pistioout in the network namespace of ztunnel and for errors of istio-cni on this node.',
  },
  unanswered: {
    id: 'IST-04',
    severity: 'error',
    title: 'A redirected connection is not answered',
    reference: 'istio-cni 1.20, iptables.go; issue istio/istio#44259',
    evidence:
      'A SYN in VNI 1000 or 1001 that was repeated twice or more without a SYN-ACK, or went on after one',
    meaning:
      'The ztunnel does not accept the connection, or its answer is dropped on the way back, as reverse path filters of Calico do with addresses of others.',
    help: 'Look at the log of ztunnel, and where its SYN-ACK is in the capture at rp_filter and at the allowed source prefixes of the CNI.',
  },
  nonSyn: {
    id: 'IST-05',
    severity: 'warning',
    title: 'More than SYNs in the tunnel',
    reference: 'istio-cni 1.20, iptables.go; Istio ambient preview of 2022',
    evidence: 'More than a tenth of the TCP packets in VNI 1000 or 1001 are no SYNs',
    meaning:
      'From the node it says that marks of connections are not kept, from ztunnel that this is the preview of 2022.',
    help: 'Unless this is the preview, look for what bypasses connection tracking or the FORWARD chain on the node.',
  },
  port: {
    id: 'IST-06',
    severity: 'note',
    title: 'The tunnel is on another port than 6081',
    reference: 'istio-cni 1.19, issue istio/istio#45831',
    evidence: 'VNI 1000 or 1001 of Istio on another UDP port',
    meaning:
      'Another Geneve device, such as that of OVN, has port 6081, and istio-cni took the next one that was free.',
    help: 'Nothing, but allow this port where 6081 is allowed, and give it to other tools.',
  },
  foreign: {
    id: 'IST-07',
    severity: 'warning',
    title: 'Another overlay uses Geneve on the port of the tunnel',
    reference: 'issue istio/istio#45831',
    evidence: 'Geneve with other VNIs, or with 1000 and 1001 of others, on the UDP port that Istio uses',
    meaning:
      'Two owners share a port, and istio-cni 1.18 cannot make its devices where one of them takes all VNIs.',
    help: 'Take a release from 1.19 on, or move one of the overlays to a port of its own.',
  },
  malformed: {
    id: 'IST-08',
    severity: 'error',
    title: 'A Geneve header that the devices of Istio drop',
    reference: 'RFC 8926 section 3.4; Linux drivers/net/geneve.c',
    evidence: 'Options, the C bit, another version or another payload than Ethernet in a tunnel of Istio',
    meaning:
      'Linux drops such packets on devices that were not made for them, or no device of Istio sent them.',
    help: 'Find out who sends them by their outer addresses.',
  },
  mtu: {
    id: 'IST-09',
    severity: 'warning',
    title: 'The tunnel is too large for its link',
    reference: 'RFC 8926 section 4.3',
    evidence: 'Outer fragments in VNI 1000 or 1001, or ICMP fragmentation needed about them',
    meaning: 'The MTU of istioin or istioout is larger than that of the link to ztunnel less 50 bytes.',
    help: 'Lower the MTU of the tunnel devices to that of the veth of ztunnel less 50.',
  },
  checksum: {
    id: 'IST-10',
    severity: 'note',
    title: 'The tunnel has UDP checksums',
    reference: 'RFC 8926 section 3.3; istio-cni 1.20, net_linux.go',
    evidence: 'An outer UDP checksum that is not 0 in VNI 1000 or 1001',
    meaning: 'The devices of istio-cni send none over IPv4, so that somebody else made this one.',
    help: 'Look at it with ip -d link, unless you changed it yourself.',
  },
  plain: {
    id: 'IST-11',
    severity: 'warning',
    title: 'Plain text into a pod of the mesh',
    reference: 'istio.io, PeerAuthentication',
    evidence: 'A SYN to a pod of the mesh that is neither HBONE nor a probe',
    meaning:
      'The peer is not in the mesh and nothing encrypts between the two; PeerAuthentication of mode STRICT would refuse it.',
    help: 'Put the peer into the mesh, or see that this is wanted.',
  },
  fastPath: {
    id: 'IST-12',
    severity: 'note',
    title: 'Plain text between pods of one node',
    reference: 'ztunnel 1.20, outbound.rs',
    evidence:
      'A SYN in VNI 1001 and a plain connection of the same client to a pod of this node, without HBONE',
    meaning:
      'Up to release 1.21 a ztunnel connects pods of its own node without HBONE, so that this is expected.',
    help: 'Nothing.',
  },
  notHbone: {
    id: 'IST-13',
    severity: 'error',
    title: 'Port 15008 does not carry HBONE',
    reference: 'ztunnel 1.20, tls/boring.rs',
    evidence:
      'A connection to TCP port 15008 that does not begin with TLS, or with a ClientHello without TLS 1.3, without ALPN h2 or with a server name',
    meaning:
      'A ztunnel offers TLS 1.3 alone, h2, and no server name, so that this client is none or the port serves something else.',
    help: 'Find out by its address which client it is.',
  },
  blocked: {
    id: 'IST-14',
    severity: 'error',
    title: 'HBONE is blocked',
    reference: 'istio.io, ambient and NetworkPolicy',
    evidence: 'SYNs to TCP port 15008 without an answer after two repetitions, or answered with RST or ICMP',
    meaning:
      'A policy does not allow the port, or nothing listens there: the pod is not in the mesh or its ztunnel is not ready.',
    help: 'Allow TCP port 15008 in NetworkPolicies of the pod, and look whether the pod is in the mesh.',
  },
  probe: {
    id: 'IST-15',
    severity: 'error',
    title: 'A probe of the kubelet is blocked',
    reference: 'istio.io, ambient platform prerequisites',
    evidence:
      'A SYN from 169.254.7.127 or its IPv6 counterpart without an answer after two repetitions, or answered with RST',
    meaning:
      'Something between node and pod drops the address that in-pod mode gives to probes, so that the pod does not become ready.',
    help: 'Allow 169.254.7.127/32 in policies; with Cilium set bpf.masquerade to false; with Calico in eBPF mode take 3.29 or later.',
  },
  host: {
    id: 'IST-16',
    severity: 'warning',
    title: 'Traffic of the node itself is redirected',
    reference: 'issue istio/istio#46936',
    evidence: 'A SYN in VNI 1000 whose source is the address of the node',
    meaning:
      'From 1.20 on this is expected for what the node forwards under its own address, and wrong for probes.',
    help: 'If pods are not ready, look whether these connections are probes.',
  },
  byDesign: {
    id: 'IST-17',
    severity: 'note',
    title: 'Traffic that is not redirected',
    reference: 'istio-cni 1.20, iptables.go',
    evidence: 'UDP other than DNS from a pod of the mesh',
    meaning: 'Only TCP over IPv4 is redirected, so that nothing of the mesh protects this traffic.',
    help: 'Nothing, unless it must be protected.',
  },
  translated: {
    id: 'IST-18',
    severity: 'warning',
    title: 'A service address is translated before the mesh sees it',
    reference: 'issue istio/istio#46354',
    evidence: 'A SYN that a pod sends to one address and that is in VNI 1001 with another one',
    meaning:
      'Something before the mesh translates, such as kube-proxy in IPVS mode or a socket load balancer, so that policies of waypoints and services are bypassed.',
    help: 'Take kube-proxy in iptables mode, or switch socket load balancing off for pods of the mesh.',
  },
  changed: {
    id: 'IST-19',
    severity: 'warning',
    title: 'The node has another ztunnel',
    reference: 'istio-cni 1.20, server.go',
    evidence: 'VNI 1000 or 1001 of a node leads to another address than before',
    meaning: 'The ztunnel was replaced, or two are active, and connections over the first broke.',
    help: 'Look whether the ztunnel pod was restarted at that time, and why.',
  },
  offload: {
    id: 'IST-20',
    severity: 'note',
    title: 'Checksums inside are not filled in yet',
    reference: 'Linux, CHECKSUM_PARTIAL',
    evidence:
      'The TCP checksums of all packets in one direction of the tunnel are sums of the pseudo header alone',
    meaning: 'The sender is this host, which leaves checksums to the device: these packets are not damaged.',
    help: 'Nothing.',
  },
  shot: {
    id: 'IST-21',
    severity: 'warning',
    title: 'The programs of eBPF mode drop packets',
    reference: 'istio-cni 1.20, ambient_redirect.bpf.c',
    evidence: 'SYNs of a pod that were repeated twice or more at its own device and seen nowhere else',
    meaning: 'Without a ztunnel the program at the veth of the pod drops what the pod sends.',
    help: 'Look whether ztunnel runs on this node.',
  },
});

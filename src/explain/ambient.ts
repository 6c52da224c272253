/** Istio's ambient mode and HBONE in words, from what the rest of the program knows of them. */
import { wrapped } from '../check/rule-text.ts';
import { ipv4WordText } from '../core/text.ts';
import { DEVICES, HBONE_PORT, OUTBOUND_PORT, PROBE_ADDRESS } from '../mesh/istio.ts';

const WIDTH = 80;

const item = (text: string): string[] => {
  const [first, ...rest] = wrapped(text, WIDTH - 2);
  return [`- ${first}`, ...rest.map((line) => `  ${line}`)];
};

const deviceLines = DEVICES.map(
  ({ node, vni, nodeAddress, ztunnel, ztunnelAddress, direction }) =>
    `  ${node.padEnd(9)} ${String(vni).padEnd(5)} ${ipv4WordText(nodeAddress).padEnd(14)} ${ztunnel.padEnd(10)} ${ipv4WordText(ztunnelAddress).padEnd(14)} ${direction}`,
);

export function explainAmbient(): string[] {
  return [
    'How the ambient mode of Istio brings traffic of pods to ztunnel',
    '',
    ...item(
      '1.18 to 1.20, by default: iptables and Geneve. Two tunnels between each node and its ztunnel, which never leave the node:',
    ),
    '',
    '  on node   VNI   address        in ztunnel address        direction',
    ...deviceLines,
    '',
    ...item(
      'Only the first packet of each connection, the SYN, goes through a tunnel; what follows takes the plain route by connection marks. So a capture with nothing but SYNs inside Geneve is in order.',
    ),
    ...item(
      'The headers have no options; the port is 6081, since 1.19 the next free one where that is taken (OVN, Open vSwitch). The numbers of the VNIs alone prove nothing: other overlays have them too.',
    ),
    ...item(
      '1.20, as an alternative: eBPF. No tunnels; packets are handed to ztunnel with the MAC addresses that they had.',
    ),
    ...item(
      `From 1.21: inside each pod. No Geneve at all; sockets of ztunnel in the pod's network namespace (outbound connections go to port ${OUTBOUND_PORT} there). Probes of the kubelet come from ${ipv4WordText(PROBE_ADDRESS)}, which no other mode has.`,
    ),
    ...item(
      `In all modes: between nodes, ztunnels speak HBONE to port ${HBONE_PORT}; see tunscope explain hbone.`,
    ),
    '',
    'tunscope explain rules lists what check looks for, among it the rules IST-*.',
  ];
}

const LAYERS = [
  ['the application', 'bytes of one connection'],
  ['HTTP/2 CONNECT', 'a stream for each connection'],
  ['TLS 1.3', 'both ends with certificates, ALPN h2, no server name'],
  [`TCP port ${HBONE_PORT}`, 'from ztunnel to ztunnel, or to a waypoint'],
] as const;

export function explainHbone(): string[] {
  return [
    'HBONE: HTTP-Based Overlay Network Environment, between the ztunnels of Istio',
    '',
    ...LAYERS.map(([layer, what]) => `  ${layer.padEnd(17)} ${what}`),
    '',
    ...item(
      'A connection of an application is three in captures: from the application to its ztunnel, HBONE between the ztunnels, from there to the other application. HBONE connections are shared by many.',
    ),
    ...item(
      'CONNECT names the target in :authority (address and port of the pod), and may have baggage (names of the workload), forwarded (the address of the client) and traceparent. Status 200 opens the stream; others refuse it.',
    ),
    ...item(
      'Both ends show certificates with the SPIFFE name of a service account. TLS below 1.3, another ALPN than h2 or a server name is not HBONE.',
    ),
    ...item(
      `Network policies must let TCP to port ${HBONE_PORT} through, not only the ports of the applications.`,
    ),
    ...item(
      'With a key log of the connection (the format of SSLKEYLOGFILE), tunscope packets --tls-keys FILE shows the headers inside.',
    ),
  ];
}

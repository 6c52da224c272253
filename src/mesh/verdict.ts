/**
 * Which mode of Istio's ambient a capture shows. What suffices for each is a short list (docs/mesh.md); what only
 * supports it makes the verdict surer and never brings it about.
 */
import type { HboneConnection } from '../decrypt/hbone-record.ts';
import { type Ambient, hboneEvidence } from './ambient.ts';
import { confidenceOf, type MeshEvidence } from './evidence.ts';
import { DEVICES } from './istio.ts';
import { type NodeTunnel, proofOf } from './node-tunnels.ts';
import type { Tally } from './tunnels.ts';

export type Mode = 'iptables+geneve' | 'ebpf' | 'in-pod' | 'ambient, mode unknown' | 'not ambient';
export type Profile = 'syn-only' | 'full';

export interface Verdict {
  readonly mode: Mode;
  /** Of iptables+geneve: null where the tunnels' packets fit neither or there are none of TCP. */
  readonly profile: Profile | null;
  readonly confidence: number;
  readonly evidence: readonly MeshEvidence[];
}

/** Share of SYNs in the TCP of the tunnels from which on only they are taken to travel there. */
export const SYN_SHARE = 0.9;

/** @param tunnels of `nodeTunnels` */
export function verdictOf(ambient: Ambient, tunnels: readonly NodeTunnel[]): Verdict {
  const istio = tunnels.filter(({ isIstio }) => isIstio);
  const open = helloEvidence(ambient);
  const devices = deviceEvidence(ambient);
  if (istio.length > 0) {
    const profile = profileOf(istio);
    const evidence = [
      ...geneveEvidence(istio),
      ...devices,
      ...profileEvidence(ambient, istio, profile),
      ...open,
    ];
    return { mode: 'iptables+geneve', profile, confidence: confidenceOf(evidence), evidence };
  }
  const inside = inPodEvidence(ambient);
  if (inside.length > 0) {
    const evidence = [...inside, ...open];
    return { mode: 'in-pod', profile: null, confidence: confidenceOf(evidence), evidence };
  }
  // Bridges and load balancers hand packets over in the same way: without HBONE it says nothing of Istio.
  const handed = tunnels.length === 0 && devices.length === 0 && open.length > 0 ? handedOver(ambient) : [];
  if (handed.length > 0) {
    const evidence = [...handed, ...open];
    return { mode: 'ebpf', profile: null, confidence: confidenceOf(evidence), evidence };
  }
  const some = [...open, ...devices];
  if (some.length > 0)
    return {
      mode: 'ambient, mode unknown',
      profile: null,
      confidence: confidenceOf(some),
      evidence: [...some, ...numbers(tunnels)],
    };
  return { mode: 'not ambient', profile: null, confidence: notAmbient(ambient), evidence: numbers(tunnels) };
}

function piece(what: string, weight: number, tally: Tally, text: string): MeshEvidence[] {
  return tally.count === 0 ? [] : [{ what, text, packets: tally.evidence.slice(0, 4), weight }];
}

function geneveEvidence(tunnels: readonly NodeTunnel[]): MeshEvidence[] {
  const { arp, both, hbone } = proofOf(tunnels);
  const evidence: MeshEvidence[] = [];
  for (const device of DEVICES) {
    const one = tunnels.find((tunnel) => tunnel.device === device);
    if (one === undefined) continue;
    evidence.push({
      what: `vni-${device.vni}`,
      text: `Geneve with VNI ${device.vni}, Ethernet inside and no options between ${one.node} and ${one.ztunnel}`,
      packets: one.firstWay.packets.evidence.slice(0, 1),
      weight: 0.3,
    });
  }
  evidence.push(...piece('arp', 0.9, arp, 'ARP inside for the addresses of istioin or istioout'));
  if (both.length > 0)
    evidence.push({
      what: 'both-vnis',
      text: 'VNI 1000 and 1001 lead to the same ztunnel',
      packets: both.flatMap((way) => way.packets.evidence.slice(0, 1)),
      weight: 0.7,
    });
  evidence.push(...piece('hbone-in-1000', 0.7, hbone, 'TCP port 15008 in VNI 1000'));
  return evidence;
}

/** Names of devices, and ARP on them where nothing is encapsulated. */
function deviceEvidence({ scene, bareArp }: Ambient): MeshEvidence[] {
  const names = new Set(scene.interfaces.flatMap(({ name }) => (name === null ? [] : [name])));
  const known = DEVICES.flatMap(({ node, ztunnel }) => [node, ztunnel]).filter((name) => names.has(name));
  const evidence: MeshEvidence[] =
    known.length === 0
      ? []
      : [{ what: 'device-names', text: `captured on ${known.join(', ')}`, packets: [], weight: 0.4 }];
  for (const { device, requests, replies } of bareArp.values()) {
    const some = requests.count > 0 ? requests : replies;
    evidence.push(
      ...piece(
        `arp-${device.node}`,
        0.5,
        some,
        `ARP for the addresses of ${device.node}, outside any tunnel`,
      ),
    );
  }
  return evidence;
}

/** Null where packets of both kinds are there, or none. */
function profileOf(tunnels: readonly NodeTunnel[]): Profile | null {
  const sum = (of: (tunnel: NodeTunnel) => number) => tunnels.reduce((total, one) => total + of(one), 0);
  const tcp = sum((tunnel) => tunnel.sum((way) => way.tcp));
  if (tcp === 0) return null;
  if (sum(({ back }) => (back ? back.synAcks.count + back.data.count : 0)) > 0) return 'full';
  return sum((tunnel) => tunnel.sum((way) => way.syns.count)) >= SYN_SHARE * tcp ? 'syn-only' : null;
}

function profileEvidence(
  ambient: Ambient,
  tunnels: readonly NodeTunnel[],
  profile: Profile | null,
): MeshEvidence[] {
  if (profile === 'full') {
    const way = tunnels.find(({ back }) => back !== null && back.synAcks.count + back.data.count > 0)!.back!;
    const tally = way.synAcks.count > 0 ? way.synAcks : way.data;
    return piece('answers-inside', 0.3, tally, `ztunnel ${way.src} answers inside the tunnel`);
  }
  if (profile !== 'syn-only') return [];
  for (const handshake of ambient.handshakes.all.values()) {
    if (!handshake.vnis.has(1000) && !handshake.vnis.has(1001)) continue;
    const [packet] = handshake.answerEvidence;
    if (packet === undefined) continue;
    return [
      {
        what: 'plain-syn-ack',
        text: `${handshake.text}: SYN inside the tunnel, its answer outside`,
        packets: [handshake.evidence[0], packet],
        weight: 0.2,
      },
    ];
  }
  return [];
}

function inPodEvidence(ambient: Ambient): MeshEvidence[] {
  const { probes, loopback, hboneSyns, hboneRecords } = ambient;
  const hbone = hboneSyns.count > 0 ? hboneSyns : hboneRecords;
  return [
    ...piece(
      'probe-address',
      0.9,
      probes,
      "SYNs from the address of Istio's probes, 169.254.7.127 unless IPv6",
    ),
    ...(hbone.count > 0
      ? piece('loopback-15001', 0.8, loopback, 'SYNs to 127.0.0.1:15001, and TCP port 15008')
      : []),
  ];
}

function handedOver({ senders }: Ambient): MeshEvidence[] {
  const found = senders.redirection();
  if (found === null) return [];
  const mac = found.ztunnelMac.replace(/..(?=.)/g, '$&:');
  const evidence: MeshEvidence[] = [
    {
      what: 'undecremented-ttl',
      text: `${mac} gets packets of ${found.pods.join(', ')} as they left the pod and sends under the same addresses`,
      packets: found.evidence,
      weight: 0.7,
    },
  ];
  if (found.answers.length > 0)
    evidence.push({
      what: 'ztunnel-mac-at-pod',
      text: `${mac} sends to pods with a TTL that no router decremented`,
      packets: found.answers,
      weight: 0.5,
    });
  return evidence;
}

/** Whether a connection began as ztunnel begins it. */
export function isHboneHello({ clientHello }: HboneConnection): boolean {
  return (
    clientHello !== null &&
    clientHello.version === TLS13 &&
    clientHello.alpn.includes('h2') &&
    clientHello.serverName === null
  );
}

const TLS13 = 0x0304;

function helloEvidence(ambient: Ambient): MeshEvidence[] {
  const hellos = ambient.hbone.filter(isHboneHello);
  if (hellos.length > 0)
    return [
      {
        what: 'hbone-hello',
        text: 'TCP port 15008: TLS 1.3 with ALPN h2 and no server name',
        packets: hellos.slice(0, 4).map(hboneEvidence),
        weight: 0.8,
      },
    ];
  const { hboneRecords, hboneSyns } = ambient;
  if (hboneRecords.count > 0)
    return piece('hbone-tls', 0.5, hboneRecords, 'TLS on TCP port 15008, whose beginning is not there');
  return piece('port-15008', 0.3, hboneSyns, 'connections to TCP port 15008; nothing shows TLS in them');
}

/** Numbers that Istio uses, without what would make them Istio's. */
function numbers(tunnels: readonly NodeTunnel[]): MeshEvidence[] {
  return tunnels
    .filter(({ isIstio }) => !isIstio)
    .slice(0, 4)
    .map((tunnel) => ({
      what: `vni-${tunnel.device.vni}-unproven`,
      text: `Geneve VNI ${tunnel.device.vni} between ${tunnel.node} and ${tunnel.ztunnel}: ${whyNot(tunnel)}`,
      packets: tunnel.firstWay.packets.evidence.slice(0, 1),
      weight: 0,
    }));
}

function whyNot(tunnel: NodeTunnel): string {
  const kinds = new Set(
    tunnel.ways.flatMap(({ foreign, odd, foreignArp }) => [
      ...foreign.keys(),
      ...odd.keys(),
      ...(foreignArp.count > 0 ? ['ARP for other addresses'] : []),
    ]),
  );
  return kinds.size > 0 ? [...kinds].join(', ') : 'the number alone says nothing';
}

/** That nothing was seen is weak: how weak depends on how much there was to see it in. */
function notAmbient({ packets }: Ambient): number {
  return packets === 0 ? 0 : Math.min(0.9, Math.round(Math.log10(packets + 1) * 30) / 100);
}

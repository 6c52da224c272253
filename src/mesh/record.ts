/** What `tunscope mesh` says of a capture, as one record: its shape is docs/schema's `mesh`. */
import type { PacketEvidence } from '../check/findings.ts';
import type { ProtectionRecord } from '../check/protections.ts';
import type { HboneConnection } from '../decrypt/hbone-record.ts';
import { type Ambient, hboneEvidence } from './ambient.ts';
import type { MeshEvidence } from './evidence.ts';
import { endText, type Handshake } from './handshakes.ts';
import { deviceOf, HBONE_PORT, INBOUND_PORT, IstioVni, OUTBOUND_PORT } from './istio.ts';
import { type JourneyRecord, journeysOf } from './journeys.ts';
import { type NodeTunnel, nodeTunnels } from './node-tunnels.ts';
import { isHboneHello, type Mode, type Profile, type Verdict, verdictOf } from './verdict.ts';

export interface MeshTunnelRecord {
  device: string;
  peerDevice: string;
  direction: 'inbound' | 'outbound';
  vni: number;
  udpPort: number;
  /** Whether these are Istio's, by more than the number. */
  istio: boolean;
  hostIp: string;
  ztunnelIp: string;
  first: string;
  last: string;
  packets: number;
  syn: number;
  synAck: number;
  otherTcp: number;
  neighbourDiscovery: number;
  arp: { requests: number; replies: number; health: 'answered' | 'unanswered' | 'not seen' };
  /** MTU of the device by the largest MSS that pods announce, were their interfaces no larger than ztunnel's. */
  mtuEstimate: number | null;
  largestMss: number | null;
  outer: { ttl: number | null; df: boolean; checksums: number; fragments: number };
  innerMacs: { node: string[]; ztunnel: string[] };
  innerPorts: { port: number; packets: number }[];
  protection: ProtectionRecord['protection'] | null;
}

export interface TunnelFlowRecord {
  type: 'istio.tunnel_flow';
  device: string;
  vni: number;
  src: string;
  srcPort: number;
  dst: string;
  dstPort: number;
  redirect: { tproxyPort: number; reason: string; capturedIp: string };
  syn: number;
  synRetransmissions: number;
  synAckPath: 'plain' | 'tunnel' | null;
  time: string;
  evidence: readonly PacketEvidence[];
}

export interface ZtunnelChange {
  hostIp: string;
  from: string;
  to: string;
  time: string;
  packets: readonly PacketEvidence[];
}

export interface HboneDetails {
  client: string;
  server: string;
  /** As a ztunnel begins: TLS 1.3, ALPN h2, no server name; null where the hello is not there. */
  hello: boolean | null;
  keys: HboneConnection['keys'];
  clientIdentity: string | null;
  serverIdentity: string | null;
  streams: number;
  problems: readonly string[];
  evidence: PacketEvidence;
}

export interface MeshRecord {
  type: 'mesh';
  schema: 1;
  mode: Mode;
  profile: Profile | null;
  confidence: number;
  evidence: Omit<MeshEvidence, 'weight'>[];
  tunnels: MeshTunnelRecord[];
  pods: { ip: string; seenIn: number[] }[];
  ztunnels: { ip: string; hostIp: string; first: string; last: string; vnis: number[] }[];
  /** Nodes whose ztunnel is another than before, and since when. */
  changes: ZtunnelChange[];
  hbone: { connections: number; hello: number; peers: [string, string][]; details: HboneDetails[] };
  probes: number;
  flows: TunnelFlowRecord[];
  journeys: JourneyRecord[];
}

/** Lists are cut to this many: an overview, not an archive. */
const MAX_LISTED = 1000;
const GENEVE_OVERHEAD = 50;
/** IPv4 and TCP headers without options: what an MSS leaves out. */
const HEADERS = 40;

export function meshRecord(ambient: Ambient, protections: readonly ProtectionRecord[]): MeshRecord {
  const tunnels = nodeTunnels(ambient);
  const verdict: Verdict = verdictOf(ambient, tunnels);
  const istio = tunnels.filter(({ isIstio }) => isIstio);
  const isGeneve = verdict.mode === 'iptables+geneve';
  return {
    type: 'mesh',
    schema: 1,
    mode: verdict.mode,
    profile: verdict.profile,
    confidence: verdict.confidence,
    evidence: verdict.evidence.map(({ what, text, packets }) => ({ what, text, packets })),
    tunnels: tunnels.map((tunnel) => tunnelRecord(tunnel, protections)),
    pods: isGeneve
      ? [...ambient.tunnels.pods.values()].map(({ address, vnis }) => ({
          ip: address,
          seenIn: [...vnis].sort(),
        }))
      : [],
    ztunnels: ztunnelsOf(istio),
    changes: changesOf(istio),
    hbone: {
      connections: ambient.hbone.length,
      hello: ambient.hbone.filter(isHboneHello).length,
      peers: peersOf(ambient.hbone),
      details: ambient.hbone.slice(0, MAX_LISTED).map(hboneDetails),
    },
    probes: ambient.probes.count,
    flows: isGeneve ? flowsOf(ambient) : [],
    journeys: verdict.mode === 'not ambient' ? [] : journeysOf(ambient, verdict.mode),
  };
}

function tunnelRecord(tunnel: NodeTunnel, protections: readonly ProtectionRecord[]): MeshTunnelRecord {
  const { device, firstWay, lastWay, there, back } = tunnel;
  const mss = tunnel.ways.reduce((most, way) => Math.max(most, way.mss), 0);
  const main = there ?? back!;
  const ports = [...main.innerPorts].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 16);
  return {
    device: device.node,
    peerDevice: device.ztunnel,
    direction: device.direction,
    vni: device.vni,
    udpPort: tunnel.port,
    istio: tunnel.isIstio,
    hostIp: tunnel.node,
    ztunnelIp: tunnel.ztunnel,
    first: firstWay.firstTime,
    last: lastWay.lastTime,
    packets: tunnel.packets,
    syn: tunnel.sum((way) => way.syns.count),
    synAck: tunnel.sum((way) => way.synAcks.count),
    otherTcp: tunnel.sum((way) => way.data.count),
    neighbourDiscovery: tunnel.sum((way) => way.neighbours.count),
    arp: {
      requests: tunnel.arpRequests.count,
      replies: tunnel.arpReplies.count,
      health: tunnel.arp,
    },
    mtuEstimate: mss === 0 ? null : mss + HEADERS - GENEVE_OVERHEAD,
    largestMss: mss === 0 ? null : mss,
    outer: {
      ttl: main.ttl < 0 ? null : main.ttl,
      df: main.dontFragment,
      checksums: tunnel.sum((way) => way.checksums.count),
      fragments: tunnel.sum((way) => way.fragments.count),
    },
    innerMacs: { node: [...(there?.macs ?? [])], ztunnel: [...(back?.macs ?? [])] },
    innerPorts: ports.map(([port, packets]) => ({ port, packets })),
    protection:
      protections.find(
        ({ vni, dstPort, ends }) =>
          vni === device.vni &&
          dstPort === tunnel.port &&
          ends.includes(tunnel.node) &&
          ends.includes(tunnel.ztunnel),
      )?.protection ?? null,
  };
}

function ztunnelsOf(tunnels: readonly NodeTunnel[]): MeshRecord['ztunnels'] {
  const found = new Map<string, MeshRecord['ztunnels'][number]>();
  for (const { node, ztunnel, device, firstWay, lastWay } of tunnels) {
    const known = found.get(`${node} ${ztunnel}`);
    if (known === undefined) {
      found.set(`${node} ${ztunnel}`, {
        ip: ztunnel,
        hostIp: node,
        first: firstWay.firstTime,
        last: lastWay.lastTime,
        vnis: [device.vni],
      });
      continue;
    }
    if (firstWay.firstTime < known.first) known.first = firstWay.firstTime;
    if (lastWay.lastTime > known.last) known.last = lastWay.lastTime;
    if (!known.vnis.includes(device.vni)) known.vnis.push(device.vni);
    known.vnis.sort();
  }
  return [...found.values()];
}

/** @param tunnels in the order of their first packets */
export function changesOf(tunnels: readonly NodeTunnel[]): ZtunnelChange[] {
  const latest = new Map<string, NodeTunnel>();
  const changes = new Map<string, ZtunnelChange>();
  for (const tunnel of tunnels) {
    const key = `${tunnel.node} ${tunnel.device.vni}`;
    const before = latest.get(key);
    latest.set(key, tunnel);
    if (before === undefined || before.ztunnel === tunnel.ztunnel) continue;
    const change = `${tunnel.node} ${before.ztunnel} ${tunnel.ztunnel}`;
    if (changes.has(change)) continue;
    changes.set(change, {
      hostIp: tunnel.node,
      from: before.ztunnel,
      to: tunnel.ztunnel,
      time: tunnel.firstWay.firstTime,
      packets: [before, tunnel].flatMap(({ firstWay }) => firstWay.packets.evidence.slice(0, 1)),
    });
  }
  return [...changes.values()];
}

function hboneDetails(connection: HboneConnection): HboneDetails {
  const {
    client,
    server,
    start,
    clientHello,
    keys,
    clientIdentity,
    serverIdentity,
    streams,
    moreStreams,
    problems,
  } = connection;
  return {
    client: endText(client.address, client.port),
    server: endText(server.address, server.port),
    hello: clientHello === null && start !== 'not-tls' ? null : isHboneHello(connection),
    keys,
    clientIdentity,
    serverIdentity,
    streams: streams.length + moreStreams,
    problems,
    evidence: hboneEvidence(connection),
  };
}

function peersOf(connections: readonly HboneConnection[]): [string, string][] {
  const pairs = new Map<string, [string, string]>();
  for (const { client, server } of connections) {
    if (pairs.size >= MAX_LISTED) break;
    pairs.set(`${client.address} ${server.address}`, [client.address, server.address]);
  }
  return [...pairs.values()];
}

function flowsOf({ handshakes }: Ambient): TunnelFlowRecord[] {
  const flows: TunnelFlowRecord[] = [];
  for (const handshake of handshakes.all.values()) {
    const vni = [...handshake.vnis].find((number) => number >= 0);
    if (vni === undefined || flows.length >= MAX_LISTED) continue;
    flows.push(flowRecord(handshake, vni));
  }
  return flows;
}

function flowRecord(handshake: Handshake, vni: number): TunnelFlowRecord {
  const device = deviceOf(vni)!;
  const isOutbound = vni === IstioVni.istioout;
  const isHbone = handshake.serverPort === HBONE_PORT;
  return {
    type: 'istio.tunnel_flow',
    device: device.node,
    vni,
    src: handshake.client,
    srcPort: handshake.clientPort,
    dst: handshake.server,
    dstPort: handshake.serverPort,
    redirect: {
      tproxyPort: isOutbound ? OUTBOUND_PORT : isHbone ? HBONE_PORT : INBOUND_PORT,
      reason: isOutbound ? 'app-outbound' : isHbone ? 'hbone-inbound' : 'plaintext-inbound',
      capturedIp: isOutbound ? handshake.client : handshake.server,
    },
    syn: handshake.syns,
    synRetransmissions: Math.max(0, handshake.syns - 1),
    synAckPath: handshake.answers === 0 ? null : handshake.answersInside > 0 ? 'tunnel' : 'plain',
    time: handshake.time,
    evidence: handshake.evidence,
  };
}

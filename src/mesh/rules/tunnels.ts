/** Findings about Istio's Geneve tunnels: only about those that are known to be Istio's. */
import { geneve } from '../../../dissectors/geneve.ts';
import type { PacketEvidence } from '../../check/findings.ts';
import type { Rule } from '../../check/rule.ts';
import type { Ambient } from '../ambient.ts';
import { endText } from '../handshakes.ts';
import { IstioVni } from '../istio.ts';
import { ARP_SILENCE, type NodeTunnel, nodeTunnels } from '../node-tunnels.ts';
import { changesOf } from '../record.ts';
import type { Tally } from '../tunnels.ts';
import { SYN_SHARE } from '../verdict.ts';
import { reportConnections } from './connections.ts';
import { istio } from './istio.ts';

const GENEVE_PORT = geneve.on[0][1];

export function reportTunnels(ambient: Ambient): void {
  const all = nodeTunnels(ambient);
  const known = all.filter(({ isIstio }) => isIstio);
  const { findings } = ambient.scene;
  const tally = (rule: Rule, tunnel: NodeTunnel, of: Tally, text: () => string) => {
    if (of.count > 0) findings.report(rule, tunnel.text, of.evidence, text, of.count);
  };
  for (const { device, requests, replies } of ambient.bareArp.values())
    if (requests.count >= ARP_SILENCE && replies.count === 0)
      findings.report(
        istio.noArp,
        device.node,
        requests.evidence,
        () => `${device.ztunnel} does not answer ARP on ${device.node}`,
        requests.count,
      );
  for (const tunnel of known) {
    if (tunnel.arp === 'unanswered')
      tally(
        istio.noArp,
        tunnel,
        tunnel.arpRequests,
        () => `${tunnel.device.ztunnel} does not answer ARP in ${tunnel.text}`,
      );
    nonSyn(ambient, tunnel);
    if (tunnel.port !== GENEVE_PORT)
      tally(
        istio.port,
        tunnel,
        tunnel.firstWay.packets,
        () => `${tunnel.text} is on UDP port ${tunnel.port}`,
      );
    for (const way of tunnel.ways) {
      for (const [what, odd] of way.odd)
        tally(istio.malformed, tunnel, odd, () => `${tunnel.text} has ${what}`);
      tally(istio.mtu, tunnel, way.fragments, () => `${tunnel.text} is in fragments`);
      tally(istio.checksum, tunnel, way.checksums, () => `${tunnel.text} has UDP checksums`);
      tally(istio.host, tunnel, way.hostSyns, () => `${tunnel.text} redirects what the node itself sends`);
      if (way.unsummed.count > 0 && way.unsummed.count === way.tcp)
        tally(
          istio.offload,
          tunnel,
          way.unsummed,
          () => `TCP checksums in ${tunnel.text} from ${way.src} are left to the device`,
        );
    }
  }
  addresses(ambient, known);
  refusals(ambient, known);
  foreign(ambient, all, known);
  for (const { hostIp, from, to, time, packets } of changesOf(known))
    findings.report(
      istio.changed,
      `${hostIp} ${from} ${to}`,
      packets,
      () => `node ${hostIp} has ztunnel ${to} in place of ${from} since ${time}`,
    );
  if (known.length > 0) reportConnections(ambient, new Set(known.map(({ node }) => node)));
}

function nonSyn({ scene: { findings } }: Ambient, tunnel: NodeTunnel): void {
  const tcp = tunnel.sum((way) => way.tcp);
  const rest = tunnel.sum((way) => way.synAcks.count + way.data.count);
  if (tcp === 0 || rest <= (1 - SYN_SHARE) * tcp) return;
  const back = tunnel.back?.synAcks.count || tunnel.back?.data.count;
  const way = back ? tunnel.back! : tunnel.there!;
  const who = back ? 'ztunnel, as in the preview of 2022' : 'the node: marks of connections are not kept';
  findings.report(
    istio.nonSyn,
    tunnel.text,
    [...way.synAcks.evidence, ...way.data.evidence],
    () => `${rest} of ${tcp} TCP packets in ${tunnel.text} are no SYNs; they are from ${who}`,
    rest,
  );
}

/** More than one address of the node for one ztunnel and VNI. */
function addresses({ scene: { findings } }: Ambient, known: readonly NodeTunnel[]): void {
  const nodes = new Map<string, NodeTunnel[]>();
  for (const tunnel of known) {
    const key = `${tunnel.ztunnel} ${tunnel.device.vni}`;
    nodes.set(key, [...(nodes.get(key) ?? []), tunnel]);
  }
  for (const [key, tunnels] of nodes) {
    const used = [...new Set(tunnels.map(({ node }) => node))];
    if (used.length < 2) continue;
    const evidence: PacketEvidence[] = tunnels.flatMap(({ firstWay }) =>
      firstWay.packets.evidence.slice(0, 1),
    );
    findings.report(
      istio.address,
      key,
      evidence,
      () =>
        `${tunnels[0].device.node} with ztunnel ${tunnels[0].ztunnel} has ${used.join(' and ')} for the node`,
      tunnels.slice(1).reduce((sum, { packets }) => sum + packets, 0),
    );
  }
}

function refusals({ refusals: all, scene: { findings } }: Ambient, known: readonly NodeTunnel[]): void {
  for (const { about, what, from, src, dst, port, tally } of all.values()) {
    if (about !== 'geneve') continue;
    const tunnel = known.find(
      ({ node, ztunnel, port: own }) =>
        own === port && ((src === node && dst === ztunnel) || (src === ztunnel && dst === node)),
    );
    if (tunnel === undefined) continue;
    if (what === 'port' && from === tunnel.ztunnel)
      findings.report(
        istio.noSocket,
        from,
        tally.evidence,
        () => `ztunnel ${from} has nobody at UDP port ${port}`,
        tally.count,
      );
    if (what === 'too-big')
      findings.report(
        istio.mtu,
        tunnel.text,
        tally.evidence,
        () => `${tunnel.text} does not fit its link`,
        tally.count,
      );
  }
}

function foreign(
  { scene: { findings, overlay } }: Ambient,
  all: readonly NodeTunnel[],
  known: readonly NodeTunnel[],
): void {
  const ports = new Set(known.map(({ port }) => port));
  const numbers: readonly number[] = Object.values(IstioVni);
  for (const way of overlay.ways.values())
    if (way.protocol === geneve.name && ports.has(way.dstPort ?? -1) && !numbers.includes(way.vni))
      findings.report(
        istio.foreign,
        way.vniText,
        [way.first],
        () => `${way.vniText} on UDP port ${way.dstPort}, which Istio uses`,
        way.packets,
      );
  for (const tunnel of all)
    if (!tunnel.isIstio && ports.has(tunnel.port))
      findings.report(
        istio.foreign,
        tunnel.text,
        tunnel.firstWay.packets.evidence,
        () =>
          `VNI ${tunnel.device.vni} between ${endText(tunnel.node, tunnel.port)} and ${tunnel.ztunnel} is not Istio's`,
        tunnel.packets,
      );
}

/** The tunnels of each node by their two ends: which is the node, which ztunnel, and whether they are Istio's. */
import type { Ambient } from './ambient.ts';
import { type Device, IstioVni } from './istio.ts';
import { type IstioWay, Tally } from './tunnels.ts';

/**
 * Share of packets that no device of Istio's sends from which on a tunnel is another overlay's: below it is a fault,
 * which a rule reports. ARP for other addresses has no such share: one device has one neighbour.
 */
const FOREIGN_SHARE = 0.5;
/** MAC addresses of one end: one of each device, and of those it was made anew. */
const DEVICE_MACS = 4;
/** Requests without any answer from which on nobody is taken to answer. */
export const ARP_SILENCE = 3;

/** One device of a node with its ztunnel: both ways of it. */
export class NodeTunnel {
  readonly device: Device;
  readonly node: string;
  readonly ztunnel: string;
  readonly port: number;
  /** Null where no packet of that way is there. */
  readonly there: IstioWay | null;
  readonly back: IstioWay | null;
  /** Whether the two ends are known to be Istio's: set once all tunnels are known. */
  isIstio = false;

  constructor(there: IstioWay | null, back: IstioWay | null) {
    const way = (there ?? back)!;
    this.there = there;
    this.back = back;
    this.device = way.device;
    this.port = way.dstPort;
    [this.node, this.ztunnel] = there ? [there.src, there.dst] : [back!.dst, back!.src];
  }

  get ways(): readonly IstioWay[] {
    return [this.there, this.back].filter((way) => way !== null);
  }

  sum(of: (way: IstioWay) => number): number {
    return this.ways.reduce((total, way) => total + of(way), 0);
  }

  get packets(): number {
    return this.sum((way) => way.packets.count);
  }

  get arpRequests(): Tally {
    return both(this.ways.map((way) => way.arpRequests));
  }

  get arpReplies(): Tally {
    return both(this.ways.map((way) => way.arpReplies));
  }

  get arp(): 'answered' | 'unanswered' | 'not seen' {
    if (this.arpReplies.count > 0) return 'answered';
    return this.arpRequests.count >= ARP_SILENCE ? 'unanswered' : 'not seen';
  }

  get firstWay(): IstioWay {
    return this.ways.reduce((a, b) => (b.firstSeconds < a.firstSeconds ? b : a));
  }

  get lastWay(): IstioWay {
    return this.ways.reduce((a, b) => (b.lastSeconds > a.lastSeconds ? b : a));
  }

  get text(): string {
    return `${this.device.node} (VNI ${this.device.vni}) of node ${this.node} with ztunnel ${this.ztunnel}`;
  }

  get isForeign(): boolean {
    const most = (map: ReadonlyMap<string, Tally>) =>
      [...map.values()].reduce((count, tally) => Math.max(count, tally.count), 0);
    return this.ways.some(
      (way) =>
        way.foreignArp.count > 0 ||
        way.macs.size > DEVICE_MACS ||
        Math.max(most(way.foreign), most(way.odd)) > FOREIGN_SHARE * way.packets.count,
    );
  }
}

function both(tallies: readonly Tally[]): Tally {
  const sum = new Tally();
  for (const { count, evidence } of tallies) {
    sum.count += count;
    sum.evidence.push(...evidence);
  }
  return sum;
}

/** Evidence of section 5 that makes the tunnels between two ends Istio's. */
export interface Proof {
  arp: Tally;
  both: readonly IstioWay[];
  hbone: Tally;
}

/** Tunnels in the order of their first packets. */
export function nodeTunnels({ tunnels }: Ambient): NodeTunnel[] {
  const ends = new Map<string, IstioWay[]>();
  for (const way of tunnels.ways.values()) {
    const key = [way.src, way.dst].sort().join(' ');
    const list = ends.get(key);
    if (list) list.push(way);
    else ends.set(key, [way]);
  }
  const found: NodeTunnel[] = [];
  for (const ways of ends.values()) {
    const node = nodeOf(ways);
    const between: NodeTunnel[] = [];
    const rest = [...ways];
    while (rest.length > 0) {
      const way = rest.shift()!;
      const other = rest.findIndex(
        ({ device, dstPort, src }) => device === way.device && dstPort === way.dstPort && src !== way.src,
      );
      const answer = other < 0 ? null : rest.splice(other, 1)[0];
      between.push(way.src === node ? new NodeTunnel(way, answer) : new NodeTunnel(answer, way));
    }
    const proof = proofOf(between);
    const isIstio =
      !between.some((tunnel) => tunnel.isForeign) &&
      (proof.arp.count > 0 || proof.both.length > 0 || proof.hbone.count > 0);
    for (const tunnel of between) tunnel.isIstio = isIstio;
    found.push(...between);
  }
  return found.sort((a, b) => a.firstWay.firstSeconds - b.firstWay.firstSeconds);
}

/** Who asks for addresses and opens connections is the node: ztunnel answers, and only in the preview so. */
function nodeOf(ways: readonly IstioWay[]): string {
  const [{ src, dst }] = ways;
  const votes = ways.reduce((sum, way) => sum + (way.src === src ? way.fromNode : -way.fromNode), 0);
  return votes >= 0 ? src : dst;
}

export function proofOf(tunnels: readonly NodeTunnel[]): Proof {
  const inbound = tunnels.filter(({ device }) => device.vni === IstioVni.istioin);
  const outbound = tunnels.filter(({ device }) => device.vni === IstioVni.istioout);
  const ztunnels = new Set(inbound.map(({ ztunnel }) => ztunnel));
  const pair = outbound.filter(({ ztunnel }) => ztunnels.has(ztunnel));
  return {
    arp: both(tunnels.flatMap((tunnel) => [tunnel.arpRequests, tunnel.arpReplies])),
    both:
      pair.length === 0
        ? []
        : [inbound.find(({ ztunnel }) => ztunnel === pair[0].ztunnel)!.firstWay, pair[0].firstWay],
    hbone: both(inbound.flatMap(({ ways }) => ways.map((way) => way.hbone))),
  };
}

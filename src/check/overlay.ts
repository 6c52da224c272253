/** The tunnels of a capture: who sends to whom under which VNI, and what is seen of it. Bounded. */
import * as v4 from '../../dissectors/ipv4.ts';
import { ipv6, payloadLength } from '../../dissectors/ipv6.ts';
import type { Layers } from '../core/layers.ts';
import { AddressKind, type FlowRoles } from '../core/outline.ts';
import { layerAddress, layerPort } from '../core/record.ts';
import { hexText } from '../core/text.ts';
import type { Packet } from '../pipeline.ts';
import { BoundedMap } from './bounded-map.ts';
import { Seen } from './copies.ts';
import { evidenceOf, type PacketEvidence } from './findings.ts';

/** Tunnels, each way and VNI for itself; a node of a large cluster has some thousands. */
const MAX_TUNNELS = 16_384;

/** One direction of a tunnel: packets from one end to the other under one VNI. */
export class TunnelWay {
  readonly key: string;
  readonly protocol: string;
  /** -1 for none. */
  readonly vni: number;
  readonly src: string;
  readonly dst: string;
  /** UDP port of the receiving end, null for tunnels without ports. */
  readonly dstPort: number | null;
  readonly first: PacketEvidence;
  packets = 0;
  /** Bytes that the tunnel adds to the inner IP packet, outer IP header included: fewest and most. */
  leastOverhead = Number.POSITIVE_INFINITY;
  mostOverhead = 0;
  /** Largest outer IP packet that a link can have carried: not one that awaits segmentation. */
  largestOuter = 0;
  /** Largest inner IP packet, likewise. */
  largestInner = 0;

  constructor(
    key: string,
    protocol: string,
    vni: number,
    src: string,
    dst: string,
    dstPort: number | null,
    first: PacketEvidence,
  ) {
    this.key = key;
    this.protocol = protocol;
    this.vni = vni;
    this.src = src;
    this.dst = dst;
    this.dstPort = dstPort;
    this.first = first;
  }

  /** 'VNI 5 from 10.0.0.1 to 10.0.0.2'. */
  get text(): string {
    return `${this.vniText} from ${this.src} to ${this.dst}`;
  }

  /** Copies of traffic of elsewhere: where they are sent from, and how large they are, says nothing of it. */
  get isMirror(): boolean {
    return this.protocol === 'erspan';
  }

  get vniText(): string {
    return this.vni < 0 ? this.protocol : `${this.protocol} VNI ${this.vni}`;
  }
}

export class Overlay {
  readonly ways = new BoundedMap<string, TunnelWay>(MAX_TUNNELS);
  private readonly roles: FlowRoles;
  private readonly ipv4: number;
  private readonly ipv6: number;
  /** Of the packet that is being looked at, outermost first; what lies behind its tunnels is stale. */
  private readonly current: TunnelWay[] = [];
  /** The packet that is being looked at was seen before, in another place and in the same tunnel. */
  isCopy = false;
  /** Per entry of the copy detector: the innermost tunnel that the packet was last seen in. */
  private readonly latest: (TunnelWay | null)[] = [];
  private readonly latestOuter: (TunnelWay | null)[] = [];

  constructor(roles: FlowRoles) {
    this.roles = roles;
    this.ipv4 = roles.protocols.indexOf(v4.ipv4);
    this.ipv6 = roles.protocols.indexOf(ipv6);
  }

  /** The tunnels of the packet, which were counted before the rules are asked. */
  way(i: number): TunnelWay {
    return this.current[i];
  }

  /** Whether the tunnel is among those that are remembered. */
  has(way: TunnelWay): boolean {
    return this.ways.get(way.key) === way;
  }

  /**
   * Looks at the packet's tunnels.
   * @param slot entry in which the copy detector remembers the packet, -1 for none
   */
  packet(packet: Packet, seen: Seen, slot: number): void {
    const { tunnelCount } = packet.outline;
    for (let i = 0; i < tunnelCount; i++) this.current[i] = this.find(packet, i);
    const way = tunnelCount === 0 ? null : this.current[tunnelCount - 1];
    const outer = tunnelCount === 0 ? null : this.current[0];
    this.isCopy =
      way !== null && seen === Seen.copy && this.latest[slot] === way && this.latestOuter[slot] === outer;
    if (slot >= 0 && (way !== null || seen !== Seen.copy)) {
      this.latest[slot] = way;
      this.latestOuter[slot] = outer;
    }
    for (let i = 0; i < tunnelCount; i++) {
      if (!this.isCopy) this.current[i].packets++;
      this.measure(packet, i, this.current[i]);
    }
  }

  private find(packet: Packet, i: number): TunnelWay {
    const { batch, layers, outline } = packet;
    const { roles } = this;
    const { view } = batch;
    const layer = outline.tunnelLayer(i);
    const network = outline.tunnelNetwork(i);
    const transport = outline.tunnelTransport(i);
    const protocol = layers.protocol(layer);
    const vni = roles.tunnelVni(view, protocol, layers.start(layer));
    const port = layerPort(roles, layers, view, transport, 1);
    const key = `${protocol} ${vni} ${port} ${addressBytes(roles, layers, view, network)}`;
    let way = this.ways.get(key);
    if (way === undefined) {
      way = new TunnelWay(
        key,
        roles.tunnelName(view, protocol, layers.start(layer)),
        vni,
        layerAddress(roles, layers, view, network, 0) ?? 'unknown',
        layerAddress(roles, layers, view, network, 1) ?? 'unknown',
        port,
        evidenceOf(packet),
      );
      this.ways.set(key, way);
    }
    return way;
  }

  private measure({ batch: { view }, layers, outline }: Packet, i: number, way: TunnelWay): void {
    const network = outline.tunnelNetwork(i);
    const inner = i + 1 < outline.tunnelCount ? outline.tunnelNetwork(i + 1) : outline.network;
    if (network < 0) return;
    const outerBytes = this.datagramBytes(view, layers, network);
    way.largestOuter = Math.max(way.largestOuter, outerBytes);
    if (inner < 0) return;
    const kind = this.roles.addressKind[layers.protocol(inner)];
    if (kind !== AddressKind.ipv4 && kind !== AddressKind.ipv6) return;
    const overhead = layers.start(inner) - layers.start(network);
    way.leastOverhead = Math.min(way.leastOverhead, overhead);
    way.mostOverhead = Math.max(way.mostOverhead, overhead);
    way.largestInner = Math.max(way.largestInner, this.datagramBytes(view, layers, inner));
  }

  /** Bytes of the IP packet of a layer as its header says; 0 where it says nothing (offload) or is no IP. */
  datagramBytes(view: DataView, layers: Layers, layer: number): number {
    const protocol = layers.protocol(layer);
    const start = layers.start(layer);
    if (protocol === this.ipv4) return v4.totalLength.read(view, start);
    if (protocol !== this.ipv6) return 0;
    const payload = payloadLength.read(view, start);
    return payload === 0 ? 0 : payload + layers.bodyOf(layer) - start;
  }
}

/** Both addresses of the layer as hex, source first: one key for an ordered pair of ends. */
export function addressBytes(roles: FlowRoles, layers: Layers, view: DataView, layer: number): string {
  const pair = layer < 0 ? undefined : roles.protocols[layers.protocol(layer)].flow?.addresses;
  if (!pair) return '';
  const start = layers.start(layer);
  const [source, destination] = pair;
  return `${hexText(view, start + source.at, start + source.at + source.size)} ${hexText(view, start + destination.at, start + destination.at + destination.size)}`;
}

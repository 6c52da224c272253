/** The Geneve tunnels with VNI 1000 and 1001 of a capture: what travels in them, between whom. */
import * as arp from '../../dissectors/arp.ts';
import { ethernet, source as sourceMac } from '../../dissectors/ethernet.ts';
import * as geneve from '../../dissectors/geneve.ts';
import * as v4 from '../../dissectors/ipv4.ts';
import { destinationPort, flags, maximumSegmentSize, TcpFlag, tcp } from '../../dissectors/tcp.ts';
import { udp, checksum as udpChecksum } from '../../dissectors/udp.ts';
import { BoundedMap } from '../check/bounded-map.ts';
import { awaitsChecksum } from '../check/checksum.ts';
import { evidenceOf, type PacketEvidence } from '../check/findings.ts';
import type { TunnelWay } from '../check/overlay.ts';
import type { Scene } from '../check/rule.ts';
import { tcpOption } from '../check/tcp-options.ts';
import { layerAddress } from '../core/record.ts';
import { timeText } from '../core/text.ts';
import type { Packet } from '../pipeline.ts';
import { type Device, deviceOf, HBONE_PORT } from './istio.ts';

/** Each way of each tunnel; a node has four. */
const MAX_WAYS = 1024;
const MAX_MACS = 8;
const MAX_PODS = 4096;
const MSS = 2;
const TRANS_ETHER = 0x6558;

/** What is counted of each kind of packet: how many, and where first. */
export class Tally {
  count = 0;
  readonly evidence: PacketEvidence[] = [];

  add(packet: Packet): void {
    this.count++;
    if (this.evidence.length < 4) this.evidence.push(evidenceOf(packet));
  }
}

/** Packets from one end to the other under one of the two VNIs. */
export class IstioWay {
  readonly device: Device;
  readonly src: string;
  readonly dst: string;
  readonly dstPort: number;
  readonly packets = new Tally();
  /** ARP between the addresses of the tunnel itself: what the node asks, and whatever ztunnel sends. */
  readonly arpRequests = new Tally();
  readonly arpReplies = new Tally();
  /** The node answers a ztunnel that asks. */
  readonly arpAnswers = new Tally();
  /** ARP for other addresses: another overlay's. */
  readonly foreignArp = new Tally();
  readonly syns = new Tally();
  readonly synAcks = new Tally();
  /** TCP without SYN. */
  readonly data = new Tally();
  /** TCP to HBONE's port. */
  readonly hbone = new Tally();
  /** From the sending end itself: the node's own traffic, captured. */
  readonly hostSyns = new Tally();
  readonly neighbours = new Tally();
  readonly other = new Tally();
  readonly checksums = new Tally();
  readonly fragments = new Tally();
  readonly unsummed = new Tally();
  /** Headers that Istio's devices neither send nor take, by what is wrong. */
  readonly odd = new Map<string, Tally>();
  /** What another overlay would carry. */
  readonly foreign = new Map<string, Tally>();
  readonly macs = new Set<string>();
  readonly innerPorts = new Map<number, number>();
  /** Largest MSS in a SYN, 0 for none. */
  mss = 0;
  ttl = -1;
  dontFragment = false;
  firstTime = '';
  lastTime = '';
  /** Seconds of the first and the last packet. */
  firstSeconds = 0;
  lastSeconds = 0;

  constructor(device: Device, way: TunnelWay) {
    this.device = device;
    this.src = way.src;
    this.dst = way.dst;
    this.dstPort = way.dstPort ?? 0;
  }

  get tcp(): number {
    return this.syns.count + this.synAcks.count + this.data.count;
  }

  /** Votes for this being the way from the node to its ztunnel, negative for the way back. Addresses in ARP tell. */
  get fromNode(): number {
    const byArp = this.arpRequests.count + this.arpAnswers.count - this.arpReplies.count;
    return byArp !== 0 ? byArp * DECISIVE : this.syns.count - this.synAcks.count;
  }
}

/** More than there can be SYNs. */
const DECISIVE = 2 ** 32;

export class IstioTunnels {
  readonly ways = new BoundedMap<string, IstioWay>(MAX_WAYS);
  /** Pods by address: under which VNIs they were seen. */
  readonly pods = new BoundedMap<string, { readonly address: string; readonly vnis: Set<number> }>(MAX_PODS);
  private readonly scene: Scene;
  private readonly geneve: number;
  private readonly arp: number;
  private readonly ethernet: number;
  private readonly tcp: number;
  private readonly udp: number;
  private readonly ipv4: number;
  private readonly icmpv6: number;
  private readonly vlan: number;

  constructor(scene: Scene) {
    const { registry } = scene.dissector;
    this.scene = scene;
    this.geneve = registry.indexOf(geneve.geneve.name);
    this.arp = registry.indexOf(arp.arp.name);
    this.ethernet = registry.indexOf(ethernet.name);
    this.tcp = registry.indexOf(tcp.name);
    this.udp = registry.indexOf(udp.name);
    this.ipv4 = registry.indexOf(v4.ipv4.name);
    this.icmpv6 = registry.indexOf('icmpv6');
    this.vlan = registry.indexOf('vlan');
  }

  /** The device that the packet's innermost tunnel would be of, by VNI; undefined for every other packet. */
  deviceOf({ outline, layers }: Packet): Device | undefined {
    const last = outline.tunnelCount - 1;
    if (last < 0 || layers.protocol(outline.tunnelLayer(last)) !== this.geneve) return undefined;
    return deviceOf(this.scene.overlay.way(last).vni);
  }

  packet(packet: Packet, device: Device): void {
    const { scene } = this;
    if (scene.overlay.isCopy) return;
    const { layers, outline, batch, index } = packet;
    const { view } = batch;
    const last = outline.tunnelCount - 1;
    const tunnelWay = scene.overlay.way(last);
    let way = this.ways.get(tunnelWay.key);
    if (way === undefined) {
      way = new IstioWay(device, tunnelWay);
      way.firstTime = timeText(batch.seconds[index], batch.nanoseconds[index]);
      way.firstSeconds = batch.seconds[index] + batch.nanoseconds[index] / 1e9;
      this.ways.set(tunnelWay.key, way);
    }
    way.packets.add(packet);
    way.lastTime = timeText(batch.seconds[index], batch.nanoseconds[index]);
    way.lastSeconds = batch.seconds[index] + batch.nanoseconds[index] / 1e9;
    this.outside(packet, way, last);
    const layer = outline.tunnelLayer(last);
    this.header(packet, way, layer);
    if (layer + 1 < layers.ownCount && layers.protocol(layer + 1) === this.ethernet)
      this.frame(packet, way, layer + 1);
    const { network, transport } = outline;
    if (network < 0 || (layers.partial && network === layers.count - 1)) return;
    const protocol = layers.protocol(network);
    if (protocol === this.arp) this.arpOf(packet, way, network);
    else if (transport >= 0 && layers.protocol(transport) === this.tcp) this.segment(packet, way, view);
    else if (layers.protocol(outline.last) === this.icmpv6) way.neighbours.add(packet);
    else {
      way.other.add(packet);
      if (transport >= 0 && layers.protocol(transport) === this.udp)
        tally(way.foreign, 'UDP inside').add(packet);
    }
  }

  private outside(packet: Packet, way: IstioWay, last: number): void {
    const { layers, outline, batch } = packet;
    const { view } = batch;
    const transport = outline.tunnelTransport(last);
    const network = outline.tunnelNetwork(last);
    if (transport >= 0 && udpChecksum.read(view, layers.start(transport)) !== 0) way.checksums.add(packet);
    if (network < 0 || layers.protocol(network) !== this.ipv4) return;
    const start = layers.start(network);
    way.ttl = v4.timeToLive.read(view, start);
    way.dontFragment = v4.dontFragment.read(view, start);
    if (v4.moreFragments.read(view, start)) way.fragments.add(packet);
  }

  private header(packet: Packet, way: IstioWay, layer: number): void {
    const { view } = packet.batch;
    const start = packet.layers.start(layer);
    const odd = (what: string) => tally(way.odd, what).add(packet);
    if (geneve.version.read(view, start) !== 0) odd(`version ${geneve.version.read(view, start)}`);
    if (geneve.critical.read(view, start)) odd('the C bit');
    if (geneve.protocolType.read(view, start) !== TRANS_ETHER) odd('a payload that is not Ethernet');
    if (geneve.optionsLength.read(view, start) > 0) {
      odd('options');
      tally(way.foreign, 'options').add(packet);
    }
  }

  private frame(packet: Packet, way: IstioWay, layer: number): void {
    const { layers, batch } = packet;
    if (layers.partial && layer === layers.count - 1) return;
    const at = layers.start(layer) + sourceMac.at;
    const first = batch.view.getUint8(at);
    // Linux draws addresses for such devices at random, which are locally administered (eth_hw_addr_random).
    if ((first & 2) === 0) tally(way.foreign, 'MAC addresses of hardware').add(packet);
    if (way.macs.size < MAX_MACS) way.macs.add(sourceMac.read(batch.view, layers.start(layer)));
    if (layer + 1 < layers.ownCount && layers.protocol(layer + 1) === this.vlan)
      tally(way.foreign, 'VLAN tags').add(packet);
  }

  private arpOf(packet: Packet, way: IstioWay, layer: number): void {
    const { view } = packet.batch;
    const kind = arpKind(view, packet.layers.start(layer), way.device);
    if (kind === 'request') way.arpRequests.add(packet);
    else if (kind === 'reply') way.arpReplies.add(packet);
    else if (kind === 'answer') way.arpAnswers.add(packet);
    else way.foreignArp.add(packet);
  }

  private segment(packet: Packet, way: IstioWay, view: DataView): void {
    const { layers, outline } = packet;
    const { roles } = this.scene;
    const { transport, network } = outline;
    const start = layers.start(transport);
    if (layers.endOf(transport) < start + destinationPort.at + destinationPort.size) return;
    const port = destinationPort.read(view, start);
    if (port === HBONE_PORT) way.hbone.add(packet);
    if (way.innerPorts.size < 64 || way.innerPorts.has(port))
      way.innerPorts.set(port, (way.innerPorts.get(port) ?? 0) + 1);
    if (layers.endOf(transport) < start + flags.at + flags.size) {
      way.other.add(packet);
      return;
    }
    const bits = flags.read(view, start);
    if ((bits & TcpFlag.syn) === 0) way.data.add(packet);
    else if ((bits & TcpFlag.ack) !== 0) way.synAcks.add(packet);
    else this.syn(packet, way, start);
    if (awaitsChecksum(roles, view, layers, network, transport)) way.unsummed.add(packet);
  }

  private syn(packet: Packet, way: IstioWay, start: number): void {
    const { layers, outline, batch } = packet;
    const { roles } = this.scene;
    way.syns.add(packet);
    const option = tcpOption(
      batch.view,
      start,
      layers.bodyOf(outline.transport),
      MSS,
      maximumSegmentSize.at + maximumSegmentSize.size,
    );
    if (option >= 0) way.mss = Math.max(way.mss, maximumSegmentSize.read(batch.view, option));
    const source = layerAddress(roles, layers, batch.view, outline.network, 0)!;
    const destination = layerAddress(roles, layers, batch.view, outline.network, 1)!;
    if (source === way.src) way.hostSyns.add(packet);
    // What goes out is from a pod of this node, what comes in is to one.
    const address = way.device.direction === 'outbound' ? source : destination;
    const pod = this.pods.get(address);
    if (pod) pod.vnis.add(way.device.vni);
    else this.pods.set(address, { address, vnis: new Set([way.device.vni]) });
  }
}

/**
 * What an ARP packet is for the device, null where it is not between its two addresses. A `reply` is all that ztunnel
 * sends: one that asks for the node (to refresh an entry, RFC 1122 section 2.3.2.1) is there as well as one that answers.
 */
export function arpKind(
  view: DataView,
  start: number,
  device: Device,
): 'request' | 'reply' | 'answer' | null {
  const { nodeAddress, ztunnelAddress } = device;
  const sender = view.getUint32(start + arp.senderAddress.at);
  const target = view.getUint32(start + arp.targetAddress.at);
  if (sender === ztunnelAddress && target === nodeAddress) return 'reply';
  if (sender !== nodeAddress || target !== ztunnelAddress) return null;
  return arp.opcode.read(view, start) === ARP_REPLY ? 'answer' : 'request';
}

const ARP_REPLY = 2;

function tally(map: Map<string, Tally>, what: string): Tally {
  let found = map.get(what);
  if (found === undefined) {
    found = new Tally();
    map.set(what, found);
  }
  return found;
}

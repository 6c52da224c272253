/** What carries a tunnel: UDP checksums, fragments, ECN, sizes, and what routers say of them. */
import * as icmp from '../../../dissectors/icmp.ts';
import * as icmpv6 from '../../../dissectors/icmpv6.ts';
import * as v4 from '../../../dissectors/ipv4.ts';
import * as v6 from '../../../dissectors/ipv6.ts';
import { flags, headerLength, maximumSegmentSize, TcpFlag, tcp } from '../../../dissectors/tcp.ts';
import { checksum, destinationPort, length, udp } from '../../../dissectors/udp.ts';
import { layerAddress, layerPort } from '../../core/record.ts';
import type { Packet } from '../../pipeline.ts';
import { BoundedMap } from '../bounded-map.ts';
import { awaitsChecksum, udpChecksumState } from '../checksum.ts';
import { evidenceOf, type PacketEvidence } from '../findings.ts';
import type { TunnelWay } from '../overlay.ts';
import { defineRules, type Observer, type RuleSet, type Scene } from '../rule.ts';
import { PacketType } from '../taps.ts';
import { tcpOption } from '../tcp-options.ts';

const rules = defineRules({
  badChecksum: {
    id: 'OVL-01',
    severity: 'warning',
    title: 'Outer UDP checksum wrong',
    reference: 'RFC 8926 section 3.3, RFC 7348 section 5',
    evidence:
      'a UDP checksum in front of a tunnel header that is neither 0 nor right; not where the sending host captured it before its network card filled it in',
    meaning: 'The receiving end must drop the packet (Geneve) or may (VXLAN).',
    help: 'Look for damage on the way, and for middleboxes that rewrite addresses without correcting checksums.',
  },
  zeroChecksum6: {
    id: 'OVL-02',
    severity: 'warning',
    title: 'Tunnel over IPv6 without UDP checksum',
    reference: 'RFC 8926 section 4.3.1, RFC 6935, RFC 6936',
    evidence: 'a UDP checksum of 0 in front of a tunnel header over IPv6',
    meaning: 'Without it nothing protects the IPv6 addresses, and receivers drop such datagrams by default.',
    help: 'Turn checksums on (udp6zerocsumtx off), or make sure that both ends allow zero and the network is a controlled one.',
  },
  fragments: {
    id: 'OVL-03',
    severity: 'warning',
    title: 'Tunnel packets in fragments',
    reference: 'RFC 8926 section 4.4.1, RFC 7348 section 4.3',
    evidence: 'a first fragment of an outer IP datagram with a tunnel header in it',
    meaning:
      'Packets are larger than the underlay carries: fragments cost throughput, and VXLAN endpoints may drop them.',
    help: 'Lower the MTU inside the tunnel, or raise that of the underlay, by the overhead of the tunnel.',
  },
  ecn: {
    id: 'OVL-04',
    severity: 'warning',
    title: 'Outer and inner ECN do not fit',
    reference: 'RFC 6040 section 4.2',
    evidence:
      'an outer ECN field that cannot come of the inner one: ECT or CE around Not-ECT, ECT(0) around ECT(1), ECT(1) around CE',
    meaning:
      'Congestion marks get lost or packets dropped where the tunnel ends: CE around Not-ECT must be dropped.',
    help: 'Let the encapsulating end copy the inner field (normal mode), and look for routers that mark packets that are not ECN-capable.',
  },
  tooBig: {
    id: 'OVL-05',
    severity: 'warning',
    title: 'A router finds tunnel packets too big',
    reference: 'RFC 8926 section 4.4.1, RFC 1191, RFC 8201',
    evidence: 'an ICMP message "fragmentation needed" or "packet too big" that quotes a tunnel packet',
    meaning: 'The packet was dropped; unless the end of the tunnel learns from it, larger packets disappear.',
    help: 'Lower the MTU inside the tunnel to what the message says less the overhead.',
  },
  unreachable: {
    id: 'OVL-06',
    severity: 'error',
    title: 'Nobody listens at the end of the tunnel',
    reference: 'RFC 792, RFC 4443 section 3.1',
    evidence: 'an ICMP message "port unreachable" that quotes a tunnel packet',
    meaning:
      'The host that is meant to end the tunnel has no socket at its port: all packets of it are lost.',
    help: 'Create the tunnel device on that host, or correct its port or the remote address of the sender.',
  },
  mtu: {
    id: 'OVL-07',
    severity: 'note',
    title: 'Full-sized segments need a larger underlay',
    reference: 'RFC 8926 section 4.4.1',
    evidence:
      'inner TCP connections, both SYNs of which came through the tunnel, whose smaller MSS with headers and the tunnel around makes more than the 1500 bytes of plain Ethernet, and no outer packet that large',
    meaning: 'Unless the underlay carries that many bytes, large transfers stall while small ones work.',
    help: 'Compare the MTU of the underlay with the number given; lower the MTU of pods, or clamp the MSS, where it is less.',
  },
});

/** ECN fields, RFC 3168 section 5. */
const Ecn = { notEct: 0, ect1: 1, ect0: 2, ce: 3 } as const;
const ECN_NAMES = ['Not-ECT', 'ECT(1)', 'ECT(0)', 'CE'];

/** The cells of RFC 6040 figure 4 that are marked as dangerous. */
const isDangerous = (inner: number, outer: number) =>
  (inner === Ecn.notEct && outer !== Ecn.notEct) ||
  (inner === Ecn.ect1 && outer === Ecn.ect0) ||
  (inner === Ecn.ce && outer === Ecn.ect1);

/** IP packets of plain Ethernet. */
const ETHERNET_MTU = 1500;
const TCP_HEADER = 20;
const MSS = 2;

/** The largest segments that connections between two ends of a tunnel have agreed on. */
interface Segments {
  /** Bytes of the outer IP packet that carries one. */
  needed: number;
  mss: number;
  evidence: PacketEvidence;
}

/** The same for both ways. */
const endsOf = ({ protocol, vni, src, dst }: TunnelWay) =>
  `${protocol} ${vni} ${src < dst ? `${src} ${dst}` : `${dst} ${src}`}`;

class OuterObserver implements Observer {
  private readonly scene: Scene;
  private readonly udp: number;
  private readonly tcp: number;
  private readonly ipv4: number;
  private readonly ipv6: number;
  private readonly icmp: number;
  private readonly icmpv6: number;
  /** MSS of SYNs that wait for their answer, by the connection's ends. */
  private readonly announced = new BoundedMap<string, number>(MAX_WAYS);
  private readonly segments = new Map<string, Segments>();
  /** Tunnels that segments with data came through: Istio's have nothing but SYNs. */
  private readonly carriers = new Set<TunnelWay>();

  constructor(scene: Scene) {
    const { registry } = scene.dissector;
    this.scene = scene;
    this.udp = registry.indexOf(udp.name);
    this.tcp = registry.indexOf(tcp.name);
    this.ipv4 = registry.indexOf(v4.ipv4.name);
    this.ipv6 = registry.indexOf(v6.ipv6.name);
    this.icmp = registry.indexOf(icmp.icmp.name);
    this.icmpv6 = registry.indexOf(icmpv6.icmpv6.name);
  }

  packet(packet: Packet): void {
    const { layers, outline } = packet;
    if (layers.quoted >= 0) this.quoted(packet);
    for (let i = 0; i < outline.tunnelCount; i++) {
      this.fragment(packet, i);
      this.marks(packet, i);
      this.checksums(packet, i);
    }
    if (outline.tunnelCount > 0) this.size(packet);
  }

  private fragment(packet: Packet, i: number): void {
    const { layers, outline, batch } = packet;
    if (layers.fragment === 0) return;
    const { protocols } = this.scene.roles;
    const end = outline.tunnelLayer(i);
    for (let layer = Math.max(outline.tunnelNetwork(i), 0); layer < end; layer++) {
      const part = protocols[layers.protocol(layer)].flow?.fragment?.part;
      if (part === undefined || part(batch.view, layers.start(layer)) === 0) continue;
      const way = this.scene.overlay.way(i);
      this.scene.findings.report(
        rules.fragments,
        way.text,
        packet,
        () => `${way.text}: outer datagrams are fragmented`,
      );
    }
  }

  private ecnOf({ batch: { view }, layers }: Packet, layer: number): number {
    if (layer < 0) return -1;
    const protocol = layers.protocol(layer);
    const start = layers.start(layer);
    if (protocol === this.ipv4) return v4.ecn.read(view, start);
    return protocol === this.ipv6 ? v6.ecn.read(view, start) : -1;
  }

  private marks(packet: Packet, i: number): void {
    const { outline } = packet;
    const outer = this.ecnOf(packet, outline.tunnelNetwork(i));
    if (outer <= Ecn.notEct) return; // the outer field of most packets; nothing is lost by it
    const inner = this.ecnOf(
      packet,
      i + 1 < outline.tunnelCount ? outline.tunnelNetwork(i + 1) : outline.network,
    );
    if (inner < 0 || !isDangerous(inner, outer)) return;
    const way = this.scene.overlay.way(i);
    this.scene.findings.report(
      rules.ecn,
      `${way.text} ${outer} ${inner}`,
      packet,
      () => `${way.text}: outer ${ECN_NAMES[outer]} around inner ${ECN_NAMES[inner]}`,
    );
  }

  private checksums(packet: Packet, i: number): void {
    const { layers, outline, batch } = packet;
    const { scene } = this;
    const transport = outline.tunnelTransport(i);
    const network = outline.tunnelNetwork(i);
    if (transport < 0 || network < 0 || layers.protocol(transport) !== this.udp) return;
    const start = layers.start(transport);
    if (checksum.read(batch.view, start) === 0) {
      if (layers.protocol(network) !== this.ipv6) return;
      const way = scene.overlay.way(i);
      scene.findings.report(rules.zeroChecksum6, way.text, packet, () => `${way.text}: UDP checksum 0`);
      return;
    }
    // Fragments hold a part of what was summed; super-packets await their lengths and sums.
    if (layers.fragment !== 0 || length.read(batch.view, start) === 0) return;
    if (scene.copies.taps.type(packet) === PacketType.outgoing) return;
    if (udpChecksumState(scene.roles, batch.view, layers, network, transport) !== 'wrong') return;
    // Local checksum offload (Linux' checksum-offloads.txt): the outer sum counts on the inner one to be completed.
    if (awaitsChecksum(scene.roles, batch.view, layers, outline.network, outline.transport)) return;
    const way = scene.overlay.way(i);
    scene.findings.report(rules.badChecksum, way.text, packet, () => `${way.text}: wrong UDP checksums`);
  }

  /** An ICMP error about a tunnel packet. */
  private quoted(packet: Packet): void {
    const { batch, layers, outline } = packet;
    const { view } = batch;
    const error = layers.quoted - 1;
    if (error < 0) return;
    const protocol = layers.protocol(error);
    const start = layers.start(error);
    const isV6 = protocol === this.icmpv6;
    if (!isV6 && protocol !== this.icmp) return;
    const type = isV6 ? icmpv6.type.read(view, start) : icmp.type.read(view, start);
    const code = isV6 ? icmpv6.code.read(view, start) : icmp.code.read(view, start);
    const isTooBig = isV6
      ? type === icmpv6.Type.packetTooBig
      : type === icmp.Unreachable.type && code === icmp.Unreachable.fragmentationNeeded;
    const isClosed = isV6
      ? type === icmpv6.Type.unreachable && code === icmpv6.PORT_UNREACHABLE
      : type === icmp.Unreachable.type && code === icmp.Unreachable.port;
    if (!isTooBig && !isClosed) return;
    const tunnel = this.quotedTunnel(packet);
    if (tunnel === null) return;
    const who = layerAddress(this.scene.roles, layers, view, outline.network, 0) ?? 'a router';
    if (isTooBig) {
      const mtu = isV6 ? icmpv6.mtu.read(view, start) : icmp.nextHopMtu.read(view, start);
      this.scene.findings.report(
        rules.tooBig,
        `${who} ${tunnel} ${mtu}`,
        packet,
        () => `${who} drops ${tunnel}: larger than ${mtu} bytes`,
      );
    } else {
      this.scene.findings.report(
        rules.unreachable,
        `${who} ${tunnel}`,
        packet,
        () => `${who} refuses ${tunnel}`,
      );
    }
  }

  /** The tunnel whose packet an ICMP error quotes; null where it quotes something else. */
  private quotedTunnel({ batch: { view }, layers }: Packet): string | null {
    const { roles, dissector } = this.scene;
    let network = -1;
    for (let i = layers.quoted; i < layers.count; i++) {
      const protocol = layers.protocol(i);
      const ends = () =>
        `from ${layerAddress(roles, layers, view, network, 0)} to ${layerAddress(roles, layers, view, network, 1)}`;
      if (layers.partial && i === layers.count - 1) return null;
      if (roles.tunnels[protocol]) {
        const name = roles.tunnelName(view, protocol, layers.start(i));
        const vni = roles.tunnelVni(view, protocol, layers.start(i));
        return `${name}${vni < 0 ? '' : ` VNI ${vni}`} ${ends()}`;
      }
      // RFC 792 asks for eight bytes behind the IP header, which is UDP's alone.
      if (protocol === this.udp && i === layers.count - 1) {
        const next = dissector.registry.protocolAt('udp.port', destinationPort.read(view, layers.start(i)));
        if (next >= 0 && roles.tunnels[next]) return `${roles.protocols[next].name} ${ends()}`;
      }
      if (roles.protocols[protocol].flow?.addresses) network = i;
    }
    return null;
  }

  private size(packet: Packet): void {
    const { batch, layers, outline } = packet;
    const { transport } = outline;
    if (transport < 0 || layers.protocol(transport) !== this.tcp) return;
    const start = layers.start(transport);
    const body = layers.bodyOf(transport);
    const way = this.scene.overlay.way(outline.tunnelCount - 1);
    if (body < start + TCP_HEADER || way.isMirror) return;
    const set = flags.read(batch.view, start);
    if ((set & TcpFlag.syn) === 0) {
      const hasData = layers.limitOf(transport) > start + headerLength.read(batch.view, start);
      if (hasData && this.carriers.size < MAX_WAYS) this.carriers.add(way);
      return;
    }
    const at = tcpOption(batch.view, start, body, MSS, maximumSegmentSize.at + maximumSegmentSize.size);
    const outer = outline.tunnelNetwork(0);
    if (at < 0 || outer < 0) return;
    const own = maximumSegmentSize.read(batch.view, at);
    const ends = ([0, 1] as const).map((side) => {
      const { roles } = this.scene;
      const port = layerPort(roles, layers, batch.view, transport, side);
      return `${layerAddress(roles, layers, batch.view, outline.network, side)} ${port}`;
    });
    if ((set & TcpFlag.ack) === 0) {
      this.announced.set(`${way.vni} ${ends[0]} ${ends[1]}`, own);
      return;
    }
    // An MSS is what its sender can receive (RFC 9293 section 3.7.1); hosts send no more than that they announce, either.
    const other = this.announced.get(`${way.vni} ${ends[1]} ${ends[0]}`);
    if (other === undefined) return;
    const mss = Math.min(own, other);
    // Everything from the outer IP header to the end of the inner TCP header without options.
    const needed = layers.start(transport) - layers.start(outer) + TCP_HEADER + mss;
    const key = endsOf(way);
    const known = this.segments.get(key);
    if (known === undefined ? this.segments.size < MAX_WAYS : needed > known.needed)
      this.segments.set(key, { needed, mss, evidence: evidenceOf(packet) });
  }

  end(): void {
    // A packet that large shows that the underlay, or segmentation on the way, can do it.
    const proven = new Set([...this.carriers].filter((way) => way.largestOuter > ETHERNET_MTU).map(endsOf));
    for (const way of this.carriers) {
      const key = endsOf(way);
      const segments = this.segments.get(key);
      if (segments === undefined || segments.needed <= ETHERNET_MTU || proven.has(key)) continue;
      const { needed, mss, evidence } = segments;
      this.scene.findings.report(
        rules.mtu,
        way.text,
        [evidence],
        () => `${way.text}: an MSS of ${mss} makes outer packets of ${needed} bytes`,
      );
    }
  }
}

const MAX_WAYS = 4096;

export const outerRules: RuleSet = {
  rules: Object.values(rules),
  observe: (scene) => new OuterObserver(scene),
};

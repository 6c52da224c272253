/** Everything that a capture shows of Istio's ambient mode, gathered in one pass. */
import * as arp from '../../dissectors/arp.ts';
import { geneve } from '../../dissectors/geneve.ts';
import * as icmp from '../../dissectors/icmp.ts';
import * as icmpv6 from '../../dissectors/icmpv6.ts';
import * as v4 from '../../dissectors/ipv4.ts';
import * as v6 from '../../dissectors/ipv6.ts';
import * as tcpHeader from '../../dissectors/tcp.ts';
import { recordBegins } from '../../dissectors/tls.ts';
import * as udpHeader from '../../dissectors/udp.ts';
import { BoundedMap } from '../check/bounded-map.ts';
import type { Seen } from '../check/copies.ts';
import type { PacketEvidence } from '../check/findings.ts';
import type { Observer, Scene } from '../check/rule.ts';
import { layerAddress } from '../core/record.ts';
import { ipv4WordText } from '../core/text.ts';
import { HboneReader } from '../decrypt/hbone.ts';
import type { HboneConnection } from '../decrypt/hbone-record.ts';
import type { KeyLog } from '../decrypt/key-log.ts';
import type { Packet } from '../pipeline.ts';
import { Handshakes } from './handshakes.ts';
import { DEVICES, type Device, HBONE_PORT, OUTBOUND_PORT, PROBE_ADDRESS, PROBE_ADDRESSES6 } from './istio.ts';
import { Senders } from './senders.ts';
import { arpKind, IstioTunnels, Tally } from './tunnels.ts';

const MAX_SENDERS = 4096;
const LOCALHOST = 0x7f000001;
const DNS = 53;
const GENEVE_PORT = geneve.on[0][1];

/** An ICMP error that may be about the mesh. */
export interface Refusal {
  readonly from: string;
  /** Ends of the packet that it quotes. */
  readonly src: string;
  readonly dst: string;
  readonly port: number;
  readonly what: 'port' | 'too-big' | 'prohibited';
  /** Of UDP to a Geneve port, or of TCP to HBONE's. */
  readonly about: 'geneve' | 'hbone';
  readonly tally: Tally;
}

export class Ambient implements Observer {
  readonly scene: Scene;
  readonly tunnels: IstioTunnels;
  readonly handshakes: Handshakes;
  readonly senders: Senders;
  /** ARP of the tunnels' addresses outside any tunnel, on the devices themselves: by device name. */
  readonly bareArp = new Map<string, { readonly device: Device; requests: Tally; replies: Tally }>();
  /** SYNs from the address of probes. */
  readonly probes = new Tally();
  /** SYNs to ztunnel's outbound port on a loopback device. */
  readonly loopback = new Tally();
  /** SYNs to HBONE's port, and TLS records to and from it. */
  readonly hboneSyns = new Tally();
  readonly hboneRecords = new Tally();
  readonly refusals = new BoundedMap<string, Refusal>(MAX_SENDERS);
  /** UDP outside tunnels by IPv4 sender, DNS apart. */
  readonly udpSenders = new BoundedMap<number, { readonly address: string; readonly tally: Tally }>(
    MAX_SENDERS,
  );
  /** HBONE connections, once the capture has ended. */
  hbone: HboneConnection[] = [];
  /** Time of the last packet, in seconds. */
  lastSeconds = Number.NEGATIVE_INFINITY;
  /** Packets looked at. */
  packets = 0;
  private readonly reader: HboneReader;
  private readonly tcp: number;
  private readonly udp: number;
  private readonly arp: number;
  private readonly ipv4: number;
  private readonly ipv6: number;
  private readonly icmp: number;
  private readonly icmpv6: number;

  constructor(scene: Scene, keyLog?: KeyLog) {
    const { registry } = scene.dissector;
    this.scene = scene;
    this.tunnels = new IstioTunnels(scene);
    this.handshakes = new Handshakes(scene);
    this.senders = new Senders(scene);
    this.reader = new HboneReader(scene.dissector, scene.roles, keyLog ? { keyLog } : {});
    this.tcp = registry.indexOf(tcpHeader.tcp.name);
    this.udp = registry.indexOf(udpHeader.udp.name);
    this.arp = registry.indexOf(arp.arp.name);
    this.ipv4 = registry.indexOf(v4.ipv4.name);
    this.ipv6 = registry.indexOf(v6.ipv6.name);
    this.icmp = registry.indexOf(icmp.icmp.name);
    this.icmpv6 = registry.indexOf(icmpv6.icmpv6.name);
  }

  packet(packet: Packet, seen: Seen): void {
    const { layers, outline, batch, index } = packet;
    this.lastSeconds = batch.seconds[index];
    this.packets++;
    if (layers.quoted >= 0) {
      this.refusal(packet);
      return;
    }
    const device = this.tunnels.deviceOf(packet);
    if (device) this.tunnels.packet(packet, device);
    const { network, transport } = outline;
    if (network < 0) return;
    const isBare = outline.tunnelCount === 0;
    if (transport < 0) {
      if (isBare && layers.protocol(network) === this.arp) this.arpOutside(packet, network);
      return;
    }
    const protocol = layers.protocol(transport);
    if (protocol === this.tcp) this.segment(packet, seen, device, isBare);
    else if (protocol === this.udp && isBare) this.datagram(packet);
  }

  private segment(packet: Packet, seen: Seen, device: Device | undefined, isBare: boolean): void {
    const { layers, outline, batch } = packet;
    const { transport } = outline;
    const { view } = batch;
    const start = layers.start(transport);
    if (start + tcpHeader.HEADER > layers.endOf(transport)) return;
    const bits = tcpHeader.flags.read(view, start);
    const { syn, ack, reset } = tcpHeader.TcpFlag;
    const from = tcpHeader.sourcePort.read(view, start);
    const to = tcpHeader.destinationPort.read(view, start);
    if (from === HBONE_PORT || to === HBONE_PORT) this.hboneSegment(packet, bits, to);
    if ((bits & (syn | reset)) === 0) return;
    // Only Istio's tunnels and no tunnel: the mesh has no part in others.
    if (!isBare && !device) return;
    this.handshakes.packet(packet, seen, bits, device?.vni ?? -1);
    if ((bits & syn) === 0 || !isBare) return;
    if ((bits & ack) === 0) this.opening(packet, to);
    this.senders.packet(packet);
  }

  /** A bare SYN. */
  private opening(packet: Packet, port: number): void {
    const { layers, outline, batch } = packet;
    const { view } = batch;
    const { network } = outline;
    const start = layers.start(network);
    if (layers.protocol(network) === this.ipv4) {
      if (view.getUint32(start + v4.source.at) === PROBE_ADDRESS) this.probes.add(packet);
      if (port === OUTBOUND_PORT && view.getUint32(start + v4.destination.at) === LOCALHOST)
        this.loopback.add(packet);
    } else if (layers.protocol(network) === this.ipv6 && isProbe6(view, start + v6.source.at)) {
      this.probes.add(packet);
    }
  }

  private hboneSegment(packet: Packet, bits: number, to: number): void {
    const { layers, outline, batch } = packet;
    this.reader.packet(packet);
    const { syn, ack } = tcpHeader.TcpFlag;
    // As the port of a client it is drawn at random; as that of a server it gets SYNs and answers them.
    if ((bits & syn) !== 0 && (to === HBONE_PORT) === ((bits & ack) === 0)) this.hboneSyns.add(packet);
    const at = layers.bodyOf(outline.transport);
    const end = layers.endOf(outline.transport);
    if (end - at > TLS_RECORD && recordBegins(batch.view, at)) this.hboneRecords.add(packet);
  }

  private arpOutside(packet: Packet, network: number): void {
    const { layers, batch } = packet;
    const start = layers.start(network);
    for (const device of DEVICES) {
      const kind = arpKind(batch.view, start, device);
      if (kind === null) continue;
      let known = this.bareArp.get(device.node);
      if (known === undefined) {
        known = { device, requests: new Tally(), replies: new Tally() };
        this.bareArp.set(device.node, known);
      }
      // The sender's MAC address was drawn at random: addresses like these are not Istio's alone.
      if ((batch.view.getUint8(start + arp.senderHardware.at) & 2) === 0) return;
      if (kind === 'request') known.requests.add(packet);
      else if (kind === 'reply') known.replies.add(packet);
    }
  }

  private datagram(packet: Packet): void {
    const { layers, outline, batch } = packet;
    const { view } = batch;
    if (layers.protocol(outline.network) !== this.ipv4) return;
    const start = layers.start(outline.transport);
    if (start + udpHeader.destinationPort.at + 2 > layers.endOf(outline.transport)) return;
    if (udpHeader.destinationPort.read(view, start) === DNS || udpHeader.sourcePort.read(view, start) === DNS)
      return;
    const address = view.getUint32(layers.start(outline.network) + v4.source.at);
    let sender = this.udpSenders.get(address);
    if (sender === undefined) {
      sender = { address: ipv4WordText(address), tally: new Tally() };
      this.udpSenders.set(address, sender);
    }
    sender.tally.add(packet);
  }

  /** An ICMP error, which quotes the packet that it is about. */
  private refusal(packet: Packet): void {
    const { layers, batch, outline } = packet;
    const { view } = batch;
    const { roles } = this.scene;
    const error = layers.quoted - 1;
    if (error < 0) return;
    const what = this.refusalOf(view, layers.protocol(error), layers.start(error));
    if (what === null) return;
    for (let i = layers.quoted + 1; i < layers.count; i++) {
      const protocol = layers.protocol(i);
      if (protocol !== this.udp && protocol !== this.tcp) continue;
      const start = layers.start(i);
      if (start + PORTS > layers.endOf(i)) return;
      const port = udpHeader.destinationPort.read(view, start);
      const about =
        protocol === this.udp && port >= GENEVE_PORT && port < GENEVE_PORT + PORT_RANGE
          ? 'geneve'
          : protocol === this.tcp && port === HBONE_PORT
            ? 'hbone'
            : null;
      if (about === null) return;
      const src = layerAddress(roles, layers, view, i - 1, 0) ?? '';
      const dst = layerAddress(roles, layers, view, i - 1, 1) ?? '';
      const from = layerAddress(roles, layers, view, outline.network, 0) ?? '';
      const key = `${from} ${src} ${dst} ${port} ${what} ${about}`;
      let refusal = this.refusals.get(key);
      if (refusal === undefined) {
        refusal = { from, src, dst, port, what, about, tally: new Tally() };
        this.refusals.set(key, refusal);
      }
      refusal.tally.add(packet);
      return;
    }
  }

  /** What an ICMP error says of the packet that it quotes; null where it does not refuse it. */
  private refusalOf(view: DataView, protocol: number, start: number): Refusal['what'] | null {
    if (protocol === this.icmp) {
      if (icmp.type.read(view, start) !== icmp.Unreachable.type) return null;
      const code = icmp.code.read(view, start);
      if (code === icmp.Unreachable.fragmentationNeeded) return 'too-big';
      return code === icmp.Unreachable.port ? 'port' : 'prohibited';
    }
    if (protocol !== this.icmpv6) return null;
    const type = icmpv6.type.read(view, start);
    if (type === icmpv6.Type.packetTooBig) return 'too-big';
    if (type !== icmpv6.Type.unreachable) return null;
    return icmpv6.code.read(view, start) === icmpv6.PORT_UNREACHABLE ? 'port' : 'prohibited';
  }

  end(): void {
    this.hbone = this.reader.records();
  }

  /** What the user should know at the end, one sentence each. */
  remarks(): string[] {
    const remarks: string[] = [];
    const { forgotten } = this.handshakes.all;
    if (forgotten > 0)
      remarks.push(`the first ${forgotten} connections are in no journey: too many in one capture`);
    const { ignored } = this.reader;
    if (ignored > 0)
      remarks.push(
        `${ignored} packets of HBONE connections were not read: too many connections in one capture`,
      );
    return remarks;
  }
}

const TLS_RECORD = 5;
/** Both ports of a quoted header. */
const PORTS = 4;
/** Ports from Geneve's on that istio-cni may have come to. */
const PORT_RANGE = 16;

function isProbe6(view: DataView, at: number): boolean {
  return PROBE_ADDRESSES6.some((words) => words.every((word, i) => view.getUint32(at + 4 * i) === word));
}

/** Where the packets that show something of an HBONE connection are. */
export function hboneEvidence({ clientHello, first }: HboneConnection): PacketEvidence {
  const { file, number } = clientHello?.evidence ?? first;
  return { file, packet: number };
}

/**
 * Which MAC addresses open connections under which IP addresses: what tells Istio's eBPF redirection from the others.
 *
 * Its TC programs hand packets from one veth to another: they reach ztunnel with the MAC address of the pod and a TTL
 * that nobody decremented, and ztunnel's own packets reach pods in the same way. ztunnel sends under the addresses of
 * the pods it serves. So a MAC address that gets packets of an IP address from that address's own host, and sends
 * under the same IP address itself, is ztunnel's. Where node and ztunnel are linked by routes, packets have the node's
 * MAC address and a decremented TTL on that way.
 */
import { destination, ethernet, source } from '../../dissectors/ethernet.ts';
import * as v4 from '../../dissectors/ipv4.ts';
import * as v2 from '../../dissectors/sll2.ts';
import { BoundedMap } from '../check/bounded-map.ts';
import { evidenceOf, type PacketEvidence } from '../check/findings.ts';
import type { Scene } from '../check/rule.ts';
import { PacketType } from '../check/taps.ts';
import { hexText, ipv4WordText } from '../core/text.ts';
import type { Packet } from '../pipeline.ts';

const MAX_MACS = 4096;
const MAX_ADDRESSES = 32;
/** TTLs that hosts send with; a router's are one less. */
const INITIAL_TTLS: readonly number[] = [64, 128, 255];

interface Sender {
  readonly mac: string;
  /** IPv4 addresses that it sends under with an initial TTL. */
  readonly addresses: Map<number, PacketEvidence>;
  /** The same by the MAC address that it sends to. */
  readonly to: Map<string, { readonly address: number; readonly evidence: PacketEvidence }[]>;
}

export interface Redirection {
  readonly ztunnelMac: string;
  /** Pods whose packets ztunnel gets as they left the pod. */
  readonly pods: readonly string[];
  /** Packets that reach ztunnel so. */
  readonly evidence: readonly PacketEvidence[];
  /** Packets that ztunnel sends to a pod so; empty where none was captured. */
  readonly answers: readonly PacketEvidence[];
}

export class Senders {
  private readonly senders = new BoundedMap<string, Sender>(MAX_MACS);
  /** Of cooked captures: MAC address at the other end of each device, by its index. */
  private readonly peers = new BoundedMap<number, string>(MAX_MACS);
  private readonly ethernet: number;
  private readonly cooked: number;
  private readonly ipv4: number;

  constructor({ dissector: { registry } }: Scene) {
    this.ethernet = registry.indexOf(ethernet.name);
    this.cooked = registry.indexOf(v2.sll2.name);
    this.ipv4 = registry.indexOf(v4.ipv4.name);
  }

  /** A packet with SYN outside tunnels. */
  packet(packet: Packet): void {
    const { batch, layers, outline } = packet;
    const { view } = batch;
    if (layers.protocol(outline.network) !== this.ipv4) return;
    const start = layers.start(0);
    let from: string;
    let to: string | undefined;
    if (layers.protocol(0) === this.ethernet) {
      from = hexText(view, start + source.at, start + source.at + source.size);
      to = hexText(view, start + destination.at, start + destination.at + destination.size);
    } else if (layers.protocol(0) === this.cooked) {
      const at = start + v2.address.ether.at;
      from = hexText(view, at, at + v2.address.ether.size);
      const device = v2.interfaceIndex.read(view, start);
      const type = v2.packetType.read(view, start);
      if (type === PacketType.outgoing) to = this.peers.get(device);
      else if (type === PacketType.toUs) this.peers.set(device, from);
    } else return;
    if (from === NO_MAC) return;
    const network = layers.start(outline.network);
    if (!INITIAL_TTLS.includes(v4.timeToLive.read(view, network))) return;
    this.note(packet, from, to, view.getUint32(network + v4.source.at));
  }

  private note(packet: Packet, from: string, to: string | undefined, address: number): void {
    let sender = this.senders.get(from);
    if (sender === undefined) {
      sender = { mac: from, addresses: new Map(), to: new Map() };
      this.senders.set(from, sender);
    }
    if (!sender.addresses.has(address) && sender.addresses.size < MAX_ADDRESSES)
      sender.addresses.set(address, evidenceOf(packet));
    if (to === undefined || (sender.to.size >= MAX_ADDRESSES && !sender.to.has(to))) return;
    const list = sender.to.get(to) ?? [];
    if (list.length < MAX_ADDRESSES) list.push({ address, evidence: evidenceOf(packet) });
    sender.to.set(to, list);
  }

  /** What shows that packets are handed over so; null where nothing does. */
  redirection(): Redirection | null {
    for (const ztunnel of this.senders.values()) {
      // It answers for the pods' peers as well as it calls for the pods.
      if (ztunnel.addresses.size < 2) continue;
      const pods = new Map<string, number>();
      const evidence: PacketEvidence[] = [];
      for (const pod of this.senders.values()) {
        if (pod === ztunnel) continue;
        for (const { address, evidence: packet } of pod.to.get(ztunnel.mac) ?? []) {
          const own = ztunnel.addresses.get(address);
          if (own === undefined) continue;
          pods.set(pod.mac, address);
          if (evidence.length < 4) evidence.push(packet, own);
        }
      }
      if (pods.size === 0) continue;
      const answers = [...pods.keys()].flatMap((mac) =>
        (ztunnel.to.get(mac) ?? []).map(({ evidence: packet }) => packet),
      );
      return {
        ztunnelMac: ztunnel.mac,
        pods: [...pods.values()].map(ipv4WordText),
        evidence,
        answers: answers.slice(0, 4),
      };
    }
    return null;
  }
}

const NO_MAC = '000000000000';

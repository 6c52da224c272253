/**
 * Recognises copies: one packet that a capture has several times because it was taken in several places, on the way
 * from a pod's interface through a tunnel to the node's (`tcpdump -i any`, several interfaces, several files).
 *
 * A packet is known by its innermost IP packet: addresses, protocol, identification, fragment offset, and of TCP ports,
 * sequence and acknowledgment number, flags, window, length and the first bytes carried; of everything else length and
 * first bytes. What changes on the way is left out: TTL, MAC addresses, tunnels around it, and checksums, which are not
 * filled in yet where the sending host is the capturing one.
 *
 * Seen again in another place, a packet is a copy; in the same place, a packet of its own, such as a retransmission
 * that differs in nothing. So the places of each are remembered until it comes again to one of them. Where a router
 * sends it out of the interface that it came by, or a gateway puts it into a tunnel there, it is of its own too, but
 * has not come again.
 */
import * as v4 from '../../dissectors/ipv4.ts';
import { hopLimit, ipv6 } from '../../dissectors/ipv6.ts';
import { tcp } from '../../dissectors/tcp.ts';
import { udp, checksum as udpChecksum } from '../../dissectors/udp.ts';
import { AddressKind, type FlowRoles } from '../core/outline.ts';
import type { Packet } from '../pipeline.ts';
import { Taps } from './taps.ts';

export const Seen = {
  /** Nothing to know it by: neither IP nor ARP, or its header is cut. */
  unknown: 0,
  /** For the first time. */
  first: 1,
  /** Before, in another place. */
  copy: 2,
  /** Before, in this same place, in another tunnel or with another TTL: on its way through here. */
  passing: 3,
  /** Before, in this same place, and in nothing different. */
  again: 4,
} as const;
export type Seen = (typeof Seen)[keyof typeof Seen];

/** Seconds between the copies of a packet: a second covers the way through a cluster and clocks that differ a little. */
const WINDOW = 1;
const SETS = 1 << 14;
const WAYS = 4;
/** Places remembered per packet; on a node with Istio's tunnels it passes seven. */
const PLACES = 12;
/** Bytes looked at behind the header. */
const PREFIX = 16;
const TCP_FIXED = 16;

export class CopyDetector {
  readonly taps: Taps;
  /** Of the last packet: entry in which it is remembered, for whoever keeps more of it; -1 for none. */
  slot = -1;
  /** Of the last packet: seconds since it was first seen, elsewhere. */
  since = 0;
  /** Entries that there are: `slot` is below it. */
  static readonly slots = SETS * WAYS;

  private readonly roles: FlowRoles;
  private readonly ipv4: number;
  private readonly ipv6: number;
  private readonly tcp: number;
  private readonly udp: number;
  private readonly first = new Int32Array(SETS * WAYS);
  private readonly second = new Int32Array(SETS * WAYS);
  private readonly times = new Float64Array(SETS * WAYS).fill(Number.NEGATIVE_INFINITY);
  private readonly places = new Int32Array(SETS * WAYS * PLACES);
  private readonly forms = new Int32Array(SETS * WAYS * PLACES);
  private readonly placeCounts = new Uint8Array(SETS * WAYS);
  private a = 0;
  private b = 0;

  constructor(roles: FlowRoles) {
    this.roles = roles;
    this.taps = new Taps(roles);
    this.ipv4 = roles.protocols.indexOf(v4.ipv4);
    this.ipv6 = roles.protocols.indexOf(ipv6);
    this.tcp = roles.protocols.indexOf(tcp);
    this.udp = roles.protocols.indexOf(udp);
  }

  /** Whether the packet was seen before. To be asked once of each, in order. */
  see(packet: Packet): Seen {
    this.slot = -1;
    this.since = 0;
    if (!this.print(packet)) return Seen.unknown;
    const { batch, index } = packet;
    const now = batch.seconds[index] + batch.nanoseconds[index] / 1e9;
    const place = this.taps.of(packet);
    const form = this.form(packet);
    const set = (this.a & (SETS - 1)) * WAYS;
    let oldest = set;
    for (let i = set; i < set + WAYS; i++) {
      if (this.first[i] === this.a && this.second[i] === this.b && Math.abs(now - this.times[i]) <= WINDOW)
        return this.known(i, place, form, now);
      if (this.times[i] < this.times[oldest]) oldest = i;
    }
    this.first[oldest] = this.a;
    this.second[oldest] = this.b;
    this.begin(oldest, place, form, now);
    return Seen.first;
  }

  /** What a packet has around it and loses on its way: tunnels by their innermost VNI and ends, and its TTL. */
  private form({ batch: { view }, layers, outline }: Packet): number {
    const { roles } = this;
    const start = layers.start(outline.network);
    const protocol = layers.protocol(outline.network);
    let form =
      protocol === this.ipv4
        ? v4.timeToLive.read(view, start)
        : protocol === this.ipv6
          ? hopLimit.read(view, start)
          : 0;
    const last = outline.tunnelCount - 1;
    if (last < 0) return form;
    const tunnel = outline.tunnelLayer(last);
    form ^= (roles.tunnelVni(view, layers.protocol(tunnel), layers.start(tunnel)) + 1) << 8;
    const network = outline.tunnelNetwork(last);
    const addresses = network < 0 ? undefined : roles.protocols[layers.protocol(network)].flow?.addresses;
    if (!addresses) return form ^ (last << 4);
    const [source, destination] = addresses;
    const at = layers.start(network);
    // Ends of tunnels differ in their last bytes.
    form ^= Math.imul(view.getInt32(at + source.at + source.size - 4), 0x01000193);
    return form ^ Math.imul(view.getInt32(at + destination.at + destination.size - 4), 0x85ebca6b);
  }

  private begin(slot: number, place: number, form: number, now: number): void {
    this.slot = slot;
    this.times[slot] = now;
    this.places[slot * PLACES] = place;
    this.forms[slot * PLACES] = form;
    this.placeCounts[slot] = 1;
  }

  private known(slot: number, place: number, form: number, now: number): Seen {
    this.slot = slot;
    this.since = now - this.times[slot];
    const from = slot * PLACES;
    const count = this.placeCounts[slot];
    let seen: Seen = Seen.copy;
    for (let i = from; i < from + count; i++) {
      if (this.places[i] !== place) continue;
      if (this.forms[i] === form) {
        this.begin(slot, place, form, now);
        return Seen.again;
      }
      seen = Seen.passing;
    }
    if (count < PLACES) {
      this.places[from + count] = place;
      this.forms[from + count] = form;
      this.placeCounts[slot]++;
    }
    return seen;
  }

  private mix(word: number): void {
    this.a = Math.imul(this.a ^ word, 0x01000193);
    this.a ^= this.a >>> 15;
    this.b = Math.imul((this.b << 5) ^ (this.b >>> 27) ^ word, 0x85ebca6b);
  }

  /** Bytes [from, to), the last word filled with what there is. */
  private mixBytes(view: DataView, from: number, to: number): void {
    let at = from;
    for (; at + 4 <= to; at += 4) this.mix(view.getInt32(at));
    for (; at < to; at++) this.mix(view.getUint8(at) | 0x100);
  }

  /** Leaves what the packet is known by in `a` and `b`; false where there is nothing. */
  private print({ batch: { view }, layers, outline }: Packet): boolean {
    const { network } = outline;
    if (network < 0) return false;
    const protocol = layers.protocol(network);
    const kind = this.roles.addressKind[protocol];
    if (kind === AddressKind.none || kind === AddressKind.ether) return false;
    const start = layers.start(network);
    const body = layers.bodyOf(network);
    const end = layers.endOf(network);
    this.a = 0x811c9dc5 | 0;
    this.b = protocol;
    if (protocol === this.ipv4) {
      this.mixBytes(view, start + v4.source.at, start + v4.destination.at + v4.destination.size);
      this.mix((v4.identification.read(view, start) << 16) | v4.fragmentOffset.read(view, start));
      this.mix(v4.protocol.read(view, start));
    } else if (protocol === this.ipv6) {
      const [source, destination] = this.roles.protocols[protocol].flow!.addresses!;
      this.mixBytes(view, start + source.at, start + destination.at + destination.size);
    } else {
      this.mixBytes(view, start, body); // ARP is all header
      return true;
    }
    // Headers of IPv6 before transport are carried as they are.
    this.mix(layers.limitOf(network) - body);
    const transport = outline.transport;
    const next = transport < 0 ? -1 : layers.protocol(transport);
    const at = transport < 0 ? body : layers.start(transport);
    if (next === this.tcp) {
      if (at + TCP_FIXED > end) return false;
      this.mixBytes(view, at, at + TCP_FIXED);
      const data = layers.bodyOf(transport);
      this.mixBytes(view, data, Math.min(data + PREFIX, end));
    } else if (next === this.udp) {
      if (at + udpChecksum.at > end) return false;
      this.mixBytes(view, at, at + udpChecksum.at);
      const data = at + udpChecksum.at + udpChecksum.size;
      this.mixBytes(view, data, Math.min(data + PREFIX, end));
    } else {
      this.mixBytes(view, body, Math.min(body + 2 * PREFIX, end));
    }
    return true;
  }
}

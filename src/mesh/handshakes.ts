/** How TCP connections begin: SYNs and their answers, in tunnels and bare, and who sends them under whose address. */
import { ethernet, source as sourceMac } from '../../dissectors/ethernet.ts';
import * as v1 from '../../dissectors/sll.ts';
import * as v2 from '../../dissectors/sll2.ts';
import { sequence, TcpFlag } from '../../dissectors/tcp.ts';
import { BoundedMap } from '../check/bounded-map.ts';
import { Seen } from '../check/copies.ts';
import { evidenceOf, type PacketEvidence } from '../check/findings.ts';
import type { Scene } from '../check/rule.ts';
import { layerAddress, layerPort } from '../core/record.ts';
import { timeText } from '../core/text.ts';
import type { Packet } from '../pipeline.ts';

const MAX_HANDSHAKES = 16_384;
const MAX_EVIDENCE = 6;
const MAX_PLACES = 16;

/** A SYN at one place: on a device of the capture, bare or under a VNI. */
export interface Hop {
  readonly place: string;
  /** -1 for bare. */
  readonly vni: number;
  readonly seconds: number;
  readonly time: string;
  readonly evidence: PacketEvidence;
}

/** One attempt to connect, told from others by its first sequence number. */
export class Handshake {
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly serverPort: number;
  readonly sequence: number;
  /** Time of the first SYN. */
  readonly seconds: number;
  readonly time: string;
  /** SYNs that are no copies of each other. */
  syns = 0;
  /** Time of the last of them. */
  latest = Number.NEGATIVE_INFINITY;
  /** VNIs under which SYNs were seen, -1 for bare. */
  readonly vnis = new Set<number>();
  /** Places where SYNs, and where answers were seen. */
  readonly synPlaces = new Set<number>();
  readonly answerPlaces = new Set<number>();
  answers = 0;
  /** Answers that came inside a tunnel. */
  answersInside = 0;
  /** SYNs after the first answer. */
  synsAfterAnswer = 0;
  refused = 0;
  /** On a loopback device. */
  onLoopback = false;
  /** Places that the first SYN passed, in the order of the capture. */
  readonly hops: Hop[] = [];
  readonly evidence: PacketEvidence[] = [];
  readonly answerEvidence: PacketEvidence[] = [];

  constructor(
    client: string,
    clientPort: number,
    server: string,
    serverPort: number,
    sequence: number,
    seconds: number,
    time: string,
  ) {
    this.client = client;
    this.clientPort = clientPort;
    this.server = server;
    this.serverPort = serverPort;
    this.sequence = sequence;
    this.seconds = seconds;
    this.time = time;
  }

  get text(): string {
    return `${endText(this.client, this.clientPort)} > ${endText(this.server, this.serverPort)}`;
  }
}

export function endText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export class Handshakes {
  readonly all = new BoundedMap<string, Handshake>(MAX_HANDSHAKES);
  private readonly scene: Scene;
  private readonly ethernet: number;
  private readonly cooked1: number;
  private readonly cooked2: number;

  constructor(scene: Scene) {
    this.scene = scene;
    const { registry } = scene.dissector;
    this.ethernet = registry.indexOf(ethernet.name);
    this.cooked1 = registry.indexOf(v1.sll.name);
    this.cooked2 = registry.indexOf(v2.sll2.name);
  }

  /** A packet with SYN or RST. The attempt it belongs to; null where it is none that was seen. */
  packet(packet: Packet, seen: Seen, bits: number, vni: number): Handshake | null {
    const { layers, outline, batch, index } = packet;
    const { roles, copies } = this.scene;
    const { view } = batch;
    const { transport, network } = outline;
    const source = layerAddress(roles, layers, view, network, 0)!;
    const destination = layerAddress(roles, layers, view, network, 1)!;
    const sourcePort = layerPort(roles, layers, view, transport, 0)!;
    const destinationPort = layerPort(roles, layers, view, transport, 1)!;
    const isAnswer = (bits & (TcpFlag.ack | TcpFlag.reset)) !== 0;
    const place = copies.taps.of(packet);
    if (isAnswer) {
      const handshake = this.all.get(`${destination} ${destinationPort} ${source} ${sourcePort}`);
      if (handshake === undefined) return null;
      if ((bits & TcpFlag.reset) !== 0) {
        if (handshake.answers === 0) handshake.refused++;
      } else if (handshake.answers === 0 || isOwn(seen)) {
        // The first that is read counts although it is a copy: the original may lie in a tunnel of others, or be cut.
        handshake.answers++;
        if (vni >= 0) handshake.answersInside++;
      }
      if (handshake.answerPlaces.size < MAX_PLACES) handshake.answerPlaces.add(place);
      if (handshake.answerEvidence.length < MAX_EVIDENCE) handshake.answerEvidence.push(evidenceOf(packet));
      return handshake;
    }
    const first = sequence.read(view, layers.start(transport));
    const key = `${source} ${sourcePort} ${destination} ${destinationPort}`;
    let handshake = this.all.get(key);
    if (handshake === undefined || handshake.sequence !== first) {
      handshake = new Handshake(
        source,
        sourcePort,
        destination,
        destinationPort,
        first,
        batch.seconds[index] + batch.nanoseconds[index] / 1e9,
        timeText(batch.seconds[index], batch.nanoseconds[index]),
      );
      this.all.set(key, handshake);
    }
    const now = batch.seconds[index] + batch.nanoseconds[index] / 1e9;
    if (handshake.syns === 0 || (isOwn(seen) && now - handshake.latest >= SHORTEST_TIMEOUT)) {
      handshake.syns++;
      handshake.latest = now;
      if (handshake.answers > 0) handshake.synsAfterAnswer++;
    }
    handshake.vnis.add(vni);
    if (handshake.syns <= 1) this.hop(packet, handshake, vni);
    if (handshake.synPlaces.size < MAX_PLACES) handshake.synPlaces.add(place);
    if (handshake.evidence.length < MAX_EVIDENCE) handshake.evidence.push(evidenceOf(packet));
    handshake.onLoopback ||= this.isLoopback(packet);
    return handshake;
  }

  private hop(packet: Packet, { hops }: Handshake, vni: number): void {
    if (hops.length >= MAX_PLACES) return;
    const { batch, index } = packet;
    const seconds = batch.seconds[index] + batch.nanoseconds[index] / 1e9;
    const time = timeText(batch.seconds[index], batch.nanoseconds[index]);
    hops.push({
      place: this.scene.copies.taps.name(packet),
      vni,
      seconds,
      time,
      evidence: evidenceOf(packet),
    });
  }

  private isLoopback({ batch: { view }, layers }: Packet): boolean {
    if (layers.count === 0) return false;
    const start = layers.start(0);
    // The loopback device has no MAC address.
    if (layers.protocol(0) === this.ethernet)
      return view.getUint32(start + sourceMac.at) === 0 && view.getUint16(start + sourceMac.at + 4) === 0;
    const root = layers.protocol(0);
    if (root === this.cooked1) return v1.hardware.read(view, start) === LOOPBACK;
    return root === this.cooked2 && v2.hardware.read(view, start) === LOOPBACK;
  }
}

/**
 * Seconds between a SYN and its repetition, at least: the timeout begins at 1 (RFC 6298 section 2). What looks the same
 * sooner is a copy, even where the capture does not name devices, as version 1 of cooked headers does not.
 */
const SHORTEST_TIMEOUT = 0.5;

/** Not seen before on its way. */
function isOwn(seen: Seen): boolean {
  return seen !== Seen.copy && seen !== Seen.passing;
}

/** ARPHRD_LOOPBACK of Linux' if_arp.h. */
const LOOPBACK = 772;

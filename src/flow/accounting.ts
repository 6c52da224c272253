/** Packets in, flows out: reads walked packets through their protocols' fields into the flow table. */

import { acknowledgment, flags, headerLength, sequence, tcp, window } from '../../dissectors/tcp.ts';
import type { Dissector } from '../core/dissector.ts';
import type { Layers } from '../core/layers.ts';
import { AddressKind, type FlowRoles, type Outline } from '../core/outline.ts';
import type { FlowRole } from '../core/protocol.ts';
import type { Registry } from '../core/registry.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import { Fragments, type Waiting } from './fragments.ts';
import { Interner } from './interner.ts';
import { NO_OPTIONS, OptionSets } from './options.ts';
import { Double, Flag, FlowTable, Key, Word } from './table.ts';
import { TcpTable } from './tcp.ts';
import { Endpoints, NO_ENDPOINTS, NO_PATH, Paths } from './tunnels.ts';

/** How VNIs enter the flow key; `auto` joins the directions of a conversation that use different ones. */
export type VniKey = 'auto' | 'strict' | 'none';

/** Number in a flow's identity where no protocol is known. */
export const NO_PROTOCOL = 0xffff;
const KIND_SHIFT = 16;
const NAME_OF_TUNNEL_FUNCTION = -1;

/** An option list of a tunnel protocol, with the number of its decoders' table. */
type OptionList = NonNullable<NonNullable<FlowRole['tunnel']>['options']> & { readonly number: number };

export class FlowAccounting implements PacketSink {
  readonly table = new FlowTable();
  readonly paths = new Paths();
  readonly endpoints = new Endpoints();
  readonly tcp = new TcpTable();
  readonly optionSets = new OptionSets();
  /** Pairs (path, endpoints) that flows have moved away from. */
  readonly formerEndpoints = new Interner(2);
  readonly roles: FlowRoles;
  readonly vniKey: VniKey;
  readonly registry: Registry;
  private readonly dissector: Dissector;
  private readonly fragments = new Fragments();
  private readonly tcpNumber: number;
  /** Name number by protocol, where the tunnel's name does not depend on the packet. */
  private readonly tunnelNames: Int32Array;
  private readonly optionLists: (OptionList | null)[];
  /** Identifies portless conversations, by protocol number. */
  private readonly conversationKeys: (((view: DataView, start: number, end: number) => number) | null)[];
  /** Whole seconds of the first packet: the zero of the nanosecond clock, which doubles hold exactly for 104 days. */
  private clockStart = Number.NaN;
  /** What the last packet was accounted as. */
  private direction = 0;
  private tunnelPath = NO_PATH;
  private tunnelEndpoints = NO_ENDPOINTS;

  constructor(dissector: Dissector, roles: FlowRoles, vniKey: VniKey = 'auto') {
    this.dissector = dissector;
    this.registry = dissector.registry;
    this.roles = roles;
    this.vniKey = vniKey;
    const { protocols } = roles;
    this.tcpNumber = protocols.indexOf(tcp);
    this.tunnelNames = new Int32Array(protocols.length).fill(NAME_OF_TUNNEL_FUNCTION);
    protocols.forEach((protocol, i) => {
      const tunnel = protocol.flow?.tunnel;
      if (tunnel && typeof tunnel.name === 'string') this.tunnelNames[i] = this.paths.nameNumber(tunnel.name);
    });
    this.optionLists = protocols.map((protocol) => {
      const options = protocol.flow?.tunnel?.options;
      return options ? { ...options, number: this.optionSets.tableNumber(options.table) } : null;
    });
    this.conversationKeys = protocols.map((protocol) => protocol.flow?.conversation ?? null);
  }

  packet({ batch, index, layers, outline }: Packet): void {
    this.account(
      batch.view,
      batch.offset[index],
      batch.length[index],
      batch.seconds[index],
      batch.nanoseconds[index],
      layers,
      outline,
    );
  }

  /**
   * Accounts one walked and outlined packet.
   * @param length bytes of the frame on the wire
   */
  account(
    view: DataView,
    frameStart: number,
    length: number,
    seconds: number,
    nanoseconds: number,
    layers: Layers,
    outline: Outline,
  ): void {
    let options = NO_OPTIONS;
    this.tunnelPath = NO_PATH;
    this.tunnelEndpoints = NO_ENDPOINTS;
    for (let i = 0; i < outline.tunnelCount; i++) {
      this.enterTunnel(view, layers, outline, i);
      options = this.readOptions(view, layers, outline.tunnelLayer(i), options);
    }
    if (layers.fragment !== 0) {
      this.fragment(view, frameStart, length, seconds, nanoseconds, layers, outline, options);
      return;
    }
    const id = this.flowFor(this.readKey(view, layers, outline));
    const bytes = length - (outline.innerStart - frameStart);
    this.count(id, this.direction, bytes, length, seconds, nanoseconds, options);
    const { transport } = outline;
    if (transport >= 0 && layers.protocol(transport) === this.tcpNumber) {
      this.tcpSegment(view, layers, transport, id, seconds, nanoseconds);
    }
  }

  private count(
    id: number,
    direction: number,
    bytes: number,
    length: number,
    seconds: number,
    nanoseconds: number,
    options: number,
  ): void {
    const { table } = this;
    const w = table.words(id);
    const b = table.base(id);
    const d = table.doubles(id);
    const c = b / 2;
    w[b + Word.packets + direction]++;
    if (w[b + Word.packets + direction] === 0) table.carry(id, direction);
    d[c + Double.bytes + direction] += bytes;
    d[c + Double.outerBytes + direction] += length;
    touch(w, b, seconds, nanoseconds);
    const endpoints = w[b + Word.endpoints + direction];
    if (endpoints !== this.tunnelEndpoints) {
      if (endpoints >= 0) this.rememberEndpoints(w[b + Word.path + direction], endpoints);
      w[b + Word.endpoints + direction] = this.tunnelEndpoints;
    }
    if (options !== NO_OPTIONS) {
      if (w[b + Word.optionSet] === -1) w[b + Word.optionSet] = options;
      if (w[b + Word.optionSet] === options) w[b + Word.optionPackets]++;
      else this.optionSets.countOther(id, options);
    }
  }

  private rememberEndpoints(path: number, endpoints: number): void {
    this.formerEndpoints.key[0] = path;
    this.formerEndpoints.key[1] = endpoints;
    this.formerEndpoints.intern();
  }

  private fragment(
    view: DataView,
    frameStart: number,
    length: number,
    seconds: number,
    nanoseconds: number,
    layers: Layers,
    outline: Outline,
    options: number,
  ): void {
    const { roles, fragments } = this;
    const last = layers.ownCount - 1;
    const part = (layer: number) =>
      roles.protocols[layers.protocol(layer)].flow?.fragment?.part(view, layers.start(layer)) ?? 0;
    const datagramOf = (layer: number) =>
      fragments.datagram(view, layers, roles, layer, this.pathAt(outline, layer));
    const bytes = length - (outline.innerStart - frameStart);
    const later = layers.fragment === 2 ? datagramOf(last) : null;
    const inside = length - (layers.bodyOf(last) - frameStart);

    let id: number;
    let { direction } = this;
    if (later !== null && later.flow >= 0) {
      id = later.flow;
      direction = later.direction;
      const deeper = this.table.word(id, Word.path + direction) !== this.tunnelPath;
      if (deeper) this.tunnelEndpoints = this.table.word(id, Word.endpoints + direction);
      this.count(id, direction, deeper ? inside : bytes, length, seconds, nanoseconds, options);
    } else {
      id = this.flowFor(this.readKey(view, layers, outline));
      direction = this.direction;
      this.count(id, direction, bytes, length, seconds, nanoseconds, options);
      if (later !== null) later.wait(id, direction, bytes, inside, length, seconds, nanoseconds);
    }
    for (let layer = 0; layer <= last; layer++) {
      if (part(layer) !== 1) continue;
      const datagram = datagramOf(layer);
      datagram.flow = id;
      datagram.direction = direction;
      if (datagram.waiting !== null) this.moveWaiting(datagram.waiting, id, direction);
      datagram.waiting = null;
    }
  }

  /** Path of the tunnels that layer `layer` is in. */
  private pathAt(outline: Outline, layer: number): number {
    let path = this.tunnelPath;
    for (let i = outline.tunnelCount - 1; i >= 0 && path !== NO_PATH && outline.tunnelLayer(i) >= layer; i--)
      path = this.paths.parent(path);
    return path;
  }

  private moveWaiting(waiting: Waiting, to: number, direction: number): void {
    const { table } = this;
    const deeper =
      table.word(to, Word.path + direction) !== table.word(waiting.flow, Word.path + waiting.direction);
    table.addPackets(waiting.flow, waiting.direction, -waiting.packets);
    table.addDouble(waiting.flow, Double.bytes + waiting.direction, -waiting.bytes);
    table.addDouble(waiting.flow, Double.outerBytes + waiting.direction, -waiting.outerBytes);
    table.addPackets(to, direction, waiting.packets);
    table.addDouble(to, Double.bytes + direction, deeper ? waiting.innerBytes : waiting.bytes);
    table.addDouble(to, Double.outerBytes + direction, waiting.outerBytes);
    touch(table.words(to), table.base(to), waiting.firstSeconds, waiting.firstNanoseconds);
    touch(table.words(to), table.base(to), waiting.lastSeconds, waiting.lastNanoseconds);
  }

  private enterTunnel(view: DataView, layers: Layers, outline: Outline, i: number): void {
    const { roles, endpoints } = this;
    const layer = outline.tunnelLayer(i);
    const protocol = layers.protocol(layer);
    const start = layers.start(layer);
    if (this.vniKey !== 'none') {
      let name = this.tunnelNames[protocol];
      if (name === NAME_OF_TUNNEL_FUNCTION)
        name = this.paths.nameNumber(roles.tunnelName(view, protocol, start));
      this.tunnelPath = this.paths.intern(this.tunnelPath, name, roles.tunnelVni(view, protocol, start) | 0);
    }
    const network = outline.tunnelNetwork(i);
    const kind =
      network < 0 ? AddressKind.none : (roles.addressKind[layers.protocol(network)] as AddressKind);
    readAddress(view, layers, roles, network, roles.sourceAt, endpoints.source, 0, 1);
    readAddress(view, layers, roles, network, roles.destinationAt, endpoints.destination, 0, 1);
    const transport = outline.tunnelTransport(i);
    const port =
      transport < 0
        ? 0
        : view.getUint16(layers.start(transport) + roles.destinationAt[layers.protocol(transport)]);
    this.tunnelEndpoints = endpoints.intern(this.tunnelEndpoints, kind, port);
  }

  private readOptions(view: DataView, layers: Layers, layer: number, options: number): number {
    const list = this.optionLists[layers.protocol(layer)];
    if (list === null) return options;
    const end = layers.bodyOf(layer);
    let set = options;
    for (let at = layers.start(layer) + list.from; at + list.minimum <= end; ) {
      const size = list.size(view, at);
      if (at + size > end) break;
      set = this.optionSets.with(set, list.number, list.key(view, at));
      at += size;
    }
    return set;
  }

  /** Fills the table's key, sorts its ends, sets `direction`, and returns the key's hash. */
  private readKey(view: DataView, layers: Layers, outline: Outline): number {
    const { roles } = this;
    const { key } = this.table;
    const { network, transport, last } = outline;
    const kind = network < 0 ? AddressKind.none : roles.addressKind[layers.protocol(network)];
    readAddress(view, layers, roles, network, roles.sourceAt, key, Key.a, Key.restA);
    readAddress(view, layers, roles, network, roles.destinationAt, key, Key.b, Key.restB);
    let protocol = NO_PROTOCOL;
    let a = 0;
    let b = 0;
    if (transport >= 0) {
      protocol = layers.protocol(transport);
      a = view.getUint16(layers.start(transport) + roles.sourceAt[protocol]);
      b = view.getUint16(layers.start(transport) + roles.destinationAt[protocol]);
    } else if (last >= 0) {
      protocol = layers.protocol(last);
      // A later fragment names its protocol, though its ports are elsewhere.
      if (layers.fragment === 2) {
        const next = this.dissector.lookup(layers.table, layers.key);
        if (next >= 0) protocol = next;
      } else {
        const conversation = this.conversationKeys[protocol];
        if (conversation !== null) {
          const number = conversation(view, layers.start(last), layers.endOf(last));
          a = number >>> 16;
          b = number & 0xffff;
        }
      }
    }
    const swapped = destinationFirst(key, transport >= 0 ? b - a : 0);
    this.direction = swapped ? 1 : 0;
    if (swapped) swapEnds(key);
    key[Key.ports] = swapped && transport >= 0 ? (b << 16) | a : (a << 16) | b;
    key[Key.path] = this.tunnelPath;
    key[Key.identity] = protocol | (kind << KIND_SHIFT);
    return this.table.hash(false);
  }

  private flowFor(hash: number): number {
    const { table, direction } = this;
    const path = this.tunnelPath;
    const id = table.find(hash);
    if (id >= 0) {
      const w = table.words(id);
      const b = table.base(id);
      if ((w[b + Word.flags] & Flag.joined) !== 0 && w[b + Word.path + direction] !== path)
        this.split(id, direction);
      return id;
    }
    const joinable = this.vniKey === 'auto' && path !== NO_PATH;
    const looseHash = joinable ? table.hash(true) : 0;
    if (joinable) {
      const other = this.reverseWithOtherVni(looseHash);
      if (other >= 0) {
        table.setWord(other, Word.path + direction, path);
        table.setWord(other, Word.flags, table.word(other, Word.flags) | Flag.joined);
        table.link(hash, other);
        return other;
      }
    }
    const created = table.append();
    if (direction === 1) table.setWord(created, Word.flags, Flag.forwardBA);
    table.link(hash, created);
    if (joinable) table.link(looseHash, created);
    return created;
  }

  /**
   * A flow of the same inner addresses and ports, seen so far in the other direction only, between the same tunnel
   * endpoints under another VNI: the other half of this conversation (Cilium puts the sender's identity in the VNI).
   */
  private reverseWithOtherVni(looseHash: number): number {
    const { table, direction, paths } = this;
    const path = this.tunnelPath;
    const reversed = this.endpoints.reverse(this.tunnelEndpoints);
    return table.findWhere(
      looseHash,
      (id) =>
        table.packets(id, direction) === 0 &&
        (table.word(id, Word.flags) & Flag.joined) === 0 &&
        table.word(id, Word.endpoints + 1 - direction) === reversed &&
        paths.sameShape(table.word(id, Word.path), path),
    );
  }

  /**
   * A packet in `direction` uses the path of the other one: the flow is whole by itself, so what was joined to it is
   * another conversation and gets an entry of its own.
   */
  private split(id: number, direction: number): void {
    const { table } = this;
    const savedKey = table.key.slice();
    table.loadKey(id, direction);
    const hash = table.hash(false);
    const other = table.append();
    table.relink(hash, id, other);
    table.key.set(savedKey);
    const from = table.words(id);
    const f = table.base(id);
    const to = table.words(other);
    const o = table.base(other);
    table.addPackets(other, direction, table.packets(id, direction));
    table.addPackets(id, direction, -table.packets(id, direction));
    for (const double of [Double.bytes + direction, Double.outerBytes + direction]) {
      table.addDouble(other, double, table.double(id, double));
      table.addDouble(id, double, -table.double(id, double));
    }
    for (const i of [Word.firstSeconds, Word.firstNanoseconds, Word.lastSeconds, Word.lastNanoseconds]) {
      to[o + i] = from[f + i];
    }
    to[o + Word.endpoints + direction] = from[f + Word.endpoints + direction];
    to[o + Word.flags] = Flag.timed | (direction === 1 ? Flag.forwardBA : 0);
    from[f + Word.endpoints + direction] = -1;
    from[f + Word.path + direction] = from[f + Word.path + 1 - direction];
    from[f + Word.flags] = Flag.timed | (direction === 0 ? Flag.forwardBA : 0);
    if (from[f + Word.tcp] >= 0) {
      this.tcp.forget(from[f + Word.tcp], direction);
      to[o + Word.tcp] = this.tcp.append();
    }
  }

  private tcpSegment(
    view: DataView,
    layers: Layers,
    layer: number,
    id: number,
    seconds: number,
    nanoseconds: number,
  ): void {
    const { direction } = this;
    const start = layers.start(layer);
    if (layers.endOf(layer) - start < tcp.minLength) return;
    if (Number.isNaN(this.clockStart)) this.clockStart = seconds;
    const w = this.table.words(id);
    const b = this.table.base(id);
    if (w[b + Word.tcp] < 0) w[b + Word.tcp] = this.tcp.append();
    const payload = layers.limitOf(layer) - start - headerLength.read(view, start) * 4;
    const opens = this.tcp.segment(
      w[b + Word.tcp],
      direction,
      sequence.read(view, start) | 0,
      acknowledgment.read(view, start) | 0,
      flags.read(view, start),
      window.read(view, start),
      payload > 0 ? payload : 0,
      (seconds - this.clockStart) * 1e9 + nanoseconds,
    );
    if (opens)
      w[b + Word.flags] = (w[b + Word.flags] & ~Flag.forwardBA) | (direction === 1 ? Flag.forwardBA : 0);
  }
}

/** Widens an entry's time span to hold a packet's time. */
function touch(w: Int32Array, b: number, seconds: number, nanoseconds: number): void {
  const whole = seconds < 0 ? 0 : seconds > 0xffffffff ? 0xffffffff : seconds;
  const last = w[b + Word.lastSeconds] >>> 0;
  if (whole > last || (whole === last && nanoseconds >= w[b + Word.lastNanoseconds])) {
    w[b + Word.lastSeconds] = whole;
    w[b + Word.lastNanoseconds] = nanoseconds;
  }
  const first = w[b + Word.firstSeconds] >>> 0;
  if ((w[b + Word.flags] & Flag.timed) === 0) {
    w[b + Word.flags] |= Flag.timed;
    w[b + Word.firstSeconds] = whole;
    w[b + Word.firstNanoseconds] = nanoseconds;
    w[b + Word.lastSeconds] = whole;
    w[b + Word.lastNanoseconds] = nanoseconds;
  } else if (whole < first || (whole === first && nanoseconds < w[b + Word.firstNanoseconds])) {
    w[b + Word.firstSeconds] = whole;
    w[b + Word.firstNanoseconds] = nanoseconds;
  }
}

/** Reads an address into `words`: its first word to `first`, the others to `rest` and the two after it. */
function readAddress(
  view: DataView,
  layers: Layers,
  roles: FlowRoles,
  layer: number,
  offsets: Int32Array,
  words: Int32Array,
  first: number,
  rest: number,
): void {
  words[rest] = 0;
  words[rest + 1] = 0;
  words[rest + 2] = 0;
  if (layer < 0) {
    words[first] = 0;
    return;
  }
  const protocol = layers.protocol(layer);
  const from = layers.start(layer) + offsets[protocol];
  words[first] = view.getInt32(from);
  const kind = roles.addressKind[protocol];
  if (kind === AddressKind.ipv6) {
    words[rest] = view.getInt32(from + 4);
    words[rest + 1] = view.getInt32(from + 8);
    words[rest + 2] = view.getInt32(from + 12);
  } else if (kind === AddressKind.ether) {
    words[rest] = view.getUint16(from + 4);
  }
}

/** True where the destination's end sorts before the source's; `ports` is destination port less source port. */
function destinationFirst(key: Int32Array, ports: number): boolean {
  if (key[Key.a] !== key[Key.b]) return key[Key.b] < key[Key.a];
  for (let i = 0; i < 3; i++) {
    if (key[Key.restA + i] !== key[Key.restB + i]) return key[Key.restB + i] < key[Key.restA + i];
  }
  return ports < 0;
}

function swapEnds(key: Int32Array): void {
  const first = key[Key.a];
  key[Key.a] = key[Key.b];
  key[Key.b] = first;
  for (let i = 0; i < 3; i++) {
    const word = key[Key.restA + i];
    key[Key.restA + i] = key[Key.restB + i];
    key[Key.restB + i] = word;
  }
}

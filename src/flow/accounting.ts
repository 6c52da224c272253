/** Packets in, flows out: reads walked packets through their protocols' fields into the flow table. */

import { acknowledgment, flags, headerLength, sequence, tcp, window } from '../../dissectors/tcp.ts';
import type { Dissector } from '../core/dissector.ts';
import { type Layers, Stop } from '../core/layers.ts';
import { AddressKind, type FlowRoles, type Outline } from '../core/outline.ts';
import type { FlowRole } from '../core/protocol.ts';
import type { Registry } from '../core/registry.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import { type Datagram, Fragments } from './fragments.ts';
import { Halves } from './halves.ts';
import { Interner } from './interner.ts';
import { destinationFirst, readAddress, swapEnds } from './key.ts';
import { NO_OPTIONS, OptionSets } from './options.ts';
import { Double, Flag, FlowTable, Key, touch, Word } from './table.ts';
import { TcpTable } from './tcp.ts';
import { Endpoints, NO_ENDPOINTS, NO_PATH, Paths } from './tunnels.ts';

/** How VNIs enter the flow key; `auto` joins the directions of a conversation that use different ones. */
export type VniKey = 'auto' | 'strict' | 'none';

/** Number in a flow's identity where no protocol is known. */
export const NO_PROTOCOL = 0xffff;
const KIND_SHIFT = 16;
const NAME_OF_TUNNEL_FUNCTION = -1;
/**
 * In place of the number of a packet's tunnel endpoints: they are loaded, but were not looked up. Nearly always they are
 * those of the flow, which takes one comparison.
 */
const LOADED = -2;

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
  private readonly halves = new Halves(this.table, this.tcp, this.paths, this.endpoints);
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
      this.tcpSegment(view, layers, transport, id, true, seconds, nanoseconds);
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
    const same =
      this.tunnelEndpoints === LOADED
        ? endpoints > NO_ENDPOINTS && this.endpoints.isLoaded(endpoints)
        : endpoints === this.tunnelEndpoints;
    if (!same) {
      if (endpoints >= 0) this.rememberEndpoints(w[b + Word.path], endpoints);
      w[b + Word.endpoints + direction] = this.currentEndpoints();
    }
    if (options !== NO_OPTIONS) this.countOptions(id, options, 1);
  }

  private countOptions(id: number, set: number, packets: number): void {
    const w = this.table.words(id);
    const b = this.table.base(id);
    if (w[b + Word.optionSet] === -1) w[b + Word.optionSet] = set;
    if (w[b + Word.optionSet] === set) w[b + Word.optionPackets] += packets;
    else this.optionSets.countOther(id, set, packets);
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
    const last = layers.ownCount - 1;
    const bytes = length - (outline.innerStart - frameStart);
    // What an ICMP error quotes is no fragment itself.
    const isLater = layers.fragment === 2 && layers.quoted < 0;
    const later = isLater ? this.datagramAt(view, layers, outline, last) : null;

    let id: number;
    let { direction } = this;
    if (later !== null && later.flow >= 0) {
      id = later.flow;
      direction = later.direction;
      const tunnelled = later.tunnelEndpoints >= 0;
      if (tunnelled) this.tunnelEndpoints = later.tunnelEndpoints;
      const inside = length - (layers.bodyOf(last) - frameStart);
      this.count(id, direction, tunnelled ? inside : bytes, length, seconds, nanoseconds, options);
    } else {
      id = this.flowFor(this.readKey(view, layers, outline));
      direction = this.direction;
      this.count(id, direction, bytes, length, seconds, nanoseconds, options);
      if (later !== null) {
        const inside = length - (layers.bodyOf(last) - frameStart);
        later.wait(id, direction, bytes, inside, length, seconds, nanoseconds, options);
      }
    }
    const { transport } = outline;
    const segment = !isLater && transport >= 0 && layers.protocol(transport) === this.tcpNumber;
    // Of a segment in fragments the end is not here.
    let whole = true;
    const readable = layers.quoted < 0 && (layers.partial || layers.refused) ? last - 1 : last;
    for (let layer = 0; layer <= readable; layer++) {
      if (this.part(view, layers, layer) !== 1) continue;
      const datagram = this.datagramAt(view, layers, outline, layer);
      datagram.flow = id;
      datagram.direction = direction;
      datagram.tunnelEndpoints = this.beginsTunnel(layers, outline, layer) ? this.currentEndpoints() : -1;
      if (datagram.waiting !== null) this.moveWaiting(datagram, id, direction);
      if (layer >= outline.network) whole = false;
    }
    if (segment) this.tcpSegment(view, layers, transport, id, whole, seconds, nanoseconds);
  }

  /** 0: layer `layer` holds no fragment, 1: a first one, 2: a later one. */
  private part(view: DataView, layers: Layers, layer: number): number {
    return this.roles.protocols[layers.protocol(layer)].flow?.fragment?.part(view, layers.start(layer)) ?? 0;
  }

  /** The layer with the addresses of fragment layer `layer`: itself, or IPv6 some extension headers before it. */
  private networkOf(layers: Layers, layer: number): number {
    let network = layer;
    while (network > 0 && this.roles.addressKind[layers.protocol(network)] === AddressKind.none) network--;
    return network;
  }

  private beginsTunnel(layers: Layers, outline: Outline, layer: number): boolean {
    const { tunnelCount } = outline;
    return tunnelCount > 0 && outline.tunnelLayer(tunnelCount - 1) >= this.networkOf(layers, layer);
  }

  private datagramAt(view: DataView, layers: Layers, outline: Outline, layer: number): Datagram {
    const network = this.networkOf(layers, layer);
    let path = this.tunnelPath;
    for (let i = outline.tunnelCount - 1; i >= 0 && path !== NO_PATH; i--) {
      if (outline.tunnelLayer(i) < network) break;
      path = this.paths.parent(path);
    }
    return this.fragments.datagram(view, layers, this.roles, layer, network, path);
  }

  /** The first fragment has come: those that waited for it belong to its flow. */
  private moveWaiting(datagram: Datagram, to: number, direction: number): void {
    const { table } = this;
    const waiting = datagram.waiting!;
    const { flow } = waiting;
    datagram.waiting = null;
    table.addPackets(flow, waiting.direction, -waiting.packets);
    table.addDouble(flow, Double.bytes + waiting.direction, -waiting.bytes);
    table.addDouble(flow, Double.outerBytes + waiting.direction, -waiting.outerBytes);
    const bytes = datagram.tunnelEndpoints >= 0 ? waiting.innerBytes : waiting.bytes;
    table.addPackets(to, direction, waiting.packets);
    table.addDouble(to, Double.bytes + direction, bytes);
    table.addDouble(to, Double.outerBytes + direction, waiting.outerBytes);
    for (const [set, packets] of waiting.options) {
      if (set === NO_OPTIONS) continue;
      this.countOptions(flow, set, -packets);
      this.countOptions(to, set, packets);
    }
    touch(table.words(to), table.base(to), waiting.firstSeconds, waiting.firstNanoseconds);
    touch(table.words(to), table.base(to), waiting.lastSeconds, waiting.lastNanoseconds);
    if (table.packets(flow, 0) + table.packets(flow, 1) > 0) return;
    table.setWord(flow, Word.flags, table.word(flow, Word.flags) & ~Flag.timed);
    if (table.word(flow, Word.otherHalf) > 0) this.halves.separate(flow);
  }

  /** Number of the packet's tunnel endpoints. */
  private currentEndpoints(): number {
    if (this.tunnelEndpoints === LOADED) this.tunnelEndpoints = this.endpoints.intern();
    return this.tunnelEndpoints;
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
    endpoints.load(i === 0 ? NO_ENDPOINTS : this.currentEndpoints(), kind, port);
    this.tunnelEndpoints = LOADED;
  }

  private readOptions(view: DataView, layers: Layers, layer: number, options: number): number {
    const list = this.optionLists[layers.protocol(layer)];
    if (list === null) return options;
    // Options that claim to run past the datagram are not options: what lies there may be anything.
    if (layers.stop === Stop.malformed && layer === layers.ownCount - 1) return options;
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
      if (layers.fragment === 2 && layers.quoted < 0) {
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
    return this.table.hash(this.tunnelPath);
  }

  private flowFor(hash: number): number {
    const { table, direction } = this;
    const id = table.find(hash);
    if (id >= 0) {
      const w = table.words(id);
      const b = table.base(id);
      // With both directions it is whole by itself: what was taken for its other half is another conversation.
      const other = w[b + Word.otherHalf] - 1;
      if (other >= 0 && w[b + Word.packets + direction] === 0) {
        this.halves.part(id, direction);
      }
      return id;
    }
    const created = table.append();
    if (direction === 1) table.setWord(created, Word.flags, Flag.forwardBA);
    table.link(hash, created);
    if (this.vniKey === 'auto' && this.tunnelPath !== NO_PATH) {
      this.halves.join(created, direction, this.currentEndpoints());
    }
    return created;
  }

  /** @param whole false where the segment's end is in another fragment */
  private tcpSegment(
    view: DataView,
    layers: Layers,
    layer: number,
    id: number,
    whole: boolean,
    seconds: number,
    nanoseconds: number,
  ): void {
    const { direction } = this;
    const start = layers.start(layer);
    if (layers.endOf(layer) - start < tcp.minLength) return;
    if (Number.isNaN(this.clockStart)) this.clockStart = seconds;
    const { table } = this;
    const w = table.words(id);
    const b = table.base(id);
    const other = w[b + Word.otherHalf] - 1;
    if (w[b + Word.tcp] < 0) {
      w[b + Word.tcp] = this.tcp.append();
      if (other >= 0) table.setWord(other, Word.tcp, w[b + Word.tcp]);
    }
    const payload = layers.limitOf(layer) - start - headerLength.read(view, start);
    this.tcp.now = (seconds - this.clockStart) * 1e9 + nanoseconds;
    const opens = this.tcp.segment(
      w[b + Word.tcp],
      direction,
      sequence.read(view, start) | 0,
      acknowledgment.read(view, start) | 0,
      flags.read(view, start),
      window.read(view, start),
      payload > 0 ? payload : 0,
    );
    if (!whole) this.tcp.lose(w[b + Word.tcp], direction);
    if (opens) {
      w[b + Word.flags] = (w[b + Word.flags] & ~Flag.forwardBA) | (direction === 1 ? Flag.forwardBA : 0);
      if (other >= 0) table.setWord(other, Word.flags, w[b + Word.flags]);
    }
  }
}

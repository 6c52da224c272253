/** Packets in, flows out: plain packets go through the kernel at once, the others are read here through their fields. */

import { acknowledgment, flags, headerLength, sequence, tcp, window } from '../../dissectors/tcp.ts';
import { type Allocate, allocateBytes, type PacketBatch } from '../capture/batch.ts';
import type { Dissector } from '../core/dissector.ts';
import { type Layers, Stop } from '../core/layers.ts';
import { AddressKind, type FlowRoles, type Outline } from '../core/outline.ts';
import type { FlowRole } from '../core/protocol.ts';
import type { Registry } from '../core/registry.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import { type Datagram, Fragments } from './fragments.ts';
import type { Kernel, Sharing } from './kernel.ts';
import { NO_OPTIONS } from './options.ts';
import { Share } from './share.ts';
import type { TunnelSums } from './tunnel-totals.ts';
import { NO_ENDPOINTS, NO_PATH, Paths } from './tunnels.ts';
import type { VniSums } from './vni.ts';

/** How VNIs enter the flow key; `auto` joins the directions of a conversation that use different ones. */
export type VniKey = 'auto' | 'strict' | 'none';

/** Number in a flow's identity where no protocol is known. */
export const NO_PROTOCOL = 0xffff;
const KIND_SHIFT = 16;
const NAME_OF_TUNNEL_FUNCTION = -1;
/** Bits of `Status` in src/kernel/flows.ts. */
const TCP = 4;
const PORTLESS = 8;
/** The tuple beside it says which. */
const LOADED = -1;
/** Bytes of a block that may lie in the memory of the kernel. */
const LARGEST_BLOCK = 1 << 22;

/** An option list of a tunnel protocol, with the number of its decoders' table. */
type OptionList = NonNullable<NonNullable<FlowRole['tunnel']>['options']> & { readonly number: number };

export class FlowAccounting implements PacketSink {
  readonly paths = new Paths();
  /** The share of conversations that is accounted here, and the whole. */
  readonly own: Share;
  readonly shares: Share[];
  /** What flows that are no longer in the table add to VNIs and tunnels; null where none has ended. */
  ended: { readonly vnis: VniSums; readonly tunnels: TunnelSums } | null = null;
  /** Sums of the flows in the table, where they have been asked for. */
  vnis: VniSums | null = null;
  readonly roles: FlowRoles;
  readonly vniKey: VniKey;
  /** Sequence numbers are followed; without, flows have no `tcp` record. */
  readonly analyses: boolean;
  readonly registry: Registry;
  private readonly dissector: Dissector;
  private readonly kernel: Kernel;
  private readonly fragments = new Fragments();
  private readonly tcpNumber: number;
  /** Name number by protocol, where the tunnel's name does not depend on the packet. */
  private readonly tunnelNames: Int32Array;
  private readonly optionLists: (OptionList | null)[];
  /** Identifies portless conversations, by protocol number. */
  private readonly conversationKeys: (((view: DataView, start: number, end: number) => number) | null)[];
  /** The packet that is being accounted as the kernel sees it: a `Walked`, and where its parts are. */
  private readonly walked: number;
  private readonly word: Readonly<
    Record<
      | 'a'
      | 'ports'
      | 'path'
      | 'identity'
      | 'rest'
      | 'status'
      | 'bytes'
      | 'direction'
      | 'time'
      | 'tcp'
      | 'endpoints'
      | 'optionsTo'
      | 'options'
      | 'ends',
      number
    >
  >;
  /** The low part of the kernel's memory, where `walked` is. */
  private readonly words: Int32Array;
  private serial = 0;

  constructor(
    dissector: Dissector,
    roles: FlowRoles,
    vniKey: VniKey = 'auto',
    sharing?: Sharing,
    analyses = true,
  ) {
    this.dissector = dissector;
    this.registry = dissector.registry;
    this.roles = roles;
    this.vniKey = vniKey;
    this.analyses = analyses;
    const { protocols } = roles;
    this.own = new Share(this.registry, this.paths, sharing);
    this.shares = [this.own];
    const { kernel, optionSets } = this.own;
    this.kernel = kernel;
    this.tcpNumber = protocols.indexOf(tcp);
    this.tunnelNames = new Int32Array(protocols.length).fill(NAME_OF_TUNNEL_FUNCTION);
    protocols.forEach((protocol, i) => {
      const tunnel = protocol.flow?.tunnel;
      if (tunnel && typeof tunnel.name === 'string') this.tunnelNames[i] = this.paths.nameNumber(tunnel.name);
    });
    this.optionLists = protocols.map((protocol) => {
      const options = protocol.flow?.tunnel?.options;
      return options ? { ...options, number: optionSets.tableNumber(options.table) } : null;
    });
    this.conversationKeys = protocols.map((protocol) => protocol.flow?.conversation ?? null);
    kernel.initialize(dissector, roles, {
      analyses,
      join: vniKey === 'auto',
      ignoreVni: vniKey === 'none',
      tunnelName: (protocol) => this.tunnelNames[protocol],
      optionTable: (name) => optionSets.tableNumber(name),
    });
    const { layout } = kernel;
    this.walked = kernel.allocate(layout.walkedSize);
    this.words = kernel.refresh();
    const at = (name: string) => (this.walked + layout[`walked${name}`]) / 4;
    this.word = {
      a: at('A'),
      ports: at('Ports'),
      path: at('Path'),
      identity: at('Identity'),
      rest: at('Rest'),
      status: at('Status'),
      direction: at('Direction'),
      bytes: at('Bytes'),
      time: at('Time'),
      tcp: at('Sequence'),
      endpoints: at('Endpoints'),
      optionsTo: at('OptionsTo'),
      options: at('Options'),
      ends: at('Ends'),
    };
  }

  /**
   * Memory for a capture's blocks: packets that lie in it are accounted where they are. Blocks for giant records, which
   * grow by doubling, are elsewhere: the kernel's memory never comes back.
   */
  readonly allocate: Allocate = (bytes) =>
    bytes > LARGEST_BLOCK ? allocateBytes(bytes) : this.kernel.allocateBytes(bytes);

  /** Accounts the packets of a batch from `from` on up to the first that is not plain, whose index it returns. */
  take(batch: PacketBatch, from: number, to: number, roots: Int32Array, stops: Float64Array): number {
    const next = this.kernel.take(batch, from, to, roots, stops, this.serial);
    this.serial += next - from;
    return next;
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
   * @param serial its place among all packets, where that is not behind the last
   */
  account(
    view: DataView,
    frameStart: number,
    length: number,
    seconds: number,
    nanoseconds: number,
    layers: Layers,
    outline: Outline,
    serial = this.serial,
  ): void {
    const { words, word, kernel } = this;
    words[word.path] = NO_PATH;
    words[word.endpoints] = NO_ENDPOINTS;
    words[word.optionsTo] = 0;
    let options = NO_OPTIONS;
    for (let i = 0; i < outline.tunnelCount; i++) {
      this.enterTunnel(view, layers, outline, i);
      options = this.readOptions(view, layers, outline.tunnelLayer(i), options);
    }
    words[word.options] = options;
    words[word.bytes] = Math.max(length - (outline.innerStart - frameStart), 0);
    words[word.bytes + 1] = length;
    words[word.time] = nanoseconds;
    words[word.time + 1] = seconds;
    if (seconds < 0 || seconds > 0xffffffff) this.clampTime(seconds);
    this.readKey(view, layers, outline);
    if (layers.fragment !== 0) {
      this.fragment(view, frameStart, length, seconds, nanoseconds, layers, outline, serial);
    } else {
      this.readTcp(view, layers, outline.transport);
      kernel.exports.accountOne(this.walked, serial);
    }
    this.serial = serial + 1;
  }

  /** Seconds that do not fit count as the first or last moment that does. */
  private clampTime(seconds: number): void {
    const { words, word } = this;
    words[word.time] = seconds < 0 ? 0 : 999_999_999;
    words[word.time + 1] = seconds < 0 ? 0 : -1;
  }

  /** Lets the kernel know of the TCP header, where there is one. */
  private readTcp(view: DataView, layers: Layers, layer: number): boolean {
    if (layer < 0 || layers.protocol(layer) !== this.tcpNumber) return false;
    const start = layers.start(layer);
    if (layers.endOf(layer) - start < tcp.minLength) return false;
    const { words, word } = this;
    const payload = layers.limitOf(layer) - start - headerLength.read(view, start);
    words[word.status] |= TCP;
    words[word.tcp] = sequence.read(view, start);
    words[word.tcp + 1] = acknowledgment.read(view, start);
    words[word.tcp + 2] = flags.read(view, start) | (window.read(view, start) << 16);
    words[word.tcp + 3] = payload > 0 ? payload : 0;
    return true;
  }

  private fragment(
    view: DataView,
    frameStart: number,
    length: number,
    seconds: number,
    nanoseconds: number,
    layers: Layers,
    outline: Outline,
    serial: number,
  ): void {
    const { words, word, kernel, walked } = this;
    const path = words[word.path];
    const options = words[word.options];
    const last = layers.ownCount - 1;
    const bytes = Math.max(length - (outline.innerStart - frameStart), 0);
    const inside = Math.max(length - (layers.bodyOf(last) - frameStart), 0);
    // What an ICMP error quotes is no fragment itself.
    const isLater = layers.fragment === 2 && layers.quoted < 0;
    const later = isLater ? this.datagramAt(view, layers, outline, last, path, seconds) : null;

    let id: number;
    let direction: number;
    if (later?.seen && this.isStill(later.flow, later.serial)) {
      id = later.flow;
      direction = later.direction;
      words[word.direction] = direction;
      if (later.tunnelEndpoints >= 0) {
        words[word.endpoints] = later.tunnelEndpoints;
        words[word.bytes] = inside;
      }
      if (id >= 0) kernel.exports.countAs(id, walked);
    } else {
      const waiting = later?.waiting;
      if (waiting && this.isStill(waiting.flow, waiting.serial)) {
        // Where fragments differ in their next header (RFC 8200 section 4.5), the first one's counts for all.
        id = waiting.flow;
        direction = waiting.direction;
        words[word.direction] = direction;
        if (id >= 0) kernel.exports.countAs(id, walked);
      } else {
        if (waiting) later.waiting = null;
        id = kernel.exports.accountOne(walked, serial);
        direction = words[word.direction];
      }
      later?.wait(id, this.serialOf(id), direction, bytes, inside, length, seconds, nanoseconds, options);
    }
    // Of a segment in fragments the end is not here.
    let whole = true;
    const readable = layers.quoted < 0 && (layers.partial || layers.refused) ? last - 1 : last;
    for (let layer = 0; layer <= readable; layer++) {
      if (this.part(view, layers, layer) !== 1) continue;
      const datagram = this.datagramAt(view, layers, outline, layer, path, seconds);
      datagram.seen = true;
      datagram.flow = id;
      datagram.serial = this.serialOf(id);
      datagram.direction = direction;
      datagram.tunnelEndpoints = this.beginsTunnel(layers, outline, layer) ? this.currentEndpoints() : -1;
      if (datagram.waiting !== null) this.moveWaiting(datagram, id, direction);
      if (layer >= outline.network) whole = false;
    }
    if (isLater || id < 0 || !this.readTcp(view, layers, outline.transport)) return;
    kernel.exports.segmentOf(id, walked);
    if (!whole) kernel.exports.loseTrack(id, direction);
  }

  private serialOf(flow: number): number {
    return flow < 0 ? -1 : this.kernel.exports.serialOf(flow);
  }
  /** The entry has not been given to another flow; of those that other threads keep nothing is known. */
  private isStill(flow: number, serial: number): boolean {
    return this.serialOf(flow) === serial;
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

  private datagramAt(
    view: DataView,
    layers: Layers,
    outline: Outline,
    layer: number,
    full: number,
    seconds: number,
  ): Datagram {
    const network = this.networkOf(layers, layer);
    let path = full;
    for (let i = outline.tunnelCount - 1; i >= 0 && path !== NO_PATH; i--) {
      if (outline.tunnelLayer(i) < network) break;
      path = this.paths.parent(path);
    }
    return this.fragments.datagram(view, layers, this.roles, layer, network, path, seconds);
  }

  /** The first fragment has come: those that waited for it belong to its flow. */
  private moveWaiting(datagram: Datagram, to: number, direction: number): void {
    const { exports } = this.kernel;
    const waiting = datagram.waiting!;
    const { packets, outerBytes } = waiting;
    datagram.waiting = null;
    // Ended and told of meanwhile: its packets have been counted.
    if (!this.isStill(waiting.flow, waiting.serial)) return;
    const { flow } = waiting;
    const bytes = datagram.tunnelEndpoints >= 0 ? waiting.innerBytes : waiting.bytes;
    if (to >= 0) {
      exports.adjust(to, direction, packets, bytes, outerBytes);
      exports.touchTimes(to, waiting.firstSeconds, waiting.firstNanoseconds);
      exports.touchTimes(to, waiting.lastSeconds, waiting.lastNanoseconds);
    }
    if (flow >= 0) exports.adjust(flow, waiting.direction, -packets, -waiting.bytes, -outerBytes);
    for (const [set, count] of waiting.options) {
      if (set === NO_OPTIONS) continue;
      if (flow >= 0) exports.countOptions(flow, set, -count);
      if (to >= 0) exports.countOptions(to, set, count);
    }
    if (flow < 0 || exports.packets(flow, 0) + exports.packets(flow, 1) > 0) return;
    exports.untime(flow);
    if (exports.otherHalf(flow) >= 0) exports.separate(flow);
  }

  /** Number of the packet's tunnel endpoints. */
  private currentEndpoints(): number {
    const { words, word } = this;
    if (words[word.endpoints] === LOADED)
      words[word.endpoints] = this.kernel.exports.internEndpoints(4 * word.ends);
    return words[word.endpoints];
  }

  private enterTunnel(view: DataView, layers: Layers, outline: Outline, i: number): void {
    const { roles, words, word } = this;
    const layer = outline.tunnelLayer(i);
    const protocol = layers.protocol(layer);
    const start = layers.start(layer);
    if (this.vniKey !== 'none') {
      let name = this.tunnelNames[protocol];
      if (name === NAME_OF_TUNNEL_FUNCTION)
        name = this.paths.nameNumber(roles.tunnelName(view, protocol, start));
      words[word.path] = this.paths.intern(
        words[word.path],
        name,
        roles.tunnelVni(view, protocol, start) | 0,
      );
    }
    const network = outline.tunnelNetwork(i);
    const kind = network < 0 ? AddressKind.none : roles.addressKind[layers.protocol(network)];
    const transport = outline.tunnelTransport(i);
    const port =
      transport < 0
        ? 0
        : view.getUint16(layers.start(transport) + roles.destinationAt[layers.protocol(transport)]);
    words[word.ends] = this.currentEndpoints();
    words[word.ends + 1] = (kind << KIND_SHIFT) | port;
    this.readAddress(view, layers, network, roles.sourceAt, word.ends + 2, word.ends + 4, 2);
    this.readAddress(view, layers, network, roles.destinationAt, word.ends + 3, word.ends + 5, 2);
    words[word.endpoints] = LOADED;
  }

  private readOptions(view: DataView, layers: Layers, layer: number, options: number): number {
    const list = this.optionLists[layers.protocol(layer)];
    if (list === null) return options;
    // Options that claim to run past the datagram are not options: what lies there may be anything.
    if (layers.stop === Stop.malformed && layer === layers.ownCount - 1) return options;
    const end = layers.bodyOf(layer);
    let set = options;
    for (let at = layers.start(layer) + list.from; at + list.minimum <= end; ) {
      const size = list.minimum + list.length.read(view, at);
      if (at + size > end) break;
      const option = list.class.read(view, at) * 256 + list.type.read(view, at);
      set = this.kernel.exports.withOption(set, list.number, option);
      at += size;
    }
    return set;
  }

  /** Reads an address into the packet's words: its first to `first`, the other three `stride` apart from `rest` on. */
  private readAddress(
    view: DataView,
    layers: Layers,
    layer: number,
    offsets: Int32Array,
    first: number,
    rest: number,
    stride: number,
  ): void {
    const { words } = this;
    words[rest] = 0;
    words[rest + stride] = 0;
    words[rest + 2 * stride] = 0;
    if (layer < 0) {
      words[first] = 0;
      return;
    }
    const protocol = layers.protocol(layer);
    const from = layers.start(layer) + offsets[protocol];
    words[first] = view.getInt32(from);
    const kind = this.roles.addressKind[protocol];
    if (kind === AddressKind.ipv6) {
      words[rest] = view.getInt32(from + 4);
      words[rest + stride] = view.getInt32(from + 8);
      words[rest + 2 * stride] = view.getInt32(from + 12);
    } else if (kind === AddressKind.ether) {
      words[rest] = view.getUint16(from + 4);
    }
  }

  private readKey(view: DataView, layers: Layers, outline: Outline): void {
    const { roles, words, word } = this;
    const { network, transport, last } = outline;
    const kind = network < 0 ? AddressKind.none : roles.addressKind[layers.protocol(network)];
    this.readAddress(view, layers, network, roles.sourceAt, word.a, word.rest, 1);
    this.readAddress(view, layers, network, roles.destinationAt, word.a + 1, word.rest + 3, 1);
    let protocol = NO_PROTOCOL;
    let ports = 0;
    words[word.status] = PORTLESS;
    if (transport >= 0) {
      const start = layers.start(transport);
      protocol = layers.protocol(transport);
      ports =
        (view.getUint16(start + roles.sourceAt[protocol]) << 16) |
        view.getUint16(start + roles.destinationAt[protocol]);
      words[word.status] = 0;
    } else if (last >= 0) {
      protocol = layers.protocol(last);
      // A later fragment names its protocol, though its ports are elsewhere.
      if (layers.fragment === 2 && layers.quoted < 0) {
        const next = this.dissector.lookup(layers.table, layers.key);
        if (next >= 0) protocol = next;
      } else {
        ports = this.conversationKeys[protocol]?.(view, layers.start(last), layers.endOf(last)) ?? 0;
      }
    }
    words[word.ports] = ports;
    words[word.identity] = protocol | (kind << KIND_SHIFT);
  }

  /** Makes what was accounted so far ready to be read. */
  settle(): void {
    for (const { kernel } of this.shares) {
      kernel.refresh();
      kernel.nameAll(this.roles.protocols, this.paths.protocolNames);
    }
  }

  /** Takes over what another thread has accounted and stored with `saveState` at `state`. */
  adopt(share: number, state: number): void {
    const { common, sharing } = this.kernel;
    const adopted = new Share(this.registry, this.paths, { common, share, shares: sharing.shares });
    // Tables have the same numbers everywhere.
    for (const name of this.own.optionSets.tableNames) adopted.optionSets.tableNumber(name);
    adopted.kernel.exports.adoptState(state);
    this.shares.push(adopted);
  }

  /** Walks packet `i` of a batch that begins with protocol number `root`. */
  walk(batch: PacketBatch, i: number, root: number, layers: Layers, outline: Outline): void {
    const start = batch.offset[i];
    this.dissector.walk(batch.view, start, batch.captured[i], batch.length[i], root, layers);
    outline.read(layers, this.roles, start);
  }
}

import type { Layers } from '../core/layers.ts';
import { type FlowRoles, type Outline, Role } from '../core/outline.ts';
import { layerAddress } from '../core/record.ts';
import type { PacketBatch } from './batch.ts';
import type { Capture } from './capture.ts';
import { writeNames } from './capture-writer.ts';
import type { Destination } from './destination.ts';
import { PcapngWriter } from './pcapng-writer.ts';

/** IPv4 and IPv6 without a link layer, https://www.tcpdump.org/linktypes.html. */
const LINKTYPE_RAW = 101;

/** Interfaces of their own that tunnels may have: packets must not decide how much memory there is. */
const MAX_TUNNEL_INTERFACES = 16_384;

export interface DecapOptions {
  /** Write the frames inside so many tunnels, counted from the outside; without it, the innermost ones. */
  readonly depth?: number | undefined;
  readonly maxInterfaces?: number | undefined;
}

/** Packets that `DecapWriter` did not write, by the reason. */
export interface LeftOut {
  /** Not in a tunnel, or not in as many as were asked for. */
  untunnelled: number;
  /** Fragments of datagrams after the first, which has the headers. */
  fragments: number;
  /** Nothing inside that has a link type: cut before it, a control message, an unknown protocol. */
  frameless: number;
}

/**
 * Writes the frames inside the tunnels of packets. There is an interface for each path of tunnels with their VNIs and
 * endpoints, and each kind of frame; its name and description tell the path.
 */
export class DecapWriter {
  readonly leftOut: LeftOut = { untunnelled: 0, fragments: 0, frameless: 0 };
  /** Packets of tunnels that got no interface of their own: each has the path in its comment. */
  crowded = 0;

  private readonly capture: Capture;
  private readonly roles: FlowRoles;
  readonly depth: number | undefined;
  private readonly maxInterfaces: number;
  private readonly writer: PcapngWriter;
  /** Link type of frames that begin with the protocol of this number, -1 for none. */
  private readonly linkTypes: Int32Array;
  private readonly interfaces = new Map<string, number>();
  /** By link type, the interfaces of tunnels that have none of their own. */
  private readonly crowds = new Map<number, number>();

  constructor(capture: Capture, roles: FlowRoles, destination: Destination, options: DecapOptions = {}) {
    this.capture = capture;
    this.roles = roles;
    this.depth = options.depth;
    this.maxInterfaces = options.maxInterfaces ?? MAX_TUNNEL_INTERFACES;
    this.writer = new PcapngWriter(destination);
    this.linkTypes = Int32Array.from(roles.protocols, ({ on }, i) => {
      const key = on.find(([table]) => table === 'link')?.[1];
      return key === undefined ? -1 : roles.role[i] === Role.network ? LINKTYPE_RAW : key;
    });
  }

  get clampedTimes(): number {
    return this.writer.clampedTimes;
  }

  /** Bytes of the current file. */
  get size(): number {
    return this.writer.size;
  }

  /** Completes the current file and goes on in another, which knows no tunnels yet. */
  next(destination: Destination): Promise<void> {
    this.interfaces.clear();
    this.crowds.clear();
    return this.writer.next(destination);
  }

  /** Takes a packet of `batch` that was walked. */
  packet(batch: PacketBatch, i: number, layers: Layers, outline: Outline): void {
    const { writer, leftOut } = this;
    const tunnels = this.depth ?? outline.tunnelCount;
    if (tunnels === 0 || tunnels > outline.tunnelCount) {
      leftOut[layers.fragment === 2 ? 'fragments' : 'untunnelled']++;
      return;
    }
    const layer = this.frameLayer(layers, outline, tunnels);
    if (layer < 0) {
      leftOut.frameless++;
      return;
    }
    writeNames(this.capture.names, writer);
    const start = layers.start(layer);
    const end = layers.endOf(layer - 1);
    const linkType = this.linkTypes[layers.protocol(layer)];
    const path = this.path(batch.view, layers, outline, tunnels);
    let which = this.interfaceOf(path, linkType);
    let comment = batch.comments?.get(i);
    if (which < 0) {
      this.crowded++;
      which = this.crowdOf(linkType);
      const text = path.join(' ');
      comment = comment === undefined ? text : `${comment}\n${text}`;
    }
    const length = Math.max(end, this.limit(layers, layer)) - start;
    const { seconds, nanoseconds, bytes } = batch;
    writer.packet(which, seconds[i], nanoseconds[i], bytes, start, end, length, comment);
  }

  /** The first layer inside the last of so many tunnels that a link type begins with: behind MPLS labels, an NSH. */
  private frameLayer(layers: Layers, outline: Outline, tunnels: number): number {
    const end = tunnels < outline.tunnelCount ? outline.tunnelLayer(tunnels) + 1 : layers.ownCount;
    for (let i = outline.tunnelLayer(tunnels - 1) + 1; i < end; i++)
      if (this.linkTypes[layers.protocol(i)] >= 0) return i;
    return -1;
  }

  /** Where the frame that begins with `layer` ends on the wire. */
  private limit(layers: Layers, layer: number): number {
    const limit = layers.limitOf(layer - 1);
    if (layers.fragment === 1) {
      // The length of a datagram is not in its first fragment, unless it is UDP's; that of the packet inside is.
      for (let i = layer; i < layers.ownCount; i++)
        if (this.roles.role[layers.protocol(i)] === Role.network) return Math.min(limit, layers.limitOf(i));
    }
    return limit;
  }

  /** The tunnels from the outside in, e.g. "geneve:1000 192.0.2.1>192.0.2.2". */
  private path(view: DataView, layers: Layers, outline: Outline, tunnels: number): string[] {
    const { roles } = this;
    const path: string[] = [];
    for (let i = 0; i < tunnels; i++) {
      const layer = outline.tunnelLayer(i);
      const protocol = layers.protocol(layer);
      const name = roles.tunnelName(view, protocol, layers.start(layer));
      const vni = roles.tunnelVni(view, protocol, layers.start(layer));
      const network = outline.tunnelNetwork(i);
      const source = layerAddress(roles, layers, view, network, 0);
      const destination = layerAddress(roles, layers, view, network, 1);
      path.push(`${vni < 0 ? name : `${name}:${vni}`} ${source ?? '?'}>${destination ?? '?'}`);
    }
    return path;
  }

  /** Number of the interface for frames of `linkType` in these tunnels, -1 where there are as many as may be. */
  private interfaceOf(path: readonly string[], linkType: number): number {
    const name = path.join(' ');
    const key = `${linkType} ${name}`;
    const known = this.interfaces.get(key);
    if (known !== undefined) return known;
    if (this.interfaces.size === this.maxInterfaces) return -1;
    const description = `Frames inside ${path.map(pathWords).join(', inside ')}`;
    const which = this.writer.interface({ linkType, name, description, snapLength: 0 });
    this.interfaces.set(key, which);
    return which;
  }

  private crowdOf(linkType: number): number {
    let which = this.crowds.get(linkType);
    if (which === undefined) {
      const description = `Frames inside more than ${this.maxInterfaces} tunnels: their comments tell which`;
      which = this.writer.interface({ linkType, name: 'other tunnels', description, snapLength: 0 });
      this.crowds.set(linkType, which);
    }
    return which;
  }

  /** Nothing may be written until this resolves. */
  flush(): Promise<void> {
    return this.writer.flush();
  }

  complete(): Promise<void> {
    return this.writer.complete();
  }

  abandon(): Promise<string | null> {
    return this.writer.abandon();
  }
}

/** "geneve:1000 192.0.2.1>192.0.2.2" in words. */
function pathWords(step: string): string {
  return step.replace(/^([^ :]+)(?::(\d+))? (.*)>(.*)$/, (_, name, vni, source, destination) => {
    const network = vni === undefined ? '' : ` VNI ${vni}`;
    return `${name}${network} from ${source} to ${destination}`;
  });
}

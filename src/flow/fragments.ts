/**
 * IP fragments and the flow they belong to.
 *
 * Only the first fragment of a datagram holds what comes after IP: ports, or a whole tunnel header with the inner
 * frame's. Its flow is remembered by what identifies the datagram (RFC 791: addresses, protocol, identification), and
 * later fragments are accounted to it. Those that come before it wait under a flow without ports, and are moved.
 */
import type { Layers } from '../core/layers.ts';
import type { FlowRoles } from '../core/outline.ts';
import { hexText } from '../core/text.ts';

/** Datagrams remembered at once; the oldest is forgotten first. */
const MAXIMUM = 4096;

/** Where a fragment that waits for its datagram's first one was accounted meanwhile. */
export interface Waiting {
  readonly flow: number;
  readonly direction: number;
  packets: number;
  /** As accounted, and as they count inside the tunnel that the first fragment may turn out to hold. */
  bytes: number;
  innerBytes: number;
  outerBytes: number;
  readonly firstSeconds: number;
  readonly firstNanoseconds: number;
  lastSeconds: number;
  lastNanoseconds: number;
}

export class Datagram {
  /** Flow and direction of the first fragment, -1 while it has not been seen. */
  flow = -1;
  direction = 0;
  waiting: Waiting | null = null;

  /** A later fragment came before the first and was accounted as the arguments say. */
  wait(
    flow: number,
    direction: number,
    bytes: number,
    innerBytes: number,
    outerBytes: number,
    seconds: number,
    nanoseconds: number,
  ): void {
    this.waiting ??= {
      flow,
      direction,
      packets: 0,
      bytes: 0,
      innerBytes: 0,
      outerBytes: 0,
      firstSeconds: seconds,
      firstNanoseconds: nanoseconds,
      lastSeconds: seconds,
      lastNanoseconds: nanoseconds,
    };
    const { waiting } = this;
    waiting.packets++;
    waiting.bytes += bytes;
    waiting.innerBytes += innerBytes;
    waiting.outerBytes += outerBytes;
    waiting.lastSeconds = seconds;
    waiting.lastNanoseconds = nanoseconds;
  }
}

export class Fragments {
  private readonly datagrams = new Map<string, Datagram>();

  /** The datagram that layer `layer` holds a fragment of; made where it is new. */
  datagram(view: DataView, layers: Layers, roles: FlowRoles, layer: number, path: number): Datagram {
    const key = this.key(view, layers, roles, layer, path);
    let datagram = this.datagrams.get(key);
    if (datagram === undefined) {
      if (this.datagrams.size >= MAXIMUM) this.datagrams.delete(this.datagrams.keys().next().value!);
      datagram = new Datagram();
      this.datagrams.set(key, datagram);
    }
    return datagram;
  }

  private key(view: DataView, layers: Layers, roles: FlowRoles, layer: number, path: number): string {
    const { identification } = roles.protocols[layers.protocol(layer)].flow!.fragment!;
    // The addresses are in this layer, or in the IPv6 header some extension headers before it.
    let network = layer;
    while (network > 0 && roles.protocols[layers.protocol(network)].flow?.addresses === undefined) network--;
    const addresses = roles.protocols[layers.protocol(network)].flow?.addresses;
    const start = layers.start(network);
    const ends = addresses
      ?.map((field) => hexText(view, start + field.at, start + field.at + field.size))
      .join(' ');
    return `${path} ${ends} ${identification(view, layers.start(layer))}`;
  }
}

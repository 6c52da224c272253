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
/** Nobody waits longer for a fragment (RFC 8200 section 4.5: 60 seconds): then the identification is used again. */
const LONGEST_SECONDS = 60;

/** Where fragments that wait for their datagram's first one were accounted meanwhile. */
export interface Waiting {
  readonly flow: number;
  readonly serial: number;
  readonly direction: number;
  packets: number;
  /** Packets by set of options. */
  readonly options: Map<number, number>;
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
  /** Time of its first packet here. */
  readonly since: number;
  /** The first fragment has been seen. */
  seen = false;
  /** Its flow, -1 where another thread keeps that; its direction. */
  flow = -1;
  /** Number of that flow's first packet: after a time-out its entry may be another's. */
  serial = 0;
  direction = 0;
  /** Endpoints of the tunnels that the first fragment turned out to begin, -1 where it began none. */
  tunnelEndpoints = -1;
  waiting: Waiting | null = null;

  constructor(since: number) {
    this.since = since;
  }

  /** A later fragment came before the first and was accounted as the arguments say. */
  wait(
    flow: number,
    serial: number,
    direction: number,
    bytes: number,
    innerBytes: number,
    outerBytes: number,
    seconds: number,
    nanoseconds: number,
    options: number,
  ): void {
    this.waiting ??= {
      flow,
      serial,
      direction,
      packets: 0,
      options: new Map(),
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
    waiting.options.set(options, (waiting.options.get(options) ?? 0) + 1);
  }
}

export class Fragments {
  private readonly datagrams = new Map<string, Datagram>();

  /** The datagram that layer `layer` holds a fragment of, sent between the addresses of layer `network`. */
  datagram(
    view: DataView,
    layers: Layers,
    roles: FlowRoles,
    layer: number,
    network: number,
    path: number,
    seconds: number,
  ): Datagram {
    const { identification } = roles.protocols[layers.protocol(layer)].flow!.fragment!;
    const start = layers.start(network);
    const ends = roles.protocols[layers.protocol(network)].flow?.addresses
      ?.map((field) => hexText(view, start + field.at, start + field.at + field.size))
      .join(' ');
    const key = `${path} ${ends} ${identification(view, layers.start(layer))}`;
    let datagram = this.datagrams.get(key);
    if (datagram === undefined || Math.abs(seconds - datagram.since) > LONGEST_SECONDS) {
      // Deleted, so that the new one goes to the end of the queue.
      if (datagram !== undefined) this.datagrams.delete(key);
      else if (this.datagrams.size >= MAXIMUM) this.datagrams.delete(this.datagrams.keys().next().value!);
      datagram = new Datagram(seconds);
      this.datagrams.set(key, datagram);
    }
    return datagram;
  }
}

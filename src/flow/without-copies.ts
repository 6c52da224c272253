/** Leaves copies of packets out of flows: a capture of several places has each packet several times. */
import * as v1 from '../../dissectors/sll.ts';
import * as v2 from '../../dissectors/sll2.ts';
import type { PacketBatch } from '../capture/batch.ts';
import type { Capture, CaptureInterface } from '../capture/capture.ts';
import { CopyDetector, Seen } from '../check/copies.ts';
import type { Dissector } from '../core/dissector.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Packet, PacketSink } from '../pipeline.ts';

/** Flows that one packet may be in, each through tunnels of its own: bare, in one tunnel, in another. */
const PATHS = 4;

const placesOf = (link: Dissector) => {
  const { protocols } = link.registry;
  return new Set([protocols.indexOf(v1.sll), protocols.indexOf(v2.sll2)]);
};

/** Whether a capture may be of several places, as far as that is known before it is read. */
export function mayHaveCopies({ files, interfaces }: Capture, dissector: Dissector): boolean {
  return (
    files.length > 1 ||
    files.some(({ format }) => format === 'pcapng') ||
    severalPlaces(interfaces, dissector)
  );
}

function severalPlaces(interfaces: readonly CaptureInterface[], dissector: Dissector): boolean {
  if (interfaces.length > 1) return true;
  const cooked = placesOf(dissector);
  return interfaces.some(({ linkType }) => cooked.has(dissector.root(linkType)));
}

/** Hands packets on to a sink, but each of a flow's packets once. */
export class WithoutCopies implements PacketSink {
  /** Packets left out. */
  copies = 0;
  private readonly sink: PacketSink;
  private readonly dissector: Dissector;
  private readonly interfaces: readonly CaptureInterface[];
  private readonly roles: FlowRoles;
  private detector: CopyDetector | null = null;
  /** Of each packet that is remembered: the flows that it has been counted for, by their tunnels. */
  private readonly paths = new Int32Array(CopyDetector.slots * PATHS);
  private readonly counts = new Uint8Array(CopyDetector.slots);
  /** Interfaces that were looked at, and what came of it. */
  private looked = 0;
  private several = false;

  constructor(
    sink: PacketSink,
    dissector: Dissector,
    roles: FlowRoles,
    interfaces: readonly CaptureInterface[],
  ) {
    this.sink = sink;
    this.dissector = dissector;
    this.roles = roles;
    this.interfaces = interfaces;
  }

  /** As long as all packets come from one place, none is a copy, and the sink takes them as it can. */
  take(batch: PacketBatch, from: number, to: number, roots: Int32Array, stops: Float64Array): number {
    const { sink } = this;
    return this.isOfSeveral() || sink.take === undefined ? from : sink.take(batch, from, to, roots, stops);
  }

  /** Interfaces become more while a capture is read. */
  private isOfSeveral(): boolean {
    const { interfaces } = this;
    if (interfaces.length > this.looked) {
      this.looked = interfaces.length;
      this.several = severalPlaces(interfaces, this.dissector);
    }
    return this.several;
  }

  packet(packet: Packet): void {
    if (this.isOfSeveral() && this.isCounted(packet)) this.copies++;
    else this.sink.packet(packet);
  }

  private isCounted(packet: Packet): boolean {
    this.detector ??= new CopyDetector(this.roles);
    const { detector, paths, counts } = this;
    const seen = detector.see(packet);
    const { slot } = detector;
    if (seen === Seen.unknown) return false;
    const path = this.path(packet);
    const from = slot * PATHS;
    if (seen === Seen.first || seen === Seen.again) counts[slot] = 0;
    for (let i = 0; i < counts[slot]; i++) if (paths[from + i] === path) return true;
    // A packet in more tunnels than that is counted where it is seen.
    if (counts[slot] < PATHS) paths[from + counts[slot]++] = path;
    return false;
  }

  /** The tunnels that flows are told apart by, in a number. */
  private path({ batch: { view }, layers, outline }: Packet): number {
    let path = outline.tunnelCount;
    for (let i = 0; i < outline.tunnelCount; i++) {
      const layer = outline.tunnelLayer(i);
      const protocol = layers.protocol(layer);
      path =
        Math.imul(path ^ protocol, 0x01000193) ^ this.roles.tunnelVni(view, protocol, layers.start(layer));
      path = Math.imul(path, 0x85ebca6b);
    }
    return path;
  }

  flush(): Promise<void> | void {
    return this.sink.flush?.();
  }

  async end(stops: Float64Array): Promise<void> {
    await this.sink.end?.(stops);
  }
}

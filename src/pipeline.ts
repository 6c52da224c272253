/** Batches in, walked packets out to a sink: the loop every command shares. */
import type { PacketBatch } from './capture/batch.ts';
import type { Capture, CaptureFile, CaptureInterface, LiveRecord } from './capture/capture.ts';
import type { Dissector } from './core/dissector.ts';
import { Layers, Stop } from './core/layers.ts';
import { type FlowRoles, Outline } from './core/outline.ts';

/** A walked packet of a batch. One object, reused: what it holds is valid during `PacketSink.packet` only. */
export interface Packet {
  batch: PacketBatch;
  /** Index in the batch. */
  index: number;
  interface: CaptureInterface;
  readonly layers: Layers;
  readonly outline: Outline;
}

export interface PacketSink {
  /**
   * Takes packets of a batch from `from` (0 for a new batch) up to `to` without having them walked, as far as it can:
   * returns the index of the first that it cannot take.
   * @param roots number of the protocol that frames of each interface begin with, -1 for none
   * @param stops counts of packets by `Stop`: the sink adds those that it takes, but for `Stop.none`
   */
  take?(batch: PacketBatch, from: number, to: number, roots: Int32Array, stops: Float64Array): number;
  packet(packet: Packet): void;
  /** After each batch; the next one waits for it. */
  flush?(): Promise<void> | void;
  /** After the last one, with the counts that `take` adds to. */
  end?(stops: Float64Array): Promise<void>;
}

/** Totals over all packets, as printed by every command's machine formats. */
export interface SummaryRecord {
  type: 'summary';
  schema: 1;
  packets: number;
  bytes: number;
  captures: CaptureFile[];
  /** Of the packets, those that flows leave out: captured elsewhere before. Only where there are any. */
  copies?: number;
  stopped: { truncated: number; malformed: number; unknown: number; tooDeep: number; threw?: number };
  /** Only where running devices were captured. */
  live?: LiveRecord;
}

export interface RunOptions {
  /** Ends the run between batches, or while waiting for one. */
  readonly signal?: AbortSignal | undefined;
  /** Packets that do not match are as if they were not there, but for their numbers. Asked of walked packets. */
  readonly filter?: ((packet: Packet) => boolean) | undefined;
  /** Packets to stop after, those that match where there is a filter. */
  readonly count?: number | undefined;
  /** Seconds of capture time, from the first packet, to stop after. */
  readonly duration?: number | undefined;
  readonly progress?: ((packets: number, bytes: number) => void) | undefined;
}

/** The loop over a batch's packets, apart from the asynchronous one over batches so that V8 optimises it early. */
class PacketLoop {
  packets = 0;
  bytes = 0;
  readonly stops = new Float64Array(6);
  /** True once a limit of the run was reached. */
  done = false;
  private readonly capture: Capture;
  private readonly dissector: Dissector;
  private readonly roles: FlowRoles;
  private readonly sink: PacketSink;
  private readonly count: number;
  private readonly duration: number;
  private readonly filter: ((packet: Packet) => boolean) | null;
  private until = Number.NaN;
  private roots = new Int32Array(0);
  private packet: Packet | null = null;

  constructor(
    capture: Capture,
    dissector: Dissector,
    roles: FlowRoles,
    sink: PacketSink,
    options: RunOptions,
  ) {
    this.capture = capture;
    this.dissector = dissector;
    this.roles = roles;
    this.sink = sink;
    this.count = options.count ?? Number.POSITIVE_INFINITY;
    this.duration = options.duration ?? Number.POSITIVE_INFINITY;
    this.filter = options.filter ?? null;
    this.done = this.count === 0;
  }

  batch(batch: PacketBatch): void {
    const { capture, dissector, filter, roles, sink, stops } = this;
    const { interfaces } = capture;
    if (this.roots.length < interfaces.length)
      this.roots = Int32Array.from(interfaces, ({ linkType }) => dissector.root(linkType));
    const { roots } = this;
    this.packet ??= {
      batch,
      index: 0,
      interface: interfaces[0],
      layers: new Layers(),
      outline: new Outline(),
    };
    const { packet } = this;
    const { layers, outline } = packet;
    packet.batch = batch;
    const { view, offset, captured, length, interfaceIndex } = batch;
    const end = this.within(batch);
    if (filter === null) for (let i = 0; i < end; i++) this.bytes += length[i];
    const most = this.count - this.packets;
    let matching = 0;
    for (let i = 0; matching < most; i++) {
      if (filter === null && sink.take !== undefined) i = sink.take(batch, i, end, roots, stops);
      if (i >= end) break;
      const start = offset[i];
      const which = interfaceIndex[i];
      dissector.walk(view, start, captured[i], length[i], roots[which], layers);
      outline.read(layers, roles, start);
      packet.index = i;
      packet.interface = interfaces[which];
      if (filter !== null) {
        if (!filter(packet)) continue;
        matching++;
        this.bytes += length[i];
      }
      stops[layers.stop]++;
      sink.packet(packet);
    }
    this.packets += filter === null ? end : matching;
    this.done ||= this.packets === this.count;
  }

  /** How many packets of the batch the run's limits allow. */
  private within(batch: PacketBatch): number {
    let end = this.filter === null ? Math.min(batch.count, this.count - this.packets) : batch.count;
    if (this.duration !== Number.POSITIVE_INFINITY && end > 0) {
      if (Number.isNaN(this.until))
        this.until = batch.seconds[0] + batch.nanoseconds[0] / 1e9 + this.duration;
      let i = 0;
      while (i < end && batch.seconds[i] + batch.nanoseconds[i] / 1e9 <= this.until) i++;
      end = i;
    }
    this.done = end < batch.count;
    return end;
  }
}

/** Reads a capture to its end, or to what `options` say, and closes it. */
export async function run(
  capture: Capture,
  dissector: Dissector,
  roles: FlowRoles,
  sink: PacketSink,
  options: RunOptions = {},
): Promise<SummaryRecord> {
  const { signal, progress } = options;
  const loop = new PacketLoop(capture, dissector, roles, sink, options);
  // A promise of its own for each batch: racing with one that lives as long as the run would leak, batch by batch.
  let stop = (_: null) => {};
  const abort = () => stop(null);
  const next = () =>
    new Promise<PacketBatch | null>((resolve, reject) => {
      stop = resolve;
      capture.next().then(resolve, reject);
    });
  signal?.addEventListener('abort', abort);
  try {
    while (!loop.done && signal?.aborted !== true) {
      const batch = await next();
      if (batch === null) break;
      loop.batch(batch);
      progress?.(loop.packets, loop.bytes);
      await sink.flush?.();
    }
    await sink.end?.(loop.stops);
  } finally {
    signal?.removeEventListener('abort', abort);
    await capture.close();
  }
  const { stops } = loop;
  return {
    type: 'summary',
    schema: 1,
    packets: loop.packets,
    bytes: loop.bytes,
    captures: [...capture.files],
    stopped: {
      truncated: stops[Stop.truncated],
      malformed: stops[Stop.malformed],
      unknown: stops[Stop.unknown],
      tooDeep: stops[Stop.tooDeep],
      // Only plug-ins do.
      ...(stops[Stop.threw] > 0 && { threw: stops[Stop.threw] }),
    },
    ...(capture.live && { live: capture.live.record() }),
  };
}

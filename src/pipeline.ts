/** Batches in, walked packets out to a sink: the loop every command shares. */
import type { PacketBatch } from './capture/batch.ts';
import type { Capture, CaptureFile, CaptureInterface } from './capture/capture.ts';
import type { Dissector } from './core/dissector.ts';
import { Layers, type StopName, stopName } from './core/layers.ts';
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
  packet(packet: Packet): void;
  /** After each batch; the next one waits for it. */
  flush?(): Promise<void> | void;
}

/** Totals over all packets, as printed by every command's machine formats. */
export interface SummaryRecord {
  type: 'summary';
  schema: 1;
  packets: number;
  bytes: number;
  captures: CaptureFile[];
  stopped: { truncated: number; malformed: number; unknown: number; tooDeep: number };
}

export interface RunOptions {
  /** Ends the run between batches, or while waiting for one. */
  readonly signal?: AbortSignal | undefined;
  /** Packets to stop after. */
  readonly count?: number | undefined;
  /** Seconds of capture time, from the first packet, to stop after. */
  readonly duration?: number | undefined;
  readonly progress?: ((packets: number) => void) | undefined;
}

/** Reads a capture to its end, or to what `options` say, and closes it. */
export async function run(
  capture: Capture,
  dissector: Dissector,
  roles: FlowRoles,
  sink: PacketSink,
  options: RunOptions = {},
): Promise<SummaryRecord> {
  const { signal, count = Number.POSITIVE_INFINITY, duration = Number.POSITIVE_INFINITY, progress } = options;
  const stops = new Float64Array(5);
  const roots: number[] = [];
  let packets = 0;
  let bytes = 0;
  let until = Number.POSITIVE_INFINITY;
  let packet: Packet | null = null;
  const aborted =
    signal &&
    new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null), { once: true }));
  const next = () => (aborted ? Promise.race([capture.next(), aborted]) : capture.next());
  try {
    reading: for (
      let batch = await next();
      batch !== null && signal?.aborted !== true;
      batch = await next()
    ) {
      while (roots.length < capture.interfaces.length)
        roots.push(dissector.root(capture.interfaces[roots.length].linkType));
      packet ??= {
        batch,
        index: 0,
        interface: capture.interfaces[0],
        layers: new Layers(),
        outline: new Outline(),
      };
      packet.batch = batch;
      const { layers, outline } = packet;
      for (let i = 0; i < batch.count; i++) {
        if (packets === count) break reading;
        if (duration !== Number.POSITIVE_INFINITY) {
          const time = batch.seconds[i] + batch.nanoseconds[i] / 1e9;
          if (until === Number.POSITIVE_INFINITY) until = time + duration;
          if (time > until) break reading;
        }
        const start = batch.offset[i];
        const which = batch.interfaceIndex[i];
        dissector.walk(batch.view, start, batch.captured[i], batch.length[i], roots[which], layers);
        outline.read(layers, roles, start);
        packets++;
        bytes += batch.length[i];
        if (layers.stop !== 0) stops[layers.stop]++;
        packet.index = i;
        packet.interface = capture.interfaces[which];
        sink.packet(packet);
      }
      progress?.(packets);
      await sink.flush?.();
      if (packets === count) break;
    }
    await sink.flush?.();
  } finally {
    await capture.close();
  }
  const stopped: Record<StopName, number> = { truncated: 0, malformed: 0, unknown: 0, 'too-deep': 0 };
  for (const stop of [1, 2, 3, 4] as const) stopped[stopName(stop)!] = stops[stop];
  return {
    type: 'summary',
    schema: 1,
    packets,
    bytes,
    captures: [...capture.files],
    stopped: {
      truncated: stopped.truncated,
      malformed: stopped.malformed,
      unknown: stopped.unknown,
      tooDeep: stopped['too-deep'],
    },
  };
}

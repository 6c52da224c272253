import type { PacketBatch } from './batch.ts';
import type { Capture } from './capture.ts';
import type { Destination } from './destination.ts';
import { PcapngWriter } from './pcapng-writer.ts';

/**
 * Writes packets of a capture with what the capture says beside them: interfaces and their counters, names, comments.
 * Interfaces keep their numbers, in every file that is written.
 */
export class CaptureWriter {
  private readonly capture: Capture;
  private destination: Destination;
  private pcapng: PcapngWriter | null = null;
  private seconds = 0;
  private nanoseconds = 0;

  constructor(capture: Capture, destination: Destination) {
    this.capture = capture;
    this.destination = destination;
  }

  /** Made with the first packet: the order of its bytes is that of the capture's first interface. */
  private get writer(): PcapngWriter {
    this.pcapng ??= new PcapngWriter(this.destination, this.capture.interfaces[0]?.littleEndian);
    return this.pcapng;
  }

  /** Bytes of the current file. */
  get size(): number {
    return this.pcapng?.size ?? 0;
  }

  get clampedTimes(): number {
    return this.pcapng?.clampedTimes ?? 0;
  }

  packet(batch: PacketBatch, i: number): void {
    const { writer } = this;
    writeNames(this.capture.names, writer);
    const which = batch.interfaceIndex[i];
    if (which >= writer.interfaces) this.describe(which + 1);
    const start = batch.offset[i];
    this.seconds = batch.seconds[i];
    this.nanoseconds = batch.nanoseconds[i];
    writer.packet(
      which,
      this.seconds,
      this.nanoseconds,
      batch.bytes,
      start,
      start + batch.captured[i],
      batch.length[i],
      batch.comments?.get(i),
    );
  }

  private describe(count: number): void {
    const { writer } = this;
    for (let i = writer.interfaces; i < count; i++) writer.interface(this.capture.interfaces[i]);
  }

  /** Nothing may be written until this resolves. */
  flush(): Promise<void> {
    return this.writer.flush();
  }

  /** Completes the current file and goes on in another. */
  async next(destination: Destination): Promise<void> {
    this.finish();
    await this.writer.next(destination);
    this.destination = destination;
  }

  async complete(): Promise<void> {
    this.finish();
    await this.writer.complete();
  }

  abandon(): Promise<string | null> {
    return this.destination.abandon();
  }

  private finish(): void {
    const { capture, writer } = this;
    this.describe(capture.interfaces.length);
    writeNames(capture.names, writer);
    capture.interfaces.forEach(({ statistics }, i) => {
      if (statistics !== null) writer.statistics(i, this.seconds, this.nanoseconds, statistics);
    });
  }
}

/** Writes the names that `writer` does not have yet. */
export function writeNames(names: ReadonlyMap<string, string>, writer: PcapngWriter): void {
  if (names.size === writer.names) return;
  let i = 0;
  for (const [address, name] of names) if (i++ >= writer.names) writer.name(address, name);
}

/** Records of packets made by several threads: each makes those of whole batches, which are written in order. */
import { Worker } from 'node:worker_threads';
import type { PacketBatch } from '../capture/batch.ts';
import type { CaptureInterface } from '../capture/capture.ts';
import type { Dissector } from '../core/dissector.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { PacketSink } from '../pipeline.ts';
import { type PacketJob, type PacketJobResult, PacketJobs, packetJob } from './packet-job.ts';
import type { TextWriter } from './writer.ts';

/** Batches that a worker has got and not given back. With one more it would not wait, nor would anybody else. */
const AHEAD = 2;
/** Bytes for a batch's packets and records, to begin with. */
const MEMORY = 1 << 21;
const ROOM = 1 << 23;

class Helper {
  /** Jobs under way. */
  waiting = 0;
  private readonly worker: Worker;
  private readonly settle: { resolve(result: PacketJobResult): void; reject(error: Error): void }[] = [];

  constructor(decodeAs: readonly string[]) {
    this.worker = new Worker(new URL('./packet-worker.js', import.meta.url), { workerData: decodeAs });
    this.worker.on('message', (result: PacketJobResult) => {
      this.waiting--;
      this.settle.shift()!.resolve(result);
    });
    const fail = (error: Error) => {
      for (const { reject } of this.settle.splice(0)) reject(error);
    };
    this.worker.on('error', fail);
    this.worker.on('exit', () => fail(new Error('a worker thread ended early')));
  }

  do(job: PacketJob): Promise<PacketJobResult> {
    this.waiting++;
    const result = new Promise<PacketJobResult>((resolve, reject) => this.settle.push({ resolve, reject }));
    // Whoever awaits it in its turn gets the error; until then nobody does.
    result.catch(() => {});
    this.worker.postMessage(job, [job.bytes.buffer as ArrayBuffer, job.room.buffer as ArrayBuffer]);
    return result;
  }

  end(): Promise<unknown> {
    return this.worker.terminate();
  }
}

export class ParallelPackets implements PacketSink {
  private readonly own: PacketJobs;
  private readonly helpers: readonly Helper[];
  private readonly interfaces: readonly CaptureInterface[];
  private readonly writer: TextWriter;
  private readonly separate: boolean;
  /** Of jobs not written yet, in the order of their packets. */
  private results: (Promise<PacketJobResult> | PacketJobResult)[] = [];
  private readonly stops = new Float64Array(6);
  private first = true;
  /** Memory that jobs have left: for bytes of packets, and for records. */
  private readonly memories: Uint8Array[] = [];
  private readonly rooms: Uint8Array[] = [];
  /** Records that are being written. */
  private writing: Uint8Array | null = null;

  /**
   * @param threads this one and others
   * @param decodeAs rules that the registry was made with
   * @param separate puts commas between records
   */
  constructor(
    dissector: Dissector,
    roles: FlowRoles,
    interfaces: readonly CaptureInterface[],
    threads: number,
    decodeAs: readonly string[],
    writer: TextWriter,
    separate: boolean,
  ) {
    this.own = new PacketJobs(dissector, roles);
    this.helpers = Array.from({ length: threads - 1 }, () => new Helper(decodeAs));
    this.interfaces = interfaces;
    this.writer = writer;
    this.separate = separate;
  }

  take(batch: PacketBatch, from: number, to: number, roots: Int32Array): number {
    if (from === to) return to;
    const { separate, first } = this;
    const origins = this.interfaces.map(({ file, name, linkType }) => ({ file, name, linkType }));
    const room = this.rooms.pop() ?? new Uint8Array(ROOM);
    const memory = this.memories.pop() ?? new Uint8Array(MEMORY);
    const job = packetJob(batch, from, to, memory, { roots: roots.slice(), origins, separate, first, room });
    this.first = false;
    const helper = this.helpers.find(({ waiting }) => waiting < AHEAD);
    this.results.push(helper ? helper.do(job) : this.own.do(job));
    return to;
  }

  packet(): void {
    throw new Error('every packet is taken');
  }

  /** Writes what is done, and waits for the first where too much is not. */
  flush(): Promise<void> {
    return this.write(AHEAD * (this.helpers.length + 1));
  }

  async end(stops: Float64Array): Promise<void> {
    await this.write(0);
    this.stops.forEach((count, stop) => {
      stops[stop] += count;
    });
    await Promise.all(this.helpers.map((helper) => helper.end()));
  }

  private async write(most: number): Promise<void> {
    // Turns of the event loop bring what the workers have done.
    while (this.results.length > most) {
      const { lines, bytes, stops } = await this.results.shift()!;
      this.memories.push(bytes);
      stops.forEach((count, stop) => {
        this.stops[stop] += count;
      });
      await this.writer.bytes(lines);
      // These are written while the next are made; those before are done with.
      if (this.writing) this.rooms.push(new Uint8Array(this.writing.buffer));
      this.writing = lines;
    }
  }
}

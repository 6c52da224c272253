import { setImmediate } from 'node:timers/promises';
import { PacketBatch } from './batch.ts';
import type { Capture, CaptureFile, CaptureInterface } from './capture.ts';
import type { CaptureRecords } from './reader.ts';

/** Initial size of the merged block, in bytes; a larger packet makes it grow. */
const MERGED_BLOCK = 1 << 20;

/** One file of the merge and the packet it is at. */
class Head {
  readonly file: Capture;
  batch: PacketBatch | null = null;
  /** Under way to the next batch. */
  pending: Promise<void> | null = null;
  /** Index in `batch` of the next packet. */
  at = 0;
  /** Place in the argument order, for packets of equal time. */
  readonly order: number;

  constructor(file: Capture, order: number) {
    this.file = file;
    this.order = order;
  }

  async advance(): Promise<void> {
    this.batch = await this.file.next();
    this.at = 0;
  }
}

/** True if the next packet of `a` goes before the next packet of `b`. */
function isBefore(a: Head, b: Head): boolean {
  const left = a.batch!;
  const right = b.batch!;
  const seconds = left.seconds[a.at] - right.seconds[b.at];
  if (seconds !== 0) return seconds < 0;
  const nanoseconds = left.nanoseconds[a.at] - right.nanoseconds[b.at];
  return nanoseconds !== 0 ? nanoseconds < 0 : a.order < b.order;
}

/** Seconds since 1970, to a quarter of a microsecond. */
function timeOf(batch: PacketBatch, i: number): number {
  return batch.seconds[i] + batch.nanoseconds[i] / 1e9;
}

/** Several files or devices as one capture, merged by time. */
export class MergedCapture implements Capture {
  readonly interfaces: readonly CaptureInterface[];
  readonly names: ReadonlyMap<string, string>;
  readonly secrets: readonly string[];
  readonly files: readonly CaptureFile[];

  readonly #captures: readonly Capture[];
  /** Binary heap of the files that have a next packet, the earliest first. */
  readonly #heap: Head[] = [];
  /** Files whose batch is used up. */
  readonly #dry: Set<Head>;
  #wake = () => {};
  #failure: Error | null = null;
  readonly #batch = new PacketBatch(new Uint8Array(MERGED_BLOCK));
  #used = 0;
  #closed = false;
  readonly #patience: number;

  /** @param patience Seconds after which a packet no longer waits for earlier ones of the others. */
  constructor(captures: readonly Capture[], records: CaptureRecords, patience = Number.POSITIVE_INFINITY) {
    this.interfaces = records.interfaces;
    this.names = records.names;
    this.secrets = records.secrets;
    this.files = captures.flatMap((capture) => capture.files);
    this.#captures = captures;
    this.#patience = patience;
    this.#dry = new Set(captures.map((file, order) => new Head(file, order)));
    this.#batch.numbers = new Float64Array(this.#batch.offset.length);
  }

  async next(): Promise<PacketBatch | null> {
    const batch = this.#batch;
    batch.count = 0;
    batch.comments = null;
    this.#used = 0;
    while (batch.count === 0) {
      await this.#refill();
      if (this.#closed || (this.#heap.length === 0 && this.#dry.size === 0)) return null;
      // A batch ends where a file must be read on: that may take long (a pipe), what is merged need not wait. Nor does
      // it go on without what that read brings: only devices that were silent before are left out.
      const silent = this.#dry.size;
      while (this.#dry.size === silent && (silent === 0 || this.#overdue() >= 0) && this.#copyRun());
    }
    return batch;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#captures.map((capture) => capture.close()));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBatch> {
    try {
      for (let batch = await this.next(); batch !== null; batch = await this.next()) yield batch;
    } finally {
      await this.close();
    }
  }

  /** Waits until every file has a next packet, or the earliest one there is has waited long enough. */
  async #refill(): Promise<void> {
    for (const head of this.#dry) {
      head.pending ??= head.advance().then(
        () => this.#arrived(head),
        (error: Error) => {
          this.#failure = error;
          this.#wake();
        },
      );
    }
    if (this.#overdue() >= 0) {
      // What came while the last batch was processed is not read yet: a whole turn of the event loop takes it in.
      await setImmediate();
      await setImmediate();
    }
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const overdue = this.#overdue();
      if (this.#dry.size === 0 || overdue >= 0) return;
      // A promise of its own each time: racing with one that a silent device keeps pending would leak.
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (overdue > Number.NEGATIVE_INFINITY) timer = setTimeout(resolve, Math.ceil(-overdue * 1000));
      });
      clearTimeout(timer);
    }
  }

  /** Seconds since the earliest packet has waited long enough; negative before. */
  #overdue(): number {
    if (this.#heap.length === 0 || this.#patience === Number.POSITIVE_INFINITY)
      return Number.NEGATIVE_INFINITY;
    const { batch, at } = this.#heap[0];
    const age = Date.now() / 1000 - timeOf(batch!, at);
    // A time in the future is one before the clock was set back.
    return Math.abs(age) - this.#patience;
  }

  #arrived(head: Head): void {
    head.pending = null;
    this.#dry.delete(head);
    if (head.batch !== null) {
      this.#heap.push(head);
      this.#siftUp(this.#heap.length - 1);
    }
    this.#wake();
  }

  /**
   * Moves the packets of the first file that come before those of any other. Files often take turns in long
   * runs (a rotated capture), so a run is copied as one piece, record headers and all.
   *
   * @returns False when the batch is full.
   */
  #copyRun(): boolean {
    const batch = this.#batch;
    const heap = this.#heap;
    const head = heap[0];
    const from = head.batch!;
    const first = head.at;
    const firstByte = from.offset[first];
    const room = batch.bytes.length - this.#used;
    const capacity = first + batch.offset.length - batch.count;
    const rival = this.#second();
    const horizon = this.#dry.size === 0 ? Number.POSITIVE_INFINITY : Date.now() / 1000 - this.#patience;
    let lastByte = firstByte;
    do {
      const end = from.offset[head.at] + from.captured[head.at];
      if (head.at === capacity || end - firstByte > room) break;
      lastByte = end;
      head.at++;
    } while (
      head.at < from.count &&
      (rival === null || isBefore(head, rival)) &&
      (horizon === Number.POSITIVE_INFINITY || timeOf(from, head.at) <= horizon)
    );

    if (head.at === first) {
      if (batch.count > 0) return false;
      this.#grow(from.captured[first]);
      return true;
    }
    this.#append(from, first, head.at, lastByte);
    if (head.at === from.count) {
      const last = heap.pop()!;
      if (heap.length > 0) heap[0] = last;
      this.#dry.add(head);
    }
    this.#siftDown();
    return true;
  }

  #append(from: PacketBatch, first: number, end: number, lastByte: number): void {
    const batch = this.#batch;
    const shift = this.#used - from.offset[first];
    batch.bytes.set(from.bytes.subarray(from.offset[first], lastByte), this.#used);
    for (let i = first; i < end; i++) {
      const to = batch.count++;
      batch.offset[to] = from.offset[i] + shift;
      batch.captured[to] = from.captured[i];
      batch.length[to] = from.length[i];
      batch.seconds[to] = from.seconds[i];
      batch.nanoseconds[to] = from.nanoseconds[i];
      batch.interfaceIndex[to] = from.interfaceIndex[i];
      batch.numbers![to] = from.firstNumber + i;
      const comment = from.comments?.get(i);
      if (comment !== undefined) {
        batch.comments ??= new Map();
        batch.comments.set(to, comment);
      }
    }
    this.#used = lastByte + shift;
  }

  #grow(size: number): void {
    this.#batch.bytes = new Uint8Array(size);
    this.#batch.view = new DataView(this.#batch.bytes.buffer);
  }

  /** The file whose turn comes if the first one's next packet is too late. */
  #second(): Head | null {
    const [, left, right] = this.#heap;
    if (left === undefined) return null;
    return right === undefined || isBefore(left, right) ? left : right;
  }

  #siftUp(i: number): void {
    const heap = this.#heap;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(heap[i], heap[parent])) return;
      [heap[i], heap[parent]] = [heap[parent], heap[i]];
      i = parent;
    }
  }

  #siftDown(): void {
    const heap = this.#heap;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      if (left >= heap.length) return;
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right], heap[left]) ? right : left;
      if (!isBefore(heap[child], heap[i])) return;
      [heap[i], heap[child]] = [heap[child], heap[i]];
      i = child;
    }
  }
}

/**
 * What threads that account one capture share: a ring of batches in the kernel's memory.
 *
 * The main thread puts batches in. Any thread walks a batch, once; every thread accounts all of them, in order, but keeps
 * only its share of the conversations, and reads for itself the packets that the kernel leaves. So every conversation is
 * accounted by one thread that sees its packets in order, and what comes out does not depend on the number of threads.
 */
import { PacketBatch } from '../capture/batch.ts';
import { Layers, Stop } from '../core/layers.ts';
import { Outline } from '../core/outline.ts';
import type { FlowAccounting } from './accounting.ts';
import type { Kernel } from './kernel.ts';

/** Packets in a batch at most: the kernel's lists of a share's packets have room for as many. */
const CAPACITY = 4096;
/** Room for roots, to begin with. */
const ROOTS = 64;

// Words of the exchange, then of each slot.
const EPOCH = 0;
const PUBLISHED = 1;
const CLAIMED = 2;
const ENDED = 3;
const APPLIED = 4;
const MAX_THREADS = 60;
const SLOT_AT = 64;
const LISTS = 9;
const COUNT = 10;
/** Number of the batch that has been walked here, from 1. */
const WALKED = 11;
/** End of the batch in its bytes; where bytes from elsewhere are copied to, and how many fit. */
const BYTES_END = 12;
const BYTES_COPY = 13;
const BYTES_ROOM = 14;
const ROOTS_ROOM = 15;
const TRUNCATED = 16;
/** A double. */
const SERIAL = 18;
const SLOT_WORDS = 20;

/** Batches under way at once; with twice as many, two threads were no faster (10 M packets). */
const slotsOf = (threads: number) => 2 * threads;
export const exchangeBytes = (threads: number) => 4 * (SLOT_AT + slotsOf(threads) * SLOT_WORDS);
/** Blocks in the kernel's memory that must stay as they are: each has a batch, and none is older than the ring. */
export const blocksKept = (threads: number) => (threads === 1 ? 0 : slotsOf(threads));
export const MAXIMUM_THREADS = MAX_THREADS;
export const MAXIMUM_PACKETS = CAPACITY;

export class Exchange {
  /** Packets by `Stop` that this thread walked itself. */
  readonly stops = new Float64Array(5);
  private readonly accounting: FlowAccounting;
  private readonly kernel: Kernel;
  private readonly at: number;
  private readonly words: Int32Array;
  private readonly serials: Float64Array;
  private readonly thread: number;
  private readonly threads: number;
  private readonly slots: number;
  private readonly layers = new Layers();
  private readonly outline = new Outline();
  /** Batches that this thread has accounted. */
  private applied = 0;

  constructor(accounting: FlowAccounting, at: number) {
    this.accounting = accounting;
    this.kernel = accounting.own.kernel;
    this.at = at;
    const { share, shares } = this.kernel.sharing;
    this.thread = share;
    this.threads = shares;
    this.slots = slotsOf(shares);
    const bytes = exchangeBytes(shares);
    this.words = new Int32Array(this.kernel.refresh().buffer, at, bytes / 4);
    this.serials = new Float64Array(this.words.buffer, at, bytes / 8);
  }

  private slot(batch: number): number {
    return SLOT_AT + (batch % this.slots) * SLOT_WORDS;
  }

  private signal(): void {
    Atomics.add(this.words, EPOCH, 1);
    Atomics.notify(this.words, EPOCH);
  }

  /** True while the next batch has nowhere to go. */
  get full(): boolean {
    const published = Atomics.load(this.words, PUBLISHED);
    if (published < this.slots) return false;
    for (let thread = 0; thread < this.threads; thread++) {
      if (Atomics.load(this.words, APPLIED + thread) <= published - this.slots) return true;
    }
    return false;
  }

  get done(): boolean {
    return Atomics.load(this.words, ENDED) === 1 && this.applied === Atomics.load(this.words, PUBLISHED);
  }

  /** True when every thread has accounted everything. */
  get allDone(): boolean {
    const published = Atomics.load(this.words, PUBLISHED);
    for (let thread = 0; thread < this.threads; thread++) {
      if (Atomics.load(this.words, APPLIED + thread) < published) return false;
    }
    return true;
  }

  /** Puts packets [from, to) of a batch in; there must be room for it. */
  publish(batch: PacketBatch, from: number, to: number, roots: Int32Array): void {
    const { words, kernel } = this;
    const number = Atomics.load(words, PUBLISHED);
    const slot = this.slot(number);
    const columns = [
      batch.offset,
      batch.captured,
      batch.length,
      batch.seconds,
      batch.nanoseconds,
      batch.interfaceIndex,
    ];
    if (words[slot + LISTS] === 0) this.furnish(slot, columns);
    const count = to - from;
    const start = batch.offset[from];
    const end = batch.offset[to - 1] + batch.captured[to - 1];
    words[slot + BYTES_END] = end;
    if (kernel.holds(batch.bytes)) words[slot] = batch.bytes.byteOffset;
    else {
      if (end > words[slot + BYTES_ROOM]) {
        words[slot + BYTES_ROOM] = 2 * end;
        words[slot + BYTES_COPY] = kernel.allocate(2 * end + 64);
      }
      words[slot] = words[slot + BYTES_COPY];
      kernel.store((words[slot] >>> 0) + start, batch.bytes.subarray(start, end));
    }
    if (4 * roots.length > words[slot + ROOTS_ROOM]) {
      words[slot + ROOTS_ROOM] = 8 * roots.length;
      words[slot + 7] = kernel.allocate(8 * roots.length);
    }
    for (const [i, column] of columns.entries())
      kernel.store(words[slot + 1 + i] >>> 0, column.subarray(from, to));
    kernel.store(words[slot + 7] >>> 0, roots);
    words[slot + COUNT] = count;
    this.serials[(slot + SERIAL) / 2] = this.published;
    this.published += count;
    Atomics.store(words, PUBLISHED, number + 1);
    this.signal();
  }
  /** Packets put in. */
  private published = 0;

  private furnish(slot: number, columns: readonly { BYTES_PER_ELEMENT: number }[]): void {
    const { words, kernel } = this;
    columns.forEach(({ BYTES_PER_ELEMENT }, i) => {
      words[slot + 1 + i] = kernel.allocate(BYTES_PER_ELEMENT * CAPACITY);
    });
    words[slot + 7] = kernel.allocate(4 * ROOTS);
    words[slot + ROOTS_ROOM] = 4 * ROOTS;
    words[slot + 8] = kernel.allocate(CAPACITY * kernel.layout.walkedSize);
    words[slot + LISTS] = kernel.allocate(this.threads * kernel.layout.listSize);
  }

  /** No more batches come. */
  end(): void {
    Atomics.store(this.words, ENDED, 1);
    this.signal();
  }

  /** Does the next piece of work that is there: accounts a walked batch, or walks one. Returns false where there is none. */
  step(): boolean {
    const { words } = this;
    const published = Atomics.load(words, PUBLISHED);
    if (this.applied < published) {
      const slot = this.slot(this.applied);
      if (Atomics.load(words, slot + WALKED) === this.applied + 1) {
        this.apply(slot);
        this.applied++;
        Atomics.store(words, APPLIED + this.thread, this.applied);
        this.signal();
        return true;
      }
    }
    const claimed = Atomics.load(words, CLAIMED);
    if (claimed >= published) return false;
    if (Atomics.compareExchange(words, CLAIMED, claimed, claimed + 1) !== claimed) return true;
    const slot = this.slot(claimed);
    words[slot + TRUNCATED] = this.kernel.exports.walk(this.at + 4 * slot, 0, words[slot + COUNT]);
    Atomics.store(words, slot + WALKED, claimed + 1);
    this.signal();
    return true;
  }

  private apply(slot: number): void {
    const { words, kernel, accounting } = this;
    const { exports } = kernel;
    const walked = words[slot + 8] >>> 0;
    const list = (words[slot + LISTS] >>> 0) + this.thread * kernel.layout.listSize;
    const count = kernel.refresh()[list / 4];
    const numbers = new Uint16Array(kernel.words.buffer, list + kernel.layout.listBegin, count);
    const serial = this.serials[(slot + SERIAL) / 2];
    if (this.thread === 0) this.stops[Stop.truncated] += words[slot + TRUNCATED];
    let batch: PacketBatch | null = null;
    for (let place = 0; ; place++) {
      place = exports.accountWalked(walked, list, place, count, serial);
      if (place >= count) return;
      const i = numbers[place];
      batch ??= this.view(slot);
      const root = kernel.refresh()[(words[slot + 7] >>> 0) / 4 + batch.interfaceIndex[i]];
      accounting.walk(batch, i, root, this.layers, this.outline);
      if (this.thread === 0) this.stops[this.layers.stop]++;
      accounting.account(
        batch.view,
        batch.offset[i],
        batch.length[i],
        batch.seconds[i],
        batch.nanoseconds[i],
        this.layers,
        this.outline,
        serial + i,
      );
    }
  }

  /** A slot as a batch, for packets that the kernel leaves. */
  private view(slot: number): PacketBatch {
    const { words, kernel } = this;
    let next = 0;
    const places = [1, 2, 3, 4, 5, 6].map((i) => words[slot + i] >>> 0);
    const { buffer } = kernel.refresh();
    return new PacketBatch(
      new Uint8Array(buffer, words[slot] >>> 0, words[slot + BYTES_END]),
      CAPACITY,
      (bytes) => new Uint8Array(buffer, places[next++], bytes),
    );
  }

  /** Blocks until something may have changed since `epoch`, or for so many milliseconds. */
  wait(epoch: number, patience = Number.POSITIVE_INFINITY): void {
    Atomics.wait(this.words, EPOCH, epoch, patience);
  }
  /** The same without blocking the event loop. */
  async settled(epoch: number, patience: number): Promise<void> {
    const { async, value } = Atomics.waitAsync(this.words, EPOCH, epoch, patience);
    if (async) await value;
  }
  get epoch(): number {
    return Atomics.load(this.words, EPOCH);
  }
}

import { type Allocate, allocateBytes } from './batch.ts';
import type { ByteSource } from './source.ts';

/**
 * Bytes per read. Indexing a 492 MB file (1 M packets, page cache warm): see docs/decisions/0004.
 */
export const BLOCK_SIZE = 1 << 20;

/** Room kept before each read for the incomplete record of the block before. */
const HEADROOM = 1 << 16;

/**
 * A window on the input: the bytes from `start` to `end` of `bytes` are there and not yet consumed.
 *
 * Buffers take turns, so that the next read is under way while the packets of the current block are
 * processed. The read goes behind some headroom, into which the unconsumed tail is copied afterwards.
 */
export class InputBlock {
  bytes: Uint8Array = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  start = 0;
  end = 0;
  /** Offset in the uncompressed file of `bytes[0]`. */
  origin = 0;
  /** Why the input ended before its end; null for an ordinary end. */
  failure: Error | null = null;
  /** Somebody was given packets of this block: its bytes stay what they are while `keep` more such blocks are read. */
  handedOut = false;

  readonly #source: ByteSource;
  readonly #blockSize: number;
  readonly #allocate: Allocate;
  readonly #keep: number;
  #headroom: number;
  #free: Uint8Array | undefined;
  readonly #kept: Uint8Array[] = [];
  #incoming: Uint8Array;
  #pending: Promise<number>;

  constructor(source: ByteSource, blockSize: number, allocate: Allocate = allocateBytes, keep = 0) {
    this.#source = source;
    this.#blockSize = blockSize;
    this.#allocate = allocate;
    this.#keep = keep;
    this.#headroom = Math.min(HEADROOM, blockSize);
    this.#incoming = this.bytes;
    this.#pending = this.#readAhead();
  }

  /** Offset in the uncompressed file of the first unconsumed byte. */
  get offset(): number {
    return this.origin + this.start;
  }

  /** Bytes that are there and not consumed. */
  get size(): number {
    return this.end - this.start;
  }

  /**
   * Appends what the next read brings to the unconsumed bytes, which move; the consumed ones are gone.
   *
   * @returns False when no more bytes come.
   */
  async fill(): Promise<boolean> {
    const count = await this.#pending;
    if (count === 0) return false;
    const tail = this.size;
    const offset = this.offset;
    let bytes = this.#incoming;
    let from = bytes.length - this.#blockSize;
    if (tail > from) {
      // A record larger than the headroom: double it, for both buffers in turn.
      while (this.#headroom < tail) this.#headroom *= 2;
      bytes = this.#allocate(this.#headroom + this.#blockSize);
      bytes.set(this.#incoming.subarray(from, from + count), this.#headroom);
      from = this.#headroom;
    }
    bytes.set(this.bytes.subarray(this.start, this.end), from - tail);
    if (this.handedOut) this.#kept.push(this.bytes);
    else this.#free = this.bytes;
    this.handedOut = false;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.start = from - tail;
    this.end = from + count;
    this.origin = offset - this.start;
    this.#pending = this.#readAhead();
    return true;
  }

  /** Releases the source. A pending `fill` resolves to false. */
  close(): Promise<void> {
    return this.#source.close();
  }

  async #readAhead(): Promise<number> {
    const size = this.#headroom + this.#blockSize;
    const used = this.#free ?? (this.#kept.length > this.#keep ? this.#kept.shift() : undefined);
    this.#free = undefined;
    this.#incoming = used?.length === size ? used : this.#allocate(size);
    try {
      return await this.#source.read(this.#incoming, this.#headroom, this.#blockSize);
    } catch (error) {
      this.failure = error as Error;
      return 0;
    }
  }
}

/** One direction of a TCP connection, put back into order. */

/**
 * Bytes that all streams of a reader may keep together, so that no capture can fill the memory. Where they do not
 * suffice, the stream that has waited longest is given up: what it misses will hardly come any more.
 */
export class Budget {
  private left: number;
  /** In the order in which they began to wait. */
  private readonly waiting = new Set<ByteStream>();

  constructor(bytes: number) {
    this.left = bytes;
  }

  take(stream: ByteStream, bytes: number): boolean {
    for (const oldest of this.waiting) {
      if (bytes <= this.left || oldest === stream) break;
      oldest.abandon();
    }
    if (bytes > this.left) return false;
    this.left -= bytes;
    this.waiting.add(stream);
    return true;
  }

  give(stream: ByteStream, bytes: number, waits: boolean): void {
    this.left += bytes;
    if (!waits) this.waiting.delete(stream);
  }
}

/** Segments that may wait for one that is missing; 16 MiB is the largest window that ztunnel opens. */
const MAX_WAITING_SEGMENTS = 4096;
const MAX_WAITING_BYTES = 1 << 24;
/** A segment farther than this from what is expected belongs to another connection of the same ends. */
const WINDOW = 1 << 26;

interface Segment {
  sequence: number;
  readonly bytes: Uint8Array;
}

/**
 * Delivers the bytes of a direction once and in order, whatever was doubled, reordered or seen at several interfaces.
 * Where a piece never comes, it waits until its bounds are reached and then gives up for good: behind a gap neither the
 * number of a TLS record nor the table of HPACK is known.
 */
export class ByteStream {
  /** Sequence number of the next byte, -1 before the first is known. */
  next = -1;
  /** True once the stream was given up. */
  lost = false;
  /** Bytes that were missing then. */
  private gap = 0;
  /** Segments behind a gap, by sequence number. */
  private readonly waiting: Segment[] = [];
  private waitingBytes = 0;
  private readonly budget: Budget;
  private readonly deliver: (bytes: Uint8Array) => void;

  /** @param deliver Gets bytes that are valid during the call only. */
  constructor(budget: Budget, deliver: (bytes: Uint8Array) => void) {
    this.budget = budget;
    this.deliver = deliver;
  }

  /** Bytes that are missing before those that wait, or waited; 0 where none do. */
  get missing(): number {
    if (this.lost) return this.gap;
    return this.waiting.length === 0 ? 0 : distance(this.next, this.waiting[0].sequence);
  }

  /** Whether a segment can be this stream's. */
  accepts(sequence: number): boolean {
    return this.next < 0 || Math.abs(distance(this.next, sequence)) < WINDOW;
  }

  /** A segment's captured bytes. Those that the capture cut off are missing, unless another copy has them. */
  segment(sequence: number, bytes: Uint8Array): void {
    if (this.lost || bytes.length === 0) return;
    if (this.next < 0) this.next = sequence;
    const ahead = distance(this.next, sequence);
    if (ahead > 0) {
      this.keep(sequence, bytes);
      return;
    }
    this.accept(sequence, bytes);
    while (this.waiting.length > 0 && distance(this.next, this.waiting[0].sequence) <= 0) {
      const first = this.waiting.shift()!;
      this.release(first);
      this.accept(first.sequence, first.bytes);
    }
  }

  /** Gives up: nothing more is delivered, nothing is kept. */
  abandon(): void {
    this.gap = this.missing;
    this.lost = true;
    this.waiting.length = 0;
    this.budget.give(this, this.waitingBytes, false);
    this.waitingBytes = 0;
  }

  private accept(sequence: number, bytes: Uint8Array): void {
    const known = distance(sequence, this.next);
    if (known >= bytes.length) return;
    this.next = (this.next + bytes.length - known) >>> 0;
    this.deliver(known === 0 ? bytes : bytes.subarray(known));
  }

  private keep(sequence: number, bytes: Uint8Array): void {
    const { waiting } = this;
    let at = waiting.length;
    while (at > 0 && distance(sequence, waiting[at - 1].sequence) > 0) at--;
    const before = waiting[at - 1];
    if (before !== undefined && distance(before.sequence, sequence) + bytes.length <= before.bytes.length)
      return;
    if (
      waiting.length === MAX_WAITING_SEGMENTS ||
      this.waitingBytes + bytes.length > MAX_WAITING_BYTES ||
      !this.budget.take(this, bytes.length)
    ) {
      this.abandon();
      return;
    }
    this.waitingBytes += bytes.length;
    waiting.splice(at, 0, { sequence, bytes: bytes.slice() });
  }

  private release({ bytes }: Segment): void {
    this.waitingBytes -= bytes.length;
    this.budget.give(this, bytes.length, this.waiting.length > 0);
  }
}

/** From one sequence number to another, around the end of their range (RFC 9293 section 3.4). */
function distance(from: number, to: number): number {
  return (to - from) | 0;
}

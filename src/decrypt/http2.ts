/**
 * HTTP/2 read along, both directions of a connection from their first byte (RFC 9113 section 4.1). A frame is
 *
 *   | length 24 | type 8 | flags 8 | R 1, stream identifier 31 | payload |
 *
 * DATA is counted as it comes; of the rest only what carries header fields is kept until it is whole.
 */
import { GrowingBuffer } from './growing-buffer.ts';
import { type HeaderField, HpackDecoder } from './hpack.ts';
import { Side } from './tls-session.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const FRAME_HEADER = 9;

const Frame = { data: 0, headers: 1, reset: 3, pushPromise: 5, continuation: 9 } as const;
const Flag = { endHeaders: 0x04, padded: 0x08, priority: 0x20 } as const;

/** Bytes of one header block with its continuations; servers refuse requests long before. */
const MAX_BLOCK = 1 << 16;

export interface Http2Events {
  headers(side: Side, stream: number, fields: readonly HeaderField[]): void;
  /** Bytes of a DATA frame, without padding and perhaps in pieces; valid during the call. */
  data(side: Side, stream: number, bytes: Uint8Array): void;
  reset(side: Side, stream: number, code: number): void;
}

class Direction {
  /** The client's begins with the preface. */
  begun: boolean;
  /** Of a frame: its header, then its payload where that is kept. */
  readonly bytes = new GrowingBuffer();
  readonly hpack = new HpackDecoder();
  /** The frame whose payload is being read; stream -1 between frames. */
  type = 0;
  flags = 0;
  stream = -1;
  /** Bytes of its payload that are still to come. */
  left = 0;
  /** Bytes at the end of a DATA frame that are padding. */
  padding = -1;
  /** Header block that CONTINUATION frames go on with; stream -1 where there is none. */
  readonly block = new GrowingBuffer();
  blockStream = -1;
  blockOf: number = Frame.headers;

  constructor(side: Side) {
    this.begun = side === Side.server;
  }
}

export class Http2Session {
  /** Why reading ended before the connection did. */
  problem: string | null = null;

  private readonly sides = [new Direction(Side.client), new Direction(Side.server)] as const;
  private readonly events: Http2Events;

  constructor(events: Http2Events) {
    this.events = events;
  }

  /** Bytes of one side in the order of its stream. */
  data(side: Side, bytes: Uint8Array): void {
    const direction = this.sides[side];
    for (let at = 0; at < bytes.length && this.problem === null; ) {
      if (!direction.begun) at += this.preface(direction, bytes.subarray(at));
      else if (direction.stream < 0) at += this.header(side, direction, bytes.subarray(at));
      else if (direction.type === Frame.data) at += this.tunnelled(side, direction, bytes.subarray(at));
      else at += this.payload(side, direction, bytes.subarray(at));
    }
  }

  // Each of the following takes what it needs from `bytes`, which are at least one, and says how many those were.

  private preface(direction: Direction, bytes: Uint8Array): number {
    const buffer = direction.bytes;
    const count = Math.min(PREFACE.length - buffer.length, bytes.length);
    buffer.append(bytes.subarray(0, count));
    if (!PREFACE.subarray(0, buffer.length).equals(buffer.content)) this.problem = 'inside TLS is no HTTP/2';
    if (buffer.length === PREFACE.length) {
      direction.begun = true;
      buffer.consume(PREFACE.length);
    }
    return count;
  }

  private header(side: Side, direction: Direction, bytes: Uint8Array): number {
    const buffer = direction.bytes;
    const count = Math.min(FRAME_HEADER - buffer.length, bytes.length);
    buffer.append(bytes.subarray(0, count));
    if (buffer.length < FRAME_HEADER) return count;
    const header = buffer.content;
    direction.left = header.readUIntBE(0, 3);
    direction.type = header[3];
    direction.flags = header[4];
    direction.stream = header.readUInt32BE(5) & 0x7fffffff;
    direction.padding = direction.type === Frame.data && direction.flags & Flag.padded ? -1 : 0;
    buffer.consume(FRAME_HEADER);
    const { type, stream, blockStream } = direction;
    // Section 6.10: nothing comes between a header block's frames.
    if (
      blockStream >= 0 ? type !== Frame.continuation || stream !== blockStream : type === Frame.continuation
    )
      this.problem = 'a header block is interrupted';
    else if (carriesHeaders(type) && direction.left + direction.block.length > MAX_BLOCK)
      this.problem = `a header block is longer than ${MAX_BLOCK} bytes`;
    else if (direction.left === 0) this.endOfFrame(side, direction);
    return count;
  }

  private tunnelled(side: Side, direction: Direction, bytes: Uint8Array): number {
    if (direction.padding < 0) {
      direction.padding = bytes[0];
      direction.left--;
      if (direction.left === 0) direction.stream = -1;
      return 1;
    }
    const count = Math.min(direction.left, bytes.length);
    const content = Math.min(count, direction.left - direction.padding);
    if (content > 0) this.events.data(side, direction.stream, bytes.subarray(0, content));
    direction.left -= count;
    if (direction.left === 0) direction.stream = -1;
    return count;
  }

  private payload(side: Side, direction: Direction, bytes: Uint8Array): number {
    const count = Math.min(direction.left, bytes.length);
    direction.left -= count;
    if (carriesHeaders(direction.type) || (direction.type === Frame.reset && direction.bytes.length < 4))
      direction.bytes.append(bytes.subarray(0, count));
    if (direction.left === 0) this.endOfFrame(side, direction);
    return count;
  }

  private endOfFrame(side: Side, direction: Direction): void {
    const { type, flags, stream, bytes, block } = direction;
    direction.stream = -1;
    const payload = bytes.content;
    if (type === Frame.reset && payload.length >= 4) {
      this.events.reset(side, stream, payload.readUInt32BE(0));
    } else if (carriesHeaders(type)) {
      const fragment = type === Frame.continuation ? payload : fragmentOf(type, flags, payload);
      if (fragment === null) {
        this.problem = 'a header block has more padding than bytes';
        return;
      }
      if (type !== Frame.continuation) direction.blockOf = type;
      block.append(fragment);
      direction.blockStream = flags & Flag.endHeaders ? -1 : stream;
      if (flags & Flag.endHeaders) this.endOfBlock(side, direction, stream);
    }
    bytes.consume(bytes.length);
  }

  private endOfBlock(side: Side, direction: Direction, stream: number): void {
    const { block, blockOf, hpack } = direction;
    const fields = hpack.decode(block.content);
    block.consume(block.length);
    if (fields === null) this.problem = 'a header block does not decode';
    // A promised request is only decoded to follow the table.
    else if (blockOf === Frame.headers) this.events.headers(side, stream, fields);
  }
}

function carriesHeaders(type: number): boolean {
  return type === Frame.headers || type === Frame.continuation || type === Frame.pushPromise;
}

/**
 * The part of a frame's payload that is of the header block (sections 6.2 and 6.6), null where lengths contradict:
 *
 *   | padding 8, if PADDED | E 1, dependency 31, weight 8, if PRIORITY | promised stream 32, if promised | block | padding |
 */
function fragmentOf(type: number, flags: number, payload: Buffer): Buffer | null {
  const padded = (flags & Flag.padded) !== 0;
  const priority = type === Frame.headers && (flags & Flag.priority) !== 0;
  const from = (padded ? 1 : 0) + (priority ? 5 : 0) + (type === Frame.pushPromise ? 4 : 0);
  const to = payload.length - (padded && payload.length > 0 ? payload[0] : 0);
  return from <= to ? payload.subarray(from, to) : null;
}

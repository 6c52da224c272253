/**
 * zstd frames, RFC 8878 section 3:
 *
 *   magic(4) descriptor(1) [window(1)] [dictionary id(0-4)] [content size(0-8)]
 *   blocks: header(3) data, until one is marked as the last, then [checksum(4)]
 *
 * Frames and blocks are told apart here, whatever decodes them: that bounds the memory (one block at a time,
 * windows up to a limit), finds a cut, and keeps what was decoded before a fault.
 */
import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import type { InputBlock } from './block.ts';
import { need } from './decompress.ts';
import { decodeFrames } from './frames.ts';
import { XxHash64 } from './xxhash.ts';
import { ZlibEngine } from './zlib-engine.ts';

const FRAME_MAGIC = 0xfd2fb528;

/** Largest window accepted, in bytes: that of the zstd tool without --long or --memory. */
const MAX_WINDOW = 1 << 27;
const MAX_BLOCK = 1 << 17;

const WRONG_CHECKSUM = 'zstd data corrupt: checksum wrong';

/** Decodes one frame, given in pieces: the header, the blocks, the checksum where there is one. */
interface FrameDecoder {
  push(piece: Uint8Array, last: boolean): Promise<readonly Uint8Array[]>;
  /** Ends the frame. Throws if `checksum` is not that of the decoded bytes. */
  check(checksum: Uint8Array): Promise<readonly Uint8Array[]>;
  close(): void;
}

interface FrameHeader {
  readonly size: number;
  readonly checksum: boolean;
}

/** Decodes the frames of `input`. */
export function unzstd(input: InputBlock): AsyncGenerator<Uint8Array, void> {
  return decodeFrames(input, 'zstd', FRAME_MAGIC, frame);
}

async function* frame(input: InputBlock): AsyncGenerator<Uint8Array, void> {
  const header = await readHeader(input);
  const decoder = await createDecoder(header.checksum);
  try {
    yield* await decoder.push(take(input, header.size), false);
    for (let last = false; !last; ) {
      await need(input, 3, 'zstd');
      const { bytes, start } = input;
      const word = bytes[start] | (bytes[start + 1] << 8) | (bytes[start + 2] << 16);
      last = (word & 1) === 1;
      const type = (word >>> 1) & 3;
      const size = word >>> 3;
      if (type === 3 || size > MAX_BLOCK) throw new Error('zstd data corrupt: bad block header');
      const stored = 3 + (type === 1 ? 1 : size);
      await need(input, stored, 'zstd');
      yield* await decoder.push(take(input, stored), last && !header.checksum);
    }
    if (header.checksum) {
      await need(input, 4, 'zstd');
      yield* await decoder.check(take(input, 4));
    }
  } finally {
    decoder.close();
  }
}

/** Consumes `size` bytes. Copied: the decoders may keep a piece longer than the input block does. */
function take(input: InputBlock, size: number): Uint8Array {
  const piece = input.bytes.slice(input.start, input.start + size);
  input.start += size;
  return piece;
}

async function readHeader(input: InputBlock): Promise<FrameHeader> {
  await need(input, 6, 'zstd');
  const { bytes, start } = input;
  const descriptor = bytes[start + 4];
  const singleSegment = (descriptor & 0x20) !== 0;
  if (descriptor & 0x08) throw new Error('zstd data corrupt: reserved bit set in the frame header');
  const dictionarySize = [0, 1, 2, 4][descriptor & 3];
  const contentSize = [singleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6];
  const size = 5 + (singleSegment ? 0 : 1) + dictionarySize + contentSize;
  await need(input, size, 'zstd');
  let window: number;
  if (singleSegment) {
    window = readSize(input.view, input.start + size - contentSize, contentSize);
  } else {
    const base = 2 ** (10 + (input.bytes[input.start + 5] >>> 3));
    window = base + (base / 8) * (input.bytes[input.start + 5] & 7);
  }
  if (window > MAX_WINDOW) throw new Error(`zstd window of ${window} bytes, the limit is ${MAX_WINDOW}`);
  for (let i = 0; i < dictionarySize; i++) {
    const at = input.start + size - contentSize - dictionarySize + i;
    if (input.bytes[at] !== 0) throw new Error('zstd frame needs a dictionary');
  }
  return { size, checksum: (descriptor & 0x04) !== 0 };
}

function readSize(view: DataView, at: number, size: number): number {
  if (size === 1) return view.getUint8(at);
  if (size === 2) return view.getUint16(at, true) + 256;
  return size === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
}

type CreateZstd = (options: { chunkSize: number }) => Transform & { readonly bytesWritten: number };

/** node:zlib has zstd from 22.15 on: several times faster than the JavaScript decoder. */
async function createDecoder(checksum: boolean): Promise<FrameDecoder> {
  const createZstd = (zlib as { createZstdDecompress?: CreateZstd }).createZstdDecompress;
  if (createZstd !== undefined) return new NativeDecoder(createZstd({ chunkSize: MAX_BLOCK }));
  const { Decompress } = await import('fzstd');
  const chunks: Uint8Array[] = [];
  return new FzstdDecoder(new Decompress((chunk) => chunks.push(chunk)), chunks, checksum);
}

class NativeDecoder implements FrameDecoder {
  readonly #engine: ZlibEngine;

  constructor(stream: Transform & { readonly bytesWritten: number }) {
    this.#engine = new ZlibEngine(stream);
  }

  async push(piece: Uint8Array): Promise<readonly Uint8Array[]> {
    await this.#engine.write(piece);
    if (this.#engine.error !== null) throw new Error(`zstd data corrupt: ${this.#engine.error.message}`);
    return this.#engine.decoded();
  }

  async check(checksum: Uint8Array): Promise<readonly Uint8Array[]> {
    await this.#engine.write(checksum);
    if (this.#engine.error !== null) throw new Error(WRONG_CHECKSUM);
    return this.#engine.decoded();
  }

  close(): void {
    this.#engine.close();
  }
}

/** fzstd does not check the checksum: a damaged frame would come out as wrong packets without a word. */
class FzstdDecoder implements FrameDecoder {
  readonly #decoder: { push(piece: Uint8Array, final?: boolean): void };
  readonly #chunks: Uint8Array[];
  readonly #hash: XxHash64 | null;

  constructor(
    decoder: { push(piece: Uint8Array, final?: boolean): void },
    chunks: Uint8Array[],
    checksum: boolean,
  ) {
    this.#decoder = decoder;
    this.#chunks = chunks;
    this.#hash = checksum ? new XxHash64() : null;
  }

  async push(piece: Uint8Array, last: boolean): Promise<readonly Uint8Array[]> {
    try {
      this.#decoder.push(piece, last);
    } catch (error) {
      throw new Error(`zstd data corrupt: ${(error as Error).message}`);
    }
    const decoded = this.#chunks.splice(0).filter((chunk) => chunk.length > 0);
    for (const chunk of decoded) this.#hash?.update(chunk);
    return decoded;
  }

  async check(checksum: Uint8Array): Promise<readonly Uint8Array[]> {
    // fzstd holds back frames of less than 18 bytes until it is told that this is all.
    const decoded = await this.push(checksum, true);
    const expected = new DataView(checksum.buffer).getUint32(0, true);
    if (Number(this.#hash!.digest() & 0xffffffffn) !== expected) {
      throw new Error(WRONG_CHECKSUM);
    }
    return decoded;
  }

  close(): void {}
}

import type { Transform } from 'node:stream';
import type { InputBlock } from './block.ts';
import { need } from './decompress.ts';
import type { Compression } from './sniff.ts';

/**
 * Largest piece handed to zlib at once. Deflate expands at most 1032 to 1, so that no piece becomes more than
 * 34 MB; larger pieces are hardly faster.
 */
const MAX_PIECE = 1 << 15;
/** A fault costs what zlib decoded of the same piece: start small, so that little is lost of a small file. */
const MIN_PIECE = 1 << 9;

/** One of node:zlib's decoders, fed by hand: piped, it would drop what it has decoded when it meets a fault. */
export class ZlibEngine {
  readonly #stream: Transform & { readonly bytesWritten: number };
  #decoded: Uint8Array[] = [];
  #error: Error | null = null;
  #done: () => void = () => {};

  constructor(stream: Transform & { readonly bytesWritten: number }) {
    this.#stream = stream;
    stream.on('data', (chunk: Uint8Array) => this.#decoded.push(chunk));
    stream.on('error', (error) => {
      this.#error = error;
      this.#done();
    });
  }

  /** Decodes up to the end of the compressed data, wherever that is in `input`, and consumes it. */
  async *decode(input: InputBlock, format: Compression): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      await need(input, 1, format);
      const size = Math.min(input.size, MAX_PIECE, MIN_PIECE + (this.#stream.bytesWritten >>> 3));
      const consumed = await this.write(input.bytes.subarray(input.start, input.start + size));
      input.start += consumed;
      yield* this.decoded();
      if (this.#error !== null) throw new Error(`${format} data corrupt: ${this.#error.message}`);
      if (consumed < size) return;
    }
  }

  /** Decodes `piece` and returns how much of it belongs to the compressed data. */
  async write(piece: Uint8Array): Promise<number> {
    const before = this.#stream.bytesWritten;
    await new Promise<void>((resolve) => {
      this.#done = resolve;
      this.#stream.write(piece, () => resolve());
    });
    return this.#stream.bytesWritten - before;
  }

  /** What has been decoded since the last call. */
  decoded(): Uint8Array[] {
    const decoded = this.#decoded;
    this.#decoded = [];
    return decoded;
  }

  get error(): Error | null {
    return this.#error;
  }

  close(): void {
    this.#stream.destroy();
  }
}

import type { InputBlock } from './block.ts';
import type { Compression } from './sniff.ts';
import type { ByteSource } from './source.ts';

/** Yields the decoded bytes of `input`; a chunk is valid until the next is asked for. Throws at a fault. */
export type Decoder = (input: InputBlock) => AsyncGenerator<Uint8Array, void>;

/** Opens the decompressor for `compression` over `input`. Decoders are loaded when they are needed. */
export async function decompress(input: InputBlock, compression: Compression): Promise<ByteSource> {
  switch (compression) {
    case 'gzip':
      return new DecodedSource(input, (await import('./gzip.ts')).gunzip);
    case 'zstd':
      return new DecodedSource(input, (await import('./zstd.ts')).unzstd);
    case 'lz4':
      return new DecodedSource(input, (await import('./lz4.ts')).unlz4);
  }
}

/**
 * A stream may decode to so many times its size, and to `FREE_SIZE` in any case: more is a few bytes made to keep us busy
 * for hours. Frames full of zeros are the most that captures have; measured with gzip -6 and zstd -3, they reach 151 and
 * 217 with 1500 bytes each, 514 and 864 with 9000, 779 and 3974 with 65 000. Zeros alone reach 1029 with gzip.
 */
const MAX_RATIO = 1000;
const FREE_SIZE = 1 << 26;

/** A decoder as a byte source: it runs only as far as the reader asks, which is all the backpressure needed. */
class DecodedSource implements ByteSource {
  readonly #input: InputBlock;
  readonly #chunks: AsyncGenerator<Uint8Array, void>;
  #rest: Uint8Array = new Uint8Array(0);
  #decoded = 0;

  constructor(input: InputBlock, decoder: Decoder) {
    this.#input = input;
    this.#chunks = decoder(input);
  }

  async read(target: Uint8Array, offset: number, length: number): Promise<number> {
    while (this.#rest.length === 0) {
      const { value } = await this.#chunks.next();
      if (value === undefined) return 0;
      this.#rest = value;
      this.#decoded += value.length;
      if (this.#decoded > FREE_SIZE && this.#decoded > MAX_RATIO * this.#input.offset)
        throw new Error(`unpacks to more than ${MAX_RATIO} times its size: unpack it first if it is no bomb`);
    }
    const chunk = this.#rest.subarray(0, length);
    target.set(chunk, offset);
    this.#rest = this.#rest.subarray(chunk.length);
    return chunk.length;
  }

  async close(): Promise<void> {
    // Closing the input first wakes a decoder that waits for it, so that `return` gets its turn.
    await this.#input.close();
    await this.#chunks.return();
  }
}

/** Waits until `size` bytes of `input` are there in a row. */
export async function need(input: InputBlock, size: number, format: Compression): Promise<void> {
  while (input.size < size) {
    if (!(await input.fill())) throw input.failure ?? new Error(`${format} stream cut`);
  }
}

/**
 * Checks that nothing follows the compressed stream but zeros, which block devices and tapes pad with.
 */
export async function endOfStream(input: InputBlock, format: Compression): Promise<void> {
  do {
    if (input.bytes.subarray(input.start, input.end).some((byte) => byte !== 0)) {
      throw new Error(`data after the ${format} stream is not ${format}`);
    }
    input.start = input.end;
  } while (await input.fill());
  if (input.failure !== null) throw input.failure;
}

import type { InputBlock } from './block.ts';
import { type Decoder, endOfStream, need } from './decompress.ts';
import type { Compression } from './sniff.ts';

/** The 16 magic numbers of frames of user data, the same in lz4 and zstd. */
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Decodes lz4 or zstd frames in a row. */
export async function* decodeFrames(
  input: InputBlock,
  format: Compression,
  magic: number,
  decodeFrame: Decoder,
): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    while (input.size < 4 && (await input.fill()));
    const found = input.size < 4 ? 0 : input.view.getUint32(input.start, true);
    if (found === magic) yield* decodeFrame(input);
    else if ((found & ~0xf) === SKIPPABLE_MAGIC) await skipFrame(input, format);
    else return endOfStream(input, format);
  }
}

/** magic(4) size(4) data */
async function skipFrame(input: InputBlock, format: Compression): Promise<void> {
  await need(input, 8, format);
  let left = input.view.getUint32(input.start + 4, true);
  input.start += 8;
  while (left > 0) {
    await need(input, 1, format);
    const size = Math.min(left, input.size);
    input.start += size;
    left -= size;
  }
}

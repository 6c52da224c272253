/**
 * lz4 frames, https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md:
 *
 *   magic(4) flags(1) block size(1) [content size(8)] [dictionary(4)] header checksum(1)
 *   blocks: size(4) data [checksum(4)], ended by a size of zero, then [content checksum(4)]
 */
import type { InputBlock } from './block.ts';
import { need } from './decompress.ts';
import { decodeFrames } from './frames.ts';
import { XxHash32 } from './xxhash.ts';

const FRAME_MAGIC = 0x184d2204;

/** Bits of the flag byte. */
const VERSION = 0xc0;
const BLOCK_CHECKSUM = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY = 0x01;

/** How far back a match can reach, also into the blocks before. */
const WINDOW = 1 << 16;
const UNCOMPRESSED = 0x8000_0000;

/** Decodes the frames of `input`. */
export function unlz4(input: InputBlock): AsyncGenerator<Uint8Array, void> {
  return decodeFrames(input, 'lz4', FRAME_MAGIC, frame);
}

async function* frame(input: InputBlock): AsyncGenerator<Uint8Array, void> {
  const { flags, maxBlock } = await readHeader(input);
  const checksumSize = flags & BLOCK_CHECKSUM ? 4 : 0;
  const content = flags & CONTENT_CHECKSUM ? new XxHash32() : null;
  // Decoded blocks stand behind a window of what came before: blocks may refer to it.
  const decoded = new Uint8Array(WINDOW + maxBlock);
  let end = 0;
  for (;;) {
    await need(input, 4, 'lz4');
    const word = input.view.getUint32(input.start, true);
    if (word === 0) break;
    const size = word & ~UNCOMPRESSED;
    if (size > maxBlock)
      throw new Error(`lz4 data corrupt: block of ${size} bytes, the limit is ${maxBlock}`);
    await need(input, 4 + size + checksumSize, 'lz4');
    const data = input.bytes.subarray(input.start + 4, input.start + 4 + size);
    if (checksumSize !== 0) {
      const hash = new XxHash32();
      hash.update(data);
      checkHash(hash, input.view.getUint32(input.start + 4 + size, true));
    }
    if (end > WINDOW) {
      decoded.copyWithin(0, end - WINDOW, end);
      end = WINDOW;
    }
    const start = end;
    if (word >= UNCOMPRESSED) {
      decoded.set(data, start);
      end += size;
    } else {
      end = decodeBlock(data, decoded, start, start + maxBlock);
    }
    input.start += 4 + size + checksumSize;
    const block = decoded.subarray(start, end);
    content?.update(block);
    yield block;
  }
  input.start += 4;
  if (content !== null) {
    await need(input, 4, 'lz4');
    checkHash(content, input.view.getUint32(input.start, true));
    input.start += 4;
  }
}

async function readHeader(input: InputBlock): Promise<{ flags: number; maxBlock: number }> {
  await need(input, 7, 'lz4');
  const flags = input.bytes[input.start + 4];
  const blockSize = (input.bytes[input.start + 5] >>> 4) & 7;
  if ((flags & VERSION) !== 0x40) throw new Error(`lz4 frame version ${flags >>> 6} is not supported`);
  if (flags & DICTIONARY) throw new Error('lz4 frame needs a dictionary');
  if (blockSize < 4) throw new Error(`lz4 data corrupt: block size code ${blockSize}`);
  const size = 7 + (flags & CONTENT_SIZE ? 8 : 0);
  await need(input, size, 'lz4');
  const hash = new XxHash32();
  hash.update(input.bytes.subarray(input.start + 4, input.start + size - 1));
  if (((hash.digest() >>> 8) & 0xff) !== input.bytes[input.start + size - 1]) {
    throw new Error('lz4 data corrupt: header checksum wrong');
  }
  input.start += size;
  return { flags, maxBlock: 1 << (8 + 2 * blockSize) };
}

function checkHash(hash: XxHash32, expected: number): void {
  if (hash.digest() !== expected) throw new Error('lz4 data corrupt: checksum wrong');
}

/**
 * Decodes a block: sequences of token(1) [literal length] literals offset(2) [match length], the last one of
 * literals only.
 *
 * @returns The end of the decoded bytes in `target`.
 */
function decodeBlock(source: Uint8Array, target: Uint8Array, start: number, limit: number): number {
  let at = 0;
  let to = start;
  while (at < source.length) {
    const token = source[at++];
    let literals = token >>> 4;
    if (literals === 15) {
      let more: number;
      do {
        more = source[at++];
        literals += more;
      } while (more === 255);
    }
    // Written so that a length read behind the end of the block, NaN, fails too.
    if (!(literals <= source.length - at && literals <= limit - to)) throw badBlock();
    for (const end = at + literals; at < end; ) target[to++] = source[at++];
    if (at === source.length) return to;

    const distance = source[at] | (source[at + 1] << 8);
    at += 2;
    let match = (token & 15) + 4;
    if (match === 19) {
      let more: number;
      do {
        more = source[at++];
        match += more;
      } while (more === 255);
    }
    if (!(distance > 0 && distance <= to && match <= limit - to)) throw badBlock();
    // Byte by byte: a match may overlap what it produces.
    for (const end = to + match; to < end; to++) target[to] = target[to - distance];
  }
  throw badBlock();
}

function badBlock(): Error {
  return new Error('lz4 data corrupt: bad sequence');
}

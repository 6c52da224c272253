import { crc32, createInflateRaw } from 'node:zlib';
import type { InputBlock } from './block.ts';
import { endOfStream, need } from './decompress.ts';
import { ZlibEngine } from './zlib-engine.ts';

/** Bits of the flag byte, RFC 1952 section 2.3.1. */
const FHCRC = 0x02;
const FEXTRA = 0x04;
const FNAME = 0x08;
const FCOMMENT = 0x10;

/**
 * gzip, RFC 1952: members in a row, each a header, raw deflate data and a trailer.
 *
 * The framing is read here because zlib's own gzip mode throws away the last decoded bytes where a checksum is
 * wrong; here everything decoded is delivered first.
 */
export async function* gunzip(input: InputBlock): AsyncGenerator<Uint8Array, void> {
  do {
    await skipHeader(input);
    const engine = new ZlibEngine(createInflateRaw({ chunkSize: 1 << 18 }));
    let crc = 0;
    let size = 0;
    try {
      for await (const chunk of engine.decode(input, 'gzip')) {
        crc = crc32(chunk, crc);
        size = (size + chunk.length) >>> 0;
        yield chunk;
      }
    } finally {
      engine.close();
    }
    await need(input, 8, 'gzip');
    const wrong = input.view.getUint32(input.start, true) !== crc ? 'checksum' : 'length';
    if (wrong === 'checksum' || input.view.getUint32(input.start + 4, true) !== size) {
      throw new Error(`gzip data corrupt: ${wrong} wrong`);
    }
    input.start += 8;
  } while (await anotherMember(input));
  await endOfStream(input, 'gzip');
}

async function anotherMember(input: InputBlock): Promise<boolean> {
  while (input.size < 2 && (await input.fill()));
  return input.size >= 2 && input.view.getUint16(input.start) === 0x1f8b;
}

async function skipHeader(input: InputBlock): Promise<void> {
  await need(input, 10, 'gzip');
  const method = input.bytes[input.start + 2];
  const flags = input.bytes[input.start + 3];
  if (method !== 8) throw new Error(`gzip compression method ${method} is not supported`);
  input.start += 10;
  if (flags & FEXTRA) {
    await need(input, 2, 'gzip');
    const length = 2 + input.view.getUint16(input.start, true);
    await need(input, length, 'gzip');
    input.start += length;
  }
  if (flags & FNAME) await skipText(input);
  if (flags & FCOMMENT) await skipText(input);
  if (flags & FHCRC) {
    await need(input, 2, 'gzip');
    input.start += 2;
  }
}

async function skipText(input: InputBlock): Promise<void> {
  for (;;) {
    await need(input, 1, 'gzip');
    if (input.bytes[input.start++] === 0) return;
  }
}

import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { openCapture } from '../../src/capture/open.ts';
import { XxHash32, XxHash64 } from '../../src/capture/xxhash.ts';
import {
  join,
  pcapHeader,
  pcapRecord,
  readAll,
  readBytes,
  repetitiveCapture,
  text,
  u16,
  u32,
} from './bytes.ts';
import { LZ4, LZ4_LINKED, ZSTD } from './compressed.ts';

const plain = repetitiveCapture();
const { packets: expected } = await readBytes(plain);
const skippable = join(u32(0x184d2a53), u32(5), text('12345'));

const streams = [
  { name: 'gzip', compression: 'gzip', bytes: gzipSync(plain) },
  { name: 'zstd', compression: 'zstd', bytes: ZSTD },
  { name: 'lz4', compression: 'lz4', bytes: LZ4 },
  { name: 'lz4 with linked blocks', compression: 'lz4', bytes: LZ4_LINKED },
];

/** The input with one byte changed. */
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] ^= 0x10;
  return copy;
}

for (const { name, compression, bytes } of streams) {
  describe(name, () => {
    it('is recognised by its content', async () => {
      const { packets, damage, file } = await readBytes(bytes);
      expect(packets).toEqual(expected);
      expect(damage).toBeNull();
      expect(file).toEqual({ file: 'test', format: 'pcap', compression, packets: 150 });
    });

    it('is read from pieces of any size', async () => {
      const pieces = Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));
      expect((await readBytes(pieces, 100)).packets).toEqual(expected);
    });

    it('gives the complete packets before a cut', async () => {
      for (let size = 20; size < bytes.length; size += 37) {
        const { packets, damage } = await readBytes(bytes.subarray(0, size));
        expect(packets).toEqual(expected.slice(0, packets.length));
        expect(damage?.text).toBe(`${compression} stream cut`);
      }
    });

    it('finds changed data', async () => {
      const all = Array.from({ length: Math.floor((bytes.length - 30) / 23) }, (_, i) => 30 + 23 * i);
      for (const at of all) {
        const { damage } = await readBytes(flipped(bytes, at));
        expect(damage, `byte ${at}`).not.toBeNull();
      }
    });

    it('delivers everything where only the checksum is wrong', async () => {
      const { packets, damage } = await readBytes(
        flipped(bytes, bytes.length - (compression === 'gzip' ? 8 : 1)),
      );
      expect(packets).toEqual(expected);
      expect(damage).toMatchObject({
        offset: plain.length,
        text: `${compression} data corrupt: checksum wrong`,
      });
    });

    it('accepts zeros behind the stream and nothing else', async () => {
      expect((await readBytes(join(bytes, new Uint8Array(5000)))).damage).toBeNull();
      const { packets, damage } = await readBytes(join(bytes, text('garbage')));
      expect(packets).toEqual(expected);
      expect(damage?.text).toBe(`data after the ${compression} stream is not ${compression}`);
    });

    it('is refused where it holds no capture, or another compressed stream', async () => {
      const other = gzipSync(bytes);
      await expect(readBytes(other)).rejects.toThrow(
        `not a capture: ${compression} inside gzip; unpack it first`,
      );
    });
  });
}

describe('frames and members in a row', () => {
  const more = join(pcapRecord(7, 8, text('more')));
  const seen = { number: 151, time: '7.000008000', length: 4, data: '6d6f7265', interfaceIndex: 0 };

  it('gzip, with every field a header can have', async () => {
    const member = gzipSync(more);
    const header = join(Uint8Array.of(0x1f, 0x8b, 8, 0x1e), new Uint8Array(6), u16(3), text('abc'));
    const full = join(header, text('name\0'), text('comment\0'), u16(0), member.subarray(10));
    const { packets, damage } = await readBytes(join(gzipSync(plain), gzipSync(text('')), full));
    expect(packets).toEqual([...expected, seen]);
    expect(damage).toBeNull();
  });

  it('zstd, with frames of user data', async () => {
    // A raw block in a single-segment frame without checksum.
    const frame = join(u32(0xfd2fb528), Uint8Array.of(0x20, more.length, (more.length << 3) | 1, 0, 0), more);
    const { packets, damage } = await readBytes(join(skippable, ZSTD, skippable, frame, skippable));
    expect(packets).toEqual([...expected, seen]);
    expect(damage).toBeNull();
  });

  it('lz4, with frames of user data and stored blocks', async () => {
    const descriptor = Uint8Array.of(0x60, 0x40);
    const hash = new XxHash32();
    hash.update(descriptor);
    const header = join(u32(0x184d2204), descriptor, Uint8Array.of((hash.digest() >>> 8) & 0xff));
    const frame = join(header, u32((0x80000000 | more.length) >>> 0), more, u32(0));
    const { packets, damage } = await readBytes(join(LZ4, skippable, frame));
    expect(packets).toEqual([...expected, seen]);
    expect(damage).toBeNull();
  });
});

it('lz4 as lz4js writes it', async () => {
  // @ts-expect-error The package has no types.
  const { compress } = (await import('lz4js')).default;
  expect(await readBytes(compress(plain))).toMatchObject({ packets: expected, damage: null });
});

describe('limits', () => {
  it('refuses zstd windows that would fill the memory', async () => {
    const frame = join(u32(0xfd2fb528), Uint8Array.of(0, 0xa8), new Uint8Array(20)); // window of 2^31
    expect((await readBytes(frame)).damage?.text).toBe(
      'zstd window of 2147483648 bytes, the limit is 134217728',
    );
  });

  it('reads no more than what is asked for', async () => {
    // Random bytes do not compress: the compressed input is as large as the capture.
    let state = 1;
    const noise = Uint8Array.from({ length: 8000 }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 24;
    });
    const bytes = gzipSync(
      join(
        pcapHeader(),
        ...Array.from({ length: 500 }, (_, i) =>
          pcapRecord(
            i,
            0,
            noise.map((b) => b ^ i),
          ),
        ),
      ),
    );
    let read = 0;
    function* pieces() {
      for (let at = 0; at < bytes.length; at += 10_000) {
        read = at;
        yield bytes.subarray(at, at + 10_000);
      }
    }
    const input = Readable.from(pieces(), { highWaterMark: 1 });
    const capture = await openCapture('test', { input, blockSize: 50_000 });
    await capture.next();
    for (let turn = 0; turn < 100; turn++) await setImmediate();
    expect(read).toBeLessThan(bytes.length / 4);
    expect((await readAll(capture)).at(-1)?.number).toBe(500);
  });
});

describe('ratio', () => {
  /** A capture with so many MiB of empty packets: each is sixteen zeros. */
  async function unpack(mebibytes: number) {
    const members = [gzipSync(pcapHeader()), gzipSync(new Uint8Array(mebibytes << 20), { level: 9 })];
    const capture = await openCapture('bomb', { input: Readable.from(members) });
    for await (const _ of capture);
    return capture.files[0];
  }

  it('ends a stream that unpacks to a thousand times its size, with every packet before', async () => {
    const { packets, damage } = await unpack(80);
    expect(damage?.text).toBe('unpacks to more than 1000 times its size: unpack it first if it is no bomb');
    expect(packets).toBe(Math.floor((damage!.offset - 24) / 16));
    expect(damage?.offset).toBeGreaterThan(60 << 20);
  });

  it('does not mind it in small captures', async () => {
    expect(await unpack(40)).toMatchObject({ packets: (40 << 20) / 16, damage: null });
  });
});

describe('xxHash', () => {
  const long = Buffer.alloc(1000, 'xxhash');
  it('agrees with the reference', () => {
    const hash = (input: Uint8Array) => {
      const [small, large] = [new XxHash32(), new XxHash64()];
      for (const part of [input.subarray(0, 1), input.subarray(1, 50), input.subarray(50)]) {
        small.update(part);
        large.update(part);
      }
      return [small.digest().toString(16), large.digest().toString(16)];
    };
    expect(hash(text(''))).toEqual(['2cc5d05', 'ef46db3751d8e999']);
    expect(hash(text('abc'))).toEqual(['32d153ff', '44bc2cf5ad770999']);
    // As the zstd and lz4 tools write it behind these 1000 bytes (zstd: the low half).
    expect(hash(long)).toEqual(['35c12d47', '714d619dd66884b9']);
  });
});

import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  block,
  enhancedPacket,
  interfaceDescription,
  join,
  option,
  pcapHeader,
  pcapRecord,
  readBytes,
  sectionHeader,
  text,
} from './bytes.ts';

const data = Uint8Array.from({ length: 70 }, (_, i) => i);
const pcap = [pcapHeader(), ...[0, 1, 30, 70].map((size) => pcapRecord(size, size, data.subarray(0, size)))];
const pcapng = [
  sectionHeader(),
  interfaceDescription([option(9, Uint8Array.of(9))]),
  enhancedPacket(0, 1_000_000_001n, data),
  block(0x0bad, data),
  enhancedPacket(0, 2_000_000_001n, data.subarray(0, 5), { options: [option(1, text('comment'))] }),
  block(3, join(new Uint8Array(4), data)),
];
const files = [
  { name: 'pcap', parts: pcap, isPacket: (i: number) => i > 0 },
  { name: 'pcapng', parts: pcapng, isPacket: (i: number) => i === 2 || i >= 4 },
];

for (const { name, parts, isPacket } of files) {
  const bytes = join(...parts);

  it(`${name}: any pieces and any block size give the same packets`, async () => {
    const { packets } = await readBytes(bytes);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }),
        fc.integer({ min: 1, max: 300 }),
        async (sizes, blockSize) => {
          const pieces: Uint8Array[] = [];
          for (let at = 0, i = 0; at < bytes.length; i++) {
            const size = sizes[i % sizes.length];
            pieces.push(bytes.subarray(at, at + size));
            at += size;
          }
          const seen = await readBytes(pieces, blockSize);
          expect(seen.packets).toEqual(packets);
          expect(seen.damage).toBeNull();
        },
      ),
    );
  });

  it(`${name}: a cut anywhere gives the complete packets and says where`, async () => {
    const { packets } = await readBytes(bytes);
    const ends: number[] = [];
    for (const part of parts) ends.push((ends.at(-1) ?? 0) + part.length);
    for (let size = 0; size < bytes.length; size++) {
      const seen = await readBytes(bytes.subarray(0, size));
      const complete = ends.filter((end, i) => end <= size && isPacket(i)).length;
      expect(seen.packets).toEqual(packets.slice(0, complete));
      const lastEnd = ends.filter((end) => end <= size).at(-1) ?? 0;
      if (size === lastEnd && size > 0) expect(seen.damage).toBeNull();
      else expect(seen.damage).toMatchObject({ offset: lastEnd });
    }
  });

  it(`${name}: changed bytes never throw, hang or leave the block`, async () => {
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
    });
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        const copy = Uint8Array.from(bytes);
        for (const [at, value] of list) if (at >= 4) copy[at] = value;
        const { packets } = await readBytes(copy, 64);
        for (const packet of packets) {
          expect(packet.time).toMatch(/^-?\d+(\.\d+)?(e\+\d+)?\.\d{9}$/);
          expect(packet.data.length / 2).toBeLessThan(bytes.length);
        }
      }),
      { numRuns: 500 },
    );
  });
}

interface ParsedPacket {
  readonly header: {
    readonly timestampSeconds: number;
    readonly timestampMicroseconds: number;
    readonly originalLength: number;
  };
  readonly data: Buffer;
}

it('agrees with pcap-parser on classic microsecond files', async () => {
  // @ts-expect-error The package has no types.
  const { parse } = (await import('pcap-parser')).default;
  const folder = mkdtempSync(path.join(tmpdir(), 'tunscope-'));
  const record = fc.record({
    seconds: fc.integer({ min: 0, max: 0xffffffff }),
    microseconds: fc.nat(999_999),
    data: fc.uint8Array({ maxLength: 2000 }),
    cut: fc.nat(9000),
  });
  try {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.array(record), async (littleEndian, records) => {
        const bytes = join(
          pcapHeader({ littleEndian }),
          ...records.map((one) =>
            pcapRecord(one.seconds, one.microseconds, one.data, {
              length: one.data.length + one.cut,
              littleEndian,
            }),
          ),
        );
        const file = path.join(folder, 'oracle.pcap');
        writeFileSync(file, bytes);
        const parsed: unknown[] = [];
        await new Promise((resolve, reject) => {
          const parser = parse(createReadStream(file));
          parser.on('packet', ({ header, data }: ParsedPacket) => {
            parsed.push({
              time: `${header.timestampSeconds}.${String(header.timestampMicroseconds).padStart(6, '0')}000`,
              length: header.originalLength,
              data: data.toString('hex'),
            });
          });
          parser.on('end', resolve);
          parser.on('error', reject);
        });
        const { packets } = await readBytes(bytes);
        expect(packets.map(({ time, length, data }) => ({ time, length, data }))).toEqual(parsed);
      }),
      { numRuns: 30 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

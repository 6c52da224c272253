/** What was read is what the written file has: over samples, over arbitrary packets, over a corpus. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCapture, openCaptures } from '../../src/capture/open.ts';
import { PcapngWriter } from '../../src/capture/pcapng-writer.ts';
import { CaptureError } from '../../src/errors.ts';
import {
  BIG,
  block,
  enhancedPacket,
  interfaceDescription,
  join,
  LITTLE,
  openBytes,
  option,
  pcapHeader,
  pcapRecord,
  sectionHeader,
  text,
  u16,
  u32,
  u64,
} from '../capture/bytes.ts';
import { captures, sample } from '../samples.ts';
import { contents, MemoryDestination, rewrite } from './rewrite.ts';

async function expectSame(file: string): Promise<void> {
  const before = await contents(await openCapture(file));
  const after = await contents(await openBytes(await rewrite(await openCapture(file)), 1 << 16));
  // A section has one order: interfaces of a file with several have that of the first.
  const order = before.interfaces[0]?.littleEndian;
  const interfaces = before.interfaces.map((entry) => ({ ...entry, littleEndian: order }));
  const packets = before.packets.map((packet) => ({ ...packet, time: writableTime(packet.time) }));
  expect(after).toEqual({ ...before, interfaces, packets, damage: null });
}

/** The nearest time that nanoseconds in 64 bits can tell: some captures have times thousands of years ahead. */
function writableTime(time: string): string {
  const [, seconds, nanoseconds] = /^(.*)\.(\d{9})$/.exec(time)!;
  if (Number(seconds) < 0) return '0.000000000';
  const most = 2n ** 64n - 1n;
  const ticks = BigInt(Math.min(Number(seconds), 1e12)) * 1_000_000_000n + BigInt(nanoseconds);
  return ticks <= most ? time : `${most / 1_000_000_000n}.${most % 1_000_000_000n}`;
}

describe('every sample', () => {
  it.each(captures)('%s', (name) => expectSame(sample(name)));
});

const shared = process.env.TUNSCOPE_SHARED;
const root = path.join(shared ?? '.', 'captures');

describe.skipIf(shared === undefined)('every capture of the corpus (set TUNSCOPE_SHARED)', () => {
  const files = ['third-party', 'lab', 'ambient-emulated', 'vectors', 'vni-collision']
    .map((folder) => path.join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.parentPath.includes('golden'))
        .map((entry) => path.join(entry.parentPath, entry.name)),
    );

  it('of which there are many', () => expect(files.length).toBeGreaterThan(900));

  it.each(files.map((file) => path.relative(root, file)))('%s', async (name) => {
    try {
      await expectSame(path.join(root, name));
    } catch (error) {
      if (!(error instanceof CaptureError)) throw error;
    }
  });
});

describe('everything that a capture says', () => {
  const data = Uint8Array.of(1, 2, 3, 4, 5);

  it.each([
    ['little-endian', LITTLE],
    ['big-endian', BIG],
  ])('is written: %s', async (_, order) => {
    const nameRecord = (type: number, address: readonly number[], name: string) => {
      const value = join(Uint8Array.from(address), text(`${name}\0`));
      return join(u16(type, order), u16(value.length, order), value, new Uint8Array(-value.length & 3));
    };
    const bytes = join(
      sectionHeader(order),
      interfaceDescription([option(2, text('eth0'), order), option(9, Uint8Array.of(9), order)], {
        snapLength: 96,
        order,
      }),
      interfaceDescription([option(2, text('lo ✓'), order), option(3, text('loop\nback'), order)], {
        linkType: 0,
        order,
      }),
      enhancedPacket(1, 1_700_000_000_123_456n, data, { length: 4_000_000_000, order }),
      block(
        4,
        join(
          nameRecord(1, [10, 0, 0, 1], 'ztunnel'),
          nameRecord(2, [...new Array<number>(15).fill(0), 1], 'localhost'),
          nameRecord(2, [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], 'net'),
          nameRecord(2, [...new Array<number>(10).fill(0), 255, 255, 10, 0, 0, 2], 'mapped'),
          nameRecord(3, [2, 0, 0, 0, 0, 0xa], 'veth'),
        ),
        order,
      ),
      enhancedPacket(0, 5n, new Uint8Array(0), {
        options: [option(1, text('first'), order), option(1, text('second'), order)],
        length: 0,
        order,
      }),
      interfaceDescription([option(2, text('silent'), order)], { order }),
      block(5, join(u32(0, order), u64(0n), option(4, u64(7n, order), order)), order),
    );
    const before = await contents(await openBytes(bytes));
    expect(before.names.map(([address]) => address)).toEqual([
      '10.0.0.1',
      '::1',
      '2001:db8:0:1::',
      '::ffff:10.0.0.2',
      '02:00:00:00:00:0a',
    ]);
    expect(before.packets.map(({ comment }) => comment)).toEqual([undefined, 'first\nsecond']);
    expect(await contents(await openBytes(await rewrite(await openBytes(bytes))))).toEqual(before);
  });

  it('is written of several captures merged', async () => {
    const files = ['geneve-ovn.pcap', 'link-layers.pcapng', 'dns-tls.pcapng', 'any-sll2.pcap'].map(sample);
    const before = await contents(await openCaptures(files));
    const after = await contents(await openBytes(await rewrite(await openCaptures(files)), 1 << 16));
    // Numbers begin anew: those of a merge are the numbers in each file.
    const packets = before.packets.map((packet, i) => ({ ...packet, number: i + 1 }));
    expect(after).toEqual({ ...before, packets });
  });

  it('leaves a file that pcapng readers take, whatever is in it', async () => {
    for (const bytes of [sectionHeader(), pcapHeader(), Uint8Array.of(0xd4, 0xc3)]) {
      const written = await rewrite(await openBytes(bytes));
      const { packets, damage } = await contents(await openBytes(written));
      expect({ packets, damage }).toEqual({ packets: [], damage: null });
    }
  });
});

describe('PcapngWriter', () => {
  const comment = fc.string({ unit: 'grapheme', maxLength: 300 }).map((value) => value.replaceAll('\0', ''));
  const packet = fc.record({
    which: fc.nat(2),
    seconds: fc.oneof(fc.nat(0xffffffff), fc.nat(18_446_744_072)),
    nanoseconds: fc.nat(999_999_999),
    data: fc.uint8Array({ maxLength: 300 }),
    before: fc.nat(20),
    length: fc.nat(0xffffffff),
    comment: fc.option(comment, { nil: undefined }),
    flush: fc.boolean(),
  });

  it('writes arbitrary packets so that they are read as they were', () =>
    fc.assert(
      fc.asyncProperty(
        fc.boolean(),
        fc.array(packet),
        fc.array(fc.tuple(fc.ipV4(), comment)),
        fc.array(fc.tuple(fc.ipV6(), comment)),
        async (littleEndian, packets, ipv4, ipv6) => {
          const destination = new MemoryDestination();
          const writer = new PcapngWriter(destination, littleEndian);
          for (const linkType of [1, 101, 65535])
            writer.interface({ linkType, name: `if${linkType}`, description: null, snapLength: 0 });
          for (const one of packets) {
            const frame = join(new Uint8Array(one.before), one.data, Uint8Array.of(9, 9));
            const end = one.before + one.data.length;
            writer.packet(
              one.which,
              one.seconds,
              one.nanoseconds,
              frame,
              one.before,
              end,
              one.length,
              one.comment,
            );
            if (one.flush) await writer.flush();
          }
          for (const [address, name] of [...ipv4, ...ipv6]) writer.name(address, name);
          expect(writer.size % 4).toBe(0);
          await writer.complete();
          expect(destination.bytes.length).toBe(writer.size);
          const read = await contents(await openBytes(destination.bytes, 1 << 12));
          expect(read.damage).toBeNull();
          expect(read.packets).toEqual(
            packets.map((one, i) => ({
              number: i + 1,
              time: `${one.seconds}.${String(one.nanoseconds).padStart(9, '0')}`,
              length: one.length,
              data: Buffer.from(one.data).toString('hex'),
              interfaceIndex: one.which,
              ...(one.comment !== undefined && { comment: one.comment }),
            })),
          );
          const named = new Set([...ipv4, ...ipv6].filter(([, name]) => name !== '').map(([, name]) => name));
          for (const [, name] of read.names) expect(named).toContain(name);
        },
      ),
    ));

  it('writes the nearest time where 64 bits of nanoseconds have none, and counts', async () => {
    const destination = new MemoryDestination();
    const writer = new PcapngWriter(destination);
    writer.interface({ linkType: 1, name: null, description: null, snapLength: 0 });
    const times = [
      [-1, 999_999_999],
      [18_446_744_073, 709_551_615],
      [18_446_744_073, 709_551_616],
      [1e300, 0],
    ];
    for (const [seconds, nanoseconds] of times)
      writer.packet(0, seconds, nanoseconds, new Uint8Array(0), 0, 0, 0);
    await writer.complete();
    const { packets } = await contents(await openBytes(destination.bytes));
    const last = '18446744073.709551615';
    expect(packets.map(({ time }) => time)).toEqual(['0.000000000', last, last, last]);
    expect(writer.clampedTimes).toBe(3);
  });

  it('keeps texts within what options may have, in whole characters', async () => {
    const destination = new MemoryDestination();
    const writer = new PcapngWriter(destination);
    writer.interface({ linkType: 1, name: '€'.repeat(30_000), description: '', snapLength: 0 });
    writer.name('10.0.0.1', '€'.repeat(30_000));
    writer.packet(0, 0, 0, new Uint8Array(0), 0, 0, 0, '€'.repeat(30_000));
    await writer.complete();
    const { packets, names, damage } = await contents(await openBytes(destination.bytes));
    expect(damage).toBeNull();
    expect(packets[0].comment).toMatch(/^€{16384}$/);
    expect(names).toEqual([['10.0.0.1', expect.stringMatching(/^€{85}$/)]]);
  });

  it.each([
    '',
    'host',
    '10.0.0',
    '10.0.0.256',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '::1.2.3',
    'fe80::1%eth0',
    '02:00:00:00:00',
  ])('leaves out a name for what is no address: %j', async (address) => {
    const destination = new MemoryDestination();
    const writer = new PcapngWriter(destination);
    const empty = writer.size;
    writer.name(address, 'name');
    expect(writer.size).toBe(empty);
  });

  it('goes on in another file, each complete at any moment', async () => {
    const first = new MemoryDestination();
    const second = new MemoryDestination();
    const writer = new PcapngWriter(first);
    const describeInterface = () =>
      writer.interface({ linkType: 1, name: 'eth0', description: null, snapLength: 0 });
    describeInterface();
    for (let i = 0; i < 3; i++) {
      writer.packet(0, i, 0, Uint8Array.of(i), 0, 1, 1);
      await writer.flush();
      const { packets, damage } = await contents(await openBytes(first.bytes));
      expect([packets.length, damage]).toEqual([i + 1, null]);
    }
    await writer.next(second);
    expect(first.completed).toBe(true);
    expect(writer.interfaces).toBe(0);
    describeInterface();
    writer.packet(0, 3, 0, Uint8Array.of(3), 0, 1, 1);
    await writer.complete();
    const { packets, interfaces } = await contents(await openBytes(second.bytes));
    expect(packets.map(({ data }) => data)).toEqual(['03']);
    expect(interfaces.map(({ name }) => name)).toEqual(['eth0']);
  });

  it('writes a capture in parts that describe the same interfaces and names', async () => {
    const bytes = join(pcapHeader(), ...[0, 1, 2, 3].map((i) => pcapRecord(i, i, Uint8Array.of(i))));
    const capture = await openBytes(bytes);
    const parts = [new MemoryDestination(), new MemoryDestination()];
    const { CaptureWriter } = await import('../../src/capture/capture-writer.ts');
    const writer = new CaptureWriter(capture, parts[0]);
    for await (const batch of capture) {
      for (let i = 0; i < batch.count; i++) {
        if (batch.seconds[i] === 2) await writer.next(parts[1]);
        writer.packet(batch, i);
      }
    }
    await writer.complete();
    const read = await Promise.all(parts.map(async (part) => contents(await openBytes(part.bytes))));
    expect(read.map(({ packets }) => packets.map(({ data }) => data))).toEqual([
      ['00', '01'],
      ['02', '03'],
    ]);
    expect(read[0].interfaces).toEqual(read[1].interfaces);
    expect(read[1].interfaces).toHaveLength(1);
  });
});

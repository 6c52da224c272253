import { describe, expect, it } from 'vitest';
import {
  BIG,
  block,
  END_OF_OPTIONS,
  enhancedPacket,
  interfaceDescription,
  join,
  LITTLE,
  type Order,
  option,
  readBytes,
  sectionHeader,
  text,
  u16,
  u32,
  u64,
} from './bytes.ts';

const data = Uint8Array.of(1, 2, 3, 4, 5);
const tsresol = (value: number) => option(9, Uint8Array.of(value));
const tsoffset = (seconds: bigint) => option(14, u64(seconds));

describe('pcapng structure', () => {
  it('reads sections of both byte orders, each with its own interfaces', async () => {
    const section = (order: Order, linkType: number) =>
      join(
        sectionHeader(order),
        interfaceDescription([], { order, linkType, snapLength: 96 }),
        interfaceDescription([option(2, text('eth1\0junk'), order), option(3, text('uplink'), order)], {
          order,
        }),
        enhancedPacket(1, 1_000_001n, data, { order, length: 60 }),
        enhancedPacket(0, 2_000_000n, data, { order }),
      );
    const { packets, interfaces, damage, file } = await readBytes(
      join(section(LITTLE, 113), section(BIG, 276)),
    );
    expect(packets).toEqual([
      { number: 1, time: '1.000001000', length: 60, data: '0102030405', interfaceIndex: 1 },
      { number: 2, time: '2.000000000', length: 5, data: '0102030405', interfaceIndex: 0 },
      { number: 3, time: '1.000001000', length: 60, data: '0102030405', interfaceIndex: 3 },
      { number: 4, time: '2.000000000', length: 5, data: '0102030405', interfaceIndex: 2 },
    ]);
    expect(
      interfaces.map(({ linkType, littleEndian, snapLength }) => [linkType, littleEndian, snapLength]),
    ).toEqual([
      [113, true, 96],
      [1, true, 0],
      [276, false, 96],
      [1, false, 0],
    ]);
    expect(interfaces[3]).toMatchObject({ file: 'test', name: 'eth1', description: 'uplink' });
    expect(interfaces[0]).toMatchObject({ name: null, description: null });
    expect(damage).toBeNull();
    expect(file).toMatchObject({ format: 'pcapng', packets: 4 });
  });

  it('skips blocks that are not packets, without numbering them', async () => {
    const others = [0x0a, 0x0bad, 0x40000bad, 9, 0x204, 0x80000001, 0xffffffff];
    const { packets, damage } = await readBytes(
      join(
        sectionHeader(LITTLE, [1, 2]),
        interfaceDescription(),
        ...others.map((type) => block(type, text('whatever'))),
        enhancedPacket(0, 0n, data),
        block(0x0a, new Uint8Array(100_000)),
        enhancedPacket(0, 0n, data),
      ),
    );
    expect(packets.map((packet) => packet.number)).toEqual([1, 2]);
    expect(damage).toBeNull();
  });

  it('reads obsolete and simple packet blocks', async () => {
    const obsolete = join(u16(1), u16(0xffff), u32(0), u32(3_000_000), u32(5), u32(60), data);
    const { packets } = await readBytes(
      join(
        sectionHeader(),
        interfaceDescription([], { snapLength: 4 }),
        interfaceDescription(),
        block(3, join(u32(5), data.subarray(0, 4))), // no packet with a time before it
        block(2, obsolete),
        block(3, join(u32(3), data.subarray(0, 3))),
      ),
    );
    expect(packets).toEqual([
      { number: 1, time: '0.000000000', length: 5, data: '01020304', interfaceIndex: 0 },
      { number: 2, time: '3.000000000', length: 60, data: '0102030405', interfaceIndex: 1 },
      { number: 3, time: '3.000000000', length: 3, data: '010203', interfaceIndex: 0 },
    ]);
  });
});

describe('pcapng time', () => {
  const now = 1_700_000_000n;
  const cases: readonly (readonly [name: string, options: Uint8Array[], ticks: bigint, time: string])[] = [
    ['microseconds by default', [], now * 1_000_000n + 999_999n, '1700000000.999999000'],
    ['seconds', [tsresol(0)], now, '1700000000.000000000'],
    ['milliseconds', [tsresol(3)], now * 1000n + 7n, '1700000000.007000000'],
    ['nanoseconds', [tsresol(9)], now * 1_000_000_000n + 999_999_999n, '1700000000.999999999'],
    ['nanoseconds, start of a second', [tsresol(9)], now * 1_000_000_000n, '1700000000.000000000'],
    ['nanoseconds, greatest', [tsresol(9)], 2n ** 64n - 1n, '18446744073.709551615'],
    ['picoseconds', [tsresol(12)], 1_500_000_000_999n, '1.500000000'],
    ['2^-32', [tsresol(0xa0)], (now << 32n) | 0x8000_0000n, '1700000000.500000000'],
    ['2^-30', [tsresol(0x9e)], (now << 30n) | 1n, '1700000000.000000000'],
    ['2^-0', [tsresol(0x80)], now, '1700000000.000000000'],
    ['10^-20', [tsresol(20)], 2n ** 64n - 1n, '0.184467440'],
    ['10^-127', [tsresol(127)], 2n ** 64n - 1n, '0.000000000'],
    ['2^-127', [tsresol(255)], 2n ** 64n - 1n, '0.000000000'],
    ['offset', [tsoffset(now)], 1_000_001n, '1700000001.000001000'],
    ['negative offset', [tsoffset(-2n)], 1_000_001n, '-1.000001000'],
    ['empty if_tsresol', [option(9, new Uint8Array(0))], 1_000_001n, '1.000001000'],
  ];
  for (const [name, options, ticks, time] of cases) {
    it(name, async () => {
      const file = join(sectionHeader(), interfaceDescription(options), enhancedPacket(0, ticks, data));
      expect((await readBytes(file)).packets[0].time).toBe(time);
    });
  }

  it('is a number for every resolution there is', async () => {
    const all = Array.from({ length: 256 }, (_, value) => value);
    const { packets, damage } = await readBytes(
      join(
        sectionHeader(),
        ...all.map((value) => interfaceDescription([tsresol(value), tsoffset(-(2n ** 63n))])),
        ...all.map((id) => enhancedPacket(id, 2n ** 64n - 1n, data)),
      ),
    );
    expect(damage).toBeNull();
    expect(packets).toHaveLength(256);
    for (const packet of packets) expect(packet.time).toMatch(/^-?\d+(e\+\d+)?\.\d{9}$/);
  });
});

describe('pcapng options and metadata', () => {
  it('keeps comments of packets', async () => {
    const comments = [option(1, text('first')), option(2988, text('custom')), option(1, text('second'))];
    const { packets } = await readBytes(
      join(
        sectionHeader(),
        interfaceDescription(),
        enhancedPacket(0, 0n, data),
        enhancedPacket(0, 0n, data, { options: [...comments, END_OF_OPTIONS] }),
        enhancedPacket(0, 0n, data, { options: [option(1, text('no end'))] }),
        enhancedPacket(0, 0n, data, { options: [join(u16(1), u16(200), text('too long'))] }),
      ),
    );
    expect(packets.map((packet) => packet.comment)).toEqual([
      undefined,
      'first\nsecond',
      'no end',
      undefined,
    ]);
  });

  it('takes what fits of hostile lists of comments, names and descriptions', async () => {
    const long = text('x'.repeat(60_000));
    const record = join(u16(1), u16(5004), Uint8Array.of(10, 0, 0, 1), long.subarray(0, 5000));
    const comments = join(...Array.from({ length: 50_000 }, () => option(1, text('c'))));
    const { packets, interfaces, names, damage } = await readBytes(
      join(
        sectionHeader(),
        interfaceDescription([option(2, long), option(3, long)]),
        block(4, record),
        enhancedPacket(0, 0n, data, { options: [comments] }),
        enhancedPacket(0, 0n, data, { options: [option(1, long)] }),
      ),
    );
    expect(damage).toBeNull();
    expect(packets.map(({ comment }) => comment?.length)).toEqual([16_384, 16_384]);
    expect([interfaces[0].name?.length, interfaces[0].description?.length]).toEqual([1024, 1024]);
    expect(names.get('10.0.0.1')).toBe('x'.repeat(255));
  });

  it('cuts the frame check sequence of the interface, or the one the packet names', async () => {
    const { packets } = await readBytes(
      join(
        sectionHeader(),
        interfaceDescription([option(13, Uint8Array.of(4))]),
        enhancedPacket(0, 0n, data),
        enhancedPacket(0, 0n, data, { options: [option(2, u32(2 << 5))] }),
        block(3, join(u32(5), data)),
      ),
    );
    expect(packets.map(({ length, data }) => [length, data])).toEqual([
      [1, '01'],
      [3, '010203'],
      [1, '01'],
    ]);
  });

  it('takes names of addresses, the first one of each', async () => {
    const record = (type: number, address: readonly number[], names: string) => {
      const value = join(Uint8Array.from(address), text(names));
      return join(u16(type), u16(value.length), value, new Uint8Array(-value.length & 3));
    };
    const v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    const names = join(
      record(1, [10, 0, 0, 1], 'ztunnel\0alias\0'),
      record(1, [10, 0, 0, 1], 'later\0'),
      record(2, v6, 'istiod\0'),
      record(2, new Array(16).fill(0), 'any\0'),
      record(3, [2, 0, 0, 0, 0, 0xa], 'veth\0'),
      record(77, [1, 2], 'unknown\0'),
      END_OF_OPTIONS,
      record(1, [10, 0, 0, 2], 'after the end\0'),
    );
    const { names: seen } = await readBytes(join(sectionHeader(), block(4, names)));
    expect([...seen]).toEqual([
      ['10.0.0.1', 'ztunnel'],
      ['2001:db8::1:0:0:1', 'istiod'],
      ['::', 'any'],
      ['02:00:00:00:00:0a', 'veth'],
    ]);
  });

  it('takes interface statistics', async () => {
    const statistics = (id: number, ...options: Uint8Array[]) => block(5, join(u32(id), u64(0n), ...options));
    const { interfaces } = await readBytes(
      join(
        sectionHeader(),
        interfaceDescription(),
        interfaceDescription(),
        statistics(0, option(4, u64(1000n)), option(5, u64(3n))),
        statistics(1, option(5, u64(7n))),
        statistics(9, option(5, u64(7n))),
      ),
    );
    expect(interfaces.map((entry) => entry.statistics)).toEqual([
      { received: 1000, dropped: 3 },
      { received: null, dropped: 7 },
    ]);
  });
});

describe('damaged pcapng', () => {
  const start = join(sectionHeader(), interfaceDescription(), enhancedPacket(0, 0n, data));
  const words = (...values: number[]) => join(...values.map((value) => u32(value)));
  const cases = [
    ['block length 8', words(6, 8, 8), 'block length 8 is below 12'],
    ['block length 14', words(6, 14, 0, 14), 'block length 14 is not a multiple of 4'],
    ['trailer', words(0x99, 16, 0, 12), "block length 16 differs from 12 at the block's end"],
    ['block limit', words(6, 0x7ffffffc, 0), 'block of 2147483644 bytes announced, the limit is 17825792'],
    ['cut', enhancedPacket(0, 0n, data).subarray(0, 30), 'block cut: 40 bytes announced, 30 there'],
    ['cut header', words(6, 40).subarray(0, 7), 'block header cut: 12 bytes expected, 7 there'],
    ['short packet block', block(6, new Uint8Array(16)), 'packet block of 28 bytes, 32 needed'],
    ['unknown interface', enhancedPacket(3, 0n, data), 'packet on interface 3, the section describes 1'],
    [
      'packet larger than its block',
      enhancedPacket(0, 0n, data, { captured: 9 }),
      'packet of 9 bytes announced in a block that has room for 8',
    ],
    [
      'negative length',
      enhancedPacket(0, 0n, data, { captured: 0xffffffff }),
      'packet of 4294967295 bytes announced in a block that has room for 8',
    ],
    ['version', sectionHeader(LITTLE, [2, 0]), 'pcapng version 2.0 is not supported'],
    [
      'byte order',
      block(0x0a0d0d0a, new Uint8Array(16)),
      'byte-order magic 0x00000000 is neither order of 1a2b3c4d',
    ],
    ['interfaces restart', join(sectionHeader(), enhancedPacket(0, 0n, data)), 'packet on interface 0'],
  ] as const;
  for (const [name, bytes, message] of cases) {
    it(name, async () => {
      const { packets, damage } = await readBytes(join(start, bytes));
      expect(packets).toHaveLength(1);
      expect(damage?.text).toContain(message);
      const offset = name === 'interfaces restart' ? start.length + sectionHeader().length : start.length;
      expect(damage?.offset).toBe(offset);
    });
  }
});

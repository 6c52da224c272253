import { describe, expect, it } from 'vitest';
import { BIG, join, LITTLE, pcapHeader, pcapRecord, readBytes, text, u32 } from './bytes.ts';

const data = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

describe('pcap variants', () => {
  const variants = [
    { name: 'microseconds', magic: 0xa1b2c3d4, extra: 0, time: '7.000005000' },
    { name: 'nanoseconds', magic: 0xa1b23c4d, extra: 0, time: '7.000000005' },
    { name: 'Kuznetzov', magic: 0xa1b2cd34, extra: 8, time: '7.000005000' },
    { name: 'Navtel', magic: 0xa12b3c4d, extra: 0, time: '7.000000005' },
  ];
  for (const { name, magic, extra, time } of variants) {
    for (const order of [LITTLE, BIG]) {
      it(`${name}, ${order.littleEndian ? 'little' : 'big'}-endian`, async () => {
        const words = [u32(7, order), u32(5, order), u32(8, order), u32(60, order)];
        const record = join(...words, new Uint8Array(extra), data);
        const { packets, damage, interfaces, file } = await readBytes(
          join(pcapHeader({ ...order, magic, linkType: 113, snapLength: 96 }), record, record),
        );
        const packet = { time, length: 60, data: '0102030405060708', interfaceIndex: 0 };
        expect(packets).toEqual([
          { number: 1, ...packet },
          { number: 2, ...packet },
        ]);
        expect(damage).toBeNull();
        expect(file).toEqual({ file: 'test', format: 'pcap', compression: null, packets: 2 });
        expect(interfaces).toEqual([
          {
            file: 'test',
            linkType: 113,
            name: null,
            description: null,
            snapLength: 96,
            littleEndian: order.littleEndian,
            statistics: null,
          },
        ]);
      });
    }
  }

  it('refuses what looks like pcap and is not', async () => {
    await expect(readBytes(pcapHeader({ magic: 0xa1b2c3cb }))).rejects.toThrow(
      'test: not a capture: a savefile of',
    );
    await expect(readBytes(pcapHeader({ magic: 0xa1b234cd, littleEndian: false }))).rejects.toThrow(
      'unpublished',
    );
  });
});

describe('pcap header', () => {
  it('reads later minor versions and refuses other formats', async () => {
    const record = pcapRecord(0, 0, data);
    expect((await readBytes(join(pcapHeader({ minor: 5 }), record))).packets).toHaveLength(1);
    expect((await readBytes(join(pcapHeader({ major: 3 }), record))).damage).toEqual({
      file: 'test',
      offset: 0,
      text: 'pcap version 3.4 is not supported',
    });
  });

  it('takes the lengths the other way round where old libpcap wrote them so', async () => {
    const swapped = pcapRecord(0, 0, data, { captured: 60, length: 8 });
    const plain = pcapRecord(0, 0, data, { captured: 8, length: 60 });
    for (const version of [{ minor: 2 }, { minor: 3 }, { major: 543, minor: 0 }]) {
      const { packets } = await readBytes(join(pcapHeader(version), swapped));
      expect(packets).toMatchObject([{ length: 60, data: '0102030405060708' }]);
    }
    for (const version of [{ minor: 3 }, { major: 543, minor: 0 }, { minor: 4 }]) {
      expect((await readBytes(join(pcapHeader(version), plain))).packets).toMatchObject([{ length: 60 }]);
    }
  });

  it('cuts the frame check sequence that the link type word announces', async () => {
    const linkType = (2 << 28) | 0x0400_0000 | 1; // 2 * 16 bits
    const { packets, interfaces } = await readBytes(
      join(
        pcapHeader({ linkType: linkType >>> 0 }),
        pcapRecord(0, 0, data),
        pcapRecord(0, 0, data, { length: 10 }),
        pcapRecord(0, 0, data, { length: 60 }),
        pcapRecord(0, 0, data.subarray(0, 2)),
      ),
    );
    expect(interfaces[0].linkType).toBe(1);
    expect(packets).toMatchObject([
      { length: 4, data: '01020304' },
      { length: 6, data: '010203040506' },
      { length: 56, data: '0102030405060708' },
      { length: 0, data: '' },
    ]);
  });

  it('does not guess at reserved bits of the link type word', async () => {
    const { packets, damage } = await readBytes(
      join(pcapHeader({ linkType: 0x10001 }), pcapRecord(0, 0, data)),
    );
    expect(packets).toEqual([]);
    expect(damage).toMatchObject({ offset: 0, text: 'reserved bits set in the link type word 0x00010001' });
  });
});

describe('pcap records', () => {
  it('carries fractions of a second and more into the seconds', async () => {
    const microseconds = await readBytes(join(pcapHeader(), pcapRecord(7, 2_000_001, data)));
    expect(microseconds.packets[0].time).toBe('9.000001000');
    const nanoseconds = await readBytes(
      join(pcapHeader({ magic: 0xa1b23c4d }), pcapRecord(7, 4_294_967_295, data)),
    );
    expect(nanoseconds.packets[0].time).toBe('11.294967295');
  });

  it('accepts odd lengths that tools write', async () => {
    const { packets, damage } = await readBytes(
      join(
        pcapHeader({ snapLength: 4 }),
        pcapRecord(0, 0, data), // more than the snap length
        pcapRecord(0, 0, data, { length: 3 }), // more than there was
        pcapRecord(0, 0, new Uint8Array(0), { length: 60 }),
        pcapRecord(0xffffffff, 0, data, { length: 0xffffffff }),
      ),
    );
    expect(packets.map(({ data, length }) => [data.length / 2, length])).toEqual([
      [8, 8],
      [8, 3],
      [0, 60],
      [8, 0xffffffff],
    ]);
    expect(packets[3].time).toBe('4294967295.000000000');
    expect(damage).toBeNull();
  });

  it('passes BIG TCP frames, larger than a block', async () => {
    const frame = new Uint8Array(600_000).fill(7);
    const record = pcapRecord(0, 0, frame);
    const { packets, damage } = await readBytes(
      join(pcapHeader(), record, record, pcapRecord(1, 0, data), record),
    );
    expect(packets.map((packet) => packet.length)).toEqual([600_000, 600_000, 8, 600_000]);
    expect(packets[3].data).toBe('07'.repeat(600_000));
    expect(damage).toBeNull();
  });
});

describe('damaged pcap', () => {
  const good = join(pcapHeader(), pcapRecord(0, 0, data));
  const cases = [
    ['empty file', text(''), 0, 0, 'empty file'],
    ['magic number cut', good.subarray(0, 3), 0, 0, 'magic number cut: 4 bytes expected, 3 there'],
    ['file header cut', good.subarray(0, 23), 0, 0, 'file header cut: 24 bytes expected, 23 there'],
    [
      'record header cut',
      join(good, new Uint8Array(10)),
      1,
      48,
      'record header cut: 16 bytes expected, 10 there',
    ],
    [
      'data cut',
      join(good, pcapRecord(0, 0, data, { captured: 156 })),
      1,
      48,
      'packet data cut: 156 bytes announced, 8 there',
    ],
    [
      'absurd length',
      join(good, pcapRecord(0, 0, data, { captured: 0x7fffffff }), pcapRecord(0, 0, data)),
      1,
      48,
      'packet of 2147483647 bytes announced, the limit is 16777216',
    ],
  ] as const;
  for (const [name, bytes, packets, offset, message] of cases) {
    it(name, async () => {
      const seen = await readBytes(bytes);
      expect(seen.packets).toHaveLength(packets);
      expect(seen.damage).toEqual({ file: 'test', offset, text: message });
    });
  }

  it('is not a file without packets', async () => {
    expect(await readBytes(pcapHeader())).toMatchObject({ packets: [], damage: null });
  });
});

/** The flow table and the interner: growth, and numbers that stay what they were. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Interner } from '../../src/flow/interner.ts';
import { NO_PATH, Paths } from '../../src/flow/tunnels.ts';
import { account, frame, geneve, option, tcp, udp, zeros } from './frames.ts';

describe('flow table', () => {
  it.each([
    ['IPv4', (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`],
    ['IPv6', (i: number) => `fd00::${i.toString(16)}`],
  ])('finds each of many %s flows again while it grows', (_, source) => {
    // Past the first segment of entries, and several sizes of the index and the table of halves.
    const many = 9000;
    const frames = Array.from({ length: many }, (_, i) =>
      geneve({ vni: i % 7 }, frame(17, { src: source(i), dst: source(1 << 15) }, udp(i, 53))),
    );
    const { flows } = account([...frames, ...frames.toReversed()]);
    expect(flows).toHaveLength(many);
    flows.forEach(({ src, srcPort, vni, packets }, i) => {
      expect([src, srcPort, vni, packets]).toEqual([source(i).replace('::0', '::'), i, i % 7, 2]);
    });
  });

  it('keeps what flows hold while all its tables grow into each other’s places', () => {
    // Of each sort a thousand and more: addresses with further words, TCP entries, sets of options, tunnel endpoints.
    const many = 12_000;
    const packet = (i: number, round: number) => {
      const six = i % 3 === 0;
      const ends = six
        ? { src: `fd00::${i.toString(16)}`, dst: 'fd01::1' }
        : { src: `10.0.${i >> 8}.${i & 255}`, dst: '10.1.0.1' };
      const isTcp = i % 2 === 0;
      const payload = isTcp ? tcp(i, 80, { seq: round * 10, ack: 1 }, zeros(10)) : udp(i, 53, zeros(10));
      return geneve(
        {
          vni: i % 5,
          nodes: { src: `192.0.${2 + (i % 6)}.${i % 250}`, dst: '192.0.2.251' },
          options: option(0x102, (i + round) % 40),
        },
        frame(isTcp ? 6 : 17, ends, payload),
      );
    };
    const frames = [0, 1, 2].flatMap((round) => Array.from({ length: many }, (_, i) => packet(i, round)));
    const { flows } = account(frames);
    expect(flows).toHaveLength(many);
    flows.forEach((flow, i) => {
      expect([flow.srcPort, flow.vni, flow.packets, flow.tunnels[0].src]).toEqual([
        i,
        i % 5,
        3,
        `192.0.${2 + (i % 6)}.${i % 250}`,
      ]);
      expect(flow.options.map(({ type }) => type).sort()).toEqual(
        [0, 1, 2].map((round) => (i + round) % 40).sort(),
      );
      if (flow.tcp)
        expect(flow.tcp).toMatchObject({ state: 'midstream', retransmissions: 0, lostSegments: 0 });
    });
  });

  it('tells keys apart by each of their words', () => {
    const ends = { src: 'fd00::1', dst: 'fd01::1' };
    const others = [0, 4, 8, 12].flatMap((byte) =>
      [22, 38].map((address) => {
        const changed = frame(17, ends, udp(1, 2));
        changed[address + byte + 1] ^= 4;
        return changed;
      }),
    );
    const { flows } = account([frame(17, ends, udp(1, 2)), ...others]);
    expect(flows).toHaveLength(1 + others.length);
  });
});

describe('interner', () => {
  it('numbers tuples from 0 in the order they come, for ever', () => {
    const interner = new Interner(3, 4);
    const put = (i: number) => {
      interner.key.set([i, i >>> 3, -i]);
      return interner.intern();
    };
    for (let i = 0; i < 50_000; i++) if (put(i) !== i) expect.fail(`tuple ${i} got another number`);
    for (let i = 0; i < 50_000; i++) if (put(i) !== i) expect.fail(`tuple ${i} is ${put(i)} later`);
    expect(interner.size).toBe(50_000);
    expect([interner.word(49_999, 0), interner.word(49_999, 2)]).toEqual([49_999, -49_999]);
  });

  it('behaves as a map from tuples', () => {
    const word = fc.constantFrom(0, 1, -1, 0x7fffffff, -0x80000000);
    fc.assert(
      fc.property(fc.array(fc.tuple(word, word), { maxLength: 60 }), (tuples) => {
        const interner = new Interner(2, 1);
        const map = new Map<string, number>();
        for (const tuple of tuples) {
          interner.key.set(tuple);
          const expected = map.get(`${tuple}`) ?? map.size;
          map.set(`${tuple}`, expected);
          expect(interner.intern()).toBe(expected);
        }
      }),
    );
  });
});

describe('paths', () => {
  it('keep levels, and tell no VNI from VNI 0', () => {
    const paths = new Paths();
    const [geneve, ipip] = [paths.nameNumber('geneve'), paths.nameNumber('ipip')];
    const outer = paths.intern(NO_PATH, geneve, 0);
    const inner = paths.intern(outer, ipip, -1);
    expect(paths.levels(inner)).toEqual([
      { protocol: 'geneve', vni: 0 },
      { protocol: 'ipip', vni: null },
    ]);
    expect(paths.vni(inner)).toBe(0);
    expect(paths.vniLevel(inner)).toEqual({ protocol: 'geneve', vni: 0 });
    expect(paths.vniLevel(paths.intern(NO_PATH, ipip, -1))).toEqual({ protocol: 'ipip', vni: null });
    expect(paths.vniLevel(NO_PATH)).toEqual({ protocol: null, vni: null });
    expect(paths.level(paths.intern(NO_PATH, geneve, 0xfffffffe | 0)).vni).toBe(0xfffffffe);
    expect(paths.intern(NO_PATH, geneve, 0)).toBe(outer);
  });
  it('have one shape where the protocols are the same', () => {
    const paths = new Paths();
    const [a, b] = [paths.nameNumber('a'), paths.nameNumber('b')];
    const path = (...levels: [number, number][]) =>
      levels.reduce((parent, [name, vni]) => paths.intern(parent, name, vni), NO_PATH);
    expect(paths.sameShape(path([a, 1], [b, 2]), path([a, 3], [b, 4]))).toBe(true);
    expect(paths.sameShape(path([a, 1], [b, 2]), path([b, 1], [a, 2]))).toBe(false);
    expect(paths.sameShape(path([a, 1], [b, 2]), path([b, 2]))).toBe(false);
    expect(paths.sameShape(NO_PATH, path([a, 1]))).toBe(false);
  });
});

it('says what to do when its memory is used up', () => {
  const { own } = account([frame(17, { src: '10.0.0.1', dst: '10.0.0.2' }, udp(1, 2))]).accounting;
  expect(() => own.kernel.allocate(0xffff0000)).toThrow(/4 GiB.*--max-flows/);
});

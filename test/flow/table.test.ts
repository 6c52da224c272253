/** The flow table and the interner: growth, and numbers that stay what they were. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressKind } from '../../src/core/outline.ts';
import { Interner } from '../../src/flow/interner.ts';
import { Double, FlowTable, Key, Word } from '../../src/flow/table.ts';
import { Endpoints, NO_ENDPOINTS, NO_PATH, Paths } from '../../src/flow/tunnels.ts';

const MANY = 200_000;
/** Entries of a segment, and of the index, begin and end near these. */
const EDGES = [0, 1, 2047, 2048, 4095, 4096, 8191, 8192, 8193, 16383, 16384, MANY - 1];

function setKey(table: FlowTable, i: number, kind: number = AddressKind.ipv4): void {
  const { key } = table;
  key.fill(0);
  key[Key.a] = i;
  key[Key.b] = ~i;
  key[Key.ports] = i << 7;
  key[Key.path] = i % 7;
  key[Key.identity] = 6 | (kind << 16);
  if (kind === AddressKind.ipv6)
    for (let word = Key.restA; word < Key.restB + 3; word++) key[word] = i ^ word;
}

function insert(table: FlowTable): number {
  const hash = table.hash(table.key[Key.path]);
  const known = table.find(hash);
  if (known >= 0) return known;
  const id = table.append();
  table.link(hash, id);
  return id;
}

describe('flow table', () => {
  it.each([
    ['IPv4', AddressKind.ipv4],
    ['IPv6', AddressKind.ipv6],
  ])('finds each of many %s flows under its number while it grows', (_, kind) => {
    const table = new FlowTable();
    for (let i = 0; i < MANY; i++) {
      setKey(table, i, kind);
      if (insert(table) !== i) expect.fail(`flow ${i} got another number`);
      if (EDGES.includes(i)) {
        table.addDouble(i, Double.bytes + 1, i + 0.5);
        table.setWord(i, Word.tcp, i);
      }
    }
    for (let i = 0; i < MANY; i++) {
      setKey(table, i, kind);
      if (insert(table) !== i) expect.fail(`flow ${i} is found as ${insert(table)}`);
    }
    expect(table.size).toBe(MANY);
    for (const i of EDGES) {
      expect(table.double(i, Double.bytes + 1)).toBe(i + 0.5);
      expect(table.double(i, Double.bytes)).toBe(0);
      expect(table.word(i, Word.tcp)).toBe(i);
      expect(table.word(i, Word.a)).toBe(i);
    }
  });

  it('tells keys apart by each of their words', () => {
    const table = new FlowTable();
    const ids = new Set<number>();
    setKey(table, 5, AddressKind.ipv6);
    ids.add(insert(table));
    for (let word = 0; word < table.key.length; word++) {
      for (const bit of [1, 1 << 15, 1 << 31]) {
        setKey(table, 5, AddressKind.ipv6);
        // The address kind is no free choice: it says which words count.
        table.key[word] ^= word === Key.identity ? bit & 0xffff : bit;
        ids.add(insert(table));
      }
    }
    expect(ids.size).toBe(1 + 3 * table.key.length - 1);
  });

  it('finds a conversation by what stands for several paths', () => {
    const table = new FlowTable();
    setKey(table, 1);
    const id = insert(table);
    table.link(table.hash(-8), id);
    table.key[Key.path] = 99;
    expect(table.find(table.hash(99))).toBe(-1);
    expect(table.findConversation(table.hash(-8))).toBe(id);
    expect(table.findConversation(table.hash(-7))).toBe(-1);
    const other = table.append();
    table.relink(table.hash(-8), id, other);
    expect(table.findConversation(table.hash(-8))).toBe(other);
  });

  it('counts packets beyond 2^32', () => {
    const table = new FlowTable();
    setKey(table, 1);
    const id = insert(table);
    table.addPackets(id, 1, 2 ** 32 - 1);
    expect(table.packets(id, 1)).toBe(2 ** 32 - 1);
    table.setWord(id, Word.packets + 1, table.word(id, Word.packets + 1) + 1);
    table.carry(id, 1);
    expect(table.packets(id, 1)).toBe(2 ** 32);
    table.addPackets(id, 1, 5);
    expect(table.packets(id, 1)).toBe(2 ** 32 + 5);
    table.addPackets(id, 1, -6);
    expect(table.packets(id, 1)).toBe(2 ** 32 - 1);
    expect(table.packets(id, 0)).toBe(0);
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

describe('endpoints', () => {
  const fill = (endpoints: Endpoints, source: number[], destination: number[]) => {
    endpoints.source.set(source);
    endpoints.destination.set(destination);
  };
  const number = (endpoints: Endpoints, parent: number, kind: AddressKind, port: number) => {
    endpoints.load(parent, kind, port);
    return endpoints.intern();
  };
  it('turn around and back, with addresses of every kind', () => {
    const endpoints = new Endpoints();
    fill(endpoints, [0x0a000001, 9, 9, 9], [0x0a000002, 8, 8, 8]);
    const four = number(endpoints, NO_ENDPOINTS, AddressKind.ipv4, 6081);
    fill(endpoints, [0x20010db8, 0, 0, 1], [0x20010db8, 0, 0, 2]);
    const six = number(endpoints, four, AddressKind.ipv6, 4789);
    fill(endpoints, [0x02000000, 0x0001, 7, 7], [0x02000000, 0x0002, 7, 7]);
    const mac = number(endpoints, six, AddressKind.ether, 0);
    const none = number(endpoints, mac, AddressKind.none, 0);
    expect(endpoints.levels(none)).toEqual([
      { src: '10.0.0.1', dst: '10.0.0.2', dstPort: 6081 },
      { src: '2001:db8::1', dst: '2001:db8::2', dstPort: 4789 },
      { src: '02:00:00:00:00:01', dst: '02:00:00:00:00:02', dstPort: null },
      { src: null, dst: null, dstPort: null },
    ]);
    const turned = endpoints.reverse(none);
    expect(turned).not.toBe(none);
    expect(endpoints.levels(turned).map(({ src }) => src)).toEqual([
      '10.0.0.2',
      '2001:db8::2',
      '02:00:00:00:00:02',
      null,
    ]);
    expect(endpoints.reverse(turned)).toBe(none);
    expect(endpoints.reverse(NO_ENDPOINTS)).toBe(NO_ENDPOINTS);
  });
});

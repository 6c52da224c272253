/** Fragments are accounted to the flow of their datagram's first one, whatever their order. */
import { describe, expect, it } from 'vitest';
import type { VniKey } from '../../src/flow/accounting.ts';
import {
  account,
  bytes,
  type Ends,
  eth,
  fragments,
  frame,
  geneve,
  genevePayload,
  icmp,
  ip4,
  ip6,
  ip6Fragment,
  NODES,
  option,
  sum,
  tcp,
  turned,
  u16,
  u32,
  udp,
  vxlan,
  zeros,
} from './frames.ts';

const PODS4: Ends = { src: '10.0.0.1', dst: '10.0.0.2' };
const PODS6: Ends = { src: 'fd00::1', dst: 'fd00::2' };
const NODES6: Ends = { src: '2001:db8::1', dst: '2001:db8::2' };

const datagram = (source = 4000, length = 3000) => udp(source, 53, zeros(length));
const inner = (ends: Ends, id = 1, source = 4000) => fragments(17, { ...ends, id }, datagram(source), 1000);

/** Sums that must hold whatever happens. */
function accounted(frames: readonly Uint8Array[], vniKey: VniKey = 'auto') {
  const result = account(frames, vniKey);
  const { flows, vnis, wire } = result;
  expect(sum(flows, ({ packets }) => packets)).toBe(frames.length);
  expect(sum(vnis, ({ packets }) => packets)).toBe(frames.length);
  expect(sum(flows, ({ outerBytes }) => outerBytes)).toBe(wire);
  expect(sum(vnis, ({ outerBytes }) => outerBytes)).toBe(wire);
  expect(sum(vnis, (vni) => vni.bytes)).toBe(sum(flows, (flow) => flow.bytes));
  expect(sum(flows, ({ forward, reverse }) => forward.bytes + reverse.bytes)).toBe(
    sum(flows, (flow) => flow.bytes),
  );
  return result;
}

const orders: readonly [string, (list: readonly Uint8Array[]) => Uint8Array[]][] = [
  ['in order', (list) => [...list]],
  ['last first', (list) => list.toReversed()],
  ['first in the middle', ([first, ...others]) => [others[0], first, ...others.slice(1)]],
  ['doubled', (list) => list.flatMap((one) => [one, one])],
  ['doubled, last first', (list) => list.toReversed().flatMap((one) => [one, one])],
];

describe.each([
  ['IPv4', PODS4],
  ['IPv6', PODS6],
])('of untunnelled %s', (_, ends) => {
  it.each(orders)('%s', (_, ordered) => {
    const frames = ordered(inner(ends));
    const { flows, wire } = accounted(frames);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ protocol: 'udp', srcPort: 4000, dstPort: 53, bytes: wire });
    expect(flows[0].forward.packets).toBe(frames.length);
    expect(flows[0].duration).toBe((frames.length - 1) / 1000);
  });
});

describe.each([
  ['IPv4', PODS4],
  ['IPv6', PODS6],
])('of %s in Geneve', (_, ends) => {
  const options = option(0x0102, 0x80);
  it.each(orders)('%s', (_, ordered) => {
    const frames = ordered(inner(ends).map((one) => geneve({ vni: 5, options }, one)));
    const { flows, vnis, wire } = accounted(frames);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ vni: 5, protocol: 'udp', srcPort: 4000 });
    expect(wire - flows[0].bytes).toBe(frames.length * (14 + 20 + 8 + 8 + 8));
    expect(flows[0].options).toMatchObject([{ packets: frames.length }]);
    expect(vnis[0].options).toMatchObject([{ packets: frames.length }]);
  });
  it('have the same identification in two VNIs', () => {
    const [a, b] = [5, 6].map((vni) => inner(ends, 1, 4000 + vni).map((one) => geneve({ vni }, one)));
    const frames = [a[2], b[1], b[0], a[0], b[2], a[1]];
    const { flows } = accounted(frames);
    const seen = flows.map(({ vni, srcPort, packets }) => [vni, srcPort, packets]);
    expect(seen.sort()).toEqual([
      [5, 4005, 3],
      [6, 4006, 3],
    ]);
  });
});

describe.each([
  ['IPv4', NODES],
  ['IPv6', NODES6],
])('of Geneve over %s', (_, nodes) => {
  const pods = frame(17, PODS4, datagram());
  const outer = (vni = 5, id = 1, options = zeros(0)) =>
    fragments(17, { ...nodes, id }, genevePayload({ vni, options }, pods), 1000);
  it.each(orders)('%s', (_, ordered) => {
    const frames = ordered(outer());
    const copies = frames.length / outer().length;
    for (const vniKey of ['auto', 'strict', 'none'] as const) {
      const { flows, vnis } = accounted(frames, vniKey);
      expect(flows).toHaveLength(1);
      expect(flows[0]).toMatchObject({ src: PODS4.src, srcPort: 4000, bytes: copies * pods.length });
      expect(flows[0].vni).toBe(vniKey === 'none' ? null : 5);
      if (vniKey !== 'none') expect(vnis[0].tunnelEndpoints).toEqual([[nodes.src, nodes.dst]]);
    }
  });
  it('two datagrams at once', () => {
    const a = outer(5, 1);
    const b = outer(6, 2);
    const { flows } = accounted([a[1], b[0], b[2], a[0], a[2], b[1], b[3], a[3]]);
    expect(flows.map(({ vni, packets, bytes }) => [vni, packets, bytes])).toEqual([
      [6, 4, pods.length],
      [5, 4, pods.length],
    ]);
  });
  it('without a first one stay with the nodes', () => {
    const { flows } = accounted(outer().slice(1));
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ src: nodes.src, srcPort: null, protocol: 'udp', vni: null, packets: 3 });
  });
  it('count the options of their first one', () => {
    const { flows } = accounted(outer(5, 1, option(0x0102, 0x80)).toReversed());
    expect(flows[0].options).toMatchObject([{ packets: 1 }]);
  });
  it('keep their flow when another node carries it meanwhile', () => {
    const other = { src: nodes.dst, dst: nodes.src };
    const [first, ...later] = outer();
    const { flows, vnis } = accounted([first, geneve({ vni: 5, nodes: other }, pods), ...later]);
    expect(flows).toHaveLength(1);
    expect(flows[0].bytes).toBe(2 * pods.length);
    expect(vnis).toHaveLength(1);
  });
});

describe('of IP in IP', () => {
  it.each(orders)('over IPv4 %s', (_, ordered) => {
    const inside = ip4(17, PODS4, datagram());
    const frames = ordered(fragments(4, { ...NODES, id: 9 }, inside, 1000));
    const { flows } = accounted(frames);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ srcPort: 4000, tunnels: [{ protocol: 'ipip', src: NODES.src }] });
    expect(flows[0].bytes).toBe((frames.length / 4) * inside.length);
  });
  it.each(orders)('over IPv6 %s', (_, ordered) => {
    const inside = ip6(17, PODS6, datagram());
    const frames = ordered(fragments(41, { ...NODES6, id: 9 }, inside, 1000));
    const { flows } = accounted(frames);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ srcPort: 4000, tunnels: [{ protocol: 'ipip', src: NODES6.src }] });
    expect(flows[0].bytes).toBe((frames.length / 4) * inside.length);
  });
});

describe('that never meet', () => {
  it('are in a flow without ports, and without an ICMP type', () => {
    const later = fragments(1, { ...PODS4, id: 3 }, icmp(8, 1, zeros(2000)), 1000).slice(1);
    const { flows } = accounted(later);
    expect(flows[0]).toMatchObject({ protocol: 'icmp', srcPort: null, dstPort: null, packets: 2 });
    expect(flows[0].icmp).toBeUndefined();
  });
  it('leave no times behind where others were moved on', () => {
    const [first, second, third] = inner(PODS4, 1);
    const alone = inner(PODS4, 2)[1];
    const { flows } = accounted([second, third, first, alone]);
    expect(flows.map(({ srcPort, packets }) => [srcPort, packets]).sort()).toEqual([
      [null, 1],
      [4000, 3],
    ]);
    expect(flows.find(({ srcPort }) => srcPort === null)).toMatchObject({
      first: '1970-01-01T00:00:00.003000000Z',
      duration: 0,
    });
  });
});

it('are remembered up to a limit, and summed beyond it', () => {
  const lists = Array.from({ length: 6000 }, (_, id) => inner(PODS4, id));
  const frames = [...lists.map(([, later]) => later), ...lists.map(([first]) => first)];
  const { flows, accounting } = accounted(frames);
  expect(flows.map(({ srcPort }) => srcPort).sort()).toEqual([4000, null]);
  expect(accounting.own.kernel.exports.size()).toBe(2);
});

it('are told from those of another identification', () => {
  const [a, b] = [inner(PODS4, 1, 4001), inner(PODS4, 2, 4002)];
  const { flows } = accounted([a[0], b[0], a[1], b[1], b[2], a[2]]);
  expect(flows.map(({ srcPort, packets }) => [srcPort, packets])).toEqual([
    [4001, 3],
    [4002, 3],
  ]);
});

it('are told from those the other way', () => {
  const there = inner(PODS4, 1, 4001);
  const back = fragments(17, { ...turned(PODS4), id: 1 }, udp(53, 4001, zeros(3000)), 1000);
  const { flows } = accounted([there[0], back[2], back[0], there[1], there[2], back[1]]);
  expect(flows).toHaveLength(1);
  expect(flows[0]).toMatchObject({ forward: { packets: 3 }, reverse: { packets: 3 } });
});

it('a later fragment belongs to no datagram that is long complete, though it has its number', () => {
  const parts = (source: number, second: number, order: readonly number[]) => {
    const list = inner(PODS4, 77, source);
    return order.map((i) => ({ data: list[i], seconds: second, nanoseconds: i }));
  };
  const { flows } = account([...parts(4000, 0, [0, 1, 2, 3]), ...parts(4001, 3600, [3, 2, 1, 0])]);
  expect(flows.map(({ srcPort, packets }) => [srcPort, packets])).toEqual([
    [4000, 4],
    [4001, 4],
  ]);
  const lost = account([...parts(4000, 0, [0, 1, 2, 3]), ...parts(4001, 3600, [1, 2, 3])]);
  expect(lost.flows.map(({ srcPort, packets }) => [srcPort, packets])).toEqual([
    [4000, 4],
    [null, 3],
  ]);
});

it('the next header of the first fragment counts for all (RFC 8200 section 4.5)', () => {
  const part = (next: number, offset: number, more: boolean, payload: Uint8Array) =>
    eth(0x86dd, ip6Fragment(next, { ...PODS6, id: 7, offset, more }, payload));
  const first = part(17, 0, true, udp(1000, 2000, zeros(8)));
  const later = [part(17, 16, true, zeros(16)), part(6, 32, true, zeros(40)), part(17, 72, false, zeros(8))];
  for (const frames of [
    [...later, first],
    [first, ...later],
    [later[1], later[0], first, later[2]],
  ]) {
    const { flows } = accounted(frames);
    expect(flows.map(({ protocol, srcPort, packets }) => [protocol, srcPort, packets])).toEqual([
      ['udp', 1000, 4],
    ]);
  }
});

it('inside fragments: inner ones in an outer datagram that is in fragments itself', () => {
  const parts = fragments(17, { ...PODS4, id: 7 }, datagram(4000, 4000), 2000);
  const outer = parts.flatMap((part, id) =>
    fragments(17, { ...NODES, id }, genevePayload({ vni: 3 }, part), 1000),
  );
  const { flows } = accounted(outer);
  expect(flows).toHaveLength(1);
  expect(flows[0]).toMatchObject({ vni: 3, srcPort: 4000, bytes: sum(parts, (part) => part.length) });
  accounted(outer.toReversed());
});

describe('quoted by an ICMP error', () => {
  const quote = (offset: number, more: boolean) =>
    frame(1, turned(PODS4), icmp(3, 0, ip4(17, { ...PODS4, id: 4, offset, more }, datagram(4000, 8))));
  it.each([
    ['a later one', quote(1480, true)],
    ['a first one', quote(0, true)],
  ])('%s is no fragment', (_, error) => {
    const parts = inner(PODS4, 4);
    const { flows } = accounted([error, ...parts.toReversed(), error]);
    expect(flows.map(({ protocol, packets }) => [protocol, packets])).toEqual([
      ['icmp', 2],
      ['udp', 4],
    ]);
  });
  it('of ICMPv6', () => {
    const quoted = ip6Fragment(17, { ...PODS6, id: 4, offset: 1480 }, zeros(40));
    const error = frame(58, turned(PODS6), icmp(1, 0, quoted));
    const { flows } = accounted([error, error]);
    expect(flows[0]).toMatchObject({ protocol: 'icmpv6', packets: 2 });
  });
});

it('that end in the middle of a header are accounted', () => {
  const whole = fragments(
    17,
    { ...NODES, id: 1 },
    genevePayload({ vni: 1 }, frame(17, PODS4, datagram())),
    1000,
  );
  for (let length = 14; length < 120; length++) {
    const data = whole[0].subarray(0, length);
    const { flows } = account([{ data: data.slice(), length: whole[0].length }, whole[1]]);
    expect(sum(flows, ({ packets }) => packets)).toBe(2);
  }
});

describe('TCP', () => {
  const segment = (seq: number, length: number) => tcp(4000, 80, { seq, ack: 1 }, zeros(length));
  it('is analysed where the tunnel is what is in fragments', () => {
    const frames = [0, 2000, 4000].flatMap((seq, id) =>
      fragments(17, { ...NODES, id }, genevePayload({ vni: 3 }, frame(6, PODS4, segment(seq, 2000))), 1000),
    );
    const missing = [...frames.slice(0, 3), ...frames.slice(6)];
    expect(accounted(frames).flows[0].tcp).toMatchObject({ lostSegments: 0, retransmissions: 0 });
    expect(accounted(missing).flows[0].tcp).toMatchObject({ lostSegments: 1, retransmissions: 0 });
  });
  it('misses nothing for a segment in fragments, whose end is not known', () => {
    const { flows } = accounted([
      frame(6, PODS4, segment(0, 100)),
      ...fragments(6, { ...PODS4, id: 1 }, segment(100, 3000), 1000),
      frame(6, PODS4, segment(3100, 100)),
      frame(6, PODS4, segment(3200, 100)),
    ]);
    expect(flows[0].tcp).toMatchObject({ lostSegments: 0, retransmissions: 0, outOfOrder: 0 });
  });
});

it('of VXLAN keep nested paths apart', () => {
  const nested = (outer: number) =>
    inner(PODS4, 1, 4000 + outer).map((one) => vxlan({ vni: outer }, geneve({ vni: 1 }, one)));
  const [a, b] = [nested(1), nested(2)];
  const { flows } = accounted([a[1], b[1], b[0], a[0], a[2], b[2]]);
  expect(flows.map(({ srcPort, packets }) => [srcPort, packets]).sort()).toEqual([
    [4001, 3],
    [4002, 3],
  ]);
});

it('survive headers that lie', () => {
  // A first fragment whose fragment header is the last thing in it, and one with nothing but an unknown protocol.
  const empty = eth(0x86dd, ip6(44, PODS6, bytes(17, 0, u16(1), u32(5))));
  const unknown = eth(0x86dd, ip6(44, PODS6, bytes(200, 0, u16(1), u32(6), zeros(16))));
  const later = eth(0x86dd, ip6(44, PODS6, bytes(200, 0, u16(8 | 1), u32(6), zeros(16))));
  const { flows } = accounted([empty, later, unknown, empty]);
  expect(sum(flows, ({ packets }) => packets)).toBe(4);
});

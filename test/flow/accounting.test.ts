/** Which flow a packet belongs to, and what flows and VNIs add up to. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  account,
  address,
  arp,
  bytes,
  type Captured,
  type Ends,
  eth,
  fragments,
  frame,
  geneve,
  icmp,
  ip4,
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

describe.each([
  ['IPv4', PODS4],
  ['IPv6', PODS6],
])('a conversation over %s', (_, ends) => {
  const there = frame(17, ends, udp(4000, 53, zeros(10)));
  const back = frame(17, turned(ends), udp(53, 4000, zeros(90)));
  it('is one flow, forward as it began', () => {
    for (const [first, second] of [
      [there, back],
      [back, there],
    ]) {
      const { flows } = account([first, second, second]);
      expect(flows).toHaveLength(1);
      expect(flows[0]).toMatchObject({
        forward: { packets: 1, bytes: first.length },
        reverse: { packets: 2, bytes: 2 * second.length },
        outerBytes: first.length + 2 * second.length,
      });
      expect(flows[0].src).toBe(first === there ? ends.src : ends.dst);
      expect(flows[0].srcPort).toBe(first === there ? 4000 : 53);
      expect(flows[0].dstPort).toBe(first === there ? 53 : 4000);
    }
  });
  it('is told from others by protocol, ports and addresses', () => {
    const others = [
      frame(6, ends, tcp(4000, 53)),
      frame(17, ends, udp(4001, 53)),
      frame(17, ends, udp(53, 4000)),
      frame(17, { ...ends, dst: ends.dst.replace(/2$/, '3') }, udp(4000, 53)),
      geneve({ vni: 0 }, there),
    ];
    expect(account([there, ...others]).flows).toHaveLength(6);
  });
  it('of a host with itself is told apart by ports', () => {
    const self = { src: ends.src, dst: ends.src };
    const { flows } = account([
      frame(17, self, udp(1, 2)),
      frame(17, self, udp(2, 1)),
      frame(17, self, udp(2, 1)),
    ]);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ srcPort: 1, forward: { packets: 1 }, reverse: { packets: 2 } });
  });
  it('of a port with itself has one direction', () => {
    const self = { src: ends.src, dst: ends.src };
    const { flows } = account([frame(17, self, udp(7, 7)), frame(17, self, udp(7, 7))]);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ forward: { packets: 2 }, reverse: { packets: 0 } });
  });
});

describe('IPv6 addresses', () => {
  it.each([0, 4, 8, 12])('that differ in byte %i and those after it only', (at) => {
    const pair = ['fd00::1', 'fd00::1'].map((text, i) => {
      const one = [...address(text)];
      for (let byte = at; byte < 16; byte++) one[byte] ^= i * 0x81;
      return one.map((byte) => byte.toString(16).padStart(2, '0')).join('');
    });
    const [src, dst] = pair.map((hex) => `${hex.match(/.{4}/g)!.slice(0, 7).join(':')}::${hex.slice(28)}`);
    // "a:b:c:d:e:f:g::h" has no group left out: eight groups.
    const { flows } = account([
      frame(17, { src, dst }, udp(5, 5)),
      frame(17, { src: dst, dst: src }, udp(5, 5)),
    ]);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ forward: { packets: 1 }, reverse: { packets: 1 } });
    expect(flows[0].src).not.toBe(flows[0].dst);
  });
});

describe('TCP', () => {
  it('is forward as its SYN went, even when that comes late', () => {
    const { flows } = account([
      frame(6, turned(PODS4), tcp(80, 4000, { seq: 1, flags: 'A' })),
      frame(6, PODS4, tcp(4000, 80, { seq: 9, flags: 'S' })),
    ]);
    expect(flows[0]).toMatchObject({ srcPort: 4000, forward: { packets: 1 }, tcp: { connections: 1 } });
  });
  it('whose header is cut is counted, and not analysed', () => {
    const whole = frame(6, PODS4, tcp(4000, 80, { flags: 'S' }));
    const { flows } = account([{ data: whole.slice(0, 14 + 20 + 12), length: whole.length }]);
    expect(flows[0]).toMatchObject({ protocol: 'tcp', srcPort: 4000, bytes: whole.length });
    expect(flows[0].tcp).toBeUndefined();
  });
  it('counts payload as it was on the wire', () => {
    const segment = (seq: number) => frame(6, PODS4, tcp(4000, 80, { seq }, zeros(1000)));
    const cut = (data: Uint8Array): Captured => ({ data: data.slice(0, 60), length: data.length });
    const { flows } = account([cut(segment(0)), cut(segment(1000)), cut(segment(2000))]);
    expect(flows[0]).toMatchObject({ packets: 3, tcp: { lostSegments: 0, retransmissions: 0 } });
  });
  it('does not take Ethernet padding for payload', () => {
    const ack = bytes(frame(6, PODS4, tcp(4000, 80, { seq: 5 })), zeros(6));
    const { flows } = account([ack, ack, ack]);
    expect(flows[0].tcp).toMatchObject({ retransmissions: 0, lostSegments: 0 });
  });
});

describe('ICMP', () => {
  it('request and reply are one flow per identifier', () => {
    const ping = (id: number, sequence: number) => frame(1, PODS4, icmp(8, id * 65536 + sequence));
    const pong = (id: number, sequence: number) => frame(1, turned(PODS4), icmp(0, id * 65536 + sequence));
    const { flows } = account([ping(1, 1), pong(1, 1), ping(2, 1), ping(1, 2), pong(2, 1), pong(1, 2)]);
    expect(flows.map(({ icmp, forward, reverse }) => [icmp, forward.packets, reverse.packets])).toEqual([
      [{ type: 8, id: 1 }, 2, 2],
      [{ type: 8, id: 2 }, 1, 1],
    ]);
    expect(flows[0]).toMatchObject({ srcPort: null, dstPort: null });
  });
  it('of IPv6 too', () => {
    const { flows } = account([
      frame(58, PODS6, icmp(128, 7 * 65536)),
      frame(58, turned(PODS6), icmp(129, 7 * 65536)),
    ]);
    expect(flows.map(({ icmp, protocol }) => [protocol, icmp])).toEqual([['icmpv6', { type: 128, id: 7 }]]);
  });
  it('keeps sums where a record claims to be shorter than its headers', () => {
    for (const inside of [
      frame(17, PODS4, udp(1, 2)),
      frame(17, PODS4, udp(1, 2, zeros(4))).fill(0x46, 14, 15),
    ]) {
      const { flows, vnis } = account([{ data: vxlan({ vni: 3 }, inside), length: 20 }]);
      expect(flows.map((flow) => [flow.bytes, flow.outerBytes])).toEqual([[0, 20]]);
      expect(vnis.map((vni) => [vni.bytes, vni.outerBytes])).toEqual([[0, 20]]);
    }
  });
  it('joins an extended echo with its reply (RFC 8335)', () => {
    const { flows } = account([
      frame(1, PODS4, icmp(42, 9 * 65536)),
      frame(1, turned(PODS4), icmp(43, 9 * 65536)),
      frame(58, PODS6, icmp(160, 7 * 65536)),
      frame(58, turned(PODS6), icmp(161, 7 * 65536)),
    ]);
    expect(flows.map(({ icmp, packets }) => [icmp, packets])).toEqual([
      [{ type: 42, id: 9 }, 2],
      [{ type: 160, id: 7 }, 2],
    ]);
  });
  it('errors do not touch the flow that they quote', () => {
    const request = ip4(17, PODS4, udp(4000, 53, zeros(10)));
    const error = frame(1, turned(PODS4), icmp(3, 0, request));
    const { flows } = account([eth(0x0800, request), error]);
    expect(flows.map(({ protocol, packets }) => [protocol, packets])).toEqual([
      ['udp', 1],
      ['icmp', 1],
    ]);
    expect(flows[1].icmp).toEqual({ type: 3, id: null });
    expect(account([error]).flows).toHaveLength(1);
  });
  it('errors do not enter the tunnel that they quote', () => {
    const tunnel = geneve({ vni: 5 }, frame(6, PODS4, tcp(1, 2, { flags: 'S' })));
    const { flows, vnis } = account([frame(1, turned(NODES), icmp(3, 0, tunnel.subarray(14)))]);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ protocol: 'icmp', vni: null, src: NODES.dst });
    expect(vnis).toHaveLength(1);
  });
});

describe('what is not IP', () => {
  it('has flows too: ARP asked and answered is one', () => {
    const { flows } = account([arp(1, PODS4), arp(2, turned(PODS4)), arp(1, { ...PODS4, dst: '10.0.0.3' })]);
    expect(flows.map(({ protocol, src, dst, packets }) => [protocol, src, dst, packets])).toEqual([
      ['arp', '10.0.0.1', '10.0.0.2', 2],
      ['arp', '10.0.0.1', '10.0.0.3', 1],
    ]);
  });
  it('goes by its Ethernet addresses', () => {
    const [a, b] = ['02:00:00:00:00:01', '02:00:00:00:01:01'];
    const { flows } = account([
      eth(0x88b5, zeros(46), { src: a, dst: b }),
      eth(0x88b5, zeros(46), { src: b, dst: a }),
      eth(0x88b5, zeros(46), { src: a, dst: a }),
    ]);
    expect(flows.map(({ src, dst, packets }) => [src, dst, packets])).toEqual([
      [a, b, 2],
      [a, a, 1],
    ]);
  });
  it('in a tunnel, too', () => {
    const { flows } = account([geneve({ vni: 1 }, eth(0x88b5, zeros(46))), geneve({ vni: 1 }, zeros(3))]);
    expect(flows.map(({ vni, src, packets }) => [vni, src, packets])).toEqual([
      [1, '02:00:00:00:00:01', 1],
      [1, null, 1],
    ]);
  });
  it('and an empty frame', () => {
    const { flows, vnis } = account([new Uint8Array(0), new Uint8Array(3)]);
    expect(flows).toHaveLength(1);
    expect(flows[0]).toMatchObject({ protocol: null, src: null, packets: 2, bytes: 3 });
    expect(vnis[0]).toMatchObject({
      packets: 2,
      endpoints: 0,
      protocols: { unknown: { packets: 2, bytes: 3 } },
    });
  });
});

describe('options', () => {
  const carry = (...options: Uint8Array[]) =>
    geneve({ vni: 1, options: bytes(...options) }, frame(17, PODS4, udp(1, 2)));
  const a = option(0x0102, 0x80);
  const b = option(0x0103, 0x01, zeros(8));
  const c = option(0x0104, 0x02, zeros(0));
  const counts = (frames: Captured[]) => {
    const { flows, vnis } = account(frames);
    expect(vnis[0].options).toEqual(flows[0].options);
    return flows[0].options.map(({ class: optionClass, type, packets }) => [optionClass, type, packets]);
  };
  it('are counted by packets that carry them', () => {
    expect(counts([carry(), carry(a), carry(a, b), carry(b), carry(b, a), carry(a)])).toEqual([
      [0x0102, 0x80, 4],
      [0x0103, 0x01, 3],
    ]);
  });
  it('count once in a packet that repeats them', () => {
    expect(counts([carry(a, a, a), carry(a, b, a)])).toEqual([
      [0x0102, 0x80, 2],
      [0x0103, 0x01, 1],
    ]);
  });
  it('are counted in any number of sets', () => {
    const kinds = Array.from({ length: 12 }, (_, i) => option(0x0200 + i, i, zeros(0)));
    const frames: Captured[] = [];
    for (let set = 1; set < 4096; set++) frames.push(carry(...kinds.filter((_, i) => (set >> i) & 1)));
    expect(counts(frames).sort()).toEqual(kinds.map((_, i) => [0x0200 + i, i, 2048]));
  });
  it('of each tunnel of several count, and of one flow among several', () => {
    const nested = geneve({ vni: 9, options: c }, carry(a));
    const { flows } = account([nested, carry(b), nested]);
    expect(flows.map(({ options }) => options.map(({ type, packets }) => [type, packets]))).toEqual([
      [
        [0x80, 2],
        [0x02, 2],
      ],
      [[0x01, 1]],
    ]);
  });
});

describe('VNI records', () => {
  it('know endpoints, tunnel endpoints, protocols and overhead', () => {
    const inner = [
      frame(17, PODS4, udp(1, 2, zeros(100))),
      frame(17, turned(PODS4), udp(2, 1, zeros(100))),
      frame(6, PODS4, tcp(1, 2)),
      arp(1, PODS4),
      frame(17, { ...PODS4, src: '10.0.0.9' }, udp(1, 2)),
    ];
    const bare = frame(17, NODES, udp(9, 9));
    const { vnis } = account([
      ...inner.map((one, i) => geneve({ vni: 5, nodes: i % 2 === 0 ? NODES : turned(NODES) }, one)),
      geneve({ vni: 5, nodes: { src: '192.0.2.1', dst: '192.0.2.7' } }, inner[0]),
      bare,
    ]);
    const bytesOf = (...list: number[]) => sum(list, (i) => inner[i].length);
    const [tenant, underlay] = vnis;
    expect(tenant).toMatchObject({
      protocol: 'geneve',
      vni: 5,
      packets: 6,
      flows: 4,
      endpoints: 3,
      bytes: bytesOf(0, 0, 1, 2, 3, 4),
      outerBytes: bytesOf(0, 0, 1, 2, 3, 4) + 6 * 50,
      protocols: {
        udp: { packets: 4, bytes: bytesOf(0, 0, 1, 4) },
        tcp: { packets: 1, bytes: bytesOf(2) },
        arp: { packets: 1, bytes: bytesOf(3) },
      },
    });
    expect(tenant.overhead).toBeCloseTo(300 / tenant.outerBytes, 6);
    expect(tenant.tunnelEndpoints.map((pair) => pair.join(' ')).sort()).toEqual([
      '192.0.2.1 192.0.2.2',
      '192.0.2.1 192.0.2.7',
    ]);
    expect(underlay).toMatchObject({
      protocol: null,
      vni: null,
      packets: 1,
      overhead: 0,
      tunnelEndpoints: [],
    });
    expect(underlay.bytes).toBe(bare.length);
  });
});

describe('times', () => {
  const data = frame(17, PODS4, udp(1, 2));
  const at = (...times: [seconds: number, nanoseconds: number][]) =>
    account(times.map(([seconds, nanoseconds]) => ({ data, seconds, nanoseconds })));
  it('are exact to the nanosecond', () => {
    const { flows, vnis } = at([1700000000, 999_999_999], [1700000001, 0]);
    expect(flows[0]).toMatchObject({
      first: '2023-11-14T22:13:20.999999999Z',
      last: '2023-11-14T22:13:21.000000000Z',
      duration: 1e-9,
    });
    expect(vnis[0]).toMatchObject({ first: flows[0].first, last: flows[0].last });
    expect(at([0, 1], [8_000_000, 3]).flows[0].duration).toBe(8_000_000.000000002);
  });
  it('may go backwards', () => {
    const { flows } = at([10, 5], [9, 7], [9, 6], [10, 4], [9, 8]);
    expect(flows[0]).toMatchObject({
      first: '1970-01-01T00:00:09.000000006Z',
      last: '1970-01-01T00:00:10.000000005Z',
      duration: 0.999999999,
    });
  });
  it('before 1970 and after 2106 count as the moment nearest to them', () => {
    expect(at([-5, 700], [-1, 999_999_999]).flows[0]).toMatchObject({
      first: '1970-01-01T00:00:00.000000000Z',
      last: '1970-01-01T00:00:00.000000000Z',
      duration: 0,
    });
    expect(at([2 ** 32 - 1, 5], [2 ** 33, 6], [2 ** 40, 0]).flows[0]).toMatchObject({
      first: '2106-02-07T06:28:15.000000005Z',
      last: '2106-02-07T06:28:15.999999999Z',
    });
    expect(at([2 ** 31 + 1, 0], [5, 0]).flows[0]).toMatchObject({
      first: '1970-01-01T00:00:05.000000000Z',
      last: '2038-01-19T03:14:09.000000000Z',
    });
  });
  it('hold the extremes of any sequence', () => {
    const time = fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 3 }));
    fc.assert(
      fc.property(fc.array(time, { minLength: 1, maxLength: 12 }), (times) => {
        const sorted = times.map(([seconds, ns]) => `1970-01-01T00:00:0${seconds}.00000000${ns}Z`).sort();
        expect(at(...times).flows[0]).toMatchObject({ first: sorted[0], last: sorted.at(-1) });
      }),
    );
  });
});

describe('sums', () => {
  const pod = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3');
  const pod6 = fc.constantFrom('fd00::1', 'fd00::2');
  const ends = fc.oneof(fc.record({ src: pod, dst: pod }), fc.record({ src: pod6, dst: pod6 }));
  const port = fc.integer({ min: 1, max: 2 });
  const payload = fc.integer({ min: 0, max: 60 }).map(zeros);
  const flags = fc.constantFrom('S', 'SA', 'A', 'FA', 'RA', 'PA');
  const number = fc.integer({ min: 0, max: 3 });
  const inner = fc.oneof(
    fc.tuple(ends, port, port, payload).map(([e, a, b, p]) => frame(17, e, udp(a, b, p))),
    fc
      .tuple(ends, port, port, flags, number, payload)
      .map(([e, a, b, letters, seq, p]) => frame(6, e, tcp(a, b, { flags: letters, seq }, p))),
    fc
      .tuple(ends, fc.constantFrom(0, 3, 8, 128, 129), number)
      .map(([e, type, id]) => frame(e.src.includes(':') ? 58 : 1, e, icmp(type, id * 65536, zeros(28)))),
    fc
      .tuple(ends, number, fc.integer({ min: 0, max: 3 }))
      .map(([e, id, i]) => fragments(17, { ...e, id }, udp(1, 2, zeros(80)), 24)[i]),
    fc.record({ src: pod, dst: pod }).map((e) => arp(1, e)),
    fc.uint8Array({ maxLength: 80 }).map((noise) => bytes(noise)),
    fc.tuple(fc.constantFrom(0x0800, 0x86dd, 0x88b5), payload).map(([type, p]) => eth(type, p)),
  );
  const nodes = fc.constantFrom(NODES, turned(NODES), { src: '2001:db8::1', dst: '2001:db8::2' });
  const options = fc.constantFrom(zeros(0), option(0x0102, 0x80), option(1, 1), bytes(u32(0), u16(1)));
  const tunnel = fc.record({ vni: fc.integer({ min: 1, max: 3 }), nodes, options });
  const tunnelled = fc.oneof(
    fc.tuple(tunnel, inner).map(([t, frame]) => geneve(t, frame)),
    fc.tuple(tunnel, inner).map(([t, frame]) => vxlan(t, frame)),
    fc.tuple(tunnel, tunnel, inner).map(([o, t, frame]) => vxlan(o, geneve(t, frame))),
    fc
      .tuple(nodes, number, inner, number)
      .map(([n, id, frame, i]) => fragments(17, { ...n, id }, geneve({ vni: id }, frame).subarray(34), 40)[i])
      .filter((part) => part !== undefined),
    inner,
  );
  const captured = fc
    .tuple(tunnelled, fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 50 }))
    .map(([data, cut, more]) => ({
      data: data.slice(0, cut < 100 ? cut : undefined),
      length: data.length + more,
    }));

  it('are those of the capture, by flow and by VNI, however VNIs enter the key', () => {
    fc.assert(
      fc.property(fc.array(captured, { maxLength: 60 }), (frames) => {
        const inside = new Set<number>();
        for (const vniKey of ['auto', 'strict', 'none'] as const) {
          const { flows, vnis, wire } = account(frames, vniKey);
          for (const records of [flows, vnis]) {
            expect(sum<{ packets: number }>(records, ({ packets }) => packets)).toBe(frames.length);
            expect(sum<{ outerBytes: number }>(records, ({ outerBytes }) => outerBytes)).toBe(wire);
            inside.add(sum<{ bytes: number }>(records, (record) => record.bytes));
          }
          for (const { packets, bytes, outerBytes, forward, reverse, options } of flows) {
            expect(packets).toBe(forward.packets + reverse.packets);
            expect(packets).toBeGreaterThan(0);
            expect(bytes).toBe(forward.bytes + reverse.bytes);
            expect(bytes).toBeLessThanOrEqual(outerBytes);
            for (const option of options) expect(option.packets).toBeLessThanOrEqual(packets);
            for (const option of options) expect(option.packets).toBeGreaterThan(0);
          }
          for (const vni of vnis) {
            expect(sum(Object.values(vni.protocols), (share) => share.packets)).toBe(vni.packets);
            expect(sum(Object.values(vni.protocols), (share) => share.bytes)).toBe(vni.bytes);
            for (const option of vni.options) expect(option.packets).toBeLessThanOrEqual(vni.packets);
            expect(vni.first <= vni.last).toBe(true);
          }
          const counted = (records: readonly { options: readonly { packets: number }[] }[]) =>
            sum(records, (record) => sum(record.options, ({ packets }) => packets));
          expect(counted(vnis)).toBe(counted(flows));
        }
        expect(inside.size).toBe(1);
      }),
      { numRuns: 400 },
    );
  });
});

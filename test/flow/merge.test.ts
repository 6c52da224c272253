/** `mergeFlows`: machines merge what machines computed, in any order. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { mergeFlows } from '../../src/flow/merge.ts';
import type { FlowRecord } from '../../src/flow/records.ts';
import {
  account,
  type Captured,
  frame,
  geneve,
  icmp,
  option,
  sum,
  tcp,
  turned,
  udp,
  zeros,
} from './frames.ts';

/** A packet of one of a few conversations, in some tunnel or none, at some moment. */
const packet: fc.Arbitrary<Captured> = fc
  .record({
    conversation: fc.integer({ min: 0, max: 3 }),
    back: fc.boolean(),
    vni: fc.constantFrom(null, 7, 8),
    kind: fc.constantFrom('tcp', 'udp', 'icmp'),
    flags: fc.constantFrom('S', 'A', 'FA', 'R'),
    seq: fc.integer({ min: 0, max: 300 }),
    nodes: fc.constantFrom('192.0.2.1', '192.0.2.3'),
    millisecond: fc.integer({ min: 0, max: 50 }),
  })
  .map(({ conversation, back, vni, kind, flags, seq, nodes, millisecond }) => {
    const there = { src: `10.0.0.${conversation}`, dst: '10.0.1.1' };
    const ends = back ? turned(there) : there;
    const ports: [number, number] = back ? [80, 1000 + conversation] : [1000 + conversation, 80];
    const inner =
      kind === 'tcp'
        ? frame(6, ends, tcp(...ports, { seq, ack: 9, flags }, zeros(seq % 7)))
        : kind === 'udp'
          ? frame(17, ends, udp(...ports, zeros(seq % 7)))
          : frame(1, ends, icmp(back ? 0 : 8, conversation << 16));
    const tunnel = { src: nodes, dst: '192.0.2.2' };
    const options = seq % 3 === 0 ? option(0x0102, 0x80) : zeros(0);
    const data =
      vni === null ? inner : geneve({ vni, nodes: back ? turned(tunnel) : tunnel, options }, inner);
    return { data, seconds: millisecond % 3, nanoseconds: millisecond * 1e6 };
  });
const capture = fc
  .array(packet, { maxLength: 30 })
  .map((packets) => account(packets, 'strict').flows as readonly FlowRecord[]);

it('does not depend on the order of lists or merges', () => {
  fc.assert(
    fc.property(capture, capture, capture, (a, b, c) => {
      expect(mergeFlows(a, b)).toEqual(mergeFlows(b, a));
      expect(mergeFlows(mergeFlows(a, b), c)).toEqual(mergeFlows(a, mergeFlows(b, c)));
    }),
    { numRuns: 40 },
  );
});

it('spans the time of both', () => {
  fc.assert(
    fc.property(capture, capture, (a, b) => {
      for (const { first, last, duration } of mergeFlows(a, b))
        expect(Math.round(duration * 1000)).toBe(Date.parse(last) - Date.parse(first));
    }),
    { numRuns: 40 },
  );
});

it('adds up', () => {
  fc.assert(
    fc.property(capture, capture, (a, b) => {
      const merged = mergeFlows(a, b);
      for (const of of [
        ({ packets }: FlowRecord) => packets,
        ({ bytes }: FlowRecord) => bytes,
        ({ outerBytes }: FlowRecord) => outerBytes,
        ({ tcp }: FlowRecord) => tcp?.resets ?? 0,
        ({ forward, reverse }: FlowRecord) => forward.packets + reverse.packets,
        ({ options }: FlowRecord) => sum(options, ({ packets }) => packets),
      ])
        expect(sum(merged, of)).toBe(sum([...a, ...b], of));
    }),
    { numRuns: 40 },
  );
});

it('finds in two halves of a capture the flows of the whole', () => {
  fc.assert(
    fc.property(fc.array(packet, { minLength: 1, maxLength: 30 }), fc.nat(), (packets, cut) => {
      const whole = account(packets, 'strict').flows;
      const at = cut % packets.length;
      const halves = [packets.slice(0, at), packets.slice(at)].map((half) => account(half, 'strict').flows);
      const merged = mergeFlows(halves[0], halves[1]);
      const ends = ({ src, dst, srcPort, dstPort, vni, protocol, packets, bytes }: FlowRecord) =>
        JSON.stringify([[`${src} ${srcPort}`, `${dst} ${dstPort}`].sort(), vni, protocol, packets, bytes]);
      expect(merged.map(ends).sort()).toEqual(whole.map(ends).sort());
    }),
    { numRuns: 40 },
  );
});

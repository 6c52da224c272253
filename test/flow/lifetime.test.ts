/** Time-outs and bounds: no packet is lost or counted twice, and entries are used again. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Layers } from '../../src/core/layers.ts';
import { Outline } from '../../src/core/outline.ts';
import { FlowAccounting } from '../../src/flow/accounting.ts';
import { type FlowEnd, FlowLifetime, type Lifetime } from '../../src/flow/lifetime.ts';
import { type FlowRecord, FlowRecords } from '../../src/flow/records.ts';
import { vniRecords } from '../../src/flow/vni.ts';
import { linesOf, runCommand } from '../command.ts';
import { sample } from '../samples.ts';
import {
  account,
  dissector,
  fragments,
  frame,
  geneve,
  option,
  roles,
  sum,
  tcp,
  turned,
  udp,
  zeros,
} from './frames.ts';

interface Timed {
  readonly data: Uint8Array;
  readonly second: number;
}

/** Accounts packets with a sweep after each, and returns the flows that ended, then those that are left. */
function run(packets: readonly Timed[], lifetime: Lifetime) {
  const accounting = new FlowAccounting(dissector, roles);
  const ended: (FlowRecord & { reason: FlowEnd | null })[] = [];
  const life = new FlowLifetime(accounting, lifetime, {
    end: (id, reason) => ended.push({ ...new FlowRecords(accounting).record(id), reason }),
  });
  const layers = new Layers();
  const outline = new Outline();
  for (const { data, second } of packets) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    dissector.walk(view, 0, data.length, data.length, dissector.root(1), layers);
    outline.read(layers, roles, 0);
    accounting.account(view, 0, data.length, second, 0, layers, outline);
    life.sweep(second);
  }
  const records = new FlowRecords(accounting);
  const left = records.ids().map((id) => ({ ...records.record(id), reason: null }));
  const { size } = accounting.own.kernel.exports;
  return { flows: [...ended, ...left], ended, left, life, size: size(), vnis: vniRecords(accounting) };
}

const ENDS = { src: '10.0.0.1', dst: '10.0.0.2' };
const ping = (port: number, second: number) => ({ data: frame(17, ENDS, udp(port, 53)), second });

describe('time-outs', () => {
  it('end flows that are idle', () => {
    const { ended, left } = run([ping(1, 0), ping(2, 5), ping(1, 6), ping(2, 30), ping(2, 35)], { idle: 10 });
    expect(ended.map(({ srcPort, packets, reason }) => [srcPort, packets, reason])).toEqual([[1, 2, 'idle']]);
    expect(left.map(({ srcPort, packets }) => [srcPort, packets])).toEqual([[2, 3]]);
  });
  it('report flows that go on, again and again', () => {
    const packets = Array.from({ length: 100 }, (_, second) => ping(1, second));
    const { ended, left } = run(packets, { active: 30 });
    expect(ended.map(({ packets, reason }) => [packets, reason])).toEqual([
      [32, 'active'],
      [32, 'active'],
      [32, 'active'],
    ]);
    expect(left[0].packets).toBe(4);
  });
  it('end both halves of a conversation with two VNIs', () => {
    const there = { data: geneve({ vni: 7 }, frame(17, ENDS, udp(1, 53))), second: 0 };
    const nodes = { src: '192.0.2.2', dst: '192.0.2.1' };
    const back = { data: geneve({ vni: 8, nodes }, frame(17, turned(ENDS), udp(53, 1))), second: 1 };
    const { ended, left } = run(
      [there, back, ping(9, 50), { ...there, second: 51 }, { ...back, second: 52 }],
      {
        idle: 10,
      },
    );
    expect(ended).toMatchObject([{ vni: 7, reverseVni: 8, packets: 2 }]);
    expect(left.at(-1)).toMatchObject({
      vni: 7,
      reverseVni: 8,
      packets: 2,
      first: '1970-01-01T00:00:51.000000000Z',
    });
  });
});

it('what has ended stays in the sums of its VNI, which come in the order of first packets', () => {
  const inside = (vni: number, port: number, second: number) => ({
    data: geneve({ vni }, frame(17, ENDS, udp(port, 53))),
    second,
  });
  const { ended, vnis } = run([inside(9, 1, 0), inside(8, 2, 20), inside(9, 3, 21)], { idle: 10 });
  expect(ended).toMatchObject([{ vni: 9, srcPort: 1 }]);
  expect(vnis).toMatchObject([
    { vni: 9, packets: 2, flows: 2, endpoints: 2, first: '1970-01-01T00:00:00.000000000Z' },
    { vni: 8, packets: 1, flows: 1, endpoints: 2, last: '1970-01-01T00:00:20.000000000Z' },
  ]);
  expect(vnis[0].tunnelEndpoints).toHaveLength(1);
});

it('flows know the number of their first packet, whoever walked it', () => {
  const frames = Array.from({ length: 600 }, (_, port) => {
    const inner = frame(17, ENDS, udp(port + 1, 53));
    return port % 7 === 0 ? geneve({ vni: 1 }, geneve({ vni: 2 }, inner)) : inner;
  });
  const { serialOf, size } = account(frames).accounting.own.kernel.exports;
  expect(Array.from({ length: size() }, (_, id) => serialOf(id))).toEqual(frames.map((_, i) => i));
});

it('the number of flows is bounded, the idle ones make room, and none is lost', () => {
  const packets = Array.from({ length: 5000 }, (_, i) => [ping(7, i / 10), ping(1000 + i, i / 10)]).flat();
  const { flows, ended, left, life, size } = run(packets, { maxFlows: 100 });
  expect(left.length).toBeLessThanOrEqual(100);
  expect(size).toBeLessThanOrEqual(102);
  expect(life.evicted).toBe(ended.length);
  expect(sum(flows, ({ packets }) => packets)).toBe(10_000);
  expect(left.find(({ srcPort }) => srcPort === 7)?.packets).toBeGreaterThan(4000);
});

it('whatever the traffic, packets and bytes add up and no flow is found under another', () => {
  const packet = fc
    .record({
      host: fc.integer({ min: 0, max: 5 }),
      port: fc.integer({ min: 0, max: 2 }),
      back: fc.boolean(),
      vni: fc.constantFrom(null, 7, 8),
      six: fc.boolean(),
      isTcp: fc.boolean(),
      options: fc.integer({ min: 0, max: 2 }),
      pause: fc.integer({ min: 0, max: 4 }),
    })
    .map(({ host, port, back, vni, six, isTcp, options, pause }) => {
      const there = six
        ? { src: `fd00::${host}`, dst: 'fd01::1' }
        : { src: `10.0.0.${host}`, dst: '10.1.0.1' };
      const ends = back ? turned(there) : there;
      const ports: [number, number] = back ? [80, port] : [port, 80];
      const inner = isTcp
        ? frame(6, ends, tcp(...ports, { seq: pause }, zeros(pause)))
        : frame(17, ends, udp(...ports));
      const list = [zeros(0), option(1, 1), option(1, 2)][options];
      const nodes = { src: '192.0.2.1', dst: '192.0.2.2' };
      const tunnel = {
        vni: (vni ?? 0) + (back ? 10 : 0),
        nodes: back ? turned(nodes) : nodes,
        options: list,
      };
      return { data: vni === null ? inner : geneve(tunnel, inner), pause };
    });
  fc.assert(
    fc.property(
      fc.array(packet, { maxLength: 80 }),
      fc.record({
        idle: fc.constantFrom(undefined, 3),
        active: fc.constantFrom(undefined, 9),
        maxFlows: fc.constantFrom(undefined, 5),
      }),
      (packets, lifetime) => {
        let second = 0;
        const timed = packets.map(({ data, pause }) => {
          second += pause;
          return { data, second };
        });
        const { flows } = run(timed, lifetime);
        expect(sum(flows, ({ packets }) => packets)).toBe(packets.length);
        expect(sum(flows, ({ outerBytes }) => outerBytes)).toBe(sum(packets, ({ data }) => data.length));
        for (const flow of flows) {
          for (const { packets } of flow.options) expect(packets).toBeLessThanOrEqual(flow.packets);
          expect(flow.forward.packets + flow.reverse.packets).toBe(flow.packets);
        }
      },
    ),
    { numRuns: 200 },
  );
});

it('fragments that were told of before their first one came are not counted again', () => {
  const parts = fragments(17, { ...ENDS, id: 5 }, udp(4000, 53, zeros(2000)), 1000);
  const timed = (i: number, second: number) => ({ data: parts[i], second });
  const packets = [timed(1, 0), timed(2, 0), ping(1, 8), timed(0, 9)];
  const { flows, vnis, ended } = run(packets, { idle: 2 });
  expect(ended.map((flow) => flow.packets)).toEqual([2]);
  expect(sum(flows, (flow) => flow.packets)).toBe(packets.length);
  expect(sum(vnis, (vni) => vni.packets)).toBe(packets.length);
});

it('fragments of a datagram whose flow is over find no other flow', () => {
  const parts = fragments(17, { ...ENDS, id: 9 }, udp(4000, 53, zeros(2000)), 1000);
  const { flows } = run(
    [
      { data: parts[0], second: 0 },
      ...Array.from({ length: 3 }, (_, i) => ping(i, 100 + i)),
      { data: parts[1], second: 110 },
    ],
    { idle: 10 },
  );
  expect(flows.map(({ srcPort, packets }) => [srcPort, packets])).toEqual([
    [4000, 1],
    [0, 1],
    [1, 1],
    [2, 1],
    [null, 1],
  ]);
});

it('VNIs and tunnels keep what flows that ended have added', async () => {
  const file = sample('overlapping-vnis.pcap');
  for (const command of ['flows', 'vni'] as const) {
    const whole = linesOf((await runCommand(command, [file], { ndjson: true })).stdout).map((line) =>
      JSON.parse(line),
    );
    const printed = await runCommand(command, [file], { ndjson: true, maxFlows: 1 });
    const bounded = linesOf(printed.stdout).map((line) => JSON.parse(line));
    const packets = (records: readonly { packets: number }[]) => sum(records, ({ packets }) => packets);
    expect(packets(bounded)).toBe(packets(whole));
    if (command === 'flows') expect(bounded.some(({ ended }) => ended === 'evicted')).toBe(true);
    else
      expect(bounded).toEqual(
        whole.map((record) => expect.objectContaining({ ...record, flows: expect.any(Number) })),
      );
  }
});

it('formats that are one document have no place for flows that end', async () => {
  const printed = runCommand('flows', [sample('geneve-ovn.pcap')], { json: true, idle: 1 });
  await expect(printed).rejects.toThrow(/--ndjson/);
});

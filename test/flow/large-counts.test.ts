/** Counts beyond 32 bits: what a week of a busy link comes to, which no test can read packet by packet. */
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/capture/batch.ts';
import { Layers } from '../../src/core/layers.ts';
import { Outline } from '../../src/core/outline.ts';
import { FlowAccounting } from '../../src/flow/accounting.ts';
import { FlowRecords } from '../../src/flow/records.ts';
import { vniRecords } from '../../src/flow/vni.ts';
import { dissector, eth, geneve, ip, option, roles, tcp, turned } from './frames.ts';

const PODS = { src: '10.0.0.1', dst: '10.0.0.2' };
const inside = eth(0x0800, ip(6, PODS, tcp(1, 2)));
const there = geneve({ vni: 5 }, inside);
const back = geneve({ vni: 5 }, eth(0x0800, ip(6, turned(PODS), tcp(2, 1))));
const ETHERNET = dissector.root(1);

function batchOf(frame: Uint8Array): PacketBatch {
  const batch = new PacketBatch(frame, 1);
  batch.captured[0] = frame.length;
  batch.length[0] = frame.length;
  batch.count = 1;
  return batch;
}

/** Ways of a packet to its flow. */
const WAYS: Record<string, (accounting: FlowAccounting, frame: Uint8Array) => void> = {
  'in the kernel': (accounting, frame) => {
    const taken = accounting.take(batchOf(frame), 0, 1, Int32Array.of(ETHERNET), new Float64Array(6));
    expect(taken).toBe(1);
  },
  'through the walk': (accounting, frame) => {
    const layers = new Layers();
    const outline = new Outline();
    const { view } = batchOf(frame);
    dissector.walk(view, 0, frame.length, frame.length, ETHERNET, layers);
    outline.read(layers, roles, 0);
    accounting.account(view, 0, frame.length, 0, 0, layers, outline);
  },
};

describe.each(Object.entries(WAYS))('packets %s', (_, account) => {
  it.each([
    ['2^32 packets', 2 ** 32 - 2],
    ['2^32 bytes', Math.floor(2 ** 32 / inside.length) - 1],
    ['2^32 bytes of whole frames', Math.floor(2 ** 32 / there.length) - 1],
    ['some 2^53 bytes', Math.floor(2 ** 53 / there.length / 2) - 3],
  ])('are counted on beyond %s', (_, before) => {
    const accounting = new FlowAccounting(dissector, roles, 'auto');
    account(accounting, there);
    account(accounting, back);
    // As if `before` packets had come in each direction.
    const { exports } = accounting.own.kernel;
    for (const direction of [0, 1])
      exports.adjust(0, direction, before, before * inside.length, before * there.length);
    for (const frame of [there, back, there, back]) account(accounting, frame);

    const packets = before + 3;
    const direction = { packets, bytes: packets * inside.length };
    const both = {
      packets: 2 * packets,
      bytes: 2 * packets * inside.length,
      outerBytes: 2 * packets * there.length,
    };
    const records = new FlowRecords(accounting);
    const ids = records.ids();
    expect(ids).toHaveLength(1);
    const flow = records.record(ids[0]);
    expect(flow).toMatchObject({ ...both, forward: direction, reverse: direction });
    expect(JSON.parse(records.text(ids[0]))).toEqual(flow);
    expect(records.value(ids[0], 'packets')).toBe(2 * packets);
    expect(vniRecords(accounting)).toMatchObject([both]);
  });
});

it.each(Object.entries(WAYS))('options of packets %s are counted on beyond 2^32', (_, account) => {
  const accounting = new FlowAccounting(dissector, roles, 'auto');
  const { exports } = accounting.own.kernel;
  const withOption = (type: number) => geneve({ vni: 5, options: option(0x102, type) }, inside);
  // The flow's first set of options, and a further one.
  for (const type of [1, 2]) account(accounting, withOption(type));
  const before = 2 ** 32 - 2;
  for (const set of [1, 2]) exports.countOptions(0, set, before);
  for (const type of [1, 2, 2, 1, 1]) account(accounting, withOption(type));
  const packets = { 1: before + 4, 2: before + 3 };
  const records = new FlowRecords(accounting);
  for (const { options } of [records.record(records.ids()[0]), vniRecords(accounting)[0]])
    expect(Object.fromEntries(options.map(({ type, packets }) => [type, packets]))).toEqual(packets);
});

/** The loop over batches: where it stops, and that nothing is left of the batches it has seen. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/capture/batch.ts';
import type { Capture } from '../../src/capture/capture.ts';
import { type Packet, type RunOptions, run } from '../../src/pipeline.ts';
import { bytes, dissector, eth, frame, ip4, roles, udp, zeros } from './frames.ts';

const DATA = frame(17, { src: '10.0.0.1', dst: '10.0.0.2' }, udp(1, 2));

/** Batches of packets at these times, all of them the same data. */
function captureOf(batches: readonly (readonly number[])[], data: Uint8Array = DATA) {
  let at = 0;
  const state = { closed: 0, asked: 0 };
  const capture: Capture = {
    interfaces: [
      {
        file: 'test',
        linkType: 1,
        name: null,
        description: null,
        snapLength: 0,
        littleEndian: true,
        statistics: null,
      },
    ],
    names: new Map(),
    secrets: [],
    files: [],
    async next() {
      state.asked++;
      const times = batches[at++];
      if (times === undefined) return null;
      const batch = new PacketBatch(data, Math.max(1, times.length));
      batch.count = times.length;
      for (const [i, time] of times.entries()) {
        batch.captured[i] = data.length;
        batch.length[i] = data.length;
        batch.seconds[i] = Math.floor(time);
        batch.nanoseconds[i] = (time % 1) * 1e9;
      }
      return batch;
    },
    async close() {
      state.closed++;
    },
    async *[Symbol.asyncIterator]() {},
  };
  return { capture, state };
}

/** Times of the packets that a run hands on. */
async function timesOf(batches: readonly (readonly number[])[], options: RunOptions = {}) {
  const { capture, state } = captureOf(batches);
  const times: number[] = [];
  const sink = {
    packet: ({ batch, index }: Packet) => times.push(batch.seconds[index] + batch.nanoseconds[index] / 1e9),
  };
  const summary = await run(capture, dissector, roles, sink, options);
  expect(summary).toMatchObject({ packets: times.length, bytes: times.length * DATA.length });
  expect(state.closed).toBe(1);
  return { times, asked: state.asked };
}

describe('a run', () => {
  it('goes through all batches, empty ones too', async () => {
    expect((await timesOf([[1, 2], [], [3]])).times).toEqual([1, 2, 3]);
    expect((await timesOf([])).times).toEqual([]);
  });
  it.each([
    [0, [], 0],
    [1, [1], 1],
    [2, [1, 2], 1],
    [3, [1, 2, 3], 2],
    [9, [1, 2, 3, 4], 3],
  ])('of %i packets at most reads no further', async (count, expected, batches) => {
    const { times, asked } = await timesOf(
      [
        [1, 2],
        [3, 4],
      ],
      { count },
    );
    expect(times).toEqual(expected);
    expect(asked).toBe(batches);
  });
  it.each([
    [0, [5]],
    [1, [5, 5.5, 6]],
    [1.5, [5, 5.5, 6, 6.5, 4]],
    [100, [5, 5.5, 6, 6.5, 4, 9]],
  ])('of %f seconds ends with the first packet after them', async (duration, expected) => {
    expect((await timesOf([[], [5, 5.5], [6, 6.5, 4], [9]], { duration })).times).toEqual(expected);
  });
  it('ends when it is aborted between batches', async () => {
    const abort = new AbortController();
    const { capture, state } = captureOf([[1], [2], [3]]);
    let packets = 0;
    const sink = { packet: () => void packets++, flush: () => abort.abort() };
    const summary = await run(capture, dissector, roles, sink, { signal: abort.signal });
    expect([packets, summary.packets, state.closed]).toEqual([1, 1, 1]);
  });
  it('ends when it is aborted while it waits for a batch that never comes', async () => {
    const abort = new AbortController();
    const { capture, state } = captureOf([]);
    capture.next = () => {
      setTimeout(() => abort.abort(), 5);
      return new Promise(() => {});
    };
    const summary = await run(capture, dissector, roles, { packet() {} }, { signal: abort.signal });
    expect([summary.packets, state.closed]).toEqual([0, 1]);
  });
  it('closes the capture when reading or a sink fails', async () => {
    const reading = captureOf([]);
    reading.capture.next = () => Promise.reject(new Error('gone'));
    await expect(run(reading.capture, dissector, roles, { packet() {} })).rejects.toThrow('gone');
    expect(reading.state.closed).toBe(1);
    const sinking = captureOf([[1]]);
    const sink = {
      packet() {
        throw new Error('full');
      },
    };
    await expect(run(sinking.capture, dissector, roles, sink)).rejects.toThrow('full');
    expect(sinking.state.closed).toBe(1);
  });
  it('says why walks stopped', async () => {
    const broken = eth(0x0800, bytes(0x45, 0, 0, 5, zeros(16)));
    const unknown = eth(0x0800, ip4(200, { src: '10.0.0.1', dst: '10.0.0.2' }, zeros(4)));
    const stopped = async (data: Uint8Array) =>
      (await run(captureOf([[1, 2]], data).capture, dissector, roles, { packet() {} })).stopped;
    expect(await stopped(broken)).toEqual({ truncated: 0, malformed: 2, unknown: 0, tooDeep: 0 });
    expect(await stopped(unknown)).toEqual({ truncated: 0, malformed: 0, unknown: 2, tooDeep: 0 });
    expect(await stopped(DATA)).toEqual({ truncated: 0, malformed: 0, unknown: 0, tooDeep: 0 });
  });
  it('leaves nothing on the heap for each batch', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const { capture } = captureOf([]);
    const batch = new PacketBatch(DATA, 1);
    let left = 0;
    capture.next = async () => (left-- > 0 ? batch : null);
    const { signal } = new AbortController();
    const used: number[] = [];
    let rounds = 0;
    const sink = {
      packet() {},
      flush() {
        if (++rounds % 100_000 !== 0) return;
        collect();
        used.push(process.memoryUsage().heapUsed);
      },
    };
    left = 300_000;
    await run(capture, dissector, roles, sink, { signal });
    expect((used[2] - used[0]) / 200_000).toBeLessThan(8);
  });
});

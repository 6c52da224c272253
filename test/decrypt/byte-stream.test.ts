import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Budget, ByteStream } from '../../src/decrypt/byte-stream.ts';

function streamOf(first: number, budget = new Budget(1 << 20)) {
  const delivered: number[] = [];
  const stream = new ByteStream(budget, (bytes) => {
    for (const byte of bytes) delivered.push(byte);
  });
  stream.next = first;
  return { stream, delivered };
}

const content = Uint8Array.from({ length: 400 }, (_, i) => i);

describe('a stream', () => {
  it('comes out once and in order, however its segments are cut, doubled and shuffled', () => {
    const segment = fc.tuple(fc.nat(content.length), fc.nat(60));
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 0xffffffff }),
        fc.array(segment, { maxLength: 60 }),
        fc.boolean(),
        (first, segments, whole) => {
          const { stream, delivered } = streamOf(first);
          const seen = new Set<number>();
          const take = (from: number, length: number) => {
            const bytes = content.subarray(from, from + length);
            for (let i = 0; i < bytes.length; i++) seen.add(from + i);
            stream.segment((first + from) >>> 0, bytes);
          };
          for (const [from, length] of segments) take(from, length);
          if (whole) take(0, content.length);
          let contiguous = 0;
          while (seen.has(contiguous)) contiguous++;
          expect(delivered).toEqual([...content.subarray(0, contiguous)]);
          expect(stream.missing > 0).toBe([...seen].some((at) => at > contiguous));
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes its first segment for its beginning where nothing else says', () => {
    const { stream, delivered } = streamOf(-1);
    stream.segment(1000, content.subarray(0, 3));
    stream.segment(1003, content.subarray(3, 5));
    expect(delivered).toEqual([0, 1, 2, 3, 4]);
  });

  it('says how much is missing, and gives up where too much would wait', () => {
    const budget = new Budget(1000);
    const { stream, delivered } = streamOf(0, budget);
    stream.segment(10, new Uint8Array(600));
    expect(stream.missing).toBe(10);
    stream.segment(610, new Uint8Array(600));
    expect([stream.lost, stream.missing]).toEqual([true, 10]);
    stream.segment(0, content.subarray(0, 10));
    expect(delivered).toEqual([]);
    expect(budget.take(stream, 1000)).toBe(true);
  });

  it('is given up for another one that waits, the longest waiting first', () => {
    const budget = new Budget(1000);
    const [first, second, third] = [streamOf(0, budget), streamOf(0, budget), streamOf(0, budget)];
    for (const { stream } of [first, second]) stream.segment(10, content.subarray(10, 350));
    // The first one does not wait any more, then it begins again.
    first.stream.segment(0, content.subarray(0, 10));
    first.stream.segment(360, content.subarray(360, 400));
    third.stream.segment(10, new Uint8Array(800));
    expect([first.stream.lost, second.stream.lost, third.stream.lost]).toEqual([false, true, false]);
    expect(first.delivered).toHaveLength(350);
  });

  it('knows the segments of another connection by their distance', () => {
    const { stream } = streamOf(0xfffffff0);
    expect(stream.accepts(0x1000)).toBe(true);
    expect(stream.accepts(0xfff00000)).toBe(true);
    expect(stream.accepts(0x80000000)).toBe(false);
  });
});

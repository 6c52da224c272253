/** The TCP analysis, segment by segment. A is direction 0, B is direction 1; times are milliseconds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FlowRecord, TcpCounts, TcpRecord } from '../../src/flow/records.ts';
import { account, type Captured, type Ends, frame, tcp, turned, zeros } from './frames.ts';

interface Segment {
  readonly seq: number;
  readonly ack?: number;
  /** Letters of FSRA. */
  readonly flags?: string;
  readonly length?: number;
  readonly window?: number;
  /** Milliseconds since the segment before. */
  readonly after?: number;
}

const ENDS = { src: '10.0.0.1', dst: '10.0.0.2' };

class Talk {
  private readonly frames: Captured[] = [];
  private now = 1000;

  a(segment: Segment): this {
    return this.send(ENDS, segment);
  }
  b(segment: Segment): this {
    return this.send(turned(ENDS), segment);
  }
  private send(
    ends: Ends,
    { length = 0, after = 1, seq, ack = 0, flags = 'A', window = 500 }: Segment,
  ): this {
    this.now += after;
    const header = tcp(7, 7, { seq, ack, flags, window }, zeros(length));
    this.frames.push({
      data: frame(6, ends, header),
      seconds: Math.floor(this.now / 1000),
      nanoseconds: (this.now % 1000) * 1e6,
    });
    return this;
  }
  flow(): FlowRecord {
    const { flows } = account(this.frames);
    expect(flows).toHaveLength(1);
    return flows[0];
  }
  /** Forward is from A. */
  record(): TcpRecord {
    const { src, tcp } = this.flow();
    const record = tcp!;
    return src === ENDS.src ? record : { ...record, forward: record.reverse, reverse: record.forward };
  }
  /** The counters that are not zero. */
  counts(): Partial<TcpCounts> {
    const { state, connections, rtt, forward, reverse, ...counts } = this.record();
    return Object.fromEntries(Object.entries(counts).filter(([, count]) => count !== 0));
  }
}

/** A's first data byte is 101, B's is 501; the round trip takes 10 ms. */
function established({ a = 100, b = 500, talk = new Talk() } = {}): Talk {
  return talk
    .a({ seq: a, flags: 'S' })
    .b({ seq: b, ack: a + 1, flags: 'SA', after: 9 })
    .a({ seq: a + 1, ack: b + 1, after: 1 });
}

describe('handshake', () => {
  it('measures from SYN to the ACK', () => {
    expect(established().record()).toMatchObject({ state: 'established', connections: 1, rtt: 0.01 });
  });
  it('names the state after each step', () => {
    const talk = new Talk().a({ seq: 1, flags: 'S' });
    expect(talk.record()).toMatchObject({ state: 'syn-sent', rtt: null });
    talk.b({ seq: 7, ack: 2, flags: 'SA' });
    expect(talk.record()).toMatchObject({ state: 'syn-received', rtt: null });
  });
  it('counts a repeated SYN as a retransmission of one connection, and measures from the last one', () => {
    const talk = new Talk()
      .a({ seq: 100, flags: 'S' })
      .a({ seq: 100, flags: 'S', after: 1000 })
      .a({ seq: 100, flags: 'S', after: 2000 })
      .b({ seq: 500, ack: 101, flags: 'SA', after: 5 })
      .a({ seq: 101, ack: 501 });
    expect(talk.counts()).toEqual({ retransmissions: 2 });
    expect(talk.record()).toMatchObject({ connections: 1, state: 'established', rtt: 0.006 });
    expect(talk.record().forward.retransmissions).toBe(2);
  });
  it('measures from the last SYN where the answer to the first was lost on its way', () => {
    const talk = new Talk()
      .a({ seq: 100, flags: 'S' })
      .b({ seq: 500, ack: 101, flags: 'SA', after: 10 })
      .a({ seq: 100, flags: 'S', after: 990 })
      .b({ seq: 500, ack: 101, flags: 'SA' })
      .a({ seq: 101, ack: 501, after: 19 });
    expect(talk.record()).toMatchObject({ connections: 1, state: 'established', rtt: 0.02 });
  });
  it('takes SYNs that cross for one connection', () => {
    const talk = new Talk()
      .a({ seq: 100, flags: 'S' })
      .b({ seq: 500, flags: 'S' })
      .a({ seq: 100, ack: 501, flags: 'SA' })
      .b({ seq: 500, ack: 101, flags: 'SA' })
      .a({ seq: 101, ack: 501, length: 5 });
    expect(talk.record()).toMatchObject({ connections: 1, state: 'established' });
  });
  it('goes on where the same SYN succeeds after a refusal', () => {
    const talk = new Talk()
      .a({ seq: 100, flags: 'S' })
      .b({ seq: 0, ack: 101, flags: 'RA' })
      .a({ seq: 100, flags: 'S', after: 500 })
      .b({ seq: 500, ack: 101, flags: 'SA', after: 9 })
      .a({ seq: 101, ack: 501 });
    expect(talk.record()).toMatchObject({ connections: 1, state: 'established', rtt: 0.01 });
  });
  it('counts a repeated SYN/ACK', () => {
    const talk = new Talk()
      .a({ seq: 100, flags: 'S' })
      .b({ seq: 500, ack: 101, flags: 'SA' })
      .b({ seq: 500, ack: 101, flags: 'SA', after: 1000 })
      .a({ seq: 101, ack: 501 });
    expect(talk.counts()).toEqual({ retransmissions: 1 });
    expect(talk.record().reverse.retransmissions).toBe(1);
    expect(talk.record()).toMatchObject({ connections: 1, state: 'established' });
  });
  it('takes the client at its word where the SYN/ACK was not captured', () => {
    const talk = new Talk().a({ seq: 100, flags: 'S' }).a({ seq: 101, ack: 501 });
    expect(talk.record()).toMatchObject({ state: 'established', rtt: null });
  });
  it('has no round trip where it starts with the SYN/ACK', () => {
    const talk = new Talk().b({ seq: 500, ack: 101, flags: 'SA' }).a({ seq: 101, ack: 501 });
    expect(talk.record()).toMatchObject({ state: 'midstream', rtt: null, connections: 0 });
    expect(talk.counts()).toEqual({});
  });
  it('allows data in the SYN', () => {
    const talk = new Talk()
      .a({ seq: 100, flags: 'S', length: 10 })
      .b({ seq: 500, ack: 111, flags: 'SA' })
      .a({ seq: 111, ack: 501, length: 5 });
    expect(talk.counts()).toEqual({});
  });
  it('tells from which side the last new connection comes', () => {
    const talk = new Talk().b({ seq: 5, flags: 'S' });
    expect(talk.flow().src).toBe(ENDS.dst);
    talk.b({ seq: 5, flags: 'S' }).a({ seq: 9, ack: 6, flags: 'SA' });
    expect(talk.flow().src).toBe(ENDS.dst);
    talk.a({ seq: 77, flags: 'S' });
    expect(talk.flow().src).toBe(ENDS.src);
  });
});

describe("Wireshark's terms", () => {
  it('counts a closed window in a keep-alive, too', () => {
    const talk = established().a({ seq: 100, ack: 501, window: 0 });
    expect(talk.counts()).toEqual({ keepAlives: 1, zeroWindows: 1 });
  });
  it('misses what lies before an ACK without data', () => {
    const talk = established().a({ seq: 151, ack: 501 }).a({ seq: 151, ack: 501, length: 5 });
    expect(talk.counts()).toEqual({ lostSegments: 1 });
  });
});

describe('ports used again', () => {
  const reused = () =>
    established({
      a: 0x70000000,
      b: 3,
      talk: established()
        .a({ seq: 101, ack: 501, length: 100 })
        .b({ seq: 501, ack: 201, length: 1 })
        .a({ seq: 201, ack: 502, flags: 'FA' })
        .b({ seq: 502, ack: 202, flags: 'FA' }),
    });
  it('is a second connection without false retransmissions', () => {
    const talk = reused().a({ seq: 0x70000001, ack: 4, length: 10 }).b({ seq: 4, ack: 0x7000000b });
    expect(talk.record()).toMatchObject({ connections: 2, state: 'established', rtt: 0.01 });
    expect(talk.counts()).toEqual({});
  });
  it('is closing only when the new connection is', () => {
    expect(reused().a({ seq: 0x70000001, ack: 4, flags: 'FA' }).record().state).toBe('closing');
  });
  it('works when the new number is lower than the old ones', () => {
    expect(established({ a: 5, b: 1, talk: established() }).counts()).toEqual({});
  });
  it('keeps the counts of the old connection', () => {
    const talk = established().a({ seq: 101, length: 9 }).a({ seq: 101, length: 9, after: 300 });
    expect(established({ a: 5000, b: 1, talk }).counts()).toEqual({ retransmissions: 1 });
  });
});

describe('gaps', () => {
  const gap = (after: number) =>
    established()
      .a({ seq: 101, length: 100 })
      .a({ seq: 301, length: 100 })
      .a({ seq: 201, length: 100, after });
  it('filled within a round trip is out of order', () => {
    expect(gap(5).counts()).toEqual({ lostSegments: 1, outOfOrder: 1 });
  });
  it('filled later is a retransmission', () => {
    expect(gap(15).counts()).toEqual({ lostSegments: 1, retransmissions: 1 });
  });
  it('counts both segments that fill one gap', () => {
    const talk = established()
      .a({ seq: 101, length: 100 })
      .a({ seq: 401, length: 100 })
      .a({ seq: 201, length: 100 })
      .a({ seq: 301, length: 100 })
      .a({ seq: 501, length: 100 });
    expect(talk.counts()).toEqual({ lostSegments: 1, outOfOrder: 2 });
  });
  it('filled twice is a retransmission the second time', () => {
    expect(gap(5).a({ seq: 201, length: 100 }).counts()).toEqual({
      lostSegments: 1,
      outOfOrder: 1,
      retransmissions: 1,
    });
  });
  it('uses 3 ms where the round trip is not known', () => {
    const talk = (after: number) =>
      new Talk()
        .a({ seq: 0, length: 10 })
        .a({ seq: 20, length: 10 })
        .a({ seq: 10, length: 10, after })
        .counts();
    expect(talk(2)).toEqual({ lostSegments: 1, outOfOrder: 1 });
    expect(talk(4)).toEqual({ lostSegments: 1, retransmissions: 1 });
  });
  it('asked for by two duplicate ACKs is a fast retransmission however soon it comes', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201 })
      .a({ seq: 301, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201, after: 0.1 })
      .a({ seq: 401, ack: 501, length: 100, after: 0.1 })
      .b({ seq: 501, ack: 201, after: 0.1 })
      .a({ seq: 201, ack: 501, length: 100, after: 0.1 });
    expect(talk.counts()).toEqual({ lostSegments: 1, duplicateAcks: 2, retransmissions: 1 });
  });
  it('may be the FIN overtaking data', () => {
    const talk = established().a({ seq: 201, ack: 501, flags: 'FA' }).a({ seq: 101, ack: 501, length: 100 });
    expect(talk.counts()).toEqual({ lostSegments: 1, outOfOrder: 1 });
  });
});

describe('retransmissions', () => {
  it('are data at numbers already sent', () => {
    const talk = established().a({ seq: 101, length: 100 }).a({ seq: 101, length: 100, after: 200 });
    expect(talk.counts()).toEqual({ retransmissions: 1 });
  });
  it('that overlap new data move on to its end', () => {
    const talk = established()
      .a({ seq: 101, length: 100 })
      .a({ seq: 151, length: 100, after: 200 })
      .a({ seq: 251, length: 10 });
    expect(talk.counts()).toEqual({ retransmissions: 1 });
  });
  it('that repeat a part leave the end where it was', () => {
    const talk = established()
      .a({ seq: 101, length: 100 })
      .a({ seq: 101, length: 50, after: 200 })
      .a({ seq: 201, length: 10 });
    expect(talk.counts()).toEqual({ retransmissions: 1 });
  });
  it('may be a FIN', () => {
    const talk = established().a({ seq: 101, flags: 'FA' }).a({ seq: 101, flags: 'FA', after: 200 });
    expect(talk.counts()).toEqual({ retransmissions: 1 });
    expect(talk.record().state).toBe('closing');
  });
  it('count for the side that sends them', () => {
    const talk = established()
      .b({ seq: 501, ack: 101, length: 100 })
      .b({ seq: 501, ack: 101, length: 100, after: 200 });
    expect(talk.record()).toMatchObject({
      forward: { retransmissions: 0 },
      reverse: { retransmissions: 1 },
    });
  });
});

describe('sequence numbers that wrap around', () => {
  const near = 0xffffffff - 150;
  it('go on', () => {
    const talk = established({ a: near, b: 0x7fffffff })
      .a({ seq: near + 1, length: 100 })
      .a({ seq: near + 101, length: 100 })
      .a({ seq: near + 201, length: 100 })
      .b({ seq: 0x80000000, ack: near + 301, length: 5 })
      .b({ seq: 0x80000005, ack: near + 301, length: 5 });
    expect(talk.counts()).toEqual({});
    expect(talk.record().forward.ackTime).toBe(0.003);
  });
  it('show gaps and repeats on both sides of it', () => {
    const talk = established({ a: near })
      .a({ seq: near + 1, length: 100 })
      .a({ seq: near + 201, length: 100 })
      .a({ seq: near + 101, length: 100, after: 5 })
      .a({ seq: near + 101, length: 100, after: 500 });
    expect(talk.counts()).toEqual({ lostSegments: 1, outOfOrder: 1, retransmissions: 1 });
  });
  it('never matter: a transfer counts the same wherever it starts', () => {
    const run = (a: number, b: number) =>
      established({ a, b })
        .a({ seq: a + 1, ack: b + 1, length: 10 })
        .b({ seq: b + 1, ack: a + 11, length: 20 })
        .a({ seq: a + 31, ack: b + 21, length: 10 })
        .b({ seq: b + 21, ack: a + 11 })
        .b({ seq: b + 21, ack: a + 11 })
        .a({ seq: a + 11, ack: b + 21, length: 20 })
        .a({ seq: a + 40, ack: b + 21 })
        .a({ seq: a + 41, ack: b + 21, flags: 'FA' })
        .b({ seq: b + 21, ack: a + 42, flags: 'FA' })
        .record();
    const isn = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(isn, isn, (a, b) => {
        expect(run(a, b)).toEqual(run(1000, 2000));
      }),
    );
  });
});

describe('duplicate ACKs', () => {
  /** B has acknowledged A's data once. */
  const acknowledged = () => established().a({ seq: 101, ack: 501, length: 100 }).b({ seq: 501, ack: 201 });
  it('are ACKs with nothing new', () => {
    const talk = acknowledged().b({ seq: 501, ack: 201 }).b({ seq: 501, ack: 201 });
    expect(talk.counts()).toEqual({ duplicateAcks: 2 });
    expect(talk.record().reverse.duplicateAcks).toBe(2);
  });
  it('are not those with another window', () => {
    expect(acknowledged().b({ seq: 501, ack: 201, window: 900 }).counts()).toEqual({});
  });
  it('are not those with data', () => {
    const talk = acknowledged().b({ seq: 501, ack: 201, length: 10 }).b({ seq: 511, ack: 201, length: 10 });
    expect(talk.counts()).toEqual({});
  });
  it('are not those behind data of their own: the first says that all of it was sent', () => {
    const talk = acknowledged().b({ seq: 501, ack: 201, length: 10 }).b({ seq: 511, ack: 202 });
    expect(talk.counts()).toEqual({});
  });
  it('are not FIN, SYN or RST', () => {
    const talk = acknowledged().b({ seq: 501, ack: 201, flags: 'FA' }).b({ seq: 502, ack: 201, flags: 'RA' });
    expect(talk.counts()).toEqual({ resets: 1 });
  });
  it('are counted for a receiver that never sent anything, in a capture that begins midstream', () => {
    const talk = new Talk()
      .a({ seq: 101, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201 })
      .a({ seq: 301, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201 })
      .a({ seq: 401, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201 })
      .a({ seq: 201, ack: 501, length: 100 });
    expect(talk.counts()).toEqual({ lostSegments: 1, duplicateAcks: 2, retransmissions: 1 });
  });
});

describe('keep-alives', () => {
  it('and their answers are neither retransmissions nor duplicate ACKs', () => {
    const talk = established().a({ seq: 101, ack: 501, length: 10 }).b({ seq: 501, ack: 111 });
    for (let i = 0; i < 3; i++)
      talk.a({ seq: 110, ack: 501, after: 10_000 }).b({ seq: 501, ack: 111, after: 1 });
    expect(talk.counts()).toEqual({ keepAlives: 3 });
    expect(talk.record().forward.keepAlives).toBe(3);
    talk.a({ seq: 111, ack: 501, length: 10 }).b({ seq: 501, ack: 121 });
    expect(talk.counts()).toEqual({ keepAlives: 3 });
  });
  it('may carry the byte before', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 10 })
      .a({ seq: 110, ack: 501, length: 1, after: 10_000 });
    expect(talk.counts()).toEqual({ keepAlives: 1 });
  });
  it('of both sides', () => {
    const talk = established();
    for (let i = 0; i < 3; i++)
      talk
        .a({ seq: 100, ack: 501, after: 5000 })
        .b({ seq: 501, ack: 101 })
        .b({ seq: 500, ack: 101, after: 5000 })
        .a({ seq: 101, ack: 501 });
    expect(talk.counts()).toEqual({ keepAlives: 6 });
  });
  it('on a connection that was idle before the capture count as nothing else', () => {
    const talk = new Talk();
    for (let i = 0; i < 3; i++) talk.a({ seq: 100, ack: 501, after: 5000 }).b({ seq: 501, ack: 101 });
    talk.a({ seq: 101, ack: 501, length: 10 }).b({ seq: 501, ack: 111, length: 10 });
    const { keepAlives, ...others } = talk.counts();
    expect(others).toEqual({});
  });
});

describe('zero windows', () => {
  it('are counted, and their repeats are not duplicate ACKs', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201, window: 0 })
      .a({ seq: 200, ack: 501, after: 200 })
      .b({ seq: 501, ack: 201, window: 0 })
      .b({ seq: 501, ack: 201, window: 500 });
    expect(talk.counts()).toEqual({ zeroWindows: 2, keepAlives: 1 });
  });
  it('are not those of resets and handshakes', () => {
    const talk = new Talk()
      .a({ seq: 1, flags: 'S', window: 0 })
      .b({ seq: 0, ack: 2, flags: 'RA', window: 0 });
    expect(talk.counts()).toEqual({ resets: 1 });
  });
  it('may be probed with a byte that is accepted', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201, window: 0 })
      .a({ seq: 201, ack: 501, length: 1, after: 200 })
      .b({ seq: 501, ack: 202, window: 300 })
      .a({ seq: 202, ack: 501, length: 100 });
    expect(talk.counts()).toEqual({ zeroWindows: 1 });
  });
  it('may be probed with the next byte, which is then sent with those behind it', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 100 })
      .b({ seq: 501, ack: 201, window: 0 })
      .a({ seq: 201, ack: 501, length: 1, after: 200 })
      .b({ seq: 501, ack: 201, window: 0 })
      .a({ seq: 201, ack: 501, length: 1, after: 400 })
      .b({ seq: 501, ack: 201, window: 0 })
      .b({ seq: 501, ack: 201, window: 500, after: 100 })
      .a({ seq: 201, ack: 501, length: 100 });
    expect(talk.counts()).toEqual({ zeroWindows: 3 });
  });
});

describe('endings', () => {
  it('with a FIN of each side is closed', () => {
    const talk = established().a({ seq: 101, ack: 501, flags: 'FA' });
    expect(talk.record().state).toBe('closing');
    talk.b({ seq: 501, ack: 102, length: 50 });
    expect(talk.record().state).toBe('closing');
    talk.b({ seq: 551, ack: 102, flags: 'FA' });
    expect(talk.record().state).toBe('closed');
    talk.a({ seq: 102, ack: 552 });
    expect(talk.record().state).toBe('closed');
    expect(talk.counts()).toEqual({});
  });
  it('with RST is a reset, even when a FIN comes after it', () => {
    const talk = established().b({ seq: 501, ack: 101, flags: 'RA' });
    expect(talk.record()).toMatchObject({ state: 'reset', resets: 1, reverse: { resets: 1 } });
    talk.a({ seq: 101, ack: 501, flags: 'FA' });
    expect(talk.record().state).toBe('reset');
  });
  it('of a refused connection is a reset, and another attempt starts afresh', () => {
    const talk = new Talk().a({ seq: 1, flags: 'S' }).b({ seq: 0, ack: 2, flags: 'RA' });
    expect(talk.record()).toMatchObject({ state: 'reset', connections: 1, rtt: null });
    established({ talk });
    expect(talk.record()).toMatchObject({ state: 'established', connections: 2 });
    expect(talk.counts()).toEqual({ resets: 1 });
  });
});

describe('ackTime', () => {
  it('is the mean over the segments that were timed', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 10 })
      .b({ seq: 501, ack: 111, after: 4 })
      .a({ seq: 111, ack: 501, length: 10 })
      .b({ seq: 501, ack: 121, after: 8 });
    expect(talk.record().forward.ackTime).toBe(0.006);
    expect(talk.record().reverse.ackTime).toBeNull();
  });
  it('needs an acknowledgment of the whole segment', () => {
    const talk = established().a({ seq: 101, ack: 501, length: 10 }).b({ seq: 501, ack: 105, after: 4 });
    expect(talk.record().forward.ackTime).toBeNull();
    expect(talk.b({ seq: 501, ack: 111, after: 4 }).record().forward.ackTime).toBe(0.008);
  });
  it('does not time what was sent twice (Karn)', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 10 })
      .a({ seq: 101, ack: 501, length: 10, after: 300 })
      .b({ seq: 501, ack: 111, after: 4 });
    expect(talk.record().forward.ackTime).toBeNull();
    talk.a({ seq: 111, ack: 501, length: 10 }).b({ seq: 501, ack: 121, after: 2 });
    expect(talk.record().forward.ackTime).toBe(0.002);
  });
  it('does not time handshakes and ends', () => {
    const talk = established().a({ seq: 101, ack: 501, flags: 'FA' }).b({ seq: 501, ack: 102 });
    expect(talk.record().forward.ackTime).toBeNull();
  });
  it('comes with data too', () => {
    const talk = established()
      .a({ seq: 101, ack: 501, length: 10 })
      .b({ seq: 501, ack: 111, length: 10, after: 3 });
    expect(talk.record().forward.ackTime).toBe(0.003);
  });
});

it('counts nothing for any transfer in order, whatever its segments and ACKs', () => {
  const step = fc.record({ fromA: fc.boolean(), length: fc.integer({ min: 0, max: 3000 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 0, max: 0xffffffff }), (steps, isn) => {
      const talk = established({ a: isn, b: 500 });
      let a = isn + 1;
      let b = 501;
      let acked = { a: b, b: a };
      for (const { fromA, length } of steps) {
        // A bare ACK that says nothing new would rightly be a duplicate.
        if (fromA && (length > 0 || acked.a !== b)) {
          talk.a({ seq: a, ack: b, length });
          acked = { ...acked, a: b };
          a += length;
        } else if (!fromA && (length > 0 || acked.b !== a)) {
          talk.b({ seq: b, ack: a, length });
          acked = { ...acked, b: a };
          b += length;
        }
      }
      talk.a({ seq: a, ack: b, flags: 'FA' }).b({ seq: b, ack: a + 1, flags: 'FA' });
      expect(talk.counts()).toEqual({});
      expect(talk.record()).toMatchObject({ state: 'closed', connections: 1, rtt: 0.01 });
    }),
  );
});

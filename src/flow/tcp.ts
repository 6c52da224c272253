/**
 * TCP analysis per conversation, in constant memory: what each direction's sequence and acknowledgment numbers tell.
 * The terms are Wireshark's (tcp.analysis.*); since a conversation's key holds its VNI path, tenants with equal
 * addresses never disturb each other.
 */

export const TcpFlag = { fin: 1, syn: 2, rst: 4, ack: 16 } as const;
const HANDSHAKE_OR_END = TcpFlag.syn | TcpFlag.fin | TcpFlag.rst;

const State = {
  /** Packets, but no handshake was seen. */
  midstream: 0,
  synSent: 1,
  synReceived: 2,
  established: 3,
  /** One side has sent FIN. */
  closing: 4,
  /** Both sides have. */
  closed: 5,
  reset: 6,
} as const;
const STATE_NAMES = [
  'midstream',
  'syn-sent',
  'syn-received',
  'established',
  'closing',
  'closed',
  'reset',
] as const;

export interface TcpCounts {
  /** Segments sent again. */
  retransmissions: number;
  /** Segments that came after later ones, soon enough to have been overtaken and not sent again. */
  outOfOrder: number;
  duplicateAcks: number;
  /** Gaps in the sequence: lost before the capture, not captured, or still to come out of order. */
  lostSegments: number;
  keepAlives: number;
  zeroWindows: number;
  resets: number;
}

export interface TcpRecord extends TcpCounts {
  state: (typeof STATE_NAMES)[number];
  /** Handshakes begun under this key: above 1 where the ports were used again. */
  connections: number;
  /** Seconds from the last SYN to the ACK that ends the handshake, null where it was not all seen. */
  rtt: number | null;
  forward: TcpCounts & {
    /** Mean seconds until data of this direction was acknowledged, as seen where the capture was taken. */
    ackTime: number | null;
  };
  reverse: TcpRecord['forward'];
}

// An entry is one cache line with what nearly every segment touches, and a share of a second table for counts and
// measurements, made when there is the first of them: a flow of one SYN costs a line.

// Words of a direction in the line.
const NEXT = 0; // sequence number expected next
const ACKED = 1; // last acknowledgment number sent
const WINDOW = 2; // last window sent in the lower half, Known bits in the upper
const TIMED = 3; // acknowledgment number that ends the running time measurement
const DIRECTION = 4;
// Words of the conversation in the line.
const STATE = 2 * DIRECTION; // State in the lowest byte, direction of the SYN in the next
const CONNECTIONS = STATE + 1;
const CLIENT_ISN = STATE + 2;
const MORE = STATE + 3; // entry of the second table + 1
const LINE = 16;
/** Double of the line, per direction: when the running measurement began; for the client, its SYN. */
const TIMED_AT = 6;

// Words of a direction in the second table.
const COUNTS = 0; // seven counters, in the order of COUNT_NAMES
const TIMINGS = 7; // measurements taken
const REPEATS = 8; // duplicates of the last acknowledgment
const HOLE_FROM = 9; // the most recent gap: first missing sequence number,
const HOLE_TO = 10; // and one past its last
const MORE_DIRECTION = 11;
const MORE_WORDS = 22;
const COUNT_NAMES = [
  'retransmissions',
  'outOfOrder',
  'duplicateAcks',
  'lostSegments',
  'keepAlives',
  'zeroWindows',
  'resets',
] as const satisfies readonly (keyof TcpCounts)[];
const Count = {
  retransmission: 0,
  outOfOrder: 1,
  duplicateAck: 2,
  lostSegment: 3,
  keepAlive: 4,
  zeroWindow: 5,
  reset: 6,
} as const;
// Doubles of the second table; the first two per direction.
const HOLE_TIME = 0;
const TIME_SUM = 2;
const RTT = 4; // 0 where not measured
const MORE_DOUBLES = 5;

/** In the upper half of the WINDOW word. */
const Known = {
  next: 0x10000,
  ack: 0x20000,
  hole: 0x40000,
  timed: 0x80000,
  fin: 0x100000,
  /** The last segment was a keep-alive or a zero-window probe. */
  lastWasProbe: 0x200000,
} as const;

/**
 * A gap filled within a round trip was reordering, later it was sent again. Where no handshake gives the round trip,
 * Wireshark's default of 3 ms.
 */
const REORDER_NANOSECONDS = 3e6;
/** Acknowledgments repeated so often ask for the segment they name (fast retransmit, RFC 5681 section 3.2). */
const FAST_RETRANSMIT = 2;

const SEGMENT_BITS = 13;
const SEGMENT = 1 << SEGMENT_BITS;

export class TcpTable {
  /**
   * Time of the next segment: nanoseconds on any clock. Set it before `segment`; as a parameter it would be a new object
   * on the heap in every call.
   */
  now = 0;
  private readonly lines: Int32Array[] = [];
  private readonly lineDoubles: Float64Array[] = [];
  private used = 0;
  private readonly moreWords: Int32Array[] = [];
  private readonly moreDoubles: Float64Array[] = [];
  private moreUsed = 0;
  // The conversation and direction at hand: kept here so that the steps below need no dozen parameters.
  private w: Int32Array = new Int32Array(0);
  private d: Float64Array = new Float64Array(0);
  private base = 0;
  private direction = 0;
  private mine = 0;
  private peer = 0;

  get size(): number {
    return this.used;
  }

  append(): number {
    const id = this.used++;
    if (id >>> SEGMENT_BITS === this.lines.length) {
      const memory = new ArrayBuffer(SEGMENT * LINE * 4);
      this.lines.push(new Int32Array(memory));
      this.lineDoubles.push(new Float64Array(memory));
    }
    return id;
  }

  private select(id: number, direction: number): void {
    this.w = this.lines[id >>> SEGMENT_BITS];
    this.d = this.lineDoubles[id >>> SEGMENT_BITS];
    this.base = (id & (SEGMENT - 1)) * LINE;
    this.direction = direction;
    this.mine = this.base + direction * DIRECTION;
    this.peer = this.base + (1 - direction) * DIRECTION;
  }

  /** Number of the conversation's entry in the second table; made where there is none. */
  private more(): number {
    const { w, base } = this;
    if (w[base + MORE] === 0) {
      if (this.moreUsed >>> SEGMENT_BITS === this.moreWords.length) {
        this.moreWords.push(new Int32Array(SEGMENT * MORE_WORDS));
        this.moreDoubles.push(new Float64Array(SEGMENT * MORE_DOUBLES));
      }
      w[base + MORE] = ++this.moreUsed;
    }
    return w[base + MORE] - 1;
  }

  private moreWord(direction: number, word: number): number {
    const id = this.w[this.base + MORE] - 1;
    if (id < 0) return 0;
    return this.moreWords[id >>> SEGMENT_BITS][
      (id & (SEGMENT - 1)) * MORE_WORDS + direction * MORE_DIRECTION + word
    ];
  }
  private setMoreWord(direction: number, word: number, value: number): void {
    const id = this.more();
    this.moreWords[id >>> SEGMENT_BITS][
      (id & (SEGMENT - 1)) * MORE_WORDS + direction * MORE_DIRECTION + word
    ] = value;
  }
  private moreDouble(double: number): number {
    const id = this.w[this.base + MORE] - 1;
    return id < 0 ? 0 : this.moreDoubles[id >>> SEGMENT_BITS][(id & (SEGMENT - 1)) * MORE_DOUBLES + double];
  }
  private setMoreDouble(double: number, value: number): void {
    const id = this.more();
    this.moreDoubles[id >>> SEGMENT_BITS][(id & (SEGMENT - 1)) * MORE_DOUBLES + double] = value;
  }
  private tally(count: number): void {
    this.setMoreWord(this.direction, COUNTS + count, this.moreWord(this.direction, COUNTS + count) + 1);
  }

  private get state(): number {
    return this.w[this.base + STATE] & 0xff;
  }
  private set state(state: number) {
    this.w[this.base + STATE] = (this.w[this.base + STATE] & ~0xff) | state;
  }
  private get inHandshake(): boolean {
    return this.state === State.synSent || this.state === State.synReceived;
  }
  private get client(): number {
    return this.w[this.base + STATE] >>> 8;
  }

  /**
   * Takes in a segment of conversation `id`.
   * @param direction 0 or 1, the same for all packets one way
   * @param length payload bytes on the wire
   * @returns true where the segment opens a new connection in this direction
   */
  segment(
    id: number,
    direction: number,
    sequence: number,
    acknowledgment: number,
    flags: number,
    window: number,
    length: number,
  ): boolean {
    this.select(id, direction);
    const { w, mine } = this;
    if ((flags & TcpFlag.rst) !== 0) {
      this.tally(Count.reset);
      this.state = State.reset;
      return false;
    }
    let opens = false;
    if ((flags & TcpFlag.syn) !== 0) {
      opens = this.handshake(sequence, flags);
    } else if (this.inHandshake && direction === this.client && (flags & TcpFlag.ack) !== 0) {
      // The client's ACK tells of a SYN/ACK even where none was captured.
      if (this.state === State.synReceived)
        this.setMoreDouble(RTT, this.now - this.d[this.base / 2 + TIMED_AT + direction]);
      this.state = State.established;
    }

    // SYN and FIN each take one sequence number (RFC 9293 section 3.4).
    const span = length + ((flags & TcpFlag.syn) >> 1) + (flags & TcpFlag.fin);
    const ahead = (w[mine + WINDOW] & Known.next) === 0 ? 0 : (sequence - w[mine + NEXT]) | 0;
    const plain = (flags & HANDSHAKE_OR_END) === 0;
    const keepAlive = ahead === -1 && length <= 1 && plain;
    // One byte sent into a closed window does not count as sent: it will come again, with those behind it.
    const probe =
      ahead === 0 && length === 1 && plain && (w[this.peer + WINDOW] & (Known.ack | 0xffff)) === Known.ack;
    if (keepAlive || probe) {
      if (keepAlive) this.tally(Count.keepAlive);
      w[mine + WINDOW] |= Known.lastWasProbe;
    } else {
      if ((flags & TcpFlag.ack) !== 0) {
        const bare = plain && length === 0 && sequence === w[mine + NEXT];
        this.acknowledge(acknowledgment, window, plain, bare);
      }
      if (span > 0) this.data(sequence, span, ahead, length > 0);
      else if ((w[mine + WINDOW] & Known.next) === 0) w[mine + NEXT] = sequence; // a guess, for repeated ACKs
      w[mine + WINDOW] &= ~Known.lastWasProbe;
    }
    w[mine + WINDOW] = (w[mine + WINDOW] & ~0xffff) | window;

    if ((flags & TcpFlag.fin) !== 0) {
      w[mine + WINDOW] |= Known.fin;
      if (this.state !== State.reset)
        this.state = (w[this.peer + WINDOW] & Known.fin) !== 0 ? State.closed : State.closing;
    }
    return opens;
  }

  private handshake(sequence: number, flags: number): boolean {
    const { w, base, direction } = this;
    if ((flags & TcpFlag.ack) !== 0) {
      if (this.state === State.synSent && direction !== this.client) this.state = State.synReceived;
      return false;
    }
    if (w[base + CONNECTIONS] > 0 && direction === this.client && sequence === w[base + CLIENT_ISN]) {
      if (this.state === State.synSent) this.d[base / 2 + TIMED_AT + direction] = this.now;
      return false;
    }
    // Ports used again: what was learnt of the old connection's numbers is void, its counts stay.
    w[this.mine + WINDOW] = 0;
    w[this.peer + WINDOW] = 0;
    w[base + STATE] = (direction << 8) | State.synSent;
    w[base + CONNECTIONS]++;
    w[base + CLIENT_ISN] = sequence;
    this.d[base / 2 + TIMED_AT + direction] = this.now;
    return true;
  }

  private data(sequence: number, span: number, ahead: number, timed: boolean): void {
    const { w, d, mine, direction, now } = this;
    const end = (sequence + span) | 0;
    if ((w[mine + WINDOW] & Known.next) === 0) {
      w[mine + WINDOW] |= Known.next;
      w[mine + NEXT] = end;
      return;
    }
    if (ahead === 0) {
      // During the handshake the client's clock holds the time of its SYN.
      if (timed && !this.inHandshake && (w[mine + WINDOW] & Known.timed) === 0) {
        w[mine + WINDOW] |= Known.timed;
        w[mine + TIMED] = end;
        d[this.base / 2 + TIMED_AT + direction] = now;
      }
      w[mine + NEXT] = end;
      return;
    }
    if (ahead > 0) {
      this.tally(Count.lostSegment);
      w[mine + WINDOW] |= Known.hole;
      this.setMoreWord(direction, HOLE_FROM, w[mine + NEXT]);
      this.setMoreWord(direction, HOLE_TO, sequence);
      this.setMoreDouble(HOLE_TIME + direction, now);
    } else {
      this.sentBefore(sequence, end);
    }
    if (((end - w[mine + NEXT]) | 0) > 0) w[mine + NEXT] = end;
  }

  /** A segment that begins before what is expected next. */
  private sentBefore(sequence: number, end: number): void {
    const { w, mine, direction, now } = this;
    const from = this.moreWord(direction, HOLE_FROM);
    const to = this.moreWord(direction, HOLE_TO);
    const inHole =
      (w[mine + WINDOW] & Known.hole) !== 0 && ((sequence - from) | 0) >= 0 && ((to - sequence) | 0) > 0;
    const rtt = this.moreDouble(RTT);
    const asked =
      w[this.peer + ACKED] === sequence && this.moreWord(1 - direction, REPEATS) >= FAST_RETRANSMIT;
    const soon = now - this.moreDouble(HOLE_TIME + direction) < (rtt > 0 ? rtt : REORDER_NANOSECONDS);
    this.tally(inHole && soon && !asked ? Count.outOfOrder : Count.retransmission);
    if (inHole && sequence === from) {
      this.setMoreWord(direction, HOLE_FROM, end);
      if (((to - end) | 0) <= 0) w[mine + WINDOW] &= ~Known.hole;
    }
    // Karn's rule: what was sent twice is not timed, the answer could be to either.
    if (((w[mine + TIMED] - sequence) | 0) > 0) w[mine + WINDOW] &= ~Known.timed;
  }

  /** @param bare no data, no SYN, FIN or RST, and all that this side sent lies before it */
  private acknowledge(acknowledgment: number, window: number, plain: boolean, bare: boolean): void {
    const { w, mine, peer, direction } = this;
    if (window === 0 && plain) this.tally(Count.zeroWindow);
    const answersProbe = (w[peer + WINDOW] & Known.lastWasProbe) !== 0;
    if ((w[mine + WINDOW] & Known.ack) !== 0 && acknowledgment === w[mine + ACKED]) {
      // Wireshark's terms for a duplicate: nothing new in it, and not the answer to a keep-alive.
      if (
        bare &&
        window !== 0 &&
        window === (w[mine + WINDOW] & 0xffff) &&
        (w[peer + WINDOW] & Known.next) !== 0 &&
        !answersProbe
      ) {
        this.tally(Count.duplicateAck);
        this.setMoreWord(direction, REPEATS, this.moreWord(direction, REPEATS) + 1);
      }
      return;
    }
    if (answersProbe && acknowledgment === ((w[peer + NEXT] + 1) | 0)) w[peer + NEXT] = acknowledgment;
    if (this.moreWord(direction, REPEATS) > 0) this.setMoreWord(direction, REPEATS, 0);
    w[mine + ACKED] = acknowledgment;
    w[mine + WINDOW] |= Known.ack;
    if ((w[peer + WINDOW] & Known.timed) !== 0 && ((acknowledgment - w[peer + TIMED]) | 0) >= 0) {
      w[peer + WINDOW] &= ~Known.timed;
      const other = 1 - direction;
      const took = this.now - this.d[this.base / 2 + TIMED_AT + other];
      this.setMoreWord(other, TIMINGS, this.moreWord(other, TIMINGS) + 1);
      this.setMoreDouble(TIME_SUM + other, this.moreDouble(TIME_SUM + other) + took);
    }
  }

  /** Moves what `direction` did, where it turned out to belong to another conversation, to an entry of its own. */
  split(id: number, direction: number): number {
    const other = this.append();
    this.select(id, direction);
    const line = this.w.slice(this.mine, this.mine + DIRECTION);
    const clock = this.d[this.base / 2 + TIMED_AT + direction];
    const words = Array.from({ length: MORE_DIRECTION }, (_, word) => this.moreWord(direction, word));
    const doubles = [HOLE_TIME, TIME_SUM].map((double) => this.moreDouble(double + direction));
    const opened = this.w[this.base + CONNECTIONS] > 0 && this.client === direction;
    const conversation = opened ? this.w.slice(this.base + STATE, this.base + MORE) : null;
    this.w.fill(0, this.mine, this.mine + DIRECTION);
    for (const [word] of words.entries()) this.setMoreWord(direction, word, 0);
    this.setMoreDouble(TIME_SUM + direction, 0);
    if (opened) this.w.fill(0, this.base + STATE, this.base + MORE);

    this.select(other, direction);
    this.w.set(line, this.mine);
    this.d[this.base / 2 + TIMED_AT + direction] = clock;
    for (const [word, value] of words.entries()) this.setMoreWord(direction, word, value);
    for (const [i, double] of [HOLE_TIME, TIME_SUM].entries())
      this.setMoreDouble(double + direction, doubles[i]);
    if (conversation) this.w.set(conversation, this.base + STATE);
    return other;
  }

  /** What `direction` sends next cannot be told: its last segment was not seen to its end. */
  lose(id: number, direction: number): void {
    this.select(id, direction);
    this.w[this.mine + WINDOW] &= ~(Known.next | Known.hole | Known.timed);
  }

  /** The conversation's figures; `forward` is the direction (0 or 1) that counts as forward. */
  record(id: number, forward: number): TcpRecord {
    this.select(id, forward);
    const side = (direction: number): TcpRecord['forward'] => {
      const counts = Object.fromEntries(
        COUNT_NAMES.map((name, i) => [name, this.moreWord(direction, COUNTS + i) >>> 0]),
      );
      const timings = this.moreWord(direction, TIMINGS) >>> 0;
      return {
        ...(counts as unknown as TcpCounts),
        ackTime: timings === 0 ? null : seconds(this.moreDouble(TIME_SUM + direction) / timings),
      };
    };
    const there = side(forward);
    const back = side(1 - forward);
    const total = Object.fromEntries(COUNT_NAMES.map((name) => [name, there[name] + back[name]]));
    const rtt = this.moreDouble(RTT);
    return {
      state: STATE_NAMES[this.state],
      connections: this.w[this.base + CONNECTIONS],
      rtt: rtt > 0 ? seconds(rtt) : null,
      ...(total as unknown as TcpCounts),
      forward: there,
      reverse: back,
    };
  }
}

/** Nanoseconds as seconds, without the noise of binary fractions. */
export function seconds(nanoseconds: number): number {
  return Math.round(nanoseconds) / 1e9;
}

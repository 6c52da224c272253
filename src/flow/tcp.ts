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

// An entry holds what nearly every segment touches, side by side: with many flows, pages and cache lines touched are what
// a segment costs. Counts and gaps are in a second table, where a conversation has an entry from its first trouble on.

// Words of a direction in an entry.
const NEXT = 0; // sequence number expected next
const ACKED = 1; // last acknowledgment number sent
const WINDOW = 2; // last window sent in the lower half, Known bits in the upper
const TIMED = 3; // acknowledgment number that ends the running time measurement
const TIMINGS = 4; // measurements taken
const REPEATS = 5; // duplicates of the last acknowledgment
const TIMED_AT = 3; // double: when the running measurement began; for the client, its SYN
const TIME_SUM = 4; // double: of the measurements taken
const DIRECTION = 10;
// Words of the conversation.
const STATE = 2 * DIRECTION; // State in the lowest byte, direction of the SYN in the next
const CONNECTIONS = STATE + 1;
const CLIENT_ISN = STATE + 2;
const TROUBLE = STATE + 3; // entry of the second table + 1
const RTT = 12; // double, 0 where not measured
const WORDS = 26;

// Words of a direction in the second table.
const COUNTS = 0; // seven counters, by `Count`
const HOLE_FROM = 7; // the most recent gap: first missing sequence number,
const HOLE_TO = 8; // and one past its last
const HOLE_TIME = 5; // double
const TROUBLE_DIRECTION = 12;
const Count = {
  retransmission: 0,
  outOfOrder: 1,
  duplicateAck: 2,
  lostSegment: 3,
  keepAlive: 4,
  zeroWindow: 5,
  reset: 6,
} as const;

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

/** Entries of one size in fixed segments: words, and doubles in the same memory. */
class Segments {
  private readonly size: number;
  private readonly wordSegments: Int32Array[] = [];
  private readonly doubleSegments: Float64Array[] = [];
  used = 0;

  /** @param size words of an entry, an even number */
  constructor(size: number) {
    this.size = size;
  }

  append(): number {
    const id = this.used++;
    if (id >>> SEGMENT_BITS === this.wordSegments.length) {
      const memory = new ArrayBuffer(SEGMENT * this.size * 4);
      this.wordSegments.push(new Int32Array(memory));
      this.doubleSegments.push(new Float64Array(memory));
    }
    return id;
  }
  words(id: number): Int32Array {
    return this.wordSegments[id >>> SEGMENT_BITS];
  }
  doubles(id: number): Float64Array {
    return this.doubleSegments[id >>> SEGMENT_BITS];
  }
  base(id: number): number {
    return (id & (SEGMENT - 1)) * this.size;
  }
}

export class TcpTable {
  /** Time of the segment at hand: nanoseconds on any clock that all segments share. Set before `segment`. */
  now = 0;
  private readonly entries = new Segments(WORDS);
  private readonly troubles = new Segments(2 * TROUBLE_DIRECTION);
  // The conversation and direction at hand: kept here so that the steps below need no dozen parameters.
  private w: Int32Array = new Int32Array(0);
  private d: Float64Array = new Float64Array(0);
  private base = 0;
  private direction = 0;
  private mine = 0;
  private peer = 0;

  get size(): number {
    return this.entries.used;
  }

  append(): number {
    return this.entries.append();
  }

  private select(id: number, direction: number): void {
    this.w = this.entries.words(id);
    this.d = this.entries.doubles(id);
    this.base = this.entries.base(id);
    this.direction = direction;
    this.mine = this.base + direction * DIRECTION;
    this.peer = this.base + (1 - direction) * DIRECTION;
  }

  /** The conversation's entry in the second table, -1 for none. */
  private get trouble(): number {
    return this.w[this.base + TROUBLE] - 1;
  }
  private makeTrouble(): number {
    if (this.trouble < 0) this.w[this.base + TROUBLE] = this.troubles.append() + 1;
    return this.trouble;
  }
  private troubleWord(direction: number, word: number): number {
    const id = this.trouble;
    return id < 0
      ? 0
      : this.troubles.words(id)[this.troubles.base(id) + direction * TROUBLE_DIRECTION + word];
  }
  private tally(count: number): void {
    const id = this.makeTrouble();
    this.troubles.words(id)[this.troubles.base(id) + this.direction * TROUBLE_DIRECTION + COUNTS + count]++;
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
        this.d[this.base / 2 + RTT] = this.now - this.d[this.mine / 2 + TIMED_AT];
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
      if (this.state === State.synSent) this.d[this.mine / 2 + TIMED_AT] = this.now;
      return false;
    }
    // Ports used again: what was learnt of the old connection's numbers is void, its counts stay.
    w[this.mine + WINDOW] = 0;
    w[this.peer + WINDOW] = 0;
    w[base + STATE] = (direction << 8) | State.synSent;
    w[base + CONNECTIONS]++;
    w[base + CLIENT_ISN] = sequence;
    this.d[this.mine / 2 + TIMED_AT] = this.now;
    return true;
  }

  private data(sequence: number, span: number, ahead: number, timed: boolean): void {
    const { w, d, mine, now } = this;
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
        d[mine / 2 + TIMED_AT] = now;
      }
      w[mine + NEXT] = end;
      return;
    }
    if (ahead > 0) {
      this.tally(Count.lostSegment);
      w[mine + WINDOW] |= Known.hole;
      this.openHole(w[mine + NEXT], sequence);
    } else {
      this.sentBefore(sequence, end);
    }
    if (((end - w[mine + NEXT]) | 0) > 0) w[mine + NEXT] = end;
  }

  private openHole(from: number, to: number): void {
    const id = this.trouble;
    const at = this.troubles.base(id) + this.direction * TROUBLE_DIRECTION;
    this.troubles.words(id)[at + HOLE_FROM] = from;
    this.troubles.words(id)[at + HOLE_TO] = to;
    this.troubles.doubles(id)[at / 2 + HOLE_TIME] = this.now;
  }

  /** A segment that begins before what is expected next. */
  private sentBefore(sequence: number, end: number): void {
    const { w, mine, peer, direction, troubles } = this;
    const id = this.makeTrouble();
    const at = troubles.base(id) + direction * TROUBLE_DIRECTION;
    const words = troubles.words(id);
    const from = words[at + HOLE_FROM];
    const to = words[at + HOLE_TO];
    const inHole =
      (w[mine + WINDOW] & Known.hole) !== 0 && ((sequence - from) | 0) >= 0 && ((to - sequence) | 0) > 0;
    const rtt = this.d[this.base / 2 + RTT];
    const asked = w[peer + ACKED] === sequence && w[peer + REPEATS] >= FAST_RETRANSMIT;
    const soon = this.now - troubles.doubles(id)[at / 2 + HOLE_TIME] < (rtt > 0 ? rtt : REORDER_NANOSECONDS);
    this.tally(inHole && soon && !asked ? Count.outOfOrder : Count.retransmission);
    if (inHole && sequence === from) {
      words[at + HOLE_FROM] = end;
      if (((to - end) | 0) <= 0) w[mine + WINDOW] &= ~Known.hole;
    }
    // Karn's rule: what was sent twice is not timed, the answer could be to either.
    if (((w[mine + TIMED] - sequence) | 0) > 0) w[mine + WINDOW] &= ~Known.timed;
  }

  /** @param bare no data, no SYN, FIN or RST, and all that this side sent lies before it */
  private acknowledge(acknowledgment: number, window: number, plain: boolean, bare: boolean): void {
    const { w, mine, peer } = this;
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
        w[mine + REPEATS]++;
      }
      return;
    }
    if (answersProbe && acknowledgment === ((w[peer + NEXT] + 1) | 0)) w[peer + NEXT] = acknowledgment;
    w[mine + REPEATS] = 0;
    w[mine + ACKED] = acknowledgment;
    w[mine + WINDOW] |= Known.ack;
    if ((w[peer + WINDOW] & Known.timed) !== 0 && ((acknowledgment - w[peer + TIMED]) | 0) >= 0) {
      w[peer + WINDOW] &= ~Known.timed;
      w[peer + TIMINGS]++;
      this.d[peer / 2 + TIME_SUM] += this.now - this.d[peer / 2 + TIMED_AT];
    }
  }

  /** Moves what `direction` did, where it turned out to belong to another conversation, to an entry of its own. */
  split(id: number, direction: number): number {
    const other = this.append();
    this.select(id, direction);
    const { w, base, mine } = this;
    const trouble = this.trouble;
    const opened = w[base + CONNECTIONS] > 0 && this.client === direction;
    this.select(other, direction);
    move(w, mine, this.w, this.mine, DIRECTION);
    if (opened) move(w, base + STATE, this.w, this.base + STATE, TROUBLE - STATE);
    if (trouble >= 0) {
      const { troubles } = this;
      const made = this.makeTrouble();
      const place = direction * TROUBLE_DIRECTION;
      const [from, to] = [trouble, made].map((entry) => troubles.base(entry) + place);
      move(troubles.words(trouble), from, troubles.words(made), to, TROUBLE_DIRECTION);
    }
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
      const at = this.base + direction * DIRECTION;
      const timings = this.w[at + TIMINGS] >>> 0;
      const count = (number: number) => this.troubleWord(direction, COUNTS + number) >>> 0;
      return {
        retransmissions: count(Count.retransmission),
        outOfOrder: count(Count.outOfOrder),
        duplicateAcks: count(Count.duplicateAck),
        lostSegments: count(Count.lostSegment),
        keepAlives: count(Count.keepAlive),
        zeroWindows: count(Count.zeroWindow),
        resets: count(Count.reset),
        ackTime: timings === 0 ? null : seconds(this.d[at / 2 + TIME_SUM] / timings),
      };
    };
    const there = side(forward);
    const back = side(1 - forward);
    const rtt = this.d[this.base / 2 + RTT];
    return {
      state: STATE_NAMES[this.state],
      connections: this.w[this.base + CONNECTIONS],
      rtt: rtt > 0 ? seconds(rtt) : null,
      retransmissions: there.retransmissions + back.retransmissions,
      outOfOrder: there.outOfOrder + back.outOfOrder,
      duplicateAcks: there.duplicateAcks + back.duplicateAcks,
      lostSegments: there.lostSegments + back.lostSegments,
      keepAlives: there.keepAlives + back.keepAlives,
      zeroWindows: there.zeroWindows + back.zeroWindows,
      resets: there.resets + back.resets,
      forward: there,
      reverse: back,
    };
  }
}

/** Copies words to another place and clears the old one. */
function move(from: Int32Array, at: number, to: Int32Array, place: number, count: number): void {
  to.set(from.subarray(at, at + count), place);
  from.fill(0, at, at + count);
}

/** Nanoseconds as seconds, without the noise of binary fractions. */
export function seconds(nanoseconds: number): number {
  return Math.round(nanoseconds) / 1e9;
}

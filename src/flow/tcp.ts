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
  /** Seconds from SYN to the ACK that ends the handshake, null where it was not all seen. */
  rtt: number | null;
  forward: TcpCounts & {
    /** Mean seconds until data of this direction was acknowledged, as seen where the capture was taken. */
    ackTime: number | null;
  };
  reverse: TcpRecord['forward'];
}

// Words of a direction.
const NEXT = 0; // sequence number expected next
const ACKED = 1; // last acknowledgment number sent
const WINDOW = 2; // last window sent
const KNOWN = 3; // Known bits
const HOLE_FROM = 4; // the most recent gap: first missing sequence number,
const HOLE_TO = 5; // and one past its last
const TIMED = 6; // acknowledgment number that ends the running time measurement
const COUNTS = 7; // seven counters, in the order of COUNT_NAMES
const TIMINGS = 14; // measurements taken
const REPEATS = 15; // duplicates of the last acknowledgment
const DIRECTION = 16;
const COUNT_NAMES = [
  'retransmissions',
  'outOfOrder',
  'duplicateAcks',
  'lostSegments',
  'keepAlives',
  'zeroWindows',
  'resets',
] as const satisfies readonly (keyof TcpCounts)[];
const RETRANSMISSION = COUNTS;
const OUT_OF_ORDER = COUNTS + 1;
const DUPLICATE_ACK = COUNTS + 2;
const LOST_SEGMENT = COUNTS + 3;
const KEEP_ALIVE = COUNTS + 4;
const ZERO_WINDOW = COUNTS + 5;
const RESET = COUNTS + 6;
// Words of the conversation.
const STATE = 2 * DIRECTION;
const CONNECTIONS = STATE + 1;
const CLIENT = STATE + 2; // direction of the SYN
const CLIENT_ISN = STATE + 3;
const WORDS = 36;

// Doubles: nanoseconds on the caller's clock; the first three once per direction.
const HOLE_TIME = 0;
const TIMED_AT = 2;
const TIME_SUM = 4;
const SYN_TIME = 6;
const RTT = 7; // negative where not measured
const DOUBLES = 8;

const Known = { next: 1, ack: 2, hole: 4, timed: 8, fin: 16, lastWasKeepAlive: 32 } as const;

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
  private readonly words: Int32Array[] = [];
  private readonly doubles: Float64Array[] = [];
  private used = 0;

  get size(): number {
    return this.used;
  }

  append(): number {
    const id = this.used++;
    if (id >>> SEGMENT_BITS === this.words.length) {
      this.words.push(new Int32Array(SEGMENT * WORDS));
      this.doubles.push(new Float64Array(SEGMENT * DOUBLES));
    }
    this.doubles[id >>> SEGMENT_BITS][(id & (SEGMENT - 1)) * DOUBLES + RTT] = -1;
    return id;
  }

  /**
   * Takes in a segment of conversation `id`.
   * @param direction 0 or 1, the same for all packets one way
   * @param length payload bytes on the wire
   * @param now nanoseconds on any clock that all calls share
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
    now: number,
  ): boolean {
    const w = this.words[id >>> SEGMENT_BITS];
    const d = this.doubles[id >>> SEGMENT_BITS];
    const b = (id & (SEGMENT - 1)) * WORDS;
    const t = (id & (SEGMENT - 1)) * DOUBLES;
    const mine = b + direction * DIRECTION;
    const peer = b + (1 - direction) * DIRECTION;

    if ((flags & TcpFlag.rst) !== 0) {
      w[mine + RESET]++;
      w[b + STATE] = State.reset;
      return false;
    }
    let opens = false;
    if ((flags & TcpFlag.syn) !== 0) {
      opens = this.handshake(w, d, b, t, direction, sequence, flags, now);
    } else if (
      w[b + STATE] === State.synReceived &&
      direction === w[b + CLIENT] &&
      (flags & TcpFlag.ack) !== 0
    ) {
      w[b + STATE] = State.established;
      d[t + RTT] = now - d[t + SYN_TIME];
    }

    // SYN and FIN each take one sequence number (RFC 9293 section 3.4).
    const span = length + ((flags & TcpFlag.syn) >> 1) + (flags & TcpFlag.fin);
    const ahead = (w[mine + KNOWN] & Known.next) === 0 ? 0 : (sequence - w[mine + NEXT]) | 0;
    const keepAlive = ahead === -1 && length <= 1 && (flags & HANDSHAKE_OR_END) === 0;
    if (keepAlive) {
      w[mine + KEEP_ALIVE]++;
      w[mine + KNOWN] |= Known.lastWasKeepAlive;
    } else {
      if ((flags & TcpFlag.ack) !== 0)
        this.acknowledge(w, d, mine, peer, t, direction, acknowledgment, flags, window, length, ahead, now);
      if (span > 0) this.data(w, d, mine, peer, t, direction, sequence, span, ahead, length > 0, now);
      w[mine + KNOWN] &= ~Known.lastWasKeepAlive;
    }
    w[mine + WINDOW] = window;

    if ((flags & TcpFlag.fin) !== 0) {
      w[mine + KNOWN] |= Known.fin;
      w[b + STATE] = (w[peer + KNOWN] & Known.fin) !== 0 ? State.closed : State.closing;
    }
    return opens;
  }

  private handshake(
    w: Int32Array,
    d: Float64Array,
    b: number,
    t: number,
    direction: number,
    sequence: number,
    flags: number,
    now: number,
  ): boolean {
    if ((flags & TcpFlag.ack) !== 0) {
      if (w[b + STATE] === State.synSent && direction !== w[b + CLIENT]) w[b + STATE] = State.synReceived;
      return false;
    }
    const again = w[b + CONNECTIONS] > 0 && direction === w[b + CLIENT] && sequence === w[b + CLIENT_ISN];
    if (again) return false;
    // Ports used again: what was learnt of the old connection's numbers is void, its counts stay.
    for (let i = 0; i < 2; i++) w[b + i * DIRECTION + KNOWN] = 0;
    w[b + STATE] = State.synSent;
    w[b + CONNECTIONS]++;
    w[b + CLIENT] = direction;
    w[b + CLIENT_ISN] = sequence;
    d[t + SYN_TIME] = now;
    return true;
  }

  private data(
    w: Int32Array,
    d: Float64Array,
    mine: number,
    peer: number,
    t: number,
    direction: number,
    sequence: number,
    span: number,
    ahead: number,
    timed: boolean,
    now: number,
  ): void {
    const end = (sequence + span) | 0;
    if ((w[mine + KNOWN] & Known.next) === 0) {
      w[mine + KNOWN] |= Known.next;
      w[mine + NEXT] = end;
      return;
    }
    if (ahead > 0) {
      w[mine + LOST_SEGMENT]++;
      w[mine + KNOWN] |= Known.hole;
      w[mine + HOLE_FROM] = w[mine + NEXT];
      w[mine + HOLE_TO] = sequence;
      d[t + HOLE_TIME + direction] = now;
    } else if (ahead < 0) {
      const inHole =
        (w[mine + KNOWN] & Known.hole) !== 0 &&
        ((sequence - w[mine + HOLE_FROM]) | 0) >= 0 &&
        ((w[mine + HOLE_TO] - sequence) | 0) > 0;
      const reorderTime = d[t + RTT] > 0 ? d[t + RTT] : REORDER_NANOSECONDS;
      const asked = w[peer + REPEATS] >= FAST_RETRANSMIT && w[peer + ACKED] === sequence;
      if (inHole && !asked && now - d[t + HOLE_TIME + direction] < reorderTime) w[mine + OUT_OF_ORDER]++;
      else w[mine + RETRANSMISSION]++;
      if (inHole && sequence === w[mine + HOLE_FROM]) {
        w[mine + HOLE_FROM] = end;
        if (((w[mine + HOLE_TO] - end) | 0) <= 0) w[mine + KNOWN] &= ~Known.hole;
      }
      // Karn's rule: what was sent twice is not timed, the answer could be to either.
      w[mine + KNOWN] &= ~Known.timed;
    } else if (timed && (w[mine + KNOWN] & Known.timed) === 0) {
      w[mine + KNOWN] |= Known.timed;
      w[mine + TIMED] = end;
      d[t + TIMED_AT + direction] = now;
    }
    if (((end - w[mine + NEXT]) | 0) > 0) w[mine + NEXT] = end;
  }

  private acknowledge(
    w: Int32Array,
    d: Float64Array,
    mine: number,
    peer: number,
    t: number,
    direction: number,
    acknowledgment: number,
    flags: number,
    window: number,
    length: number,
    ahead: number,
    now: number,
  ): void {
    const plain = (flags & HANDSHAKE_OR_END) === 0;
    if (window === 0 && plain) w[mine + ZERO_WINDOW]++;
    // Wireshark's terms for a duplicate: nothing new in it, and not the answer to a keep-alive.
    if (
      plain &&
      length === 0 &&
      ahead === 0 &&
      window !== 0 &&
      (w[mine + KNOWN] & (Known.ack | Known.next)) === (Known.ack | Known.next) &&
      acknowledgment === w[mine + ACKED] &&
      window === w[mine + WINDOW] &&
      (w[peer + KNOWN] & Known.lastWasKeepAlive) === 0
    ) {
      w[mine + DUPLICATE_ACK]++;
      w[mine + REPEATS]++;
    } else if (acknowledgment !== w[mine + ACKED]) {
      w[mine + REPEATS] = 0;
    }
    w[mine + ACKED] = acknowledgment;
    w[mine + KNOWN] |= Known.ack;
    if ((w[peer + KNOWN] & Known.timed) !== 0 && ((acknowledgment - w[peer + TIMED]) | 0) >= 0) {
      w[peer + KNOWN] &= ~Known.timed;
      w[peer + TIMINGS]++;
      d[t + TIME_SUM + (1 - direction)] += now - d[t + TIMED_AT + (1 - direction)];
    }
  }

  /** Forgets what `direction` did, where it turned out to belong to another conversation. */
  forget(id: number, direction: number): void {
    const w = this.words[id >>> SEGMENT_BITS];
    const mine = (id & (SEGMENT - 1)) * WORDS + direction * DIRECTION;
    w.fill(0, mine, mine + DIRECTION);
    const d = this.doubles[id >>> SEGMENT_BITS];
    const t = (id & (SEGMENT - 1)) * DOUBLES;
    d[t + TIME_SUM + direction] = 0;
  }

  /** The conversation's figures; `forward` is the direction (0 or 1) that counts as forward. */
  record(id: number, forward: number): TcpRecord {
    const w = this.words[id >>> SEGMENT_BITS];
    const d = this.doubles[id >>> SEGMENT_BITS];
    const b = (id & (SEGMENT - 1)) * WORDS;
    const t = (id & (SEGMENT - 1)) * DOUBLES;
    const side = (direction: number): TcpRecord['forward'] => {
      const at = b + direction * DIRECTION;
      const counts = Object.fromEntries(COUNT_NAMES.map((name, i) => [name, w[at + COUNTS + i] >>> 0]));
      const timings = w[at + TIMINGS] >>> 0;
      return {
        ...(counts as unknown as TcpCounts),
        ackTime: timings === 0 ? null : seconds(d[t + TIME_SUM + direction] / timings),
      };
    };
    const there = side(forward);
    const back = side(1 - forward);
    const total = Object.fromEntries(COUNT_NAMES.map((name) => [name, there[name] + back[name]]));
    return {
      state: STATE_NAMES[w[b + STATE]],
      connections: w[b + CONNECTIONS],
      rtt: d[t + RTT] < 0 ? null : seconds(d[t + RTT]),
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

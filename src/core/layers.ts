/** Why a walk ended. Integers on the fast path; `stopName` and the tree turn them into words. */
export const Stop = {
  /** The packet was read to its end. */
  none: 0,
  /** The capture ends before the bytes that the packet says it has. */
  truncated: 1,
  /** A length or a value contradicts itself or what contains it. */
  malformed: 2,
  /** Nothing is registered for the next header, or this version of it. */
  unknown: 3,
  /** More layers than `Layers.maximum`. */
  tooDeep: 4,
  /** The protocol is a plug-in's, whose code failed: see `Layers.thrown`. */
  threw: 5,
} as const;
export type Stop = (typeof Stop)[keyof typeof Stop];

export type StopName = 'truncated' | 'malformed' | 'unknown' | 'too-deep' | 'threw';

const STOP_NAMES: readonly (StopName | null)[] = [
  null,
  'truncated',
  'malformed',
  'unknown',
  'too-deep',
  'threw',
];

export function stopName(stop: Stop): StopName | null {
  return STOP_NAMES[stop];
}

/** Words per layer in `Layers.at`: protocol, start, body, end, limit. */
const STRIDE = 5;

/**
 * What one walk leaves behind, in absolute offsets of the view that was walked. Reused for every packet.
 *
 * During a walk it also carries the contract between the walker and a protocol's `step`: on entry `end` and `limit`
 * bound the layer, `body` is its start plus the protocol's minimum length; the step sets `body` to where its payload
 * starts, may lower `end` and `limit` (`trim`), and names what comes next (`next`).
 */
export class Layers {
  /** Layers per packet; a tenth-level Geneve needs 40. */
  static readonly maximum = 64;

  readonly at = new Int32Array(STRIDE * Layers.maximum);
  count = 0;
  stop: Stop = Stop.none;
  /** 1: some IP layer is a first fragment, 2: the walk ended at a later fragment, whose payload is left alone. */
  fragment: number = 0;
  /** Where `fragment` is 1, the most that the datagram can reach to. */
  private bound = 0;
  /** The last layer's header is not all there: only those of its fields that end before `endOf` may be read. */
  partial = false;
  /** The last layer's own step gave up on it: what its fields say cannot be relied on. */
  refused = false;
  /**
   * Index of the first layer of a packet quoted by an ICMP error, -1 where none is. Quoted layers are a copy of
   * another packet's first bytes: not traffic of their own, and cut by intent.
   */
  quoted = -1;

  /** What was thrown, where `stop` is `Stop.threw`. */
  thrown = '';

  /** Where the current layer's captured bytes end. */
  end = 0;
  /** Where the current layer ends on the wire: at or beyond `end`. */
  limit = 0;
  /** Where the current layer's payload starts. */
  body = 0;
  /** Table and key for the payload's protocol; key -1 for none. */
  table = 0;
  key = -1;
  /** Tried when `key` finds nothing (UDP and TCP source ports); -1 for none. */
  otherKey = -1;

  /** The payload's protocol is registered in `table` under `key`. */
  next(table: number, key: number): void {
    this.table = table;
    this.key = key;
  }

  /**
   * The layer says that it ends at `limit`. Bytes after it (padding, trailers) do not belong to it.
   * A claim beyond what contains the layer is left to the tree to remark on; it changes nothing here.
   */
  trim(limit: number): void {
    if (limit < this.limit) {
      this.limit = limit;
      if (limit < this.end) this.end = limit;
    }
  }

  /** The payload is a first fragment of a datagram: a length beyond this frame is cut, not wrong. */
  beginFragment(limit: number): void {
    this.fragment = 1;
    this.limit = limit;
    this.bound = limit;
  }

  /** The payload is the beginning of another packet, quoted (RFC 792, RFC 4443 section 2.4 c). */
  quote(): void {
    if (this.quoted < 0) this.quoted = this.count;
    this.limit = this.end;
  }

  /** Layers that are traffic: those before a quoted packet. */
  get ownCount(): number {
    return this.quoted < 0 ? this.count : this.quoted;
  }

  /** Number of the protocol of layer `i` in its registry. */
  protocol(i: number): number {
    return this.at[i * STRIDE];
  }
  /** First byte of layer `i`. */
  start(i: number): number {
    return this.at[i * STRIDE + 1];
  }
  /** First byte of the payload of layer `i`; at most `bodyEnd`. */
  bodyOf(i: number): number {
    return this.at[i * STRIDE + 2];
  }
  /** One past the last captured byte of layer `i`, payload included. */
  endOf(i: number): number {
    return this.at[i * STRIDE + 3];
  }
  /** One past the last byte of layer `i` on the wire; beyond `endOf` where the capture was cut. */
  limitOf(i: number): number {
    return this.at[i * STRIDE + 4];
  }

  /** Layer `i` goes to the end of a datagram that goes on in other frames: `limitOf` is only a bound. */
  goesOn(i: number): boolean {
    return this.fragment === 1 && this.limitOf(i) === this.bound;
  }

  push(protocol: number, start: number): number {
    const i = this.count * STRIDE;
    this.at[i] = protocol;
    this.at[i + 1] = start;
    this.count++;
    return i;
  }

  /** Stores what the step found, at the place `push` returned. */
  close(i: number): void {
    this.at[i + 2] = this.body;
    this.at[i + 3] = this.end;
    this.at[i + 4] = this.limit;
  }
}

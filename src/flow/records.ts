/** Flows as the objects that `flows --ndjson` prints; their shape is docs/schema's `flow`. */
import { FLOW_SORTS, type FlowSort } from '../sorts.ts';
import type { FlowAccounting } from './accounting.ts';
import { type Kernel, LINE_ROOM } from './kernel.ts';
import { largest } from './largest.ts';
import type { OptionCountRecord } from './options.ts';
import { entriesOf, type Share } from './share.ts';

export type { OptionCountRecord } from './options.ts';

export interface FlowTunnelRecord {
  protocol: string;
  vni: number | null;
  src: string | null;
  dst: string | null;
  dstPort: number | null;
}

export interface DirectionRecord {
  packets: number;
  bytes: number;
}

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
  state: 'midstream' | 'syn-sent' | 'syn-received' | 'established' | 'closing' | 'closed' | 'reset';
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

export interface FlowRecord {
  type: 'flow';
  schema: 1;
  vni: number | null;
  reverseVni: number | null;
  tunnels: FlowTunnelRecord[];
  protocol: string | null;
  src: string | null;
  srcPort: number | null;
  dst: string | null;
  dstPort: number | null;
  packets: number;
  bytes: number;
  forward: DirectionRecord;
  reverse: DirectionRecord;
  outerBytes: number;
  first: string;
  last: string;
  duration: number;
  tcp?: TcpRecord;
  icmp?: { type: number; id: number | null };
  options: OptionCountRecord[];
}

/** Numbers of flows of one share are below this. */
const SHARE = 2 ** 32;

/** Bytes of lines from which on they are written. */
const LINES = 1 << 18;
const NEWLINE = 10;

/**
 * Reads flows out of an accounting. Entries that lost all their packets to other flows are not flows, and two that are
 * halves of one conversation are one flow, which goes by the earlier.
 */
export class FlowRecords {
  private readonly shares: readonly Share[];

  constructor(accounting: FlowAccounting) {
    accounting.settle();
    this.shares = accounting.shares;
  }

  /** All flows, in the order of their first packets, as numbers that `record` takes. */
  ids(): number[] {
    const ids: number[] = [];
    const numbers = new Map(this.shares.map((share, i) => [share, i * SHARE]));
    for (const { share, id } of entriesOf(this.shares)) {
      if (share.kernel.exports.isFlow(id)) ids.push(numbers.get(share)! + id);
    }
    // Entries that were used again after a time-out are not in order.
    if (this.shares.some(({ kernel }) => kernel.exports.isOutOfOrder()))
      ids.sort((a, b) => this.serialOf(a) - this.serialOf(b));
    return ids;
  }

  private serialOf(number: number): number {
    return this.kernelOf(number).exports.serialOf(number % SHARE);
  }

  private kernelOf(number: number): Kernel {
    return this.shares[Math.floor(number / SHARE)].kernel;
  }

  /** How many flows there are. */
  get count(): number {
    let count = 0;
    for (const { kernel } of this.shares) count += kernel.exports.flows();
    return count;
  }

  /** Flows, largest value first (`first`, `vni`: smallest), `limit` at most. Equal ones stay in order. */
  sorted(by: FlowSort, limit = Number.POSITIVE_INFINITY): number[] {
    const key = FLOW_SORTS.indexOf(by);
    if (limit >= this.count / 8) {
      const ids = this.ids();
      const keys = Float64Array.from(ids, (id) => this.kernelOf(id).exports.sortKey(id % SHARE, key));
      return largest(keys, limit).map((i) => ids[i]);
    }
    // Lists of millions of numbers would take more memory than the flows do.
    return this.shares
      .flatMap(({ kernel }, share) =>
        kernel
          .largest(FLOW_SORTS.indexOf(by), limit)
          .map((flow) => ({ ...flow, id: share * SHARE + flow.id })),
      )
      .sort((a, b) => b.key - a.key || a.serial - b.serial)
      .slice(0, limit)
      .map(({ id }) => id);
  }

  /** What a flow is sorted by; negative where the smallest goes first. */
  value(id: number, by: FlowSort): number {
    return this.kernelOf(id).exports.sortKey(id % SHARE, FLOW_SORTS.indexOf(by));
  }

  record(id: number): FlowRecord {
    return JSON.parse(this.text(id));
  }

  /** The record as a line of JSON. */
  text(id: number): string {
    return this.kernelOf(id).flowText(id % SHARE);
  }

  /** All flows as lines of JSON, in pieces that are valid until the next but one. */
  lines(): Iterable<Uint8Array> {
    const { kernel } = this.shares[0];
    const rooms = [0, 1].map(() => kernel.allocateBytes(LINES + LINE_ROOM));
    return this.shares.length === 1 ? kernel.flowLines(rooms, LINES) : mergedLines(this.shares, rooms);
  }
}

function* mergedLines(shares: readonly Share[], rooms: readonly Uint8Array[]): Generator<Uint8Array> {
  let end = 0;
  let piece = 0;
  for (const { share, id } of entriesOf(shares)) {
    const { exports } = share.kernel;
    if (!exports.isFlow(id)) continue;
    const room = rooms[piece % rooms.length];
    end += exports.flowText(id, room.byteOffset + end);
    room[end++] = NEWLINE;
    if (end < LINES) continue;
    yield room.subarray(0, end);
    end = 0;
    piece++;
  }
  if (end > 0) yield rooms[piece % rooms.length].subarray(0, end);
}

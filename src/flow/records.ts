/** Flows as the objects that `flows --ndjson` prints; their shape is docs/schema's `flow`. */
import { FLOW_SORTS, type FlowSort } from '../sorts.ts';
import type { FlowAccounting } from './accounting.ts';
import { largest } from './largest.ts';
import type { OptionCountRecord } from './options.ts';

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

/**
 * Reads flows out of an accounting. Entries that lost all their packets to other flows are not flows, and two that are
 * halves of one conversation are one flow, which goes by the number of the earlier.
 */
export class FlowRecords {
  private readonly accounting: FlowAccounting;

  constructor(accounting: FlowAccounting) {
    this.accounting = accounting;
    accounting.settle();
  }

  /** How many flows there are. */
  get count(): number {
    return this.ids().length;
  }

  /** Numbers of all flows, in the order of their first packets. */
  ids(): number[] {
    const { exports } = this.accounting.kernel;
    const ids: number[] = [];
    for (let id = 0; id < exports.size(); id++) if (exports.isFlow(id)) ids.push(id);
    return ids;
  }

  /** Numbers of flows, largest value first (`first`, `vni`: smallest), `limit` at most. Equal ones stay in order. */
  sorted(by: FlowSort, limit = Number.POSITIVE_INFINITY): number[] {
    const { exports } = this.accounting.kernel;
    const number = FLOW_SORTS.indexOf(by);
    const ids = this.ids();
    const keys = Float64Array.from(ids, (id) => exports.sortKey(id, number));
    return largest(keys, limit).map((i) => ids[i]);
  }

  record(id: number): FlowRecord {
    return JSON.parse(this.accounting.kernel.flowText(id));
  }
}

/** Flows as the objects that `flows --ndjson` prints; their shape is docs/schema's `flow`. */
import type { AddressKind } from '../core/outline.ts';
import { timeText } from '../core/text.ts';
import { type FlowAccounting, NO_PROTOCOL } from './accounting.ts';
import type { OptionCount } from './options.ts';
import { Double, Flag, Word } from './table.ts';
import { seconds, type TcpRecord } from './tcp.ts';
import { addressText } from './tunnels.ts';

/** Bit beside the type in the upper half of a `conversation` number: the lower half is an identifier. */
const HAS_IDENTIFIER = 0x100;

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

export interface OptionCountRecord {
  class: number;
  type: number;
  name: string | null;
  packets: number;
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

/** What flows can be sorted by. */
export const FLOW_SORTS = [
  'bytes',
  'packets',
  'first',
  'last',
  'duration',
  'vni',
  'retransmissions',
] as const;
export type FlowSort = (typeof FLOW_SORTS)[number];

/** Reads flows out of an accounting. Entries that lost all their packets to other flows are not flows. */
export class FlowRecords {
  private readonly accounting: FlowAccounting;
  /** Option sets beyond a flow's first, by flow. */
  private readonly otherSets = new Map<number, [set: number, packets: number][]>();

  constructor(accounting: FlowAccounting) {
    this.accounting = accounting;
    for (const [flow, set, packets] of accounting.optionSets.otherCounts()) {
      const sets = this.otherSets.get(flow);
      if (sets) sets.push([set, packets]);
      else this.otherSets.set(flow, [[set, packets]]);
    }
  }

  packets(id: number): number {
    const { table } = this.accounting;
    return table.packets(id, 0) + table.packets(id, 1);
  }

  private bytes(id: number): number {
    const { table } = this.accounting;
    return table.double(id, Double.bytes) + table.double(id, Double.bytes + 1);
  }

  private time(id: number, word: number): number {
    const { table } = this.accounting;
    return (table.word(id, word) >>> 0) + table.word(id, word + 1) / 1e9;
  }

  /** Numbers of all flows, in the order of their first packets. */
  ids(): number[] {
    const ids: number[] = [];
    for (let id = 0; id < this.accounting.table.size; id++) if (this.packets(id) > 0) ids.push(id);
    return ids;
  }

  /** Numbers of all flows, largest value first (`first`, `vni`: smallest). Equal ones stay in order. */
  sorted(by: FlowSort): number[] {
    const key = this.sortKey(by);
    const ids = this.ids();
    const keys = new Map(ids.map((id) => [id, key(id)]));
    return ids.sort((a, b) => keys.get(b)! - keys.get(a)! || a - b);
  }

  private sortKey(by: FlowSort): (id: number) => number {
    switch (by) {
      case 'bytes':
        return (id) => this.bytes(id);
      case 'packets':
        return (id) => this.packets(id);
      case 'first':
        return (id) => -this.time(id, Word.firstSeconds);
      case 'last':
        return (id) => this.time(id, Word.lastSeconds);
      case 'duration':
        return (id) => this.time(id, Word.lastSeconds) - this.time(id, Word.firstSeconds);
      case 'vni':
        return (id) => -(this.accounting.paths.vni(this.accounting.table.word(id, Word.path)) ?? -1);
      case 'retransmissions':
        return (id) => {
          const tcp = this.accounting.table.word(id, Word.tcp);
          return tcp < 0 ? 0 : this.accounting.tcp.record(tcp, 0).retransmissions;
        };
    }
  }

  /** Adds the options of flow `id` to `counts`. */
  addOptions(counts: Map<string, OptionCount>, id: number): void {
    const { table, optionSets } = this.accounting;
    const set = table.word(id, Word.optionSet);
    if (set >= 0) optionSets.addTo(counts, set, table.word(id, Word.optionPackets) >>> 0);
    for (const [other, packets] of this.otherSets.get(id) ?? []) optionSets.addTo(counts, other, packets);
  }

  optionRecords(counts: Map<string, OptionCount>): OptionCountRecord[] {
    return [...counts.values()].map(({ table, class: optionClass, type, packets }) => ({
      class: optionClass,
      type,
      name: this.accounting.registry.optionName(table, optionClass, type),
      packets,
    }));
  }

  record(id: number): FlowRecord {
    const { accounting } = this;
    const { table, paths, registry } = accounting;
    const w = table.words(id);
    const b = table.base(id);
    const forward = (w[b + Word.flags] & Flag.forwardBA) !== 0 ? 1 : 0;
    const identity = w[b + Word.identity];
    const protocol = identity & 0xffff;
    const definition = protocol === NO_PROTOCOL ? undefined : registry.protocols[protocol];
    const kind = (identity >>> 16) as AddressKind;
    const address = (end: number) => {
      const rest = b + (end === 0 ? Word.restA : Word.restB);
      return addressText(kind, w[b + end], w[rest], w[rest + 1], w[rest + 2]);
    };
    const portA = w[b + Word.ports] >>> 16;
    const portB = w[b + Word.ports] & 0xffff;
    // A later fragment whose first one was not seen has a protocol with ports, but no ports.
    const hasPorts = definition?.flow?.ports !== undefined && w[b + Word.ports] !== 0;
    const direction = (d: number): DirectionRecord => ({
      packets: table.packets(id, d),
      bytes: table.double(id, Double.bytes + d),
    });
    const there = direction(forward);
    const back = direction(1 - forward);
    const vni = paths.vni(w[b + Word.path + forward]);
    const reverseVni = paths.vni(w[b + Word.path + 1 - forward]);
    const first = [w[b + Word.firstSeconds] >>> 0, w[b + Word.firstNanoseconds]];
    const last = [w[b + Word.lastSeconds] >>> 0, w[b + Word.lastNanoseconds]];
    const options = new Map<string, OptionCount>();
    this.addOptions(options, id);

    const record: FlowRecord = {
      type: 'flow',
      schema: 1,
      vni,
      reverseVni: reverseVni === vni ? null : reverseVni,
      tunnels: this.tunnels(id, forward),
      protocol: definition?.name ?? null,
      src: address(forward),
      srcPort: hasPorts ? (forward === 0 ? portA : portB) : null,
      dst: address(1 - forward),
      dstPort: hasPorts ? (forward === 0 ? portB : portA) : null,
      packets: there.packets + back.packets,
      bytes: there.bytes + back.bytes,
      forward: there,
      reverse: back,
      outerBytes: table.double(id, Double.outerBytes) + table.double(id, Double.outerBytes + 1),
      first: timeText(first[0], first[1]),
      last: timeText(last[0], last[1]),
      duration: seconds((last[0] - first[0]) * 1e9 + last[1] - first[1]),
      options: this.optionRecords(options),
    };
    if (w[b + Word.tcp] >= 0) record.tcp = accounting.tcp.record(w[b + Word.tcp], forward);
    if (definition?.flow?.conversation)
      record.icmp = { type: portA & 0xff, id: (portA & HAS_IDENTIFIER) !== 0 ? portB : null };
    return record;
  }

  private tunnels(id: number, forward: number): FlowTunnelRecord[] {
    const { table, paths, endpoints } = this.accounting;
    const levels = paths.levels(table.word(id, Word.path + forward));
    const seen = table.word(id, Word.endpoints + forward);
    const ends = endpoints.levels(
      seen >= 0 ? seen : endpoints.reverse(Math.max(0, table.word(id, Word.endpoints + 1 - forward))),
    );
    return levels.map((level, i) => ({ ...level, ...(ends[i] ?? { src: null, dst: null, dstPort: null }) }));
  }
}

/** Flows as the objects that `flows --ndjson` prints; their shape is docs/schema's `flow`. */
import type { AddressKind } from '../core/outline.ts';
import { timeText } from '../core/text.ts';
import type { FlowSort } from '../sorts.ts';
import { type FlowAccounting, NO_PROTOCOL } from './accounting.ts';
import type { OptionCount } from './options.ts';
import { Double, Flag, type FlowTable, Word } from './table.ts';
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

/**
 * Reads flows out of an accounting. Entries that lost all their packets to other flows are not flows, and two that are
 * halves of one conversation are one flow, which goes by the number of the earlier.
 */
export class FlowRecords {
  private readonly accounting: FlowAccounting;
  /** Option sets beyond a flow's first, by flow. */
  private readonly otherSets = new Map<number, [set: number, packets: number][]>();

  private readonly optionNames = new Map<number, string | null>();

  constructor(accounting: FlowAccounting) {
    this.accounting = accounting;
    for (const [flow, set, packets] of accounting.optionSets.otherCounts()) {
      const sets = this.otherSets.get(flow);
      if (sets) sets.push([set, packets]);
      else this.otherSets.set(flow, [[set, packets]]);
    }
  }

  /** The other half of the flow, -1 where there is none. */
  private otherHalf(id: number): number {
    return this.accounting.table.word(id, Word.otherHalf) - 1;
  }

  /** Entry of the flow's packets in `direction`. */
  private half(id: number, direction: number): number {
    const other = this.otherHalf(id);
    return other >= 0 && this.accounting.table.packets(id, direction) === 0 ? other : id;
  }

  private forward(id: number): number {
    return (this.accounting.table.word(id, Word.flags) & Flag.forwardBA) !== 0 ? 1 : 0;
  }

  private direction(id: number, direction: number): DirectionRecord {
    const { table } = this.accounting;
    const half = this.half(id, direction);
    return {
      packets: table.packets(half, direction),
      bytes: table.double(half, Double.bytes + direction),
    };
  }

  private packets(id: number): number {
    return this.direction(id, 0).packets + this.direction(id, 1).packets;
  }

  private bytes(id: number): number {
    return this.direction(id, 0).bytes + this.direction(id, 1).bytes;
  }

  private outerBytes(id: number): number {
    const { table } = this.accounting;
    const of = (direction: number) => table.double(this.half(id, direction), Double.outerBytes + direction);
    return of(0) + of(1);
  }

  /** Times of the first and the last packet. */
  private span(id: number): [first: Time, last: Time] {
    const { table } = this.accounting;
    const [first, last] = entrySpan(table, id);
    const other = this.otherHalf(id);
    if (other < 0) return [first, last];
    const [otherFirst, otherLast] = entrySpan(table, other);
    return [before(otherFirst, first) ? otherFirst : first, before(last, otherLast) ? otherLast : last];
  }

  /** Numbers of all flows, in the order of their first packets. */
  ids(): number[] {
    const ids: number[] = [];
    for (let id = 0; id < this.accounting.table.size; id++) {
      const other = this.otherHalf(id);
      if (!(other >= 0 && other < id) && this.packets(id) > 0) ids.push(id);
    }
    return ids;
  }

  /** Numbers of all flows, largest value first (`first`, `vni`: smallest). Equal ones stay in order. */
  sorted(by: FlowSort): number[] {
    const key = this.sortKey(by);
    const ids = this.ids();
    const keys = new Float64Array(this.accounting.table.size);
    for (const id of ids) keys[id] = key(id);
    return ids.sort((a, b) => keys[b] - keys[a] || a - b);
  }

  private sortKey(by: FlowSort): (id: number) => number {
    switch (by) {
      case 'bytes':
        return (id) => this.bytes(id);
      case 'packets':
        return (id) => this.packets(id);
      case 'first':
        return (id) => -inSeconds(this.span(id)[0]);
      case 'last':
        return (id) => inSeconds(this.span(id)[1]);
      case 'duration':
        return (id) => duration(...this.span(id));
      case 'vni':
        return (id) => -(this.vni(id, this.forward(id)) ?? -1);
      case 'retransmissions':
        return (id) => {
          const tcp = this.accounting.table.word(id, Word.tcp);
          return tcp < 0 ? 0 : this.accounting.tcp.record(tcp, 0).retransmissions;
        };
    }
  }

  private vni(id: number, direction: number): number | null {
    const { table, paths } = this.accounting;
    return paths.vni(table.word(this.half(id, direction), Word.path));
  }

  /** Adds the options of entry `id` to `counts`. */
  addOptions(counts: Map<number, OptionCount>, id: number): void {
    const { table, optionSets } = this.accounting;
    const set = table.word(id, Word.optionSet);
    if (set >= 0) optionSets.addTo(counts, set, table.word(id, Word.optionPackets) >>> 0);
    for (const [other, packets] of this.otherSets.get(id) ?? []) optionSets.addTo(counts, other, packets);
  }

  optionRecords(counts: Map<number, OptionCount>): OptionCountRecord[] {
    return Array.from(counts, ([option, { table, class: optionClass, type, packets }]) => {
      let name = this.optionNames.get(option);
      if (name === undefined) {
        name = this.accounting.registry.optionName(table, optionClass, type);
        this.optionNames.set(option, name);
      }
      return { class: optionClass, type, name, packets };
    });
  }

  record(id: number): FlowRecord {
    const { accounting } = this;
    const { table, registry } = accounting;
    const w = table.words(id);
    const b = table.base(id);
    const forward = this.forward(id);
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
    const there = this.direction(id, forward);
    const back = this.direction(id, 1 - forward);
    const vni = this.vni(id, forward);
    const reverseVni = this.vni(id, 1 - forward);
    const [first, last] = this.span(id);
    const options = new Map<number, OptionCount>();
    this.addOptions(options, id);
    if (this.otherHalf(id) >= 0) this.addOptions(options, this.otherHalf(id));

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
      outerBytes: this.outerBytes(id),
      first: timeText(...first),
      last: timeText(...last),
      duration: duration(first, last),
      options: this.optionRecords(options),
    };
    if (w[b + Word.tcp] >= 0) record.tcp = accounting.tcp.record(w[b + Word.tcp], forward);
    // Of a later fragment alone the type is not known.
    if (definition?.flow?.conversation && w[b + Word.ports] !== 0)
      record.icmp = { type: portA & 0xff, id: (portA & HAS_IDENTIFIER) !== 0 ? portB : null };
    return record;
  }

  private tunnels(id: number, forward: number): FlowTunnelRecord[] {
    const { table, paths, endpoints } = this.accounting;
    const half = this.half(id, forward);
    const levels = paths.levels(table.word(half, Word.path));
    const seen = table.word(half, Word.endpoints + forward);
    const ends = endpoints.levels(
      seen >= 0 ? seen : endpoints.reverse(Math.max(0, table.word(id, Word.endpoints + 1 - forward))),
    );
    return levels.map(({ protocol, vni }, i) => {
      const { src, dst, dstPort } = ends[i] ?? NO_ENDS;
      return { protocol, vni, src, dst, dstPort };
    });
  }
}

const NO_ENDS = { src: null, dst: null, dstPort: null };

/** Seconds and nanoseconds. */
export type Time = readonly [seconds: number, nanoseconds: number];

/** Times of the first and the last packet of an entry. */
export function entrySpan(table: FlowTable, id: number): [first: Time, last: Time] {
  const time = (word: number): Time => [table.word(id, word) >>> 0, table.word(id, word + 1)];
  return [time(Word.firstSeconds), time(Word.lastSeconds)];
}

export function before(a: Time, b: Time): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

function inSeconds([whole, nanoseconds]: Time): number {
  return whole + nanoseconds / 1e9;
}

function duration(first: Time, last: Time): number {
  return seconds((last[0] - first[0]) * 1e9 + last[1] - first[1]);
}

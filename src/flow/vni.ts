/** One record per VNI, added up from the flows; its shape is docs/schema's `vni`. */
import { timeText } from '../core/text.ts';
import { type FlowAccounting, NO_PROTOCOL } from './accounting.ts';
import { Interner } from './interner.ts';
import type { OptionCount } from './options.ts';
import {
  before,
  type DirectionRecord,
  entrySpan,
  FlowRecords,
  type OptionCountRecord,
  type Time,
} from './records.ts';
import { Double, Word } from './table.ts';

export interface VniRecord {
  type: 'vni';
  schema: 1;
  protocol: string | null;
  vni: number | null;
  packets: number;
  bytes: number;
  outerBytes: number;
  flows: number;
  endpoints: number;
  tunnelEndpoints: [string | null, string | null][];
  overhead: number;
  protocols: Record<string, DirectionRecord>;
  options: OptionCountRecord[];
  first: string;
  last: string;
  meaning: string | null;
}

class VniSum {
  readonly number: number;
  packets = 0;
  bytes = 0;
  outerBytes = 0;
  flows = 0;
  endpoints = 0;
  readonly tunnelEndpoints = new Map<string, [string | null, string | null]>();
  readonly protocols = new Map<string, DirectionRecord>();
  readonly options = new Map<number, OptionCount>();
  first: Time = [Number.POSITIVE_INFINITY, 0];
  last: Time = [Number.NEGATIVE_INFINITY, 0];
  readonly protocol: string | null;
  readonly vni: number | null;

  constructor(number: number, protocol: string | null, vni: number | null) {
    this.number = number;
    this.protocol = protocol;
    this.vni = vni;
  }
}

/** VNIs in the order of their first flows; untunnelled traffic is one of them. A packet counts for its innermost VNI. */
export function vniRecords(accounting: FlowAccounting): VniRecord[] {
  const { table, paths, endpoints, registry } = accounting;
  const flows = new FlowRecords(accounting);
  const sums = new Map<string, VniSum>();
  const byPath = new Map<number, VniSum>();
  /** (sum, address kind, address): a new tuple is an endpoint not counted before. */
  const addresses = new Interner(6);
  const sumOf = (path: number): VniSum => {
    let sum = byPath.get(path);
    if (sum === undefined) {
      const { protocol, vni } = paths.vniLevel(path);
      const name = `${protocol} ${vni}`;
      sum = sums.get(name) ?? new VniSum(sums.size, protocol, vni);
      sums.set(name, sum);
      byPath.set(path, sum);
    }
    return sum;
  };
  const addEndpoints = (sum: VniSum, id: number) => {
    const level = endpoints.levels(id).at(-1);
    if (level === undefined) return;
    const pair = [level.src, level.dst].sort() as [string | null, string | null];
    sum.tunnelEndpoints.set(pair.join(' '), pair);
  };

  for (let id = 0; id < table.size; id++) {
    if (table.packets(id, 0) + table.packets(id, 1) === 0) continue;
    const w = table.words(id);
    const b = table.base(id);
    const protocol = w[b + Word.identity] & 0xffff;
    const name = protocol === NO_PROTOCOL ? 'unknown' : registry.protocols[protocol].name;
    const sum = sumOf(w[b + Word.path]);
    // Two halves of one conversation are one flow, and can be in one VNI: where outer VNIs differ.
    const other = w[b + Word.otherHalf] - 1;
    if (other < 0 || other > id || sumOf(table.word(other, Word.path)) !== sum) sum.flows++;
    flows.addOptions(sum.options, id);
    for (const [end, rest] of [
      [Word.a, Word.restA],
      [Word.b, Word.restB],
    ]) {
      addresses.key[0] = sum.number;
      addresses.key[1] = w[b + Word.identity] >>> 16;
      addresses.key[2] = w[b + end];
      for (let i = 0; i < 3; i++) addresses.key[3 + i] = w[b + rest + i];
      const known = addresses.size;
      if (addresses.key[1] !== 0 && addresses.intern() === known) sum.endpoints++;
    }
    const [first, last] = entrySpan(table, id);
    if (before(first, sum.first)) sum.first = first;
    if (before(sum.last, last)) sum.last = last;
    for (let direction = 0; direction < 2; direction++) {
      const packets = table.packets(id, direction);
      if (packets === 0) continue;
      const bytes = table.double(id, Double.bytes + direction);
      sum.packets += packets;
      sum.bytes += bytes;
      sum.outerBytes += table.double(id, Double.outerBytes + direction);
      const share = sum.protocols.get(name);
      if (share) {
        share.packets += packets;
        share.bytes += bytes;
      } else {
        sum.protocols.set(name, { packets, bytes });
      }
      if (w[b + Word.endpoints + direction] > 0) addEndpoints(sum, w[b + Word.endpoints + direction]);
    }
  }
  const { formerEndpoints } = accounting;
  for (let i = 0; i < formerEndpoints.size; i++)
    addEndpoints(sumOf(formerEndpoints.word(i, 0)), formerEndpoints.word(i, 1));

  const used = [...sums.values()].filter(({ packets }) => packets > 0);
  return used.map((sum) => ({
    type: 'vni',
    schema: 1,
    protocol: sum.protocol,
    vni: sum.vni,
    packets: sum.packets,
    bytes: sum.bytes,
    outerBytes: sum.outerBytes,
    flows: sum.flows,
    endpoints: sum.endpoints,
    tunnelEndpoints: [...sum.tunnelEndpoints.values()],
    overhead:
      sum.outerBytes === 0 ? 0 : Math.round(((sum.outerBytes - sum.bytes) / sum.outerBytes) * 1e6) / 1e6,
    protocols: Object.fromEntries(sum.protocols),
    options: flows.optionRecords(sum.options),
    first: timeText(...sum.first),
    last: timeText(...sum.last),
    meaning: null,
  }));
}

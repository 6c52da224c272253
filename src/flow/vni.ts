/** One record per VNI, added up from the flows; its shape is docs/schema's `vni`. */
import { timeText } from '../core/text.ts';
import { type FlowAccounting, NO_PROTOCOL } from './accounting.ts';
import { Interner } from './interner.ts';
import { Tuples } from './kernel.ts';
import type { OptionCountRecord } from './options.ts';
import type { DirectionRecord } from './records.ts';
import { entriesOf, type Share } from './share.ts';

type Time = readonly [seconds: number, nanoseconds: number];

function before(a: Time, b: Time): boolean {
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);
}

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
  readonly options = new Map<number, number>();
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
  accounting.settle();
  const { shares, paths, registry } = accounting;
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
  const addEndpoints = (sum: VniSum, { endpoints }: Share, id: number) => {
    const level = endpoints.levels(id).at(-1);
    if (level === undefined) return;
    const pair = [level.src, level.dst].sort() as [string | null, string | null];
    sum.tunnelEndpoints.set(pair.join(' '), pair);
  };
  for (const { share, id } of entriesOf(shares)) {
    const { exports, layout } = share.kernel;
    const wordOf = (id: number, offset: number) =>
      share.kernel.words[((exports.flow(id) >>> 0) + offset) / 4];
    const timeOf = (id: number, offset: number): Time => [wordOf(id, offset + 4) >>> 0, wordOf(id, offset)];
    if (exports.packets(id, 0) + exports.packets(id, 1) === 0) continue;
    const identity = wordOf(id, layout.flowIdentity);
    const protocol = identity & 0xffff;
    const name = protocol === NO_PROTOCOL ? 'unknown' : registry.protocols[protocol].name;
    const sum = sumOf(wordOf(id, layout.flowPath));
    // Two halves of one conversation are one flow, and can be in one VNI: where outer VNIs differ.
    const other = exports.otherHalf(id);
    if (other < 0 || other > id || sumOf(wordOf(other, layout.flowPath)) !== sum) sum.flows++;
    share.optionSets.addTo(sum.options, id);
    const rest = wordOf(id, layout.flowRest) >>> 0;
    for (let end = 0; end < 2; end++) {
      addresses.key[0] = sum.number;
      addresses.key[1] = identity >>> 16;
      addresses.key[2] = wordOf(id, layout.flowA + 4 * end);
      for (let i = 0; i < 3; i++)
        addresses.key[3 + i] = rest === 0 ? 0 : share.kernel.words[rest / 4 + 3 * end + i];
      const known = addresses.size;
      if (addresses.key[1] !== 0 && addresses.intern() === known) sum.endpoints++;
    }
    const first = timeOf(id, layout.flowFirst);
    const last = timeOf(id, layout.flowLast);
    if (before(first, sum.first)) sum.first = first;
    if (before(sum.last, last)) sum.last = last;
    for (let direction = 0; direction < 2; direction++) {
      const packets = exports.packets(id, direction);
      if (packets === 0) continue;
      const bytes = exports.bytes(id, direction);
      sum.packets += packets;
      sum.bytes += bytes;
      sum.outerBytes += exports.outerBytes(id, direction);
      const portion = sum.protocols.get(name);
      if (portion) {
        portion.packets += packets;
        portion.bytes += bytes;
      } else {
        sum.protocols.set(name, { packets, bytes });
      }
      const ends = wordOf(id, layout.flowEndpoints + 4 * direction);
      if (ends > 0) addEndpoints(sum, share, ends);
    }
  }
  for (const share of shares) {
    const { tuples, tupleWord } = share.kernel.exports;
    for (let i = 0; i < tuples(Tuples.formerEndpoints); i++) {
      const [path, ends] = [0, 1].map((word) => tupleWord(Tuples.formerEndpoints, i, word) >>> 0);
      addEndpoints(sumOf(path), share, ends);
    }
  }

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
    tunnelEndpoints: [...sum.tunnelEndpoints.keys()].sort().map((key) => sum.tunnelEndpoints.get(key)!),
    overhead:
      sum.outerBytes === 0 ? 0 : Math.round(((sum.outerBytes - sum.bytes) / sum.outerBytes) * 1e6) / 1e6,
    protocols: Object.fromEntries(sum.protocols),
    options: accounting.own.optionSets.records(sum.options),
    first: timeText(...sum.first),
    last: timeText(...sum.last),
    meaning: null,
  }));
}

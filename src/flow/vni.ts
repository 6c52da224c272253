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
  /** Numbers of tunnel endpoints, by the share whose numbers they are. */
  private readonly endsByShare = new Map<Share, Set<number>>();
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

  ends(share: Share): Set<number> {
    let ends = this.endsByShare.get(share);
    if (ends === undefined) {
      ends = new Set();
      this.endsByShare.set(share, ends);
    }
    return ends;
  }

  /** Pairs of the innermost tunnels' endpoints, in the order of their texts. */
  tunnelEndpoints(): [string | null, string | null][] {
    const pairs = new Map<string, [string | null, string | null]>();
    for (const [{ endpoints }, numbers] of this.endsByShare) {
      for (const number of numbers) {
        const level = endpoints.levels(number).at(-1);
        if (level === undefined) continue;
        const pair = [level.src, level.dst].sort() as [string | null, string | null];
        pairs.set(pair.join(' '), pair);
      }
    }
    return [...pairs.keys()].sort().map((text) => pairs.get(text)!);
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
  const pathOf = ({ kernel }: Share, id: number) =>
    kernel.words[((kernel.exports.flow(id) >>> 0) + kernel.layout.flowPath) / 4];

  for (const { share, id } of entriesOf(shares)) {
    const { exports, layout, words } = share.kernel;
    // Its words are read where they lie: a call for each would take most of the time.
    const base = (exports.flow(id) >>> 0) / 4;
    const wordOf = (offset: number) => words[base + offset / 4];
    const timeOf = (offset: number): Time => [wordOf(offset + 4) >>> 0, wordOf(offset)];
    const counts = [0, 1].map((direction) => exports.packets(id, direction));
    if (counts[0] + counts[1] === 0) continue;
    const identity = wordOf(layout.flowIdentity);
    const protocol = identity & 0xffff;
    const name = protocol === NO_PROTOCOL ? 'unknown' : registry.protocols[protocol].name;
    const sum = sumOf(wordOf(layout.flowPath));
    // Two halves of one conversation are one flow, and can be in one VNI: where outer VNIs differ.
    const other = wordOf(layout.flowOtherHalf) - 1;
    if (other < 0 || other > id || sumOf(pathOf(share, other)) !== sum) sum.flows++;
    if (wordOf(layout.flowOptionSet) !== 0) share.optionSets.addTo(sum.options, id);
    const rest = (wordOf(layout.flowRest) >>> 0) / 4;
    for (let end = 0; end < 2; end++) {
      addresses.key[0] = sum.number;
      addresses.key[1] = identity >>> 16;
      addresses.key[2] = wordOf(layout.flowA + 4 * end);
      for (let i = 0; i < 3; i++) addresses.key[3 + i] = rest === 0 ? 0 : words[rest + 3 * end + i];
      const known = addresses.size;
      if (addresses.key[1] !== 0 && addresses.intern() === known) sum.endpoints++;
    }
    const first = timeOf(layout.flowFirst);
    const last = timeOf(layout.flowLast);
    if (before(first, sum.first)) sum.first = first;
    if (before(sum.last, last)) sum.last = last;
    for (let direction = 0; direction < 2; direction++) {
      const packets = counts[direction];
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
      const ends = wordOf(layout.flowEndpoints + 4 * direction);
      if (ends > 0) sum.ends(share).add(ends);
    }
  }
  for (const share of shares) {
    const { tuples, tupleWord } = share.kernel.exports;
    for (let i = 0; i < tuples(Tuples.formerEndpoints); i++) {
      const [path, ends] = [0, 1].map((word) => tupleWord(Tuples.formerEndpoints, i, word) >>> 0);
      sumOf(path).ends(share).add(ends);
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
    tunnelEndpoints: sum.tunnelEndpoints(),
    overhead:
      sum.outerBytes === 0 ? 0 : Math.round(((sum.outerBytes - sum.bytes) / sum.outerBytes) * 1e6) / 1e6,
    protocols: Object.fromEntries(sum.protocols),
    options: accounting.own.optionSets.records(sum.options),
    first: timeText(...sum.first),
    last: timeText(...sum.last),
    meaning: null,
  }));
}

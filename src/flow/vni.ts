/** One record per VNI, added up from the flows; its shape is docs/schema's `vni`. */
import { timeText } from '../core/text.ts';
import { vniMeaning } from '../mesh/vni-meaning.ts';
import { type FlowAccounting, NO_PROTOCOL } from './accounting.ts';
import { Interner } from './interner.ts';
import { Tuples } from './kernel.ts';
import type { OptionCountRecord } from './options.ts';
import type { DirectionRecord } from './records.ts';
import { entriesOf, type Share } from './share.ts';

type Time = readonly [seconds: number, nanoseconds: number];

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
  /** Only its number says so, or what others do as well; false where nothing is known. */
  meaningIsGuess: boolean;
}

type EndpointPair = [string | null, string | null];

/** Pairs of tunnel endpoints, whichever sends and whatever their number in a share: many VNIs have the same. */
class EndpointPairs {
  private readonly known = new Map<Share, number[]>();
  private readonly byText = new Map<string, number>();
  private readonly pairs: EndpointPair[] = [];
  /** Places of pairs in the order of their texts, and the other way round. */
  private ranks: number[] = [];
  private ranked: number[] = [];

  /** Number of the pair of a share's endpoints, -1 where they have none. */
  private of(share: Share, endpoints: number): number {
    let numbers = this.known.get(share);
    if (numbers === undefined) {
      numbers = [];
      this.known.set(share, numbers);
    }
    numbers[endpoints] ??= this.add(share, endpoints);
    return numbers[endpoints];
  }

  private add(share: Share, endpoints: number): number {
    const level = share.endpoints.levels(endpoints).at(-1);
    if (level === undefined) return -1;
    const pair = [level.src, level.dst].sort() as EndpointPair;
    const text = pair.join(' ');
    let number = this.byText.get(text);
    if (number === undefined) {
      number = this.pairs.push(pair) - 1;
      this.byText.set(text, number);
    }
    return number;
  }

  /** Pairs of endpoints given by share, in the order of their texts. */
  sorted(endsByShare: ReadonlyMap<Share, ReadonlySet<number>>): EndpointPair[] {
    const numbers = new Set<number>();
    for (const [share, ends] of endsByShare) for (const number of ends) numbers.add(this.of(share, number));
    numbers.delete(-1);
    if (this.ranks.length < this.pairs.length) this.rank();
    return Array.from(
      Int32Array.from(numbers, (i) => this.ranks[i]).sort(),
      (rank) => this.pairs[this.ranked[rank]],
    );
  }

  private rank(): void {
    this.ranked = [...this.byText.keys()].sort().map((text) => this.byText.get(text)!);
    this.ranked.forEach((number, rank) => {
      this.ranks[number] = rank;
    });
  }
}

class VniSum {
  /** By which endpoints of different VNIs are told apart. */
  readonly number: number;
  packets = 0;
  bytes = 0;
  outerBytes = 0;
  flows = 0;
  endpoints = 0;
  /** Conversations whose other direction has another VNI. */
  halves = 0;
  /** Numbers of tunnel endpoints, by the share whose numbers they are. */
  readonly endsByShare = new Map<Share, Set<number>>();
  /** By number, `NO_PROTOCOL` for those that are not known. */
  readonly protocols = new Map<number, DirectionRecord>();
  private lastProtocol = -1;
  private lastPortion: DirectionRecord = { packets: 0, bytes: 0 };
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

  /** The same sums, which go their own way from here on. */
  copy(): VniSum {
    const copy = new VniSum(this.number, this.protocol, this.vni);
    Object.assign(copy, {
      packets: this.packets,
      bytes: this.bytes,
      outerBytes: this.outerBytes,
      flows: this.flows,
      endpoints: this.endpoints,
      halves: this.halves,
      first: this.first,
      last: this.last,
    });
    for (const [share, ends] of this.endsByShare) copy.endsByShare.set(share, new Set(ends));
    for (const [protocol, portion] of this.protocols) copy.protocols.set(protocol, { ...portion });
    for (const [option, packets] of this.options) copy.options.set(option, packets);
    return copy;
  }

  /** What one protocol has of it: most often the one that was asked for last. */
  portion(protocol: number): DirectionRecord {
    if (protocol === this.lastProtocol) return this.lastPortion;
    let portion = this.protocols.get(protocol);
    if (portion === undefined) {
      portion = { packets: 0, bytes: 0 };
      this.protocols.set(protocol, portion);
    }
    this.lastProtocol = protocol;
    this.lastPortion = portion;
    return portion;
  }

  ends(share: Share): Set<number> {
    let ends = this.endsByShare.get(share);
    if (ends === undefined) {
      ends = new Set();
      this.endsByShare.set(share, ends);
    }
    return ends;
  }

  /** Widens the time span to hold a moment. */
  reach(seconds: number, nanoseconds: number): void {
    const { first, last } = this;
    if (seconds < first[0] || (seconds === first[0] && nanoseconds < first[1]))
      this.first = [seconds, nanoseconds];
    if (seconds > last[0] || (seconds === last[0] && nanoseconds > last[1]))
      this.last = [seconds, nanoseconds];
  }
}

/** Sums by VNI over entries that are given one by one. */
export class VniSums {
  readonly byName = new Map<string, VniSum>();
  private readonly byPath = new Map<number, VniSum>();
  private readonly accounting: FlowAccounting;
  private readonly before: VniSums | null;
  /** Places of an entry's words. */
  private readonly words;
  /** (sum, address kind, address): a new tuple is an endpoint not counted before. */
  private readonly addresses = new Interner(6);

  /** @param before sums to begin with, which stay what they are */
  constructor(accounting: FlowAccounting, before: VniSums | null = null) {
    this.accounting = accounting;
    this.before = before;
    const { layout } = accounting.own.kernel;
    this.words = {
      a: layout.flowA / 4,
      path: layout.flowPath / 4,
      identity: layout.flowIdentity / 4,
      endpoints: layout.flowEndpoints / 4,
      first: layout.flowFirst / 4,
      last: layout.flowLast / 4,
      otherHalf: layout.flowOtherHalf / 4,
      optionSet: layout.flowOptionSet / 4,
      rest: layout.flowRest / 4,
    };
    for (const [name, sum] of before?.byName ?? []) this.byName.set(name, sum.copy());
  }

  sumOf(path: number): VniSum {
    let sum = this.byPath.get(path);
    if (sum === undefined) {
      const { protocol, vni } = this.accounting.paths.vniLevel(path);
      const name = `${protocol} ${vni}`;
      sum = this.byName.get(name) ?? new VniSum(this.byName.size, protocol, vni);
      this.byName.set(name, sum);
      this.byPath.set(path, sum);
    }
    return sum;
  }

  private isNew(addresses: Interner): boolean {
    const { before } = this;
    if (before !== null) {
      before.addresses.key.set(addresses.key);
      if (before.addresses.find() >= 0) return false;
    }
    const known = addresses.size;
    return addresses.intern() === known;
  }

  /** Adds an entry, of a flow or of one of its two halves. */
  add(share: Share, id: number): void {
    const { addresses } = this;
    const { exports, words } = share.kernel;
    const { words: at } = this;
    // Its words are read where they lie: a call for each would take most of the time.
    const base = (exports.flow(id) >>> 0) / 4;
    const sums = share.kernel.sumsOf(id);
    if (sums[0] + sums[3] === 0) return;
    const identity = words[base + at.identity];
    const sum = this.sumOf(words[base + at.path]);
    // Two halves of one conversation are one flow, and can be in one VNI: where outer VNIs differ.
    const other = words[base + at.otherHalf] - 1;
    // Asked of the later half only: VNIs are in the order of their first flows.
    const otherSum = other < 0 || other > id ? null : this.sumOf(pathOf(share, other));
    if (otherSum !== sum) sum.flows++;
    if (otherSum !== null && otherSum !== sum) {
      sum.halves++;
      otherSum.halves++;
    }
    if (words[base + at.optionSet] !== 0) share.optionSets.addTo(sum.options, id);
    const rest = (words[base + at.rest] >>> 0) / 4;
    for (let end = 0; end < 2; end++) {
      addresses.key[0] = sum.number;
      addresses.key[1] = identity >>> 16;
      addresses.key[2] = words[base + at.a + end];
      for (let i = 0; i < 3; i++) addresses.key[3 + i] = rest === 0 ? 0 : words[rest + 3 * end + i];
      if (addresses.key[1] !== 0 && this.isNew(addresses)) sum.endpoints++;
    }
    sum.reach(words[base + at.first + 1] >>> 0, words[base + at.first]);
    sum.reach(words[base + at.last + 1] >>> 0, words[base + at.last]);
    const portion = sum.portion(identity & 0xffff);
    portion.packets += sums[0] + sums[3];
    portion.bytes += sums[1] + sums[4];
    sum.packets += sums[0] + sums[3];
    sum.bytes += sums[1] + sums[4];
    sum.outerBytes += sums[2] + sums[5];
    for (let direction = 0; direction < 2; direction++) {
      if (sums[3 * direction] === 0) continue;
      const ends = words[base + at.endpoints + direction];
      if (ends > 0) sum.ends(share).add(ends);
    }
  }
}

const pathOf = ({ kernel }: Share, id: number) =>
  kernel.words[((kernel.exports.flow(id) >>> 0) + kernel.layout.flowPath) / 4];

/** VNIs in the order of their first flows; untunnelled traffic is one of them. A packet counts for its innermost VNI. */
export function vniRecords(accounting: FlowAccounting): VniRecord[] {
  accounting.settle();
  const { shares } = accounting;
  const sums = new VniSums(accounting, accounting.ended?.vnis);
  for (const { share, id } of entriesOf(shares)) sums.add(share, id);
  for (const share of shares) {
    const { tuples, tupleWord } = share.kernel.exports;
    for (let i = 0; i < tuples(Tuples.formerEndpoints); i++) {
      const [path, ends] = [0, 1].map((word) => tupleWord(Tuples.formerEndpoints, i, word) >>> 0);
      sums.sumOf(path).ends(share).add(ends);
    }
  }

  const used = [...sums.byName.values()].filter(({ packets }) => packets > 0);
  const pairs = new EndpointPairs();
  const records = used.map(
    (sum): VniRecord => ({
      type: 'vni',
      schema: 1,
      protocol: sum.protocol,
      vni: sum.vni,
      packets: sum.packets,
      bytes: sum.bytes,
      outerBytes: sum.outerBytes,
      flows: sum.flows,
      endpoints: sum.endpoints,
      tunnelEndpoints: pairs.sorted(sum.endsByShare),
      overhead:
        sum.outerBytes === 0 ? 0 : Math.round(((sum.outerBytes - sum.bytes) / sum.outerBytes) * 1e6) / 1e6,
      protocols: Object.fromEntries(
        Array.from(sum.protocols, ([protocol, portion]) => [
          protocol === NO_PROTOCOL ? 'unknown' : accounting.registry.protocols[protocol].name,
          portion,
        ]),
      ),
      options: accounting.own.optionSets.records(sum.options),
      first: timeText(...sum.first),
      last: timeText(...sum.last),
      meaning: null,
      meaningIsGuess: false,
    }),
  );
  for (const [i, record] of records.entries()) {
    const meaning = vniMeaning(record, records, used[i].halves > 0);
    if (meaning === null) continue;
    record.meaning = meaning.text;
    record.meaningIsGuess = meaning.guess;
  }
  return records;
}

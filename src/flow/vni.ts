/** One record per VNI, added up from the flows; its shape is docs/schema's `vni`. */
import { timeText } from '../core/text.ts';
import { vniMeaning } from '../mesh/vni-meaning.ts';
import { type FlowAccounting, NO_PROTOCOL } from './accounting.ts';
import type { OptionCountRecord } from './options.ts';
import type { DirectionRecord } from './records.ts';
import type { Share } from './share.ts';

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
  sorted(endsByShare: ReadonlyMap<Share, readonly number[]>): EndpointPair[] {
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

/** What a VNI's packets come to. */
class VniSum {
  /** In `Paths.vnis`. */
  readonly number: number;
  packets = 0;
  bytes = 0;
  outerBytes = 0;
  flows = 0;
  endpoints = 0;
  /** Conversations whose other direction has another VNI. */
  halves = 0;
  first: Time = [Number.POSITIVE_INFINITY, 0];
  last: Time = [Number.NEGATIVE_INFINITY, 0];
  /** Number of the first packet. */
  serial = Number.POSITIVE_INFINITY;
  /** Numbers of tunnel endpoints, by the share whose numbers they are. */
  readonly endsByShare = new Map<Share, number[]>();
  /** By number, `NO_PROTOCOL` for those that are not known. */
  readonly protocols = new Map<number, Portion>();
  /** By share and number of a set of options. */
  readonly optionSets = new Map<Share, Map<number, Portion>>();

  constructor(number: number) {
    this.number = number;
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

/** What one protocol, or one set of options, has of a VNI. */
interface Portion {
  packets: number;
  bytes: number;
  /** Number of the first packet. */
  serial: number;
}

function addTo<K>(portions: Map<K, Portion>, key: K, { packets, bytes, serial }: Portion): void {
  const known = portions.get(key) ?? { packets: 0, bytes: 0, serial };
  portions.set(key, {
    packets: known.packets + packets,
    bytes: known.bytes + bytes,
    serial: Math.min(known.serial, serial),
  });
}

/** The entry of a map under a key, made where there is none. */
function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key) ?? make();
  map.set(key, known);
  return known;
}

/** Sums by VNI over entries, which the kernel adds up (src/kernel/vni.ts) and this reads. */
export class VniSums {
  private readonly accounting: FlowAccounting;
  private readonly at: number;

  constructor(accounting: FlowAccounting) {
    this.accounting = accounting;
    this.at = accounting.own.kernel.exports.newVniSums();
  }

  /** Adds an entry of the own share, of a flow or of one of its two halves. */
  add(id: number): void {
    this.accounting.own.kernel.exports.addToVnis(this.at, 0, 0, id);
  }

  /** Forgets what was added, and adds all entries of all shares. @param before sums that they come on top of */
  take(before: VniSums | null): void {
    const { own, shares } = this.accounting;
    own.kernel.exports.clearVniSums(this.at);
    shares.forEach(({ kernel }, share) => {
      kernel.exports.addAllToVnis(this.at, before?.at ?? 0, share);
    });
  }

  /** Adds what the kernel has added up to the sums of VNIs, by their numbers. */
  readInto(sums: Map<number, VniSum>): void {
    const { kernel } = this.accounting.own;
    const { shares } = this.accounting;
    const words = kernel.refresh();
    const word = (i: number) => words[i] >>> 0;
    const double = (i: number) => word(i) + word(i + 1) * 2 ** 32;
    const portion = (i: number): Portion => ({
      packets: double(i),
      bytes: double(i + 2),
      serial: double(i + 4),
    });
    /** Places of the tuples of one of the kernel's tables. */
    const tuples = function* (table: number) {
      const [width, used, , from] = words.subarray((table >>> 0) / 4);
      for (let i = 0; i < used; i++) yield (from >>> 0) / 4 + i * width;
    };
    const [vnis, protocols, optionSets, tunnelEndpoints] = words.subarray(this.at / 4);
    for (const at of tuples(vnis)) {
      const sum = entry(sums, word(at), () => new VniSum(word(at)));
      sum.endpoints += word(at + 1);
      sum.flows += double(at + 2);
      sum.halves += double(at + 4);
      sum.packets += double(at + 6);
      sum.bytes += double(at + 8);
      sum.outerBytes += double(at + 10);
      sum.reach(word(at + 13), word(at + 12));
      sum.reach(word(at + 15), word(at + 14));
      sum.serial = Math.min(sum.serial, double(at + 16));
    }
    for (const at of tuples(protocols)) addTo(sums.get(word(at))!.protocols, word(at + 1), portion(at + 4));
    for (const at of tuples(optionSets)) {
      const ofShare = entry(sums.get(word(at))!.optionSets, shares[word(at + 1)], () => new Map());
      addTo(ofShare, word(at + 2), portion(at + 4));
    }
    for (const at of tuples(tunnelEndpoints)) {
      // Some are those of flows that have no packets left.
      const sum = sums.get(word(at));
      if (sum) entry(sum.endsByShare, shares[word(at + 1)], () => []).push(word(at + 2));
    }
  }
}

/** Packets by option, in the order of the first that had it. */
function optionsOf({ optionSets }: VniSum): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  const sets = [...optionSets].flatMap(([share, ofShare]) =>
    Array.from(ofShare, ([set, portion]) => ({ share, set, ...portion })),
  );
  for (const { share, set, packets } of sets.sort(bySerial)) share.optionSets.add(counts, set, packets);
  return counts;
}

const bySerial = (a: { readonly serial: number }, b: { readonly serial: number }) => a.serial - b.serial;

/** VNIs in the order of their first packets; untunnelled traffic is one of them. A packet counts for its innermost VNI. */
export function vniRecords(accounting: FlowAccounting): VniRecord[] {
  const { ended, paths } = accounting;
  accounting.vnis ??= new VniSums(accounting);
  accounting.vnis.take(ended?.vnis ?? null);
  const sums = new Map<number, VniSum>();
  ended?.vnis.readInto(sums);
  accounting.vnis.readInto(sums);

  const used = [...sums.values()].filter(({ packets }) => packets > 0).sort(bySerial);
  const pairs = new EndpointPairs();
  const records = used.map(
    (sum): VniRecord => ({
      type: 'vni',
      schema: 1,
      ...paths.vnis[sum.number],
      packets: sum.packets,
      bytes: sum.bytes,
      outerBytes: sum.outerBytes,
      flows: sum.flows,
      endpoints: sum.endpoints,
      tunnelEndpoints: pairs.sorted(sum.endsByShare),
      overhead:
        sum.outerBytes === 0 ? 0 : Math.round(((sum.outerBytes - sum.bytes) / sum.outerBytes) * 1e6) / 1e6,
      protocols: Object.fromEntries(
        [...sum.protocols]
          .sort(([, a], [, b]) => a.serial - b.serial)
          .map(([protocol, { packets, bytes }]) => [
            protocol === NO_PROTOCOL ? 'unknown' : accounting.registry.protocols[protocol].name,
            { packets, bytes },
          ]),
      ),
      options: accounting.own.optionSets.records(optionsOf(sum)),
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

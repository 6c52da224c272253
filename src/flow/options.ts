/** Which TLV options a flow's packets carry. Nearly all packets of a flow carry the same set, so sets are counted. */
import { Interner } from './interner.ts';

export const NO_OPTIONS = 0;

/** One kind of option and the packets that carried it. */
export interface OptionCount {
  readonly table: string;
  readonly class: number;
  readonly type: number;
  packets: number;
}

export class OptionSets {
  private readonly interner = new Interner(3, 64);
  private readonly tables: string[] = [];
  private readonly known: (readonly number[])[] = [];
  /** Pairs (flow, set) for sets beyond a flow's first, and the packets of each. */
  private readonly others = new Interner(2);
  private otherPackets = new Float64Array(64);

  constructor() {
    this.interner.key.fill(-1);
    this.interner.intern();
  }

  tableNumber(name: string): number {
    const known = this.tables.indexOf(name);
    return known >= 0 ? known : this.tables.push(name) - 1;
  }

  /** The set of `set` and one option more (class << 8 | type) of the family with number `table`. */
  with(set: number, table: number, option: number): number {
    const { key } = this.interner;
    key[0] = set;
    key[1] = table;
    key[2] = option;
    return this.interner.intern();
  }

  countOther(flow: number, set: number, packets: number): void {
    this.others.key[0] = flow;
    this.others.key[1] = set;
    const id = this.others.intern();
    if (id === this.otherPackets.length) {
      const grown = new Float64Array(2 * id);
      grown.set(this.otherPackets);
      this.otherPackets = grown;
    }
    this.otherPackets[id] += packets;
  }

  /** Packets by set beyond the first, for all flows, as [flow, set, packets]. */
  *otherCounts(): Generator<[flow: number, set: number, packets: number]> {
    for (let id = 0; id < this.others.size; id++) {
      yield [this.others.word(id, 0), this.others.word(id, 1), this.otherPackets[id]];
    }
  }

  /** The options of a set, each once, as numbers that are the same for the same option. */
  private optionsOf(set: number): readonly number[] {
    let options = this.known[set];
    if (options === undefined) {
      const seen = new Set<number>();
      for (let at = set; at > NO_OPTIONS; at = this.interner.word(at, 0)) {
        seen.add(this.interner.word(at, 1) * 2 ** 24 + this.interner.word(at, 2));
      }
      options = [...seen];
      this.known[set] = options;
    }
    return options;
  }

  /** Adds `packets` packets that carried `set` to `counts`; an option that is twice in a set counts once. */
  addTo(counts: Map<number, OptionCount>, set: number, packets: number): void {
    if (packets === 0) return;
    for (const option of this.optionsOf(set)) {
      const count = counts.get(option);
      if (count) {
        count.packets += packets;
      } else {
        const table = this.tables[Math.floor(option / 2 ** 24)];
        counts.set(option, { table, class: (option >>> 8) & 0xffff, type: option & 0xff, packets });
      }
    }
  }
}

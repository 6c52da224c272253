/** Which TLV options a flow's packets carry. Nearly all packets of a flow carry the same set, so sets are counted. */
import type { Registry } from '../core/registry.ts';
import { type Kernel, Tuples } from './kernel.ts';

export const NO_OPTIONS = 0;

/** Kinds of option that a record lists at most: a sender can make up 2^24. */
const LISTED = 1000;

export interface OptionCountRecord {
  class: number;
  type: number;
  name: string | null;
  packets: number;
}

export class OptionSets {
  private readonly kernel: Kernel;
  private readonly registry: Registry;
  private readonly tables: string[] = [];
  private readonly known: (readonly number[])[] = [];
  private readonly names = new Map<number, string | null>();
  /** Sets beyond a flow's first, by flow; made when first asked for. */
  private others: Map<number, [set: number, packets: number][]> | null = null;

  constructor(kernel: Kernel, registry: Registry) {
    this.kernel = kernel;
    this.registry = registry;
  }

  /** Number of an option family. */
  tableNumber(name: string): number {
    const known = this.tables.indexOf(name);
    return known >= 0 ? known : this.tables.push(name) - 1;
  }

  /** The options of a set, each once, as numbers that are the same for the same option. */
  private optionsOf(set: number): readonly number[] {
    let options = this.known[set];
    if (options === undefined) {
      const word = (id: number, i: number) => this.kernel.exports.tupleWord(Tuples.optionSets, id, i) >>> 0;
      const seen = new Set<number>();
      for (let at = set; at > NO_OPTIONS; at = word(at, 0)) seen.add(word(at, 1) * 2 ** 24 + word(at, 2));
      options = [...seen];
      this.known[set] = options;
    }
    return options;
  }

  private record(option: number, packets: number): OptionCountRecord {
    const optionClass = (option >>> 8) & 0xffff;
    const type = option & 0xff;
    let name = this.names.get(option);
    if (name === undefined) {
      name = this.registry.optionName(this.tables[Math.floor(option / 2 ** 24)], optionClass, type);
      this.names.set(option, name);
    }
    return { class: optionClass, type, name, packets };
  }

  /** Each option of a set as JSON, up to its number of packets. */
  pieces(set: number): readonly string[] {
    return this.optionsOf(set).map((option) => JSON.stringify(this.record(option, 0)).slice(0, -2));
  }

  private setsOf(flow: number): readonly [set: number, packets: number][] {
    if (this.others === null) {
      this.others = new Map();
      const { tuples, tupleWord } = this.kernel.exports;
      for (let id = 0; id < tuples(Tuples.otherSets); id++) {
        const [owner, set, packets] = [0, 1, 2].map((i) => tupleWord(Tuples.otherSets, id, i) >>> 0);
        const sets = this.others.get(owner) ?? [];
        sets.push([set, packets]);
        this.others.set(owner, sets);
      }
    }
    return this.others.get(flow) ?? [];
  }

  /** Forgets what was read from the kernel of flows, which may have changed. */
  refresh(): void {
    this.others = null;
  }

  /** Adds the options of entry `flow` to `counts`; an option that is twice in a packet counts once. */
  addTo(counts: Map<number, number>, flow: number): void {
    const { kernel } = this;
    const [first, packets] = kernel.optionsOf(flow);
    for (const [set, count] of [[first, packets] as const, ...this.setsOf(flow)]) {
      if (count === 0) continue;
      for (const option of this.optionsOf(set)) counts.set(option, (counts.get(option) ?? 0) + count);
    }
  }

  /** Options of a flow, those of its other half included. */
  ofFlow(flow: number): OptionCountRecord[] {
    const counts = new Map<number, number>();
    this.addTo(counts, flow);
    const other = this.kernel.exports.otherHalf(flow);
    if (other >= 0) this.addTo(counts, other);
    return this.records(counts);
  }

  records(counts: ReadonlyMap<number, number>): OptionCountRecord[] {
    return Array.from(counts, ([option, packets]) => this.record(option, packets)).slice(0, LISTED);
  }
}

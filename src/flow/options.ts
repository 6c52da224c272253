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

  constructor(kernel: Kernel, registry: Registry) {
    this.kernel = kernel;
    this.registry = registry;
  }

  get tableNames(): readonly string[] {
    return this.tables;
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

  /** An option (class << 8 | type) as JSON, up to its number of packets. */
  text(table: number, option: number): string {
    return JSON.stringify(this.record(table * 2 ** 24 + option, 0)).slice(0, -2);
  }

  /** Adds the options of a set that so many packets have; an option that is twice in a packet counts once. */
  add(counts: Map<number, number>, set: number, packets: number): void {
    for (const option of this.optionsOf(set)) counts.set(option, (counts.get(option) ?? 0) + packets);
  }

  records(counts: ReadonlyMap<number, number>): OptionCountRecord[] {
    return Array.from(counts, ([option, packets]) => this.record(option, packets)).slice(0, LISTED);
  }
}

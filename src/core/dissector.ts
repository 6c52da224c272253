/**
 * The walk: the only parser.
 *
 * Contract: when a protocol's `step` runs, `minLength` bytes from `start` lie inside the frame, so fixed fields need no
 * checks; only the last layer may be `partial`. Every layer satisfies start <= body <= end <= limit and starts at the
 * body of the one before: nothing is read outside the frame, and no walk goes back.
 */
import { Layers, Stop } from './layers.ts';
import type { Protocol } from './protocol.ts';
import { table } from './protocol.ts';
import type { DispatchTable, Registry } from './registry.ts';

const LINK = table('link');
const MAX_LENGTH = 0x3fffffff;

export class Dissector {
  readonly registry: Registry;
  private readonly tables: (DispatchTable | undefined)[];
  private readonly protocols: readonly Protocol[];
  // Taken out of the protocols, whose hidden classes differ: reading the two from them made the walk twice as slow.
  private readonly steps: Protocol['step'][];
  private readonly minimums: Int32Array;

  /** With `application` false the walk ends at transport, which is all that flow accounting needs. */
  constructor(registry: Registry, options: { application?: boolean } = {}) {
    this.registry = registry;
    this.tables = registry.compile(options.application ?? true);
    this.protocols = registry.protocols;
    this.steps = registry.protocols.map((protocol) => protocol.step);
    this.minimums = Int32Array.from(registry.protocols, (protocol) => protocol.minLength);
  }

  /** Number of the protocol for a LINKTYPE_ value, -1 where none is registered. */
  root(linkType: number): number {
    return this.tables[LINK]?.get(linkType) ?? -1;
  }

  /**
   * Walks the frame at [start, start + captured) of `view`, which had `length` bytes on the wire, beginning with
   * protocol number `root`, and leaves its layers in `layers`.
   */
  walk(view: DataView, start: number, captured: number, length: number, root: number, layers: Layers): void {
    layers.count = 0;
    layers.stop = Stop.none;
    layers.fragment = 0;
    layers.partial = false;
    layers.refused = false;
    layers.quoted = -1;
    layers.end = start + captured;
    // Lengths come from 32-bit file fields and are added to offsets below 2^31: keep sums in the int32 range. The
    // conversion also keeps `limit` an integer for V8, which otherwise boxes it as a double after one such store.
    layers.limit = start + (length < captured ? captured : length > MAX_LENGTH ? MAX_LENGTH : length | 0);
    let protocol = root;
    let at = start;
    if (protocol < 0) layers.stop = Stop.unknown;
    while (protocol >= 0) {
      if (layers.count === Layers.maximum) {
        layers.stop = Stop.tooDeep;
        return;
      }
      const minimum = this.minimums[protocol];
      const place = layers.push(protocol, at);
      if (layers.end - at < minimum) {
        layers.partial = true;
        this.cut(layers, at + minimum);
        layers.body = layers.end;
        layers.close(place);
        return;
      }
      layers.body = at + minimum;
      layers.key = -1;
      layers.otherKey = -1;
      this.steps[protocol](view, at, layers);
      if (layers.stop !== Stop.none) {
        layers.refused = true;
        if (layers.quoted >= 0) layers.stop = Stop.none;
      }
      if (layers.body > layers.end) {
        if (layers.stop === Stop.none) this.cut(layers, layers.body);
        layers.body = layers.end;
      }
      layers.close(place);
      if (layers.refused || layers.stop !== Stop.none || layers.key < 0 || layers.fragment === 2) return;
      at = layers.body;
      if (at === layers.end) {
        if (at < layers.limit) this.cut(layers, at + 1);
        return;
      }
      protocol = this.find(view, at, layers);
    }
  }

  /** A header needs bytes up to `needed`, more than there are: cut by the capture, or claimed beyond its container. */
  private cut(layers: Layers, needed: number): void {
    if (layers.quoted >= 0) return;
    layers.stop = needed > layers.limit ? Stop.malformed : Stop.truncated;
  }

  /** Number of the protocol registered in `tableIndex` under `key`, -1 where there is none. */
  lookup(tableIndex: number, key: number): number {
    return key < 0 ? -1 : (this.tables[tableIndex]?.get(key) ?? -1);
  }

  /** Numbers of the protocols registered under the keys from 0 on, -1 where there is none. */
  copyTable(tableIndex: number, numbers: Int16Array): void {
    const entries = this.tables[tableIndex];
    if (entries) entries.copyTo(numbers);
    else numbers.fill(-1);
  }

  /** Keys under which payloads in this table are also recognised by their looks; undefined among them stands for all. */
  heuristicKeys(tableIndex: number): (number | undefined)[] {
    const candidates = this.tables[tableIndex]?.heuristics ?? [];
    return candidates.map((candidate) => this.protocols[candidate].heuristic!.key);
  }

  private find(view: DataView, at: number, layers: Layers): number {
    const entries = this.tables[layers.table];
    if (entries === undefined) {
      if (layers.otherKey < 0 && layers.quoted < 0) layers.stop = Stop.unknown;
      return -1;
    }
    let protocol = entries.get(layers.key);
    if (protocol < 0 && layers.otherKey >= 0) {
      protocol = entries.get(layers.otherKey);
      if (protocol >= 0 && this.protocols[protocol].plausible?.(view, at, layers.end) === false)
        protocol = -1;
    }
    if (protocol < 0 && entries.heuristics.length > 0)
      protocol = this.recognise(view, at, layers, entries.heuristics);
    if (protocol < 0 && layers.otherKey < 0 && layers.quoted < 0) layers.stop = Stop.unknown;
    return protocol;
  }

  private recognise(view: DataView, at: number, layers: Layers, candidates: readonly number[]): number {
    for (const candidate of candidates) {
      const { key, matches } = this.protocols[candidate].heuristic!;
      if ((key === undefined || key === layers.key) && matches(view, at, layers.end)) return candidate;
    }
    return -1;
  }
}

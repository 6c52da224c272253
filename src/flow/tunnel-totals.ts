/** Sums per pair of tunnel endpoints, for metrics. */
import type { FlowAccounting } from './accounting.ts';
import { entriesOf, type Share } from './share.ts';

export interface TunnelTotal {
  readonly protocol: string;
  readonly src: string;
  readonly dst: string;
  packets: number;
  /** Whole frames. */
  outerBytes: number;
}

/** Sums by tunnel over entries that are given one by one. */
export class TunnelSums {
  readonly totals = new Map<string, TunnelTotal>();
  private readonly accounting: FlowAccounting;

  /** @param before sums to begin with, which stay what they are */
  constructor(accounting: FlowAccounting, before?: TunnelSums) {
    this.accounting = accounting;
    for (const [key, total] of before?.totals ?? []) this.totals.set(key, { ...total });
  }

  add(share: Share, id: number): void {
    const { kernel, endpoints } = share;
    const { exports, layout, words } = kernel;
    const wordOf = (offset: number) => words[((exports.flow(id) >>> 0) + offset) / 4];
    for (let direction = 0; direction < 2; direction++) {
      const packets = exports.packets(id, direction);
      const ends = wordOf(layout.flowEndpoints + 4 * direction);
      if (packets === 0 || ends <= 0) continue;
      const level = endpoints.levels(ends).at(-1);
      if (level?.src == null || level.dst === null) continue;
      const protocol = this.accounting.paths.levels(wordOf(layout.flowPath)).at(-1)?.protocol ?? 'unknown';
      const key = `${protocol} ${level.src} ${level.dst}`;
      let total = this.totals.get(key);
      if (total === undefined) {
        total = { protocol, src: level.src, dst: level.dst, packets: 0, outerBytes: 0 };
        this.totals.set(key, total);
      }
      total.packets += packets;
      total.outerBytes += exports.outerBytes(id, direction);
    }
  }
}

/** The innermost tunnels that packets came through, from source to destination. */
export function tunnelTotals(accounting: FlowAccounting): TunnelTotal[] {
  accounting.settle();
  const sums = new TunnelSums(accounting, accounting.ended?.tunnels);
  for (const { share, id } of entriesOf(accounting.shares)) sums.add(share, id);
  return [...sums.totals.values()];
}

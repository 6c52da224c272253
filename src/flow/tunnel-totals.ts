/** Sums per pair of tunnel endpoints, for metrics. */
import type { FlowAccounting } from './accounting.ts';
import { entriesOf } from './share.ts';

export interface TunnelTotal {
  readonly protocol: string;
  readonly src: string;
  readonly dst: string;
  packets: number;
  /** Whole frames. */
  outerBytes: number;
}

/** The innermost tunnels that packets came through, from source to destination. */
export function tunnelTotals(accounting: FlowAccounting): TunnelTotal[] {
  accounting.settle();
  const { paths, shares } = accounting;
  const totals = new Map<string, TunnelTotal>();
  for (const { share, id } of entriesOf(shares)) {
    const { kernel, endpoints } = share;
    const { exports, layout, words } = kernel;
    const wordOf = (id: number, offset: number) => words[((exports.flow(id) >>> 0) + offset) / 4];
    for (let direction = 0; direction < 2; direction++) {
      const packets = exports.packets(id, direction);
      const ends = wordOf(id, layout.flowEndpoints + 4 * direction);
      if (packets === 0 || ends <= 0) continue;
      const level = endpoints.levels(ends).at(-1);
      if (level?.src == null || level.dst === null) continue;
      const protocol = paths.levels(wordOf(id, layout.flowPath)).at(-1)?.protocol ?? 'unknown';
      const key = `${protocol} ${level.src} ${level.dst}`;
      let total = totals.get(key);
      if (total === undefined) {
        total = { protocol, src: level.src, dst: level.dst, packets: 0, outerBytes: 0 };
        totals.set(key, total);
      }
      total.packets += packets;
      total.outerBytes += exports.outerBytes(id, direction);
    }
  }
  return [...totals.values()];
}

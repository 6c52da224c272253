/** The counts in words. */
import type { Tally } from './compare.ts';
import type { Differences } from './differences.ts';

function row(name: string, agreed: number, listed: number, total: number): string {
  const share = total === 0 ? '' : `${((100 * agreed) / total).toFixed(2)} %`;
  return [
    name.padEnd(28),
    String(agreed).padStart(8),
    String(listed).padStart(8),
    String(total).padStart(8),
    share.padStart(10),
  ].join(' ');
}

/** A line per field and one for all: values that agree, listed differences, and both with what is not listed. */
export function tallyLines(tally: Tally): string[] {
  const all = { agreed: 0, listed: 0, total: 0 };
  const lines = [...tally.fields].map(([field, { agreed, listed, open }]) => {
    const total = agreed + listed + open;
    all.agreed += agreed;
    all.listed += listed;
    all.total += total;
    return row(field, agreed, listed, total);
  });
  const head = `${'field'.padEnd(28)} ${'agreed'.padStart(8)} ${'listed'.padStart(8)} ${'of'.padStart(8)}`;
  return [head, ...lines, row('all', all.agreed, all.listed, all.total)];
}

/** A line per reason. */
export function differenceLines(differences: Differences): string[] {
  return differences
    .counts()
    .map(({ difference, count }) => `${String(count).padStart(8)} ${difference.kind}: ${difference.reason}`);
}

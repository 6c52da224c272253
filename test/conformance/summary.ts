/** The counts in words. */
import { Agreement, type Tally } from './compare.ts';
import { type Differences, KINDS } from './differences.ts';

export const NOT_LISTED = 'not listed';

const COLUMNS = [...KINDS, NOT_LISTED];
const NAME_WIDTH = 28;
const WIDTH = 16;

function row(name: string, cells: readonly (string | number)[]): string {
  return name.padEnd(NAME_WIDTH) + cells.map((cell) => String(cell).padStart(WIDTH)).join('');
}

function counts(name: string, agreement: Agreement): string {
  const others = COLUMNS.map((kind) => agreement.others.get(kind) ?? 0);
  return row(name, [agreement.total, agreement.agreed, ...others]);
}

/** A line per field and one for all: values compared, those that agree, and the differences by kind. */
export function tallyLines(tally: Tally): string[] {
  const all = new Agreement();
  for (const { agreed, others } of tally.fields.values()) {
    all.agreed += agreed;
    for (const [kind, count] of others) all.others.set(kind, (all.others.get(kind) ?? 0) + count);
  }
  return [
    row('field', ['compared', 'agreed', ...COLUMNS]),
    ...[...tally.fields].map(([field, agreement]) => counts(field, agreement)),
    counts('all', all),
  ];
}

/** A line per reason. */
export function differenceLines(differences: Differences): string[] {
  return differences
    .counts()
    .map(({ difference, count }) => `${String(count).padStart(8)} ${difference.kind}: ${difference.reason}`);
}

/**
 * Bounded tables that fit a terminal. cli-table3 draws them; since its cost grows faster than the number of rows
 * (10 000 rows take 23 s), what does not fit is counted, not drawn.
 */
import Table from 'cli-table3';
import { printable } from '../core/text.ts';

export interface Column<R> {
  readonly heading: string;
  readonly right?: boolean;
  /** Text of a record's cell; line breaks make it taller. */
  readonly cell: (record: R) => string;
  /** Columns are left out where the table gets too wide, highest number first; 0 stays. */
  readonly rank: number;
}

export interface TableStyle {
  /** Characters per line. */
  readonly width: number;
  readonly color: boolean;
}

const BORDERLESS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

export const GAP = 2;

/** Those of the columns `from` that fit, the ones of highest rank left out first. */
export function fittingColumns(
  from: readonly number[],
  columns: readonly { readonly rank: number }[],
  widths: readonly number[],
  width: number,
): number[] {
  const shown = [...from];
  const total = () => shown.reduce((sum, i) => sum + widths[i] + GAP, -GAP);
  while (total() > width) {
    const worst = shown.reduce((a, b) => (columns[b].rank >= columns[a].rank ? b : a));
    if (columns[worst].rank === 0) break;
    shown.splice(shown.indexOf(worst), 1);
  }
  return shown;
}

/** Draws `records`, leaving out the columns of highest rank until the widest rows fit. */
export function renderTable<R>(
  records: readonly R[],
  columns: readonly Column<R>[],
  style: TableStyle,
): string {
  const cells = records.map((record) =>
    columns.map((column) => column.cell(record).split('\n').map(printable)),
  );
  const widths = columns.map((column, i) =>
    Math.max(column.heading.length, ...cells.map((row) => Math.max(...row[i].map((line) => line.length)))),
  );
  // A column that says nothing about any record is noise.
  const telling = columns
    .map((_, i) => i)
    .filter((i) => cells.some((row) => row[i].some((line) => line !== '')));
  const shown = fittingColumns(telling, columns, widths, style.width);
  const table = new Table({
    head: shown.map((i) => columns[i].heading),
    chars: BORDERLESS,
    colAligns: shown.map((i) => (columns[i].right ? 'right' : 'left')),
    style: { 'padding-left': 0, 'padding-right': 0, head: style.color ? ['bold'] : [], border: [] },
  });
  for (const row of cells) table.push(shown.map((i) => row[i].join('\n')));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

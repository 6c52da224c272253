/** Records as CSV (RFC 4180). */
import { printable } from '../core/text.ts';

const MUST_QUOTE = /[",]/;
// A cell that begins so is a formula to spreadsheets (in full width to some): packet text must not become one.
const FORMULA = /^[=+\-@\uff1d\uff0b\uff0d\uff20]/;

export function csvCell(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value !== 'string') return String(value);
  // CSV ends up on terminals too; without line breaks, a record is a line.
  const safe = printable(value);
  const text = FORMULA.test(safe) ? `'${safe}` : safe;
  return MUST_QUOTE.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A column: its heading, and what a record has in it. */
export interface CsvColumn<R> {
  readonly name: string;
  readonly value: (record: R) => string | number | boolean | null | undefined;
}

export function csvHeader<R>(columns: readonly CsvColumn<R>[]): string {
  return columns.map((column) => csvCell(column.name)).join(',');
}

export function csvLine<R>(columns: readonly CsvColumn<R>[], record: R): string {
  return columns.map((column) => csvCell(column.value(record))).join(',');
}

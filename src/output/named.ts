/** Tables and CSV with the names that Kubernetes has for addresses. */
import type { KubeNames } from '../k8s/names.ts';
import type { CsvColumn } from './csv.ts';
import type { Column } from './table.ts';

/** The space before the second end: 'a > b', 'a - b'. */
const BETWEEN_ENDS = / (?=[>-] )/;

/**
 * Columns whose addresses have their names behind them.
 * @param tall a row may take several lines: two ends with names take two
 */
export function namedColumns<R>(
  columns: readonly Column<R>[],
  names: KubeNames | null,
  tall = true,
): readonly Column<R>[] {
  if (names === null) return columns;
  return columns.map((column) => ({
    ...column,
    cell(record) {
      const text = column.cell(record);
      const named = names.beside(text);
      return tall && named !== text ? named.replace(BETWEEN_ENDS, '\n') : named;
    },
  }));
}

/** Columns `NAME_name` behind those with the addresses of a record. */
export function namedCsv<R>(
  columns: readonly CsvColumn<R>[],
  names: KubeNames | null,
): readonly CsvColumn<R>[] {
  if (names === null) return columns;
  return columns.flatMap((column) => {
    if (!ADDRESS_COLUMNS.has(column.name)) return [column];
    const value = (record: R) => {
      const address = column.value(record);
      return typeof address === 'string' ? names.of(address) : null;
    };
    return [column, { name: `${column.name}_name`, value }];
  });
}

const ADDRESS_COLUMNS: ReadonlySet<string> = new Set(['src', 'dst', 'tunnel_src', 'tunnel_dst']);

/** A list of records in the format the user asked for. */
import { type CsvColumn, csvHeader, csvLine } from './csv.ts';
import { jsonText } from './json.ts';
import type { Column, TableStyle } from './table.ts';
import type { TextWriter } from './writer.ts';

export interface RecordList<R> {
  /** Plural name: the key of the JSON document, and what the table says there are more of. */
  readonly name: string;
  readonly count: number;
  /** Records in order, made one at a time. */
  readonly records: () => Iterable<R>;
  /** The same as JSON, where that is quicker to have. */
  readonly texts?: () => Iterable<string>;
  readonly columns: readonly Column<R>[];
  readonly csv: readonly CsvColumn<R>[];
}

function* textsOf<R extends object>(list: RecordList<R>): Iterable<string> {
  if (list.texts) yield* list.texts();
  else for (const record of list.records()) yield jsonText(record);
}

export async function writeNdjson<R extends object>(list: RecordList<R>, writer: TextWriter): Promise<void> {
  let written = 0;
  for (const text of textsOf(list)) {
    writer.line(text);
    if (++written % 1024 === 0) await writer.flush();
  }
  await writer.flush();
}

export async function writeJson<R extends object>(
  list: RecordList<R>,
  /** Totals behind the list; none where nothing was read. */
  summary: object | null,
  writer: TextWriter,
): Promise<void> {
  writer.line(`{"schema":1,"${list.name}":[`);
  let written = 0;
  for (const text of textsOf(list)) {
    written++;
    writer.line(text + (written < list.count ? ',' : ''));
    if (written % 1024 === 0) await writer.flush();
  }
  writer.line(summary === null ? ']}' : `],"summary":${jsonText(summary)}}`);
  await writer.flush();
}

export async function writeCsv<R>(list: RecordList<R>, writer: TextWriter): Promise<void> {
  writer.line(csvHeader(list.csv));
  let written = 0;
  for (const record of list.records()) {
    writer.line(csvLine(list.csv, record));
    if (++written % 1024 === 0) await writer.flush();
  }
  await writer.flush();
}

/** The first `rows` records as a table, and how many more there are. */
export async function writeTable<R>(
  list: RecordList<R>,
  total: number,
  style: TableStyle,
  writer: TextWriter,
): Promise<void> {
  // The table library is only loaded for tables: it is a fifth of the time that a small capture takes.
  const { renderTable } = await import('./table.ts');
  if (list.count > 0) writer.line(renderTable([...list.records()], list.columns, style));
  if (total > list.count)
    writer.line(`... and ${total - list.count} more ${list.name} (--limit N, --sort KEY, --csv)`);
  await writer.flush();
}

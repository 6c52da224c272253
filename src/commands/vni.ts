/** `tunscope vni`: one row per VNI, and one for untunnelled traffic. */
import type { VniKey } from '../flow/accounting.ts';
import { type VniRecord, vniRecords } from '../flow/vni.ts';
import { VNI_CSV, vniColumns } from '../output/flow-table.ts';
import { writeCsv, writeJson, writeNdjson, writeTable } from '../output/records.ts';
import { TextWriter } from '../output/writer.ts';
import type { VniSort } from '../sorts.ts';
import { type Context, formatOf, type InputOptions, lineWidth, tableRows, useColor } from './context.ts';
import { account, prepare, report } from './input.ts';

export interface VniOptions extends InputOptions {
  readonly vniKey: VniKey;
  readonly sort?: VniSort;
}

export async function vni(files: string[], options: VniOptions, context: Context): Promise<number> {
  const analysis = await prepare(files, options, { application: false, account: options.vniKey }, context);
  const { accounting, summary } = await account(analysis, options, context);
  const format = formatOf(options);
  const all = vniRecords(accounting);
  const sort = options.sort ?? (format === 'table' || options.limit !== undefined ? 'bytes' : undefined);
  if (sort !== undefined) all.sort((a, b) => sortKey(b, sort) - sortKey(a, sort));
  const shown = all.slice(0, format === 'table' ? tableRows(context, options) : options.limit);
  const list = {
    name: 'vni',
    count: shown.length,
    records: () => shown,
    columns: vniColumns(),
    csv: VNI_CSV,
  };
  const writer = new TextWriter(context.stdout);
  if (format === 'json') await writeJson(list, summary, writer);
  else if (format === 'ndjson') await writeNdjson(list, writer);
  else if (format === 'csv') await writeCsv(list, writer);
  else
    await writeTable(
      list,
      all.length,
      { width: lineWidth(context), color: useColor(context, options) },
      writer,
    );
  return report(summary, context, format === 'table');
}

function sortKey(record: VniRecord, sort: VniSort): number {
  return sort === 'vni' ? -(record.vni ?? -1) : record[sort];
}

/** `tunscope flows`: conversations inside the tunnels, keyed by VNI. */
import type { VniKey } from '../flow/accounting.ts';
import { FlowRecords } from '../flow/records.ts';
import { FLOW_CSV, flowColumns } from '../output/flow-table.ts';
import { writeCsv, writeJson, writeNdjson, writeTable } from '../output/records.ts';
import { TextWriter } from '../output/writer.ts';
import type { FlowSort } from '../sorts.ts';
import { type Context, formatOf, type InputOptions, lineWidth, tableRows, useColor } from './context.ts';
import { account, prepare, report } from './input.ts';

export interface FlowsOptions extends InputOptions {
  readonly vniKey: VniKey;
  readonly sort?: FlowSort;
  /** Names of fields, separated by commas: packets are grouped by their values instead. */
  readonly by?: string;
}

export async function flows(files: string[], options: FlowsOptions, context: Context): Promise<number> {
  if (options.by !== undefined)
    return (await import('./groups.ts')).groups(options.by, files, options, context);
  const analysis = await prepare(files, options, { application: false, account: options.vniKey }, context);
  const { accounting, summary } = await account(analysis, options, context);
  const records = new FlowRecords(accounting);
  const format = formatOf(options);
  // Machines get the order of first packets unless they ask; a cut list is only useful sorted.
  const sort = options.sort ?? (format === 'table' || options.limit !== undefined ? 'bytes' : undefined);
  const writer = new TextWriter(context.stdout);
  if (format === 'ndjson' && sort === undefined) {
    for (const lines of records.lines()) await writer.bytes(lines);
    return report(summary, context, false);
  }
  const limit = format === 'table' ? tableRows(context, options) : options.limit;
  const ids = sort === undefined ? records.ids() : records.sorted(sort, limit);
  const width = lineWidth(context);
  const names = options.names !== false && context.stdout.isTTY ? analysis.capture.names : undefined;
  const list = {
    name: 'flows',
    count: ids.length,
    *records() {
      for (const id of ids) yield records.record(id);
    },
    *texts() {
      for (const id of ids) yield records.text(id);
    },
    columns: flowColumns(width, names),
    csv: FLOW_CSV,
  };
  if (format === 'json') await writeJson(list, summary, writer);
  else if (format === 'ndjson') await writeNdjson(list, writer);
  else if (format === 'csv') await writeCsv(list, writer);
  else await writeTable(list, records.count, { width, color: useColor(context, options) }, writer);
  return report(summary, context, format === 'table');
}

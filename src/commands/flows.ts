/** `tunscope flows`: conversations inside the tunnels, keyed by VNI. */
import { UsageError } from '../errors.ts';
import type { VniKey } from '../flow/accounting.ts';
import { type FlowRecord, FlowRecords } from '../flow/records.ts';
import { FLOW_CSV, flowColumns } from '../output/flow-table.ts';
import { writeCsv, writeJson, writeNdjson, writeTable } from '../output/records.ts';
import { TextWriter } from '../output/writer.ts';
import type { FlowSort } from '../sorts.ts';
import { type Context, formatOf, lineWidth, tableRows, useColor } from './context.ts';
import { prepare, report } from './input.ts';
import { LiveOutput, type LiveOutputOptions } from './live-output.ts';

export interface FlowsOptions extends LiveOutputOptions {
  readonly vniKey: VniKey;
  readonly sort?: FlowSort;
  /** Names of fields, separated by commas: packets are grouped by their values instead. */
  readonly by?: string;
}

export async function flows(files: string[], options: FlowsOptions, context: Context): Promise<number> {
  if (options.by !== undefined) {
    if (options.interval !== undefined || options.metrics !== undefined)
      throw new UsageError('--by prints groups at the end: leave out --interval and --metrics');
    return (await import('./groups.ts')).groups(options.by, files, options, context);
  }
  const live = await LiveOutput.create<FlowRecord>(options, context);
  const walk = { application: false, account: options.vniKey };
  const analysis = await prepare(files, options, walk, context, live);
  const { accounting, summary } = await live.account(analysis, () => ({
    name: 'flows',
    rows: () => new FlowRecords(analysis.accounting!),
    columns: flowColumns(Number.POSITIVE_INFINITY),
    sorts: { b: 'bytes', p: 'packets', v: 'vni', t: 'retransmissions', f: 'first', l: 'last' },
  }));
  if (live.snapshots) return report(summary, context, false);
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

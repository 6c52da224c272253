/** `tunscope vni`: one row per VNI, and one for untunnelled traffic. */
import type { FlowAccounting, VniKey } from '../flow/accounting.ts';
import { type VniRecord, vniRecords } from '../flow/vni.ts';
import type { KubeNames } from '../k8s/names.ts';
import type { LiveRows } from '../live-view/view.ts';
import type { CsvColumn } from '../output/csv.ts';
import { VNI_CSV, vniColumns } from '../output/flow-table.ts';
import { jsonText } from '../output/json.ts';
import { namedColumns } from '../output/named.ts';
import { writeCsv, writeJson, writeNdjson, writeTable } from '../output/records.ts';
import { TextWriter } from '../output/writer.ts';
import type { VniSort } from '../sorts.ts';
import { type Context, formatOf, lineWidth, tableRows, useColor } from './context.ts';
import { prepare, report } from './input.ts';
import { LiveOutput, type LiveOutputOptions } from './live-output.ts';

export interface VniOptions extends LiveOutputOptions {
  readonly vniKey: VniKey;
  readonly sort?: VniSort;
}

export async function vni(files: string[], options: VniOptions, context: Context): Promise<number> {
  const live = await LiveOutput.create<VniRecord>(options, context);
  const walk = { application: false, account: options.vniKey, analyses: false };
  const analysis = await prepare(files, options, walk, context, live);
  const { accounting, summary } = await live.account(analysis, () => ({
    name: 'VNIs',
    rows: vniRows(analysis.accounting!),
    columns: namedColumns(vniColumns(), analysis.names, false),
    sorts: { b: 'bytes', p: 'packets', f: 'flows', o: 'overhead', v: 'vni' },
  }));
  if (live.snapshots) return report(analysis, summary, context, false);
  const { names: kube } = analysis;
  const format = formatOf(options);
  const all = vniRecords(accounting);
  const sort = options.sort ?? (format === 'table' || options.limit !== undefined ? 'bytes' : undefined);
  if (sort !== undefined) all.sort((a, b) => sortKey(b, sort) - sortKey(a, sort));
  const shown = all.slice(0, format === 'table' ? tableRows(context, options) : options.limit);
  const list = {
    name: 'vni',
    count: shown.length,
    records: () => shown,
    *texts() {
      for (const record of shown) yield jsonText(kube === null ? record : kube.record(record));
    },
    columns: namedColumns(vniColumns(), kube),
    csv: kube === null ? VNI_CSV : [...VNI_CSV, endpointNames(kube)],
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
  return report(analysis, summary, context, format === 'table');
}

function endpointNames(names: KubeNames): CsvColumn<VniRecord> {
  return {
    name: 'tunnel_endpoint_names',
    value: ({ tunnelEndpoints }) =>
      tunnelEndpoints.map((pair) => pair.map((end) => names.of(end) ?? '').join(' - ')).join(', '),
  };
}

/** VNIs as rows that keep their numbers from one time to the next. */
function vniRows(accounting: FlowAccounting): () => LiveRows<VniRecord> {
  const numbers = new Map<string, number>();
  return () => {
    const records: VniRecord[] = [];
    const ids: number[] = [];
    for (const record of vniRecords(accounting)) {
      const key = `${record.protocol} ${record.vni}`;
      const id = numbers.get(key) ?? numbers.size;
      numbers.set(key, id);
      records[id] = record;
      ids.push(id);
    }
    return {
      ids: () => ids,
      value: (id, by) => sortKey(records[id], by as VniSort),
      record: (id) => records[id],
    };
  };
}

function sortKey(record: VniRecord, sort: VniSort): number {
  return sort === 'vni' ? -(record.vni ?? -1) : record[sort];
}

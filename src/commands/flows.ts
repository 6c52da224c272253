/** `tunscope flows`: conversations inside the tunnels, keyed by VNI. */
import { UsageError } from '../errors.ts';
import type { VniKey } from '../flow/accounting.ts';
import type { FlowEnd, FlowEndings } from '../flow/lifetime.ts';
import { type FlowRecord, FlowRecords } from '../flow/records.ts';
import { FLOW_CSV, flowColumns } from '../output/flow-table.ts';
import { jsonText } from '../output/json.ts';
import { namedColumns, namedCsv } from '../output/named.ts';
import { writeCsv, writeJson, writeNdjson, writeTable } from '../output/records.ts';
import { countText } from '../output/units.ts';
import { TextWriter } from '../output/writer.ts';
import type { FlowSort } from '../sorts.ts';
import { type Context, formatOf, lineWidth, tableRows, useColor } from './context.ts';
import { type Analysis, limitsLives, prepare, report } from './input.ts';
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
  const format = formatOf(options);
  if (limitsLives(options) && (format === 'json' || format === 'csv'))
    throw new UsageError('--idle, --active and --max-flows print flows as they end: use --ndjson');
  const live = await LiveOutput.create<FlowRecord>(options, context);
  const walk = { application: false, account: options.vniKey };
  const analysis = await prepare(files, options, walk, context, live);
  const writer = new TextWriter(context.stdout);
  const { names: kube } = analysis;
  const ended = new EndedFlows(analysis, format === 'ndjson' || live.snapshots ? writer : null);
  const { accounting, summary } = await live.account(
    analysis,
    () => ({
      name: 'flows',
      rows: () => new FlowRecords(analysis.accounting!),
      columns: namedColumns(flowColumns(Number.POSITIVE_INFINITY), kube, false),
      sorts: { b: 'bytes', p: 'packets', v: 'vni', t: 'retransmissions', f: 'first', l: 'last' },
    }),
    ended,
  );
  await writer.flush();
  if (live.snapshots) return report(analysis, summary, context, false);
  const records = new FlowRecords(accounting);
  // Machines get the order of first packets unless they ask; a cut list is only useful sorted.
  const sort = options.sort ?? (format === 'table' || options.limit !== undefined ? 'bytes' : undefined);
  if (format === 'ndjson' && sort === undefined && kube === null) {
    for (const lines of records.lines()) await writer.bytes(lines);
    return report(analysis, summary, context, false);
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
      for (const id of ids)
        yield kube === null ? records.text(id) : jsonText(kube.record(records.record(id)));
    },
    columns: namedColumns(flowColumns(width, names), kube),
    csv: namedCsv(FLOW_CSV, kube),
  };
  if (format === 'json') await writeJson(list, summary, writer);
  else if (format === 'ndjson') await writeNdjson(list, writer);
  else if (format === 'csv') await writeCsv(list, writer);
  else await writeTable(list, records.count, { width, color: useColor(context, options) }, writer);
  if (format === 'table' && ended.count > 0)
    context.stderr.write(`tunscope: ${countText(ended.count)} flows ended earlier; --ndjson prints them\n`);
  return report(analysis, summary, context, format === 'table');
}

/** Flows that end before the capture does: printed, or only counted. */
class EndedFlows implements FlowEndings {
  count = 0;
  private readonly analysis: Analysis;
  private readonly writer: TextWriter | null;

  constructor(analysis: Analysis, writer: TextWriter | null) {
    this.analysis = analysis;
    this.writer = writer;
  }

  end(id: number, reason: FlowEnd): void {
    this.count++;
    const { accounting, names } = this.analysis;
    // The record, with one key more.
    if (this.writer === null) return;
    const records = new FlowRecords(accounting!);
    const text = names === null ? records.text(id) : jsonText(names.record(records.record(id)));
    this.writer.line(`${text.slice(0, -1)},"ended":"${reason}"}`);
  }

  /** Devices may be silent for long: what is over is shown. */
  swept(): void {
    if (this.analysis.capture.live) void this.writer?.flush();
  }
}

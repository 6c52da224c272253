/** `tunscope mesh`: what a capture shows of Istio's ambient mode. */

import type { LiveRecord } from '../capture/capture.ts';
import { Checker } from '../check/checker.ts';
import { printable } from '../core/text.ts';
import { UsageError } from '../errors.ts';
import type { Ambient } from '../mesh/ambient.ts';
import { istioPort } from '../mesh/geneve-port.ts';
import { endsOf, journeysAt } from '../mesh/path.ts';
import { type MeshRecord, meshRecord } from '../mesh/record.ts';
import { istioRulesWith } from '../mesh/rules/index.ts';
import { jsonText } from '../output/json.ts';
import { countText } from '../output/units.ts';
import { TextWriter } from '../output/writer.ts';
import { type Context, formatOf, type InputOptions, lineWidth, tableRows, useColor } from './context.ts';
import { analyse, prepare, report } from './input.ts';

export interface MeshOptions extends InputOptions {
  /** Address, address:port or a pair of them: draw the journeys through there. */
  readonly path?: string;
  /** Seconds between records of a live capture. */
  readonly interval?: number;
}

type Gathered = { readonly ambient: Ambient; readonly checker: Checker };

/** What is gathered so far; of what is asked of whole captures only, nothing. */
function recordOf({ ambient, checker }: Gathered): MeshRecord {
  ambient.end();
  return meshRecord(ambient, checker.tunnels());
}

/** Messages that are kept while the view covers the screen. */
const COVERED = 20;

export async function mesh(files: string[], options: MeshOptions, context: Context): Promise<number> {
  const format = formatOf(options);
  if (format === 'csv') throw new UsageError('mesh has no table to write as --csv; try --ndjson');
  if (options.path !== undefined && format !== 'table')
    throw new UsageError('--path draws for people; --json has every journey');
  const { path } = options;
  const ends = path === undefined ? [] : endsOf(path);
  const { stdin, stdout } = context;
  const isLive = options.interface !== undefined;
  if (options.interval !== undefined && !isLive) throw new UsageError('--interval is for captures with -i');
  const shows =
    isLive &&
    options.interval === undefined &&
    format === 'table' &&
    stdout.isTTY === true &&
    stdin?.isTTY === true &&
    context.env.TERM !== 'dumb';
  // Loaded before root is given up: then files may be out of reach.
  const pages = shows ? await import('../live-view/pages.ts') : null;
  const { meshLines, pathLines } = await import('../output/mesh-text.ts');
  let view: { tell(text: string): void } | null = null;
  const covered: string[] = [];
  const notify = (text: string) => {
    if (view === null) context.stderr.write(`tunscope: ${printable(text)}\n`);
    view?.tell(printable(text));
    if (view !== null && covered.push(text) > COVERED) covered.shift();
  };
  const walk = { application: false, plugin: istioPort, keyLog: true };
  const latency = shows || options.interval !== undefined ? 'prompt' : 'batch';
  const analysis = await prepare(files, options, walk, context, { latency, notify });
  const { dissector, roles, capture, names } = analysis;
  let ambient: Ambient | null = null;
  const rules = istioRulesWith((gathered) => {
    ambient = gathered;
  }, analysis.keyLog ?? undefined);
  const checker = new Checker({ dissector, roles, interfaces: capture.interfaces }, [rules]);
  const gathered: Gathered = { ambient: ambient!, checker };
  const writer = new TextWriter(stdout);
  const textOf = (record: object) =>
    jsonText(names === null ? record : { ...record, names: names.within(jsonText(record)) });
  /** Lines, and below them the names of the addresses in them. */
  const withNames = (lines: readonly string[]): string[] => {
    const text = lines.join('\n');
    const named = names?.within(text) ?? [];
    const below = named.map(({ address, name }) => printable(`${address}  ${name}`));
    return [...text.split('\n'), ...(below.length === 0 ? [] : ['', ...below])];
  };
  const { live } = capture;
  const shown =
    live && pages
      ? pages.showPages(
          {
            title: () => titleOf(live.record()),
            lines: (width) =>
              withNames(meshLines(recordOf(gathered), [], { width, color: false }, Number.POSITIVE_INFINITY)),
          },
          { live, stdin: stdin!, stdout },
        )
      : null;
  view = shown?.view ?? null;
  const timer =
    live && options.interval !== undefined
      ? setInterval(() => {
          writer.line(textOf(recordOf(gathered)));
          void writer.flush();
        }, options.interval * 1000)
      : undefined;
  const summary = await analyse(analysis, checker, options, context).finally(() => {
    clearInterval(timer);
    shown?.close();
    view = null;
    for (const text of covered) notify(text);
  });
  const record = recordOf(gathered);
  const findings = checker.scene.findings.records();
  if (format === 'json') {
    const found = findings.map(textOf).join(',\n');
    writer.line(
      `{"schema":1,"mesh":${textOf(record)},"findings":[\n${found}\n],"summary":${jsonText(summary)}}`,
    );
  } else if (format === 'ndjson' || options.interval !== undefined) {
    for (const line of [record, ...findings]) writer.line(textOf(line));
    writer.line(jsonText(summary));
  } else {
    const style = { width: lineWidth(context), color: useColor(context, options) };
    const rows = tableRows(context, options);
    const lines =
      path === undefined
        ? meshLines(record, findings, style, rows)
        : pathLines(record, journeysAt(record.journeys, ends), path, style.width);
    for (const line of withNames(lines)) writer.line(line);
  }
  await writer.flush();
  for (const remark of gathered.ambient.remarks()) notify(remark);
  return report(analysis, summary, context, format === 'table');
}

function titleOf({ interfaces }: LiveRecord): string {
  const received = interfaces.reduce((sum, on) => sum + on.received, 0);
  const dropped = interfaces.reduce((sum, on) => sum + (on.dropped ?? 0), 0);
  const names = interfaces.map(({ name }) => name).join(' ');
  return printable(
    `${names}  ${countText(received)} packets${dropped > 0 ? `, ${countText(dropped)} dropped` : ''}`,
  );
}

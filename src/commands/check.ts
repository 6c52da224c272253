/** `tunscope check`: what breaks a rule, with the packets that show it. */
import { Checker } from '../check/checker.ts';
import type { FindingRecord } from '../check/findings.ts';
import type { ProtectionRecord } from '../check/protections.ts';
import type { Rule } from '../check/rule.ts';
import { wrapped } from '../check/rule-text.ts';
import { allRules, ruleOf, ruleSets } from '../check/rules/index.ts';
import { UsageError } from '../errors.ts';
import type { KubeNames } from '../k8s/names.ts';
import { istioPort } from '../mesh/geneve-port.ts';
import type { CsvColumn } from '../output/csv.ts';
import { csvHeader, csvLine } from '../output/csv.ts';
import { jsonText } from '../output/json.ts';
import { namedColumns } from '../output/named.ts';
import type { Column } from '../output/table.ts';
import { countText } from '../output/units.ts';
import { TextWriter } from '../output/writer.ts';
import { type Context, formatOf, type InputOptions, lineWidth, tableRows, useColor } from './context.ts';
import { analyse, prepare, report } from './input.ts';

export interface CheckOptions extends InputOptions {
  /** Severity from which on findings are an error of the run. */
  readonly failOn?: 'error' | 'warning' | 'note';
  /** Rules to ask, in place of all. */
  readonly rule?: string[];
  /** Rules not to ask. */
  readonly ignore?: string[];
  readonly sarif?: boolean;
  /** Address to serve metrics at, while devices are captured. */
  readonly metrics?: string;
}

/** Exit status where there are findings. */
const FOUND = 3;
const SEVERITIES = ['error', 'warning', 'note'] as const;

export async function check(files: string[], options: CheckOptions, context: Context): Promise<number> {
  const wanted = wantedRules(options);
  const metrics = await metricsOf(options, context);
  const walk = { application: false, plugin: istioPort };
  const analysis = await prepare(files, options, walk, context, { latency: metrics ? 'prompt' : 'batch' });
  const { dissector, roles, capture, decryption, names } = analysis;
  const takenOff = decryption ? (i: number) => decryption.takenOff(i) : undefined;
  const checker = new Checker(
    { dissector, roles, interfaces: capture.interfaces, takenOff },
    ruleSets,
    (rule) => wanted.has(rule),
  );
  const totals = { packets: 0, bytes: 0 };
  const watch = (packets: number, bytes: number) => Object.assign(totals, { packets, bytes });
  const { live } = capture;
  if (live) metrics?.tell(live, { totals: () => totals, findings: () => checker.scene.findings.records() });
  const summary = await analyse(analysis, checker, options, context, metrics ? watch : undefined).finally(
    () => metrics?.close(),
  );
  const findings = checker.scene.findings.records();
  const listed = findings
    .slice(0, options.limit)
    .map((finding) => (names === null ? finding : { ...finding, names: names.within(finding.text) }));
  const tunnels = checker.tunnels();
  const format = formatOf(options);
  const writer = new TextWriter(context.stdout);
  if (options.sarif) {
    const { sarif } = await import('../check/sarif.ts');
    writer.line(jsonText(sarif([...wanted], listed)));
  } else if (format === 'json') {
    const ends = tunnels.map((tunnel) => (names === null ? tunnel : names.record(tunnel)));
    const [found, seen] = [listed, ends].map((records) => records.map(jsonText).join(',\n'));
    writer.line(
      `{"schema":1,"findings":[\n${found}\n],"tunnels":[\n${seen}\n],"summary":${jsonText(summary)}}`,
    );
  } else if (format === 'ndjson') {
    for (const finding of listed) writer.line(jsonText(finding));
  } else if (format === 'csv') {
    writer.line(csvHeader(CSV));
    for (const finding of listed) writer.line(csvLine(CSV, finding));
  } else {
    await writeTables(findings, tunnels, names, options, context, writer);
  }
  await writer.flush();
  const status = report(analysis, summary, context, format === 'table' && !options.sarif);
  const limit = SEVERITIES.indexOf(options.failOn ?? 'error');
  return findings.some(({ severity }) => SEVERITIES.indexOf(severity) <= limit) ? FOUND : status;
}

/** Listens before anything is captured; null where nobody asked for it. */
async function metricsOf({ metrics, interface: devices }: CheckOptions, { stderr }: Context) {
  if (metrics === undefined) return null;
  if (devices === undefined) throw new UsageError('--metrics is for captures with -i');
  const { MetricsServer } = await import('../live/metrics.ts');
  const server = await MetricsServer.listen(metrics);
  stderr.write(`tunscope: metrics at ${server.url}\n`);
  return server;
}

function wantedRules({ rule, ignore = [] }: CheckOptions): ReadonlySet<Rule> {
  const chosen = new Set(rule === undefined ? allRules : named('--rule', rule));
  for (const left of named('--ignore', ignore)) chosen.delete(left);
  if (chosen.size === 0) throw new UsageError('--ignore leaves no rule to check');
  return chosen;
}

/** Rules by name; a name without a number stands for all that begin with it: GNV. */
function named(option: string, names: readonly string[]): Rule[] {
  return names
    .flatMap((list) => list.split(','))
    .flatMap((name) => {
      const one = ruleOf(name);
      if (one) return [one];
      const group = allRules.filter(({ id }) => id.startsWith(`${name.toUpperCase()}-`));
      if (group.length === 0)
        throw new UsageError(`${option} ${name}: no such rule; tunscope explain rules lists them`);
      return group;
    });
}

/** Characters of a line of a finding: with the other columns, less than 120. */
const SENTENCE = 68;

export const packetsText = ({ evidence, count }: FindingRecord) => {
  const shown = evidence.slice(0, 3).map(({ packet }) => packet);
  return `${shown.join(', ')}${count > shown.length ? ', ...' : ''}`;
};

const CSV: readonly CsvColumn<FindingRecord>[] = [
  { name: 'rule', value: ({ rule }) => rule },
  { name: 'severity', value: ({ severity }) => severity },
  { name: 'count', value: ({ count }) => count },
  { name: 'text', value: ({ text }) => text },
  { name: 'file', value: ({ evidence }) => evidence[0]?.file },
  { name: 'packet', value: ({ evidence }) => evidence[0]?.packet },
  { name: 'help', value: ({ help }) => help },
];

export const findingColumns: readonly Column<FindingRecord>[] = [
  { heading: 'RULE', rank: 0, cell: ({ rule }) => rule },
  { heading: 'SEVERITY', rank: 3, cell: ({ severity }) => severity },
  { heading: 'COUNT', rank: 2, right: true, cell: ({ count }) => countText(count) },
  { heading: 'PACKETS', rank: 1, cell: packetsText },
  { heading: 'FINDING', rank: 0, cell: ({ text }) => wrapped(text, SENTENCE).join('\n') },
];

const tunnelColumns: readonly Column<ProtectionRecord>[] = [
  { heading: 'VNI', rank: 0, right: true, cell: ({ vni }) => (vni === null ? '-' : String(vni)) },
  {
    heading: 'TUNNEL',
    rank: 0,
    cell: ({ protocol, dstPort }) => `${protocol}${dstPort === null ? '' : ` ${dstPort}`}`,
  },
  { heading: 'BETWEEN', rank: 1, cell: ({ ends }) => ends.join(' - ') },
  { heading: 'PACKETS', rank: 3, right: true, cell: ({ packets }) => countText(packets) },
  {
    heading: 'ADDS',
    rank: 4,
    right: true,
    cell: ({ overhead }) => (overhead === null ? '' : `${overhead} B`),
  },
  {
    heading: 'INNER MTU',
    rank: 5,
    right: true,
    cell: ({ innerMtu }) => (innerMtu === null ? '' : String(innerMtu)),
  },
  {
    heading: 'PROTECTION',
    rank: 2,
    cell: ({ protection: { around, inside } }) =>
      [...around, ...inside.map((name) => `${name} inside`)].join(', ') || 'none seen',
  },
];

async function writeTables(
  findings: readonly FindingRecord[],
  tunnels: readonly ProtectionRecord[],
  names: KubeNames | null,
  options: CheckOptions,
  context: Context,
  writer: TextWriter,
): Promise<void> {
  const { renderTable } = await import('../output/table.ts');
  const style = { width: lineWidth(context), color: useColor(context, options) };
  const rows = tableRows(context, options);
  const shown = findings.slice(0, rows);
  if (shown.length > 0) writer.line(renderTable(shown, namedColumns(findingColumns, names), style));
  else writer.line('no findings');
  if (findings.length > shown.length)
    writer.line(`... and ${findings.length - shown.length} more findings (--limit N, --ndjson)`);
  const rules = [...new Set(shown.map(({ rule }) => rule))];
  if (rules.length > 0) writer.line(`\ntunscope explain ${rules[0]} says what a rule means and what to do`);
  if (tunnels.length === 0) return;
  writer.line('');
  writer.line(renderTable(tunnels.slice(0, rows), namedColumns(tunnelColumns, names), style));
  if (tunnels.length > rows) writer.line(`... and ${tunnels.length - rows} more tunnels (--limit N, --json)`);
}

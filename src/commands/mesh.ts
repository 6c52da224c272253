/** `tunscope mesh`: what a capture shows of Istio's ambient mode. */
import { Checker } from '../check/checker.ts';
import { UsageError } from '../errors.ts';
import type { Ambient } from '../mesh/ambient.ts';
import { istioPort } from '../mesh/geneve-port.ts';
import { journeysAt } from '../mesh/path.ts';
import { type MeshRecord, meshRecord } from '../mesh/record.ts';
import { istioRulesWith } from '../mesh/rules/index.ts';
import { jsonText } from '../output/json.ts';
import { TextWriter } from '../output/writer.ts';
import { type Context, formatOf, type InputOptions, lineWidth, tableRows, useColor } from './context.ts';
import { keyLogOf } from './decryption.ts';
import { analyse, prepare, report } from './input.ts';

export interface MeshOptions extends InputOptions {
  /** Address, address:port or a pair of them: draw the journeys through there. */
  readonly path?: string;
}

export async function mesh(files: string[], options: MeshOptions, context: Context): Promise<number> {
  const format = formatOf(options);
  if (format === 'csv') throw new UsageError('mesh has no table to write as --csv; try --ndjson');
  if (options.path !== undefined && format !== 'table')
    throw new UsageError('--path draws for people; --json has every journey');
  const analysis = await prepare(files, options, { application: false, plugin: istioPort }, context);
  const { dissector, roles, capture } = analysis;
  let ambient: Ambient | null = null;
  const rules = istioRulesWith(
    (gathered) => {
      ambient = gathered;
    },
    (await keyLogOf(options, capture)) ?? undefined,
  );
  const checker = new Checker({ dissector, roles, interfaces: capture.interfaces }, [rules]);
  const summary = await analyse(analysis, checker, options, context);
  const record: MeshRecord = meshRecord(ambient!, checker.tunnels());
  const findings = checker.scene.findings.records();
  const writer = new TextWriter(context.stdout);
  if (format === 'json') {
    const found = findings.map(jsonText).join(',\n');
    writer.line(
      `{"schema":1,"mesh":${jsonText(record)},"findings":[\n${found}\n],"summary":${jsonText(summary)}}`,
    );
  } else if (format === 'ndjson') {
    for (const line of [record, ...findings, summary]) writer.line(jsonText(line));
  } else {
    const { meshLines, pathLines } = await import('../output/mesh-text.ts');
    const style = { width: lineWidth(context), color: useColor(context, options) };
    const rows = tableRows(context, options);
    const lines =
      options.path === undefined
        ? meshLines(record, findings, style, rows)
        : pathLines(record, journeysAt(record.journeys, options.path), options.path, style.width);
    for (const line of lines) writer.line(line);
  }
  await writer.flush();
  return report(analysis, summary, context, format === 'table');
}

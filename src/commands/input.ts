/** From command-line options to a running analysis: captures opened, registry compiled, damage reported. */
import { builtins } from '../../dissectors/index.ts';
import type { Capture } from '../capture/capture.ts';
import { openCaptures } from '../capture/open.ts';
import { Dissector } from '../core/dissector.ts';
import { FlowRoles } from '../core/outline.ts';
import { Registry } from '../core/registry.ts';
import { printable } from '../core/text.ts';
import { Interrupted, UsageError } from '../errors.ts';
import { FlowAccounting, type VniKey } from '../flow/accounting.ts';
import { countText } from '../output/units.ts';
import { type PacketSink, run, type SummaryRecord } from '../pipeline.ts';
import type { Context, InputOptions } from './context.ts';

export interface Analysis {
  readonly dissector: Dissector;
  readonly roles: FlowRoles;
  readonly capture: Capture;
  /** Where `prepare` was asked to account flows. */
  readonly accounting: FlowAccounting | null;
}

const DECODE_AS = /^([a-z0-9_.]+)==(\d+),([a-z0-9_.-]+)$/;

/** Opens what the command line names. */
export async function prepare(
  files: readonly string[],
  options: InputOptions,
  walk: { application: boolean; account?: VniKey },
  { signal }: Context,
): Promise<Analysis> {
  if (files.length === 0) throw new UsageError('no capture given: name a file, or - for standard input');
  const registry = new Registry().add(builtins);
  for (const rule of options.decodeAs ?? []) {
    const match = DECODE_AS.exec(rule);
    if (!match) throw new UsageError(`-d ${rule}: expected something like udp.port==6082,geneve`);
    const [, table, key, protocol] = match;
    if (Number(key) > (table.endsWith('.port') ? 0xffff : 0xffffffff))
      throw new UsageError(`-d ${rule}: ${key} is too large`);
    registry.decodeAs(table, Number(key), protocol);
  }
  const dissector = new Dissector(registry, walk);
  const roles = new FlowRoles(registry);
  const accounting = walk.account === undefined ? null : new FlowAccounting(dissector, roles, walk.account);
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Interrupted()), { once: true });
  });
  interrupted.catch(() => {}); // an abort after opening is the run's to see
  const capture = await Promise.race([openCaptures(files, accounting ?? {}), interrupted]);
  return { dissector, roles, capture, accounting };
}

/** Runs the capture into `sink`, showing progress on a terminal. */
export async function analyse(
  analysis: Analysis,
  sink: PacketSink,
  options: InputOptions,
  context: Context,
): Promise<SummaryRecord> {
  const progress = options.progress ?? (context.stderr.isTTY === true && context.stdout.isTTY === true);
  let shown = Number.NEGATIVE_INFINITY;
  const summary = await run(analysis.capture, analysis.dissector, analysis.roles, sink, {
    signal: context.signal,
    count: options.count,
    duration: options.duration,
    progress: progress
      ? (packets) => {
          if (performance.now() - shown < 200) return;
          shown = performance.now();
          context.stderr.write(`\r${countText(packets)} packets `);
        }
      : undefined,
  });
  if (shown > 0) context.stderr.write('\r\x1b[K');
  return summary;
}

/** Says on standard error what was damaged or odd; the exit status that follows from it. */
export function report(summary: SummaryRecord, context: Context, explain: boolean): number {
  let status = 0;
  for (const { file, damage } of summary.captures) {
    if (damage === null) continue;
    status = 1;
    context.stderr.write(
      `tunscope: ${printable(file)}: damaged at byte ${damage.offset}: ${printable(damage.text)}\n`,
    );
  }
  const { truncated, malformed, tooDeep } = summary.stopped;
  if (explain) {
    const odd = [
      truncated > 0 ? `${countText(truncated)} cut short` : '',
      malformed > 0 ? `${countText(malformed)} malformed` : '',
      tooDeep > 0 ? `${countText(tooDeep)} nested too deep` : '',
    ].filter((text) => text !== '');
    if (odd.length > 0)
      context.stderr.write(
        `tunscope: of ${countText(summary.packets)} packets, ${odd.join(', ')}; see packets -V\n`,
      );
  }
  return status;
}

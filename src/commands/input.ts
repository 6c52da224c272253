/** From command-line options to a running analysis: captures opened, registry compiled, damage reported. */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import type { Capture } from '../capture/capture.ts';
import { openCaptures } from '../capture/open.ts';
import { Dissector } from '../core/dissector.ts';
import { FlowRoles } from '../core/outline.ts';
import type { Plugin } from '../core/protocol.ts';
import type { Registry } from '../core/registry.ts';
import { printable } from '../core/text.ts';
import type { DecryptingCapture } from '../decrypt/decrypting-capture.ts';
import type { KeyLog } from '../decrypt/key-log.ts';
import { Interrupted } from '../errors.ts';
import type { FieldReader, Filter } from '../filter/index.ts';
import { FlowAccounting, type VniKey } from '../flow/accounting.ts';
import { type FlowEndings, MortalFlows } from '../flow/lifetime.ts';
import { blocksKept, MAXIMUM_THREADS, ParallelAccounting } from '../flow/parallel.ts';
import { mayHaveCopies, WithoutCopies } from '../flow/without-copies.ts';
import type { KubeNames } from '../k8s/names.ts';
import { countText } from '../output/units.ts';
import { type PacketSink, type RunOptions, run, type SummaryRecord } from '../pipeline.ts';
import { buildRegistry } from '../registration.ts';
import type { Context, InputOptions } from './context.ts';
import { keyLogOf, unprotectWith } from './decryption.ts';
import { devicesOf, type LiveWishes, openDevices, reportLive } from './live-input.ts';
import { pluginsOf } from './plugins.ts';
import type { CaptureOutput } from './write.ts';

export interface Analysis {
  readonly dissector: Dissector;
  readonly roles: FlowRoles;
  readonly capture: Capture;
  /** Where `prepare` was asked to account flows. */
  readonly accounting: FlowAccounting | null;
  readonly filter: RunOptions['filter'];
  /** Of the fields that `prepare` was asked to read, in their order. */
  readonly readers: readonly FieldReader[];
  /** The same capture, where keys were given for its packets. */
  readonly decryption: DecryptingCapture | null;
  /** Where `prepare` was asked for it and there may be secrets. */
  readonly keyLog: KeyLog | null;
  /** Where `--k8s` says so. */
  readonly names: KubeNames | null;
  /** Where `-w` says so. */
  readonly output: CaptureOutput | null;
}

/** Opens what the command line names. */
export async function prepare(
  files: readonly string[],
  options: InputOptions,
  walk: {
    application: boolean;
    account?: VniKey;
    analyses?: boolean;
    fields?: readonly string[];
    silent?: boolean;
    plugin?: Plugin;
    keyLog?: boolean;
  },
  context: Context,
  live: LiveWishes = {},
): Promise<Analysis> {
  const { signal } = context;
  const devices = devicesOf(files, options);
  const writes = options.write !== undefined || options.decap !== undefined || options.rotate !== undefined;
  // Loaded when it is needed: most runs write nothing.
  const writing = writes ? await import('./write.ts') : null;
  await writing?.checkWrite(files, options, walk.silent === true, context);
  const names = options.k8s === undefined ? null : await namesFrom(options.k8s, signal);
  const plugins = await pluginsOf(options.plugin);
  const registry = buildRegistry(options.decodeAs ?? [], plugins);
  if (walk.plugin) registry.add(walk.plugin);
  const roles = new FlowRoles(registry);
  const { filter, readers } = await naming(options.filter, walk.fields ?? [], registry, roles);
  const dissector = new Dissector(registry, {
    application: walk.application || [filter, ...readers].some((named) => named?.application),
  });
  // Results are read while devices are captured, so that one thread has them all.
  const workers = walk.account === undefined || devices ? 1 : await workersFor(files, options, plugins);
  const accountWith = (key: VniKey, shares: number) =>
    new FlowAccounting(dissector, roles, key, { share: 0, shares }, walk.analyses);
  let accounting = walk.account === undefined ? null : accountWith(walk.account, workers);
  const interrupted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(new Interrupted()), { once: true });
  });
  interrupted.catch(() => {}); // an abort after opening is the run's to see
  const unprotect = await unprotectWith(options, signal);
  const opened = devices
    ? await openDevices(devices, options, context, live, accounting?.allocate)
    : await Promise.race([
        openCaptures(
          files,
          accounting
            ? { allocate: accounting.allocate, keep: blocksKept(workers), blocking: workers > 1 }
            : {},
        ),
        interrupted,
      ]);
  const decryption = unprotect?.(opened, dissector.registry) ?? null;
  const capture = decryption ?? opened;
  // Copies are found by one thread, which sees all packets.
  if (workers > 1 && options.countCopies !== true && mayHaveCopies(capture, dissector))
    accounting = accountWith(walk.account!, 1);
  try {
    const keyLog = walk.keyLog === true ? await keyLogOf(options, capture, signal) : null;
    // The last that may fail before the run, which takes care of what it leaves.
    const output = (await writing?.CaptureOutput.open(options, capture, dissector, roles, context)) ?? null;
    const shared = { dissector, roles, capture, accounting, decryption, keyLog };
    return { ...shared, filter: filter?.matches, readers, names, output };
  } catch (error) {
    await capture.close();
    throw error;
  }
}

async function namesFrom(source: string, signal: AbortSignal): Promise<KubeNames> {
  return (await import('../k8s/load.ts')).loadNames(source, signal);
}

/** What is made of the names in the command line: of those in a filter, and of fields to read. */
async function naming(
  expression: string | undefined,
  fields: readonly string[],
  registry: Registry,
  roles: FlowRoles,
): Promise<{ filter: Filter | undefined; readers: readonly FieldReader[] }> {
  if (expression === undefined && fields.length === 0) return { filter: undefined, readers: [] };
  // Loaded when it is needed: most runs name no fields.
  const { Catalog, compileFilter, compileReader } = await import('../filter/index.ts');
  const catalog = new Catalog(registry);
  return {
    filter: expression === undefined ? undefined : compileFilter(expression, catalog, roles),
    readers: fields.map((name) => compileReader(name, catalog, roles)),
  };
}

/** Bytes of capture from which on a second thread is worth its start: see docs/decisions/0006. */
const WORTH_WORKERS = 256 << 20;
/** More than these wait for the one that reads. */
const USEFUL_WORKERS = 4;

/** Threads to account with: what the user says, or as many as files of this size are worth. */
function workersFor(
  files: readonly string[],
  options: InputOptions,
  plugins: readonly Plugin[],
): Promise<number> {
  // Workers know the built-in protocols only; options are of no concern to them. Flows end in their order.
  const alone = plugins.some(({ protocols = [] }) => protocols.length > 0) || limitsLives(options);
  return alone ? Promise.resolve(1) : threadsFor(files, options, WORTH_WORKERS);
}

/**
 * Threads for packets that are not filtered: whether they match is asked where they are read.
 * @param worth bytes of capture from which on a second thread is worth its start
 */
export async function threadsFor(
  files: readonly string[],
  options: InputOptions,
  worth: number,
): Promise<number> {
  if (options.filter !== undefined) return 1;
  if (options.workers !== undefined) return Math.min(options.workers, MAXIMUM_THREADS);
  let bytes = 0;
  for (const file of files)
    bytes += await stat(file).then(
      ({ size }) => size,
      () => 0,
    );
  return bytes < worth ? 1 : Math.min(availableParallelism(), USEFUL_WORKERS);
}

/** The user wants flows to end before the capture does. */
export function limitsLives({ idle, active, maxFlows }: InputOptions): boolean {
  return idle !== undefined || active !== undefined || maxFlows !== undefined;
}

/** Seconds after which a packet of a device has been read, unless it was dropped. */
const LATE = 2;

/** Accounts the capture's flows with as many threads as `prepare` thought right. */
export async function account(
  analysis: Analysis,
  options: InputOptions,
  context: Context,
  endings: FlowEndings,
  watch?: RunOptions['progress'],
): Promise<{ accounting: FlowAccounting; summary: SummaryRecord }> {
  const accounting = analysis.accounting!;
  const parallel = accounting.own.kernel.sharing.shares > 1;
  const { dissector, roles, capture } = analysis;
  const summarise = async (sink: PacketSink): Promise<SummaryRecord> => {
    if (options.countCopies === true) return analyse(analysis, sink, options, context, watch);
    const apart = new WithoutCopies(sink, dissector, roles, capture.interfaces);
    const summary = await analyse(analysis, apart, options, context, watch);
    return apart.copies === 0 ? summary : { ...summary, copies: apart.copies };
  };
  if (limitsLives(options)) {
    const mortal = new MortalFlows(accounting, options, endings);
    const ticks = analysis.capture.live && setInterval(() => mortal.tick(Date.now() / 1000 - LATE), 1000);
    try {
      return { accounting, summary: await summarise(mortal) };
    } finally {
      clearInterval(ticks);
    }
  }
  if (!parallel) return { accounting, summary: await summarise(accounting) };
  const sink = new ParallelAccounting(accounting, options.decodeAs ?? []);
  return { accounting, summary: await analyse(analysis, sink, options, context, watch) };
}

/** Runs the capture into `sink`, showing progress on a terminal or telling it to `watch`. */
export async function analyse(
  analysis: Analysis,
  sink: PacketSink,
  options: InputOptions,
  context: Context,
  watch?: RunOptions['progress'],
): Promise<SummaryRecord> {
  const progress = options.progress ?? (context.stderr.isTTY === true && context.stdout.isTTY === true);
  let shown = Number.NEGATIVE_INFINITY;
  const show = (packets: number) => {
    if (performance.now() - shown < 200) return;
    shown = performance.now();
    context.stderr.write(`\r${countText(packets)} packets `);
  };
  // Devices are told to stop, and run dry: what they captured until then still counts.
  const { live } = analysis.capture;
  const { output } = analysis;
  const into = output === null ? sink : output.before(sink);
  const running = run(analysis.capture, analysis.dissector, analysis.roles, into, {
    signal: live ? undefined : context.signal,
    filter: analysis.filter,
    count: options.count,
    duration: live ? undefined : options.duration,
    progress: watch ?? (progress ? show : undefined),
  });
  const summary = await running.catch(async (error) => {
    await output?.abandon();
    throw error;
  });
  if (shown > 0) context.stderr.write('\r\x1b[K');
  for (const remark of analysis.decryption?.remarks() ?? []) context.stderr.write(`tunscope: ${remark}\n`);
  return summary;
}

/** Says on standard error what was damaged or odd; the exit status that follows from it. */
export function report(
  { output }: Analysis,
  summary: SummaryRecord,
  context: Context,
  explain: boolean,
): number {
  let status = summary.live ? reportLive(summary.live, context) : 0;
  if (output?.report() === false) status = 1;
  for (const { file, damage } of summary.captures) {
    if (damage === null) continue;
    status = 1;
    context.stderr.write(
      `tunscope: ${printable(file)}: damaged at byte ${damage.offset}: ${printable(damage.text)}\n`,
    );
  }
  const { truncated, malformed, tooDeep, threw = 0 } = summary.stopped;
  if (explain) {
    const odd = [
      truncated > 0 ? `${countText(truncated)} cut short` : '',
      malformed > 0 ? `${countText(malformed)} malformed` : '',
      tooDeep > 0 ? `${countText(tooDeep)} nested too deep` : '',
      threw > 0 ? `${countText(threw)} on which a plug-in failed` : '',
    ].filter((text) => text !== '');
    if (summary.copies !== undefined)
      context.stderr.write(
        `tunscope: of ${countText(summary.packets)} packets, ${countText(summary.copies)} are copies from other places, left out; --count-copies counts them\n`,
      );
    if (odd.length > 0)
      context.stderr.write(
        `tunscope: of ${countText(summary.packets)} packets, ${odd.join(', ')}; see packets -V\n`,
      );
  }
  return status;
}

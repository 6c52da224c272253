/** From command-line options to captured devices. */
import type { Allocate } from '../capture/batch.ts';
import type { Capture, LiveRecord } from '../capture/capture.ts';
import { printable } from '../core/text.ts';
import { UsageError } from '../errors.ts';
import type { Latency } from '../live/backend.ts';
import { countText } from '../output/units.ts';
import type { Context, InputOptions } from './context.ts';

/** What a command that prints while devices are captured needs of them. */
export interface LiveWishes {
  readonly latency?: Latency;
  /** Takes what happens to devices, in place of standard error. */
  readonly notify?: (text: string) => void;
}

const LIVE_ONLY: readonly (readonly [keyof InputOptions, string])[] = [
  ['captureFilter', '-f'],
  ['snaplen', '-s'],
  ['buffer', '--buffer'],
  ['backend', '--backend'],
  ['netns', '--netns'],
  ['wait', '--wait'],
];

/**
 * The devices to capture on, null where files are read.
 *
 * @throws {UsageError} Neither is given, or both are.
 */
export function devicesOf(files: readonly string[], options: InputOptions): readonly string[] | null {
  if (options.interface !== undefined) {
    if (files.length > 0) throw new UsageError(`-i captures, ${files[0]} is a file: one or the other`);
    return options.interface;
  }
  if (files.length === 0)
    throw new UsageError('no capture given: name a file, - for standard input, or an interface with -i');
  const needless = LIVE_ONLY.find(([key]) => options[key] !== undefined);
  if (needless) throw new UsageError(`${needless[1]} is for captures with -i`);
  return null;
}

/** Kernel buffer per device: the default of libpcap, 2 MiB, loses packets in bursts of 20 ms. */
const BUFFER_MIB = 64;

export async function openDevices(
  devices: readonly string[],
  options: InputOptions,
  { env, signal, stderr }: Context,
  { latency = 'batch', notify }: LiveWishes,
  allocate: Allocate | undefined,
): Promise<Capture> {
  const { openLive } = await import('../live/live.ts');
  return openLive(devices, {
    backend: options.backend ?? 'auto',
    filter: options.captureFilter,
    snapLength: options.snaplen,
    promiscuous: options.promiscuousMode !== false,
    bufferMiB: options.buffer ?? BUFFER_MIB,
    // Of packets that a display filter chooses among, the backend cannot know how many are enough.
    count: options.filter === undefined ? options.count : undefined,
    duration: options.duration,
    namespace: options.netns,
    wait: options.wait === true,
    latency,
    allocate,
    env,
    signal,
    notify: notify ?? ((text) => stderr.write(`tunscope: ${printable(text)}\n`)),
  });
}

/** Says on standard error what was lost; the exit status that follows from it. */
export function reportLive(live: LiveRecord, { stderr }: Context): number {
  let status = 0;
  for (const { name, received, dropped, interfaceDropped, ended } of live.interfaces) {
    if (ended !== null) status = 1;
    if ((dropped ?? 0) + (interfaceDropped ?? 0) === 0) continue;
    const byKernel = `${countText(dropped ?? 0)} of ${countText(received)} packets dropped by the kernel`;
    const byInterface = `${countText(interfaceDropped ?? 0)} by the interface`;
    stderr.write(`tunscope: ${printable(name)}: ${byKernel}, ${byInterface}\n`);
  }
  return status;
}

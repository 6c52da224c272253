/** Opens devices for a capture, and gives up the right to. */
import type { Allocate, PacketBatch } from '../capture/batch.ts';
import type { Capture, CaptureInterface, LiveControl, LiveRecord } from '../capture/capture.ts';
import { MergedCapture } from '../capture/merge.ts';
import type { CaptureRecords } from '../capture/reader.ts';
import { UsageError } from '../errors.ts';
import { type Backend, chooseBackend, type DeviceOptions, type Latency } from './backend.ts';
import { type InterfaceOptions, LiveInterface } from './interface.ts';
import { LinkMonitor } from './links.ts';
import type { BackendName } from './names.ts';
import { enterNamespace } from './namespace.ts';
import { becomeUser, captureAs, invokingUser } from './privileges.ts';

export interface LiveOptions extends DeviceOptions {
  readonly backend: BackendName | 'auto';
  /** Network namespace: its name, or the number of a process in it. */
  readonly namespace?: string | undefined;
  readonly wait: boolean;
  /** Seconds after which to stop. */
  readonly duration?: number | undefined;
  /** Where the analysis wants packets to lie. */
  readonly allocate?: Allocate | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends the capture; what was captured still comes. */
  readonly signal: AbortSignal;
  /** Takes what happens to devices. */
  readonly notify: (text: string) => void;
}

/** Seconds that a packet waits for earlier ones of devices that are silent: the kernel hands over blocks after one. */
const PATIENCE: Record<Latency, number> = { batch: 1.3, prompt: 1.3, immediate: 0.25 };

/** Bytes read ahead where devices wait for each other: 1.3 s at 200 000 packets/s of 100 bytes. */
const MERGE_BUFFER = 32 << 20;
const BUFFER = 1 << 20;

class LiveCapture implements Capture {
  readonly interfaces: readonly CaptureInterface[];
  readonly names: ReadonlyMap<string, string> = new Map();
  readonly secrets: readonly string[] = [];
  readonly files = [];
  readonly live: LiveControl;
  private readonly packets: Capture;
  private readonly release: () => void;

  constructor(packets: Capture, live: LiveControl, release: () => void) {
    this.packets = packets;
    this.interfaces = packets.interfaces;
    this.live = live;
    this.release = release;
  }

  next(): Promise<PacketBatch | null> {
    return this.packets.next();
  }

  async close(): Promise<void> {
    await this.packets.close();
    this.release();
  }

  [Symbol.asyncIterator]() {
    return this.packets[Symbol.asyncIterator]();
  }
}

/**
 * Captures on devices, merged by time.
 *
 * @throws {UsageError} Something asked for cannot be had.
 * @throws {CaptureError} A device cannot be opened.
 */
export async function openLive(names: readonly string[], options: LiveOptions): Promise<Capture> {
  const devices = [...new Set(names)];
  const { env, signal, notify, wait } = options;
  const backend = chooseBackend(options.backend, env.PATH);
  const user = invokingUser(env);
  const becoming = user === null ? [] : captureAs(user, env.PATH);
  // Where there is no setpriv (macOS), tcpdump can give up root by itself, though not get it again for a new run.
  if (becoming === null && (wait || backend.name !== 'tcpdump'))
    throw new UsageError(
      `with sudo, ${wait ? '--wait' : `--backend ${backend.name}`} needs setpriv (package util-linux)`,
    );
  const entering = options.namespace === undefined ? [] : enterNamespace(options.namespace, env.PATH);
  const latency = options.latency === 'batch' && (devices.length > 1 || wait) ? 'prompt' : options.latency;
  const each: InterfaceOptions = {
    ...options,
    backend,
    latency,
    prefix: [...entering, ...(becoming ?? [])],
    owner: becoming === null ? null : user,
    becomes: becoming === null ? user?.name : undefined,
    // Another run would count from the start.
    count: wait ? undefined : options.count,
    buffered: devices.length > 1 ? MERGE_BUFFER : BUFFER,
    // A merge copies them to memory of its own, and what is allocated for one run is not for the next.
    allocate: devices.length > 1 || wait ? undefined : options.allocate,
  };
  const records: CaptureRecords = { interfaces: [], names: new Map(), secrets: [] };
  const sources = devices.map((device) => new LiveInterface(device, each, records));
  const stop = () => {
    for (const source of sources) source.stop();
  };
  // Started as root, it could not be ended once root is given up.
  const monitor = becoming === null ? null : new LinkMonitor(devices, each.prefix, env.PATH, notify);
  const abandon = () => {
    for (const source of sources) source.abandon();
    monitor?.close();
  };
  signal.addEventListener('abort', stop);
  process.once('exit', abandon);
  try {
    await Promise.all(sources.map(({ opened }) => opened));
    if (user !== null) becomeUser(user);
  } catch (error) {
    process.removeListener('exit', abandon);
    signal.removeEventListener('abort', stop);
    monitor?.close();
    await Promise.allSettled(sources.map((source) => source.close()));
    throw error;
  }
  if (signal.aborted) stop();
  const timer = options.duration === undefined ? undefined : setTimeout(stop, options.duration * 1000);
  notify(`capturing on ${devices.join(', ')}${wait ? ', when it is there' : ''}`);
  if (backend.limits !== null) notify(`with ${backend.name}, ${backend.limits}`);
  const packets = sources.length === 1 ? sources[0] : new MergedCapture(sources, records, PATIENCE[latency]);
  return new LiveCapture(packets, liveControl(backend, sources, stop), () => {
    clearTimeout(timer);
    monitor?.close();
    process.removeListener('exit', abandon);
    signal.removeEventListener('abort', stop);
  });
}

function liveControl(backend: Backend, sources: readonly LiveInterface[], stop: () => void): LiveControl {
  return {
    stop,
    askCounters: () => {
      for (const source of sources) source.askCounters();
    },
    record: (): LiveRecord => {
      const interfaces = sources.map(({ record }) => record);
      const sum = (key: 'received' | 'dropped' | 'interfaceDropped') =>
        interfaces.reduce((total, counted) => total + (counted[key] ?? 0), 0);
      return {
        received: sum('received'),
        dropped: sum('dropped'),
        interfaceDropped: sum('interfaceDropped'),
        backend: backend.name,
        limits: backend.limits,
        interfaces,
      };
    },
  };
}

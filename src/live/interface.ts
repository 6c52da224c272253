/** The packets of one device, over all runs of the program that captures them. */
import type { Readable } from 'node:stream';
import type { Allocate, PacketBatch } from '../capture/batch.ts';
import type { Capture, CaptureFile, CaptureInterface, LiveInterfaceRecord } from '../capture/capture.ts';
import { openCapture } from '../capture/open.ts';
import type { CaptureRecords } from '../capture/reader.ts';
import { CaptureError, UsageError } from '../errors.ts';
import { type Backend, type Counters, type DeviceOptions, noCounters } from './backend.ts';
import type { User } from './privileges.ts';
import { CaptureProcess, NamedPipe } from './process.ts';

export interface InterfaceOptions extends DeviceOptions {
  readonly backend: Backend;
  /** Programs before the backend's: to enter a namespace, to become another user. */
  readonly prefix: readonly string[];
  /** Who the backend runs as, where that is not the user of this process. */
  readonly owner: User | null;
  /** Waits for the device to come, and to come back. */
  readonly wait: boolean;
  /** Bytes to read ahead of the analysis. */
  readonly buffered: number;
  readonly allocate?: Allocate | undefined;
  readonly notify: (text: string) => void;
}

/** How long a program that was told to end may take, in milliseconds. */
const GRACE = 2000;

/** For a block to get from the kernel to us, in milliseconds; on a machine with more to do 50 were not enough. */
const MARGIN = 250;

/** A device that is not there or not up may come. */
const ABSENT = /no such device|no device named|disappeared|no longer attached|not up/i;
const FORBIDDEN = /permi(ssion|tted)/i;

export class LiveInterface implements Capture {
  readonly device: string;
  readonly names: ReadonlyMap<string, string> = new Map();
  readonly secrets: readonly string[] = [];
  readonly files: readonly CaptureFile[] = [];
  readonly interfaces: readonly CaptureInterface[];
  /** Resolves when the device is open, or will be waited for; rejects where it cannot be opened. */
  readonly opened: Promise<void>;

  private readonly options: InterfaceOptions;
  private readonly records: CaptureRecords;
  private readonly pipe: NamedPipe;
  private readonly process: CaptureProcess;

  private input!: Readable;
  private reader!: Promise<Capture>;
  private runOver!: Promise<void>;
  private endRun!: () => void;
  /** The device is open. */
  private open = false;
  private stopped = false;
  private terminated = false;
  /** Everything up to the end was captured, and counted. */
  private complete = false;
  /** No more runs. */
  private final = false;
  private pending: Promise<PacketBatch | null> = Promise.resolve(null);

  /** Place in `records.interfaces` of the device as it was in this run, -1 before the first packet. */
  private index = -1;
  private packets = 0;
  /** Packets of earlier runs. */
  private packetsBefore = 0;
  private readonly countersBefore = noCounters();
  private counters: Readonly<Counters> | null = null;
  private everCounted = false;
  private lost: string | null = null;

  constructor(device: string, options: InterfaceOptions, records: CaptureRecords) {
    this.device = device;
    this.options = options;
    this.records = records;
    this.interfaces = records.interfaces;
    const { backend, prefix, wait } = options;
    const args = backend.arguments(device, options); // throws where the backend cannot do what is asked
    this.pipe = new NamedPipe(options.owner);
    this.begin();
    let succeed = () => {};
    let fail = (_: Error) => {};
    this.opened = new Promise((resolve, reject) => {
      succeed = resolve;
      fail = reject;
    });
    this.process = new CaptureProcess(backend, prefix, args, this.pipe, wait, {
      ready: () => {
        if (this.lost !== null) options.notify(`${device}: capturing again`);
        this.lost = null;
        this.open = true;
        if (!wait) this.pipe.remove(); // both ends are open, and nobody else is to come
        succeed();
      },
      counters: (counters) => {
        if (this.complete) return;
        this.counters = { ...counters };
        this.everCounted = true;
        // All is out of the kernel's buffer: no need to wait for its time. What comes now comes after the end.
        this.complete = this.stopped && counters.captured >= counters.received - counters.dropped;
        if (this.complete) this.terminate();
      },
      ended: (text, final) => {
        const reason = text.startsWith(`${device}: `) ? text.slice(device.length + 2) : text;
        if (wait && ABSENT.test(reason)) succeed();
        else fail(this.openError(reason));
        this.ended(reason, final);
      },
    });
  }

  /** What the kernel counted, at least what came here. */
  get record(): LiveInterfaceRecord {
    const { countersBefore: before, counters } = this;
    return {
      name: this.device,
      received: Math.max(before.received + (counters?.received ?? 0), this.packets),
      dropped: this.everCounted ? before.dropped + (counters?.dropped ?? 0) : null,
      interfaceDropped: this.everCounted ? before.interfaceDropped + (counters?.interfaceDropped ?? 0) : null,
      ended: this.lost,
    };
  }

  /** Asks the backend for its counters, where it can tell them while capturing. */
  askCounters(): void {
    // Before the device is open, the signal would end tcpdump.
    if (this.open && this.options.backend.reports) this.process.signal('SIGUSR1');
  }

  /** Ends the capture; what was captured still comes. */
  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.askCounters();
    const { blockTime } = this.options.backend;
    setTimeout(() => this.terminate(), this.open ? blockTime + MARGIN : 0).unref();
  }

  private terminate(): void {
    if (this.terminated) return;
    this.terminated = true;
    this.process.signal('SIGTERM');
    setTimeout(() => this.process.signal('SIGKILL'), GRACE).unref();
  }

  /** Leaves nothing behind where the process ends at once. */
  abandon(): void {
    this.process.signal('SIGTERM');
    this.pipe.remove();
  }

  next(): Promise<PacketBatch | null> {
    this.pending = this.pending.then(() => this.take());
    return this.pending;
  }

  async close(): Promise<void> {
    this.stopped = true;
    this.terminate();
    // The program tells its counters when it has got rid of what it holds.
    while ((await this.next()) !== null);
    await this.reader.then((reader) => reader.close());
    this.pipe.remove();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBatch> {
    try {
      for (let batch = await this.next(); batch !== null; batch = await this.next()) yield batch;
    } finally {
      await this.close();
    }
  }

  private begin(): void {
    this.runOver = new Promise((resolve) => {
      this.endRun = resolve;
    });
    this.input = this.pipe.open(this.options.buffered);
    const { allocate } = this.options;
    this.reader = openCapture(this.device, { input: this.input, ...(allocate && { allocate }) });
    this.reader.catch(() => {}); // for who awaits it
  }

  private async take(): Promise<PacketBatch | null> {
    for (;;) {
      const reader = await this.reader;
      const batch = await reader.next();
      if (batch !== null) return this.adopt(batch, reader.interfaces);
      // Where the packets make no sense, the program will notice that nobody reads on.
      this.input.destroy();
      await this.runOver;
      if (this.final) return null;
      this.packetsBefore = this.packets;
      this.begin();
    }
  }

  /** Makes the batch of a run one of the whole capture. */
  private adopt(batch: PacketBatch, [{ linkType, snapLength, littleEndian }]: readonly CaptureInterface[]) {
    const { interfaces } = this.records;
    const known = interfaces[this.index];
    if (known?.linkType !== linkType || known.snapLength !== snapLength) {
      const entry = { linkType, snapLength, littleEndian, description: null, statistics: null };
      this.index = interfaces.push({ file: null, name: this.device, ...entry }) - 1;
    }
    batch.interfaceIndex.fill(this.index, 0, batch.count);
    batch.firstNumber += this.packetsBefore;
    this.packets = batch.firstNumber - 1 + batch.count;
    return batch;
  }

  private ended(reason: string, final: boolean): void {
    const { options, device } = this;
    const { countersBefore: before, counters } = this;
    before.received += counters?.received ?? 0;
    before.dropped += counters?.dropped ?? 0;
    before.interfaceDropped += counters?.interfaceDropped ?? 0;
    this.counters = null;
    const done = options.count !== undefined && this.open && before.received >= options.count;
    // A device that is waited for fails every second; one that never opened is an error that `opened` tells.
    if (!this.stopped && !done && this.lost === null && (this.open || options.wait)) {
      this.lost = reason;
      options.notify(`${device}: ${reason}${options.wait ? '; waiting for it' : ''}`);
    }
    // Nobody will open the pipe any more, nor did anybody in this run.
    if (final && !this.open) this.input.destroy();
    this.open = false;
    this.final = final;
    this.endRun();
  }

  private openError(reason: string): Error {
    const { backend, filter, prefix } = this.options;
    if (FORBIDDEN.test(reason)) {
      const [program] = backend.command;
      return new CaptureError(
        this.device,
        prefix.length > 0
          ? 'the namespace takes root to enter: run tunscope with sudo'
          : `not permitted: run tunscope with sudo, or once: sudo setcap cap_net_raw,cap_net_admin+ep ${program}`,
      );
    }
    if (/no such device|no device named/i.test(reason))
      return new CaptureError(this.device, 'no such interface; tunscope interfaces lists them');
    if (filter !== undefined && !ABSENT.test(reason)) return new UsageError(`-f ${filter}: ${reason}`);
    return new CaptureError(this.device, reason);
  }
}

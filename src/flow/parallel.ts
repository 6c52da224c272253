/** Accounting with several threads; see exchange.ts for how they share the work. */
import { Worker } from 'node:worker_threads';
import type { PacketBatch } from '../capture/batch.ts';
import type { PacketSink } from '../pipeline.ts';
import type { FlowAccounting, VniKey } from './accounting.ts';
import { blocksKept, Exchange, exchangeBytes, MAXIMUM_PACKETS, MAXIMUM_THREADS } from './exchange.ts';
import { type Common, explained } from './kernel.ts';

/** What a worker is started with. */
export interface WorkerTask {
  readonly share: number;
  readonly shares: number;
  readonly common: Common;
  /** Address of the exchange. */
  readonly exchange: number;
  readonly vniKey: VniKey;
  readonly analyses: boolean;
  /** Rules that the registry of the main thread was made with. */
  readonly decodeAs: readonly string[];
}

/** Address of what the worker has accounted; see `FlowAccounting.adopt`. */
export type WorkerResult = number;

/** How long the event loop is left to itself when all work is with others: a worker that died does not wake anybody. */
const PATIENCE_MS = 1000;

export { blocksKept, MAXIMUM_THREADS };

/** Shares the work of accounting among this thread and workers. Its results are in `accounting` after `end`. */
export class ParallelAccounting implements PacketSink {
  private readonly accounting: FlowAccounting;
  private readonly exchange: Exchange;
  private readonly workers: Worker[] = [];
  private readonly results: Promise<WorkerResult>[] = [];
  private failure: Error | null = null;

  /** @param accounting of share 0 of the number of threads, in which nothing has been accounted yet */
  constructor(accounting: FlowAccounting, decodeAs: readonly string[]) {
    this.accounting = accounting;
    const { kernel } = accounting.own;
    const { shares } = kernel.sharing;
    const exchange = kernel.allocate(exchangeBytes(shares));
    this.exchange = new Exchange(accounting, exchange);
    for (let share = 1; share < shares; share++) {
      const task: WorkerTask = {
        share,
        shares,
        common: kernel.common,
        exchange,
        vniKey: accounting.vniKey,
        analyses: accounting.analyses,
        decodeAs,
      };
      const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: task });
      this.workers.push(worker);
      this.results.push(
        new Promise((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
          worker.once('exit', () => reject(new Error('a worker thread ended early')));
        }),
      );
      this.results[share - 1].catch((error: Error) => {
        this.failure ??= error;
      });
    }
  }

  take(batch: PacketBatch, from: number, to: number, roots: Int32Array): number {
    const { exchange } = this;
    for (let i = from; i < to; i += MAXIMUM_PACKETS) {
      // `flush` has made room for one; a batch of the library's user may take more.
      while (exchange.full) {
        const { epoch } = exchange;
        if (!exchange.step()) exchange.wait(epoch, PATIENCE_MS);
        this.check();
      }
      exchange.publish(batch, i, Math.min(i + MAXIMUM_PACKETS, to), roots);
    }
    return to;
  }

  packet(): void {
    throw new Error('every packet is taken');
  }

  private check(): void {
    if (this.failure !== null) throw explained(this.failure);
  }

  private async work(until: () => boolean): Promise<void> {
    const { exchange } = this;
    while (!until()) {
      const { epoch } = exchange;
      if (!exchange.step()) await exchange.settled(epoch, PATIENCE_MS);
      this.check();
    }
  }

  flush(): Promise<void> {
    return this.work(() => !this.exchange.full);
  }

  async end(stops: Float64Array): Promise<void> {
    const { accounting, exchange } = this;
    exchange.end();
    await this.work(() => exchange.allDone);
    for (const [i, result] of this.results.entries()) accounting.adopt(i + 1, await result);
    exchange.stops.forEach((count, stop) => {
      stops[stop] += count;
    });
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

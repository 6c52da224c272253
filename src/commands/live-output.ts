/** What a command prints while devices are captured: a view that redraws, snapshots, metrics. */
import type { LiveControl } from '../capture/capture.ts';
import { printable, timeText } from '../core/text.ts';
import { UsageError } from '../errors.ts';
import type { FlowEndings } from '../flow/lifetime.ts';
import type { KubeNames } from '../k8s/names.ts';
import type { Latency } from '../live/backend.ts';
import type { MetricsServer } from '../live/metrics.ts';
import type { showView } from '../live-view/screen.ts';
import type { LiveList, LiveTotals, LiveView } from '../live-view/view.ts';
import { jsonText } from '../output/json.ts';
import { TextWriter } from '../output/writer.ts';
import { type Context, formatOf, type InputOptions } from './context.ts';
import { type Analysis, account, limitsLives } from './input.ts';

export interface LiveOutputOptions extends InputOptions {
  /** Seconds between snapshots. */
  readonly interval?: number;
  /** Address to serve metrics at. */
  readonly metrics?: string;
}

/** A record behind the others of each snapshot; its shape is docs/schema's `snapshot`. */
interface SnapshotRecord extends LiveTotals {
  type: 'snapshot';
  schema: 1;
  time: string;
  /** Records of this snapshot. */
  records: number;
}

/** Messages that are kept while the view covers the screen. */
const COVERED = 20;

/** Ends something that was begun. */
type End = () => Promise<void> | void;

export class LiveOutput<R extends object> {
  readonly latency: Latency;
  readonly snapshots: boolean;
  private readonly options: LiveOutputOptions;
  private readonly context: Context;
  private readonly shows: boolean;
  private view: LiveView<R> | null = null;
  private readonly covered: string[] = [];
  private showView: typeof showView | null = null;
  private metrics: MetricsServer | null = null;
  private packets = 0;
  private bytes = 0;

  /** Loads what will be needed: once root is given up, files may be out of reach. */
  static async create<R extends object>(
    options: LiveOutputOptions,
    context: Context,
  ): Promise<LiveOutput<R>> {
    const output = new LiveOutput<R>(options, context);
    if (options.interface !== undefined) await import('../output/table.ts');
    if (output.shows) output.showView = (await import('../live-view/screen.ts')).showView;
    if (options.metrics !== undefined) {
      const { MetricsServer } = await import('../live/metrics.ts');
      output.metrics = await MetricsServer.listen(options.metrics);
      output.notify(`metrics at ${output.metrics.url}`);
    }
    return output;
  }

  /** Packets of flows when they were last printed. */
  private readonly told = new Map<number, number>();

  private constructor(options: LiveOutputOptions, context: Context) {
    this.options = options;
    this.context = context;
    const isLive = options.interface !== undefined;
    this.snapshots = options.interval !== undefined;
    if (this.snapshots && !isLive) throw new UsageError('--interval is for captures with -i');
    if (options.metrics !== undefined && !isLive) throw new UsageError('--metrics is for captures with -i');
    if (this.snapshots && (options.json || options.csv))
      throw new UsageError('--interval writes NDJSON: leave out --json and --csv');
    this.shows =
      isLive &&
      !this.snapshots &&
      formatOf(options) === 'table' &&
      context.stdout.isTTY === true &&
      context.stdin?.isTTY === true &&
      context.env.TERM !== 'dumb';
    const isWatched = this.shows || this.snapshots || options.metrics !== undefined || limitsLives(options);
    this.latency = isWatched ? 'prompt' : 'batch';
  }

  /** Tells what happens to devices. */
  readonly notify = (text: string) => {
    if (this.view === null) {
      this.context.stderr.write(`tunscope: ${printable(text)}\n`);
      return;
    }
    this.view.tell(text);
    // Told again when the view no longer covers the screen.
    this.covered.push(text);
    if (this.covered.length > COVERED) this.covered.shift();
  };

  /** As `account`, printing on the way. */
  async account(
    analysis: Analysis,
    list: () => LiveList<R>,
    endings: FlowEndings = { end() {} },
  ): ReturnType<typeof account> {
    const { options, context } = this;
    const { live } = analysis.capture;
    const ends: End[] = [];
    if (live && this.shows) ends.push(this.startView(live, list()));
    if (live && this.snapshots) ends.push(this.startSnapshots(live, list(), analysis.names));
    const { metrics } = this;
    if (live && metrics) {
      metrics.tell(live, { accounting: analysis.accounting!, totals: () => this.totals(live) });
      ends.push(() => metrics.close());
    }
    try {
      if (ends.length === 0) return await account(analysis, options, context, endings);
      const told: FlowEndings = {
        end: (id, reason) => {
          // Its number is another flow's soon.
          this.told.delete(id);
          endings.end(id, reason);
        },
        swept: () => endings.swept?.(),
      };
      return await account(analysis, options, context, told, (packets, bytes) => {
        this.packets = packets;
        this.bytes = bytes;
      });
    } finally {
      for (const end of ends) await end();
    }
  }

  private totals(live: LiveControl): LiveTotals {
    return { packets: this.packets, bytes: this.bytes, live: live.record() };
  }

  private startView(live: LiveControl, list: LiveList<R>): End {
    const { stdin, stdout, env } = this.context;
    const end = this.showView!(list, {
      live,
      totals: () => this.totals(live),
      stdin: stdin!,
      stdout,
      unicode: /utf-?8/i.test(env.LC_ALL || env.LC_CTYPE || env.LANG || ''),
    });
    this.view = end.view;
    return () => {
      end.close();
      this.view = null;
      for (const text of this.covered.splice(0)) this.notify(text);
    };
  }

  private startSnapshots(live: LiveControl, list: LiveList<R>, names: KubeNames | null): End {
    const writer = new TextWriter(this.context.stdout);
    const { told } = this;
    let writing: Promise<void> | null = null;
    const write = async () => {
      const rows = list.rows();
      let records = 0;
      for (const id of rows.ids()) {
        const packets = rows.value(id, 'packets');
        if (told.get(id) === packets) continue;
        told.set(id, packets);
        const record = rows.record(id);
        writer.line(jsonText(names === null ? record : names.record(record)));
        records++;
      }
      const now = Date.now();
      const time = timeText(Math.floor(now / 1000), (now % 1000) * 1_000_000);
      const end: SnapshotRecord = { type: 'snapshot', schema: 1, time, records, ...this.totals(live) };
      writer.line(jsonText(end));
      await writer.flush();
    };
    const seconds = this.options.interval!;
    const timer = setInterval(() => {
      if (seconds >= 1) live.askCounters();
      // A reader that is slow gets the next one.
      writing ??= write().finally(() => {
        writing = null;
      });
    }, seconds * 1000);
    return async () => {
      clearInterval(timer);
      await writing;
      await write();
    };
  }
}

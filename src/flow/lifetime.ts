/** How long flows live: time-outs as in NetFlow, and a bound on their number, so that a week's run keeps its memory. */
import type { PacketBatch } from '../capture/batch.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import type { FlowAccounting } from './accounting.ts';
import { TunnelSums } from './tunnel-totals.ts';
import { VniSums } from './vni.ts';

export interface Lifetime {
  /** Seconds without a packet after which a flow is over. */
  readonly idle?: number | undefined;
  /** Seconds after its first packet after which a flow is reported, and what follows is another. */
  readonly active?: number | undefined;
  /** Flows kept at most; those that have been idle longest make room. */
  readonly maxFlows?: number | undefined;
}

export type FlowEnd = 'idle' | 'active' | 'evicted';

/** Who is told of flows that end before the capture does. */
export interface FlowEndings {
  /** A flow ends, which is still there to be read. */
  end(id: number, reason: FlowEnd): void;
  /** All that are over for now have been told. */
  swept?(): void;
}

/** Entries looked at in one go: a sweep of a million takes sixteen batches, some milliseconds each. */
const LOOKS = 1 << 16;
/** Ended flows handled in one go. */
const ROOM = 4096;
/** What is left when flows have made room, so that they need not for every batch. */
const LEFT = 0.9;
/** Flows looked at to guess which tenth has been idle longest. */
const SAMPLE = 2048;

export class FlowLifetime {
  /** Flows that made room. */
  evicted = 0;
  private readonly accounting: FlowAccounting;
  private readonly lifetime: Lifetime;
  private readonly endings: FlowEndings;
  private readonly found: number;

  constructor(accounting: FlowAccounting, lifetime: Lifetime, endings: FlowEndings) {
    this.accounting = accounting;
    this.lifetime = lifetime;
    this.endings = endings;
    this.found = accounting.own.kernel.allocate(4 * ROOM);
  }

  /** Ends flows whose time is over at `now`, in seconds of the capture's clock; to be called between batches. */
  sweep(now: number): void {
    this.timeOut(now);
    this.makeRoom();
    this.endings.swept?.();
  }

  private timeOut(now: number): void {
    const { idle, active } = this.lifetime;
    if (idle !== undefined) this.endBefore(now - idle, 0, LOOKS, 'idle');
    if (active !== undefined) this.endBefore(0, now - active, LOOKS, 'active');
  }

  private makeRoom(): void {
    const { maxFlows } = this.lifetime;
    const { exports } = this.accounting.own.kernel;
    if (maxFlows === undefined || exports.liveFlows() <= maxFlows) return;
    const keep = Math.floor(maxFlows * LEFT);
    // A sample can be wrong: what it leaves too much goes in the next round, with the last one taking all it finds.
    for (let round = 0; round < 4 && exports.liveFlows() > maxFlows; round++) {
      const before = round < 3 ? this.quantile(1 - keep / exports.liveFlows()) : Number.POSITIVE_INFINITY;
      this.evicted += this.endBefore(before, 0, exports.size(), 'evicted', exports.liveFlows() - keep);
    }
  }

  /** Ends flows without a packet since `idle`, or that began before `active`. Returns how many. */
  private endBefore(
    idle: number,
    active: number,
    looks: number,
    reason: FlowEnd,
    most = Number.POSITIVE_INFINITY,
  ): number {
    const { accounting } = this;
    const { own } = accounting;
    const { kernel } = own;
    accounting.ended ??= { vnis: new VniSums(accounting), tunnels: new TunnelSums(accounting) };
    const { ended } = accounting;
    let count = 0;
    for (let left = looks; left > 0 && count < most; left -= LOOKS) {
      const found = kernel.exports.findTimedOut(
        idle,
        active,
        Math.min(left, LOOKS),
        this.found,
        Math.min(ROOM, most - count),
      );
      const ids = kernel.refresh().slice(this.found / 4, this.found / 4 + found);
      for (const id of ids) {
        this.endings.end(id, reason);
        const other = kernel.exports.otherHalf(id);
        for (const entry of other < 0 ? [id] : [id, other]) {
          ended.vnis.add(entry);
          ended.tunnels.add(own, entry);
        }
        kernel.exports.remove(id);
      }
      count += found;
    }
    return count;
  }

  /** Second before which that part of the flows had its last packet, by a sample. */
  private quantile(part: number): number {
    const { kernel } = this.accounting.own;
    const { exports, layout } = kernel;
    const words = kernel.refresh();
    const step = Math.max(1, Math.floor(exports.size() / SAMPLE));
    const lasts: number[] = [];
    for (let id = 0; id < exports.size(); id += step) {
      if (exports.isFlow(id)) lasts.push(words[((exports.flow(id) >>> 0) + layout.flowLast + 4) / 4] >>> 0);
    }
    lasts.sort((a, b) => a - b);
    return (lasts[Math.floor(part * lasts.length)] ?? 0) + 1;
  }
}

/** Accounts flows, and ends them between batches. */
export class MortalFlows implements PacketSink {
  private readonly accounting: FlowAccounting;
  private readonly lifetime: FlowLifetime;
  /** Time of the last packet. */
  private now = 0;

  constructor(accounting: FlowAccounting, lifetime: Lifetime, endings: FlowEndings) {
    this.accounting = accounting;
    this.lifetime = new FlowLifetime(accounting, lifetime, endings);
  }

  take(batch: PacketBatch, from: number, to: number, roots: Int32Array, stops: Float64Array): number {
    if (to > from) this.now = batch.seconds[to - 1];
    return this.accounting.take(batch, from, to, roots, stops);
  }

  packet(packet: Packet): void {
    this.now = packet.batch.seconds[packet.index];
    this.accounting.packet(packet);
  }

  flush(): void {
    this.lifetime.sweep(this.now);
  }

  /** Ends flows while no packets come. @param now seconds since 1970, by the clock that packets get their times from */
  tick(now: number): void {
    this.lifetime.sweep(Math.max(now, this.now));
  }
}

/** What rows gained in each of the last samples: rates, and the history that sparklines draw. */

/** Samples that are kept, one each second. */
export const SAMPLES = 60;

export class RateHistory {
  /** Totals of each row at the last sample. */
  private last = new Float64Array(64);
  /** Gains per second of each row, an array for each of the last samples in turn. */
  private gains = Array.from({ length: SAMPLES }, () => new Float32Array(64));
  private at = 0;
  private taken = 0;

  /** @param seconds since the sample before */
  sample(ids: readonly number[], total: (id: number) => number, seconds: number): void {
    this.at = (this.at + 1) % SAMPLES;
    this.taken = Math.min(SAMPLES, this.taken + 1);
    this.gains[this.at].fill(0);
    for (const id of ids) {
      if (id >= this.last.length) this.grow(id);
      const now = total(id);
      // Rows may lose packets to others: a later fragment goes to its flow when the first one comes.
      this.gains[this.at][id] = Math.max(0, (now - this.last[id]) / seconds);
      this.last[id] = now;
    }
  }

  /** Gain per second in the last sample. */
  rate(id: number): number {
    return id < this.last.length ? this.gains[this.at][id] : 0;
  }

  /** Gains per second in the last samples, `count` at most, oldest first. */
  history(id: number, count: number): number[] {
    const known = id < this.last.length ? Math.min(count, this.taken) : 0;
    return Array.from({ length: known }, (_, i) => {
      const back = known - 1 - i;
      return this.gains[(this.at - back + SAMPLES) % SAMPLES][id];
    });
  }

  private grow(id: number): void {
    const size = 2 ** Math.ceil(Math.log2(id + 1));
    const grown = <T extends Float32Array | Float64Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.last = grown(this.last, new Float64Array(size));
    this.gains = this.gains.map((gains) => grown(gains, new Float32Array(size)));
  }
}

const BLOCKS = '▁▂▃▄▅▆▇█';
/** For terminals without block elements. */
const ASCII = '_.-:=+*#';

/** One character for each value, relative to the largest; right-aligned in `width`. */
export function sparkline(values: readonly number[], width: number, unicode: boolean): string {
  const marks = unicode ? BLOCKS : ASCII;
  const most = Math.max(...values, 0);
  const text = values.map((value) =>
    value === 0 ? ' ' : marks[Math.min(marks.length - 1, Math.floor((value / most) * marks.length))],
  );
  return text.join('').padStart(width);
}

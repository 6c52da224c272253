import type { PacketBatch } from './batch.ts';

const NANOSECONDS = 1_000_000_000;

/** Converts the 64-bit timestamps of one pcapng interface (if_tsresol, if_tsoffset). */
export class Clock {
  /** Ticks per second where a 32-bit remainder is enough (10^-0 to 10^-9), else 0. */
  readonly #ticksPerSecond: number;
  readonly #nanosecondsPerTick: number;
  /** Ticks per second of all other resolutions; 10^127 is legal, if absurd. */
  readonly #exotic: bigint;
  readonly #offset: number;

  /**
   * @param resolution The if_tsresol byte: 10^-n, or 2^-n where the top bit is set.
   * @param offset Seconds to add (if_tsoffset).
   */
  constructor(resolution = 6, offset = 0) {
    const simple = resolution <= 9;
    const exponent = BigInt(resolution & 0x7f);
    this.#ticksPerSecond = simple ? 10 ** resolution : 0;
    this.#nanosecondsPerTick = simple ? 10 ** (9 - resolution) : 0;
    this.#exotic = resolution & 0x80 ? 2n ** exponent : 10n ** exponent;
    this.#offset = offset;
  }

  /** Sets the time of packet `i` from the two halves of a timestamp. Exact to the nanosecond, cut off. */
  set(batch: PacketBatch, i: number, high: number, low: number): void {
    const ticksPerSecond = this.#ticksPerSecond;
    if (ticksPerSecond === 0) {
      this.#setExotic(batch, i, high, low);
      return;
    }
    // 2^32 * high + low loses its low bits above 2^53, so the quotient may be off by a little. The remainder
    // is then taken in 32-bit arithmetic, where no bits are lost, and tells by how much.
    let seconds = Math.floor((high * 0x1_0000_0000 + low) / ticksPerSecond);
    let remainder = (low - Math.imul(seconds | 0, ticksPerSecond)) | 0;
    if (remainder < 0 || remainder >= ticksPerSecond) {
      const carry = Math.floor(remainder / ticksPerSecond);
      seconds += carry;
      remainder -= carry * ticksPerSecond;
    }
    batch.seconds[i] = seconds + this.#offset;
    batch.nanoseconds[i] = remainder * this.#nanosecondsPerTick;
  }

  #setExotic(batch: PacketBatch, i: number, high: number, low: number): void {
    const ticks = (BigInt(high) << 32n) | BigInt(low);
    batch.seconds[i] = Number(ticks / this.#exotic) + this.#offset;
    batch.nanoseconds[i] = Number(((ticks % this.#exotic) * BigInt(NANOSECONDS)) / this.#exotic);
  }
}

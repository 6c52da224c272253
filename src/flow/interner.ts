/**
 * Small numbers for tuples of 32-bit words: tunnel paths, tunnel endpoints, option sets.
 * Open addressing over typed arrays, so that a look-up per packet allocates nothing.
 */
import { randomInt } from 'node:crypto';

/** Mixes `word` into hash state `h`; the multiplier is odd, so no word is lost. */
export function mix(h: number, word: number): number {
  const x = Math.imul(h ^ word, 0x9e3779b1);
  return x ^ (x >>> 15);
}

/** Final avalanche of a hash state. */
export function finish(h: number): number {
  const x = Math.imul(h ^ (h >>> 13), 0x85ebca6b);
  return x ^ (x >>> 16);
}

/** Keys hashes of this process, so that nobody can prepare packets that all collide. */
export function hashSeed(): number {
  return randomInt(-0x80000000, 0x7fffffff);
}

export class Interner {
  /** Words of the tuple to look up; fill before `intern`. */
  readonly key: Int32Array;
  private readonly width: number;
  private words: Int32Array;
  private hashes: Int32Array;
  /** id + 1 by slot, 0 for an empty one. */
  private slots: Int32Array;
  private used = 0;
  private readonly seed = hashSeed();

  constructor(width: number, capacity = 64) {
    this.width = width;
    this.key = new Int32Array(width);
    this.words = new Int32Array(width * capacity);
    this.hashes = new Int32Array(capacity);
    this.slots = new Int32Array(capacity * 2);
  }

  get size(): number {
    return this.used;
  }

  /** Word `i` of tuple `id`. */
  word(id: number, i: number): number {
    return this.words[id * this.width + i];
  }

  /** Number of the tuple in `key`; the next free one where it is new. Numbers count up from 0. */
  intern(): number {
    const { key, width } = this;
    let h = this.seed;
    for (let i = 0; i < width; i++) h = mix(h, key[i]);
    h = finish(h);
    const mask = this.slots.length - 1;
    let slot = h & mask;
    for (;;) {
      const id = this.slots[slot] - 1;
      if (id < 0) break;
      if (this.hashes[id] === h && this.equals(id)) return id;
      slot = (slot + 1) & mask;
    }
    return this.insert(h, slot);
  }

  private equals(id: number): boolean {
    const base = id * this.width;
    for (let i = 0; i < this.width; i++) if (this.words[base + i] !== this.key[i]) return false;
    return true;
  }

  private insert(h: number, slot: number): number {
    const id = this.used++;
    const full = id === this.hashes.length;
    if (full) this.grow();
    this.words.set(this.key, id * this.width);
    this.hashes[id] = h;
    if (full) this.place(id);
    else this.slots[slot] = id + 1;
    return id;
  }

  private place(id: number): void {
    const mask = this.slots.length - 1;
    let slot = this.hashes[id] & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = id + 1;
  }

  private grow(): void {
    const capacity = this.hashes.length * 2;
    const words = new Int32Array(capacity * this.width);
    words.set(this.words);
    this.words = words;
    const hashes = new Int32Array(capacity);
    hashes.set(this.hashes);
    this.hashes = hashes;
    this.slots = new Int32Array(capacity * 2);
    for (let id = 0; id < this.used - 1; id++) this.place(id);
  }
}

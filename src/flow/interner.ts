/**
 * Small numbers for tuples of 32-bit words: tunnel paths, addresses.
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

/** Interns tuples of at most `width` words. Tuples of different lengths must differ in a word they share. */
export class Interner {
  /** Words of the tuple to look up; fill before `intern`. */
  readonly key: Int32Array;
  private readonly width: number;
  private words: Int32Array;
  /** Pairs (hash, id + 1); 0 in the second for an empty slot. At most half are used. */
  private slots: Int32Array;
  private used = 0;
  private readonly seed = hashSeed();

  constructor(width: number, capacity = 64) {
    this.width = width;
    this.key = new Int32Array(width);
    this.words = new Int32Array(width * capacity);
    this.slots = new Int32Array(4 * capacity);
  }

  get size(): number {
    return this.used;
  }

  /** Word `i` of tuple `id`. */
  word(id: number, i: number): number {
    return this.words[id * this.width + i];
  }

  /** Number of the tuple in the first `length` words of `key`; the next free one where it is new, from 0 up. */
  intern(length = this.width): number {
    const slot = this.slotOf(length);
    const id = this.slots[2 * slot + 1] - 1;
    if (id >= 0) return id;
    this.slots[2 * slot] = this.hash;
    this.slots[2 * slot + 1] = this.used + 1;
    return this.append(length);
  }

  /** Number of that tuple, -1 where it is new. */
  find(length = this.width): number {
    return this.slots[2 * this.slotOf(length) + 1] - 1;
  }

  /** The tuple's slot, or the empty one where it belongs; its hash is in `hash` then. */
  private slotOf(length: number): number {
    const { key, slots } = this;
    let h = this.seed;
    for (let i = 0; i < length; i++) h = mix(h, key[i]);
    h = finish(h);
    this.hash = h;
    const mask = slots.length / 2 - 1;
    let slot = h & mask;
    for (; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
      if (slots[2 * slot] === h && this.equals(slots[2 * slot + 1] - 1, length)) break;
    }
    return slot;
  }
  private hash = 0;

  /** True where tuple `id` is the first `length` words of `key`: cheaper than `intern`, for a guess. */
  equals(id: number, length: number): boolean {
    const { key, words } = this;
    const base = id * this.width;
    for (let i = 0; i < length; i++) if (words[base + i] !== key[i]) return false;
    return true;
  }

  private append(length: number): number {
    const id = this.used++;
    const base = id * this.width;
    for (let i = 0; i < length; i++) this.words[base + i] = this.key[i];
    if (base + 2 * this.width > this.words.length) this.grow();
    return id;
  }

  private grow(): void {
    const words = new Int32Array(this.words.length * 2);
    words.set(this.words);
    this.words = words;
    const old = this.slots;
    const grown = new Int32Array(old.length * 2);
    const mask = grown.length / 2 - 1;
    for (let i = 0; i < old.length; i += 2) {
      if (old[i + 1] === 0) continue;
      let slot = old[i] & mask;
      while (grown[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
      grown[2 * slot] = old[i];
      grown[2 * slot + 1] = old[i + 1];
    }
    this.slots = grown;
  }
}

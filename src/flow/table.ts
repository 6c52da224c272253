/**
 * The flow table: dense, append-only entries in fixed segments, and an index of (hash, entry).
 *
 * Entries never move, so growth copies only the index, and the order of entries is the order of first packets. Keeping
 * the index small is what matters with many flows: probing it is the cache miss each packet pays for.
 */
import { finish, hashSeed, mix } from './interner.ts';

/** 32-bit words of an entry. Counters are doubles (exact to 2^53) that share the entry's memory. */
export const Word = {
  /** Address A: four words, IPv4 in the first, Ethernet in the first two. A sorts before B, or equals it. */
  addressA: 0,
  addressB: 4,
  /** Port of A in the upper half, of B in the lower; what tells conversations apart where there are no ports. */
  ports: 8,
  /** Tunnel path of packets from A to B, and from B to A: equal unless the directions were joined. */
  path: 9,
  /** Number of the flow's protocol (16 bits), address kind (2 bits at 16): part of the key. */
  identity: 11,
  /** Bits of `Flag`. */
  flags: 12,
  /** Tunnel endpoints of packets from A to B, and from B to A; -1 where none was seen. */
  endpoints: 13,
  /** Time of the first and the last packet: seconds (unsigned, to 2106), nanoseconds. */
  firstSeconds: 15,
  firstNanoseconds: 16,
  lastSeconds: 17,
  lastNanoseconds: 18,
  /** Entry of the TCP table, -1 for none. */
  tcp: 19,
  /** Set of options of most packets, and how many packets had exactly that set. */
  optionSet: 20,
  optionPackets: 21,
} as const;

/** Doubles of an entry, by index from the entry's first double; two per counter: A to B, B to A. */
export const Counter = { packets: 11, bytes: 13, outerBytes: 15 } as const;

export const Flag = {
  /** Forward is from B to A. */
  forwardBA: 1,
  /** The two directions use different paths and were joined. */
  joined: 2,
  /** The times are set. */
  timed: 4,
} as const;

const WORDS = 34;
const SEGMENT_BITS = 13;
const SEGMENT = 1 << SEGMENT_BITS;

export class FlowTable {
  private readonly wordSegments: Int32Array[] = [];
  private readonly doubleSegments: Float64Array[] = [];
  private used = 0;
  /** Pairs (hash, entry + 1); 0 in the second for an empty slot. */
  private index = new Int32Array(2 * 4096);
  private indexed = 0;
  private readonly seed = hashSeed();
  /** The key to look up: the words of `Word` from addressA to identity (the path once). */
  readonly key = new Int32Array(12);

  get size(): number {
    return this.used;
  }

  words(id: number): Int32Array {
    return this.wordSegments[id >>> SEGMENT_BITS];
  }
  /** First word of entry `id` in `words(id)`. */
  base(id: number): number {
    return (id & (SEGMENT - 1)) * WORDS;
  }
  doubles(id: number): Float64Array {
    return this.doubleSegments[id >>> SEGMENT_BITS];
  }

  word(id: number, word: number): number {
    return this.words(id)[this.base(id) + word];
  }
  setWord(id: number, word: number, value: number): void {
    this.words(id)[this.base(id) + word] = value;
  }
  counter(id: number, counter: number): number {
    return this.doubles(id)[this.base(id) / 2 + counter];
  }
  add(id: number, counter: number, amount: number): void {
    this.doubles(id)[this.base(id) / 2 + counter] += amount;
  }

  /** Hash of `key`; with `loose`, of everything in it but the path, for joining directions. */
  hash(loose: boolean): number {
    const { key } = this;
    let h = mix(this.seed, key[0]);
    h = mix(h, key[4]);
    h = mix(h, key[8]);
    h = mix(h, key[11]);
    if (key[1] | key[2] | key[3] | key[5] | key[6] | key[7]) {
      h = mix(mix(mix(h, key[1]), key[2]), key[3]);
      h = mix(mix(mix(h, key[5]), key[6]), key[7]);
    }
    return finish(loose ? h ^ 0x5bd1e995 : mix(h, key[9]));
  }

  /** Entry whose key is `key`, -1 where there is none. Matches the path of either direction. */
  find(hash: number): number {
    const { index, key } = this;
    const mask = index.length / 2 - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = index[2 * slot + 1] - 1;
      if (id < 0) return -1;
      if (index[2 * slot] !== hash) continue;
      const w = this.wordSegments[id >>> SEGMENT_BITS];
      const b = (id & (SEGMENT - 1)) * WORDS;
      if ((w[b + 9] === key[9] || w[b + 10] === key[9]) && this.sameConversation(w, b)) return id;
    }
  }

  private sameConversation(w: Int32Array, b: number): boolean {
    const { key } = this;
    return (
      w[b] === key[0] &&
      w[b + 4] === key[4] &&
      w[b + 8] === key[8] &&
      w[b + 11] === key[11] &&
      w[b + 1] === key[1] &&
      w[b + 5] === key[5] &&
      w[b + 2] === key[2] &&
      w[b + 3] === key[3] &&
      w[b + 6] === key[6] &&
      w[b + 7] === key[7]
    );
  }

  /** The first entry under `hash` with the same conversation for which `accept` says yes, -1 for none. */
  findWhere(hash: number, accept: (id: number) => boolean): number {
    const mask = this.index.length / 2 - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.index[2 * slot + 1] - 1;
      if (id < 0) return -1;
      if (this.index[2 * slot] === hash && this.sameConversation(this.words(id), this.base(id)) && accept(id))
        return id;
    }
  }

  /** A new entry with the key in `key`, not yet indexed. */
  append(): number {
    const id = this.used++;
    if (id >>> SEGMENT_BITS === this.wordSegments.length) {
      const memory = new ArrayBuffer(SEGMENT * WORDS * 4);
      this.wordSegments.push(new Int32Array(memory));
      this.doubleSegments.push(new Float64Array(memory));
    }
    const w = this.words(id);
    const b = this.base(id);
    const { key } = this;
    for (let i = 0; i < 10; i++) w[b + i] = key[i];
    w[b + Word.path + 1] = key[9];
    w[b + Word.identity] = key[11];
    w[b + Word.endpoints] = -1;
    w[b + Word.endpoints + 1] = -1;
    w[b + Word.tcp] = -1;
    w[b + Word.optionSet] = -1;
    return id;
  }

  /** Fills `key` with the key of entry `id` for packets in `direction` (0: A to B). */
  loadKey(id: number, direction: number): void {
    const w = this.words(id);
    const b = this.base(id);
    for (let i = 0; i < 9; i++) this.key[i] = w[b + i];
    this.key[9] = w[b + Word.path + direction];
    this.key[11] = w[b + Word.identity];
  }

  /** Lets `id` be found under `hash`. */
  link(hash: number, id: number): void {
    // Half full at most: linear probing stays near one cache line.
    if (++this.indexed * 4 > this.index.length) this.growIndex();
    put(this.index, hash, id + 1);
  }

  /** Makes what is found as `from` under `hash` be found as `to`. */
  relink(hash: number, from: number, to: number): void {
    const mask = this.index.length / 2 - 1;
    for (let slot = hash & mask; this.index[2 * slot + 1] !== 0; slot = (slot + 1) & mask) {
      if (this.index[2 * slot] === hash && this.index[2 * slot + 1] === from + 1) {
        this.index[2 * slot + 1] = to + 1;
        return;
      }
    }
  }

  private growIndex(): void {
    const old = this.index;
    const grown = new Int32Array(old.length * 2);
    for (let i = 0; i < old.length; i += 2) if (old[i + 1] !== 0) put(grown, old[i], old[i + 1]);
    this.index = grown;
  }
}

function put(index: Int32Array, hash: number, value: number): void {
  const mask = index.length / 2 - 1;
  let slot = hash & mask;
  while (index[2 * slot + 1] !== 0) slot = (slot + 1) & mask;
  index[2 * slot] = hash;
  index[2 * slot + 1] = value;
}

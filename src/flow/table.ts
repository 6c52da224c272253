/**
 * The flow table: dense, append-only entries in fixed segments, and an index of (hash, entry).
 *
 * Entries never move, so growth copies only the index, and the order of entries is the order of first packets. An entry
 * is two cache lines, the first of which has all that comparing and counting an IPv4 flow touches: with many flows, cache
 * misses are most of what a packet costs.
 */
import { AddressKind } from '../core/outline.ts';
import { finish, hashSeed, mix } from './interner.ts';

/** 32-bit words of an entry; pairs are for packets from A to B, and from B to A. */
export const Word = {
  /** First words of the two addresses. A sorts before B, or equals it. */
  a: 0,
  b: 1,
  /** Port of A in the upper half, of B in the lower; what tells conversations apart where there are no ports. */
  ports: 2,
  /** Tunnel path. */
  path: 3,
  /** Entry + 1 of the other direction of the conversation, where that uses another path; 0 for none. */
  otherHalf: 4,
  /** Number of the flow's protocol (16 bits), address kind (2 bits at 16): part of the key. */
  identity: 5,
  /** Bits of `Flag`. */
  flags: 6,
  /** Entry of the TCP table, -1 for none. */
  tcp: 7,
  /** Packets of the two directions, modulo 2^32; `FlowTable.packets` knows the rest. */
  packets: 8,
  /** Time of the last packet: seconds (unsigned, to 2106), nanoseconds. */
  lastSeconds: 10,
  lastNanoseconds: 11,
  // Words 12 to 15 are `Double.bytes`.
  /** Tunnel endpoints of the two directions; -1 where none was seen. */
  endpoints: 16,
  /** Set of options of most packets, and how many packets had exactly that set. */
  optionSet: 18,
  optionPackets: 19,
  // Words 20 to 23 are `Double.outerBytes`.
  firstSeconds: 24,
  firstNanoseconds: 25,
  /** The addresses' other words: three of A, three of B. Ethernet has one, IPv4 none. */
  restA: 26,
  restB: 29,
} as const;

/** Doubles (exact to 2^53) of an entry, in the same memory; pairs as above. */
export const Double = { bytes: 6, outerBytes: 10 } as const;

export const Flag = {
  /** Forward is from B to A. */
  forwardBA: 1,
  /** The times are set. */
  timed: 2,
} as const;

/** Words of `FlowTable.key`. */
export const Key = { a: 0, b: 1, ports: 2, path: 3, identity: 4, restA: 5, restB: 8 } as const;

/** Address kinds from here on (`AddressKind.ipv6`, then Ethernet) have words beyond the first. */
const FIRST_LONG_KIND = AddressKind.ipv6 << 16;

const WORDS = 32;
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
  /** How often a packet counter has passed 2^32, by `2 * entry + direction`. */
  private readonly carries = new Map<number, number>();
  /** The key to look up. */
  readonly key = new Int32Array(11);

  get size(): number {
    return this.used;
  }

  words(id: number): Int32Array {
    return this.wordSegments[id >>> SEGMENT_BITS];
  }
  doubles(id: number): Float64Array {
    return this.doubleSegments[id >>> SEGMENT_BITS];
  }
  /** First word of entry `id` in `words(id)`; half of it is its first double. */
  base(id: number): number {
    return (id & (SEGMENT - 1)) * WORDS;
  }

  word(id: number, word: number): number {
    return this.words(id)[this.base(id) + word];
  }
  setWord(id: number, word: number, value: number): void {
    this.words(id)[this.base(id) + word] = value;
  }
  double(id: number, double: number): number {
    return this.doubles(id)[this.base(id) / 2 + double];
  }
  addDouble(id: number, double: number, amount: number): void {
    this.doubles(id)[this.base(id) / 2 + double] += amount;
  }

  packets(id: number, direction: number): number {
    return (
      (this.word(id, Word.packets + direction) >>> 0) + (this.carries.get(2 * id + direction) ?? 0) * 2 ** 32
    );
  }
  addPackets(id: number, direction: number, amount: number): void {
    const sum = this.packets(id, direction) + amount;
    this.setWord(id, Word.packets + direction, sum | 0);
    if (sum >= 2 ** 32) this.carries.set(2 * id + direction, Math.floor(sum / 2 ** 32));
    else this.carries.delete(2 * id + direction);
  }
  /** A packet counter has just wrapped to 0. */
  carry(id: number, direction: number): void {
    this.carries.set(2 * id + direction, (this.carries.get(2 * id + direction) ?? 0) + 1);
  }

  /** Hash of `key`; `path` is the one in it, or a negative number that stands for several. */
  hash(path: number): number {
    const { key } = this;
    let h = mix(mix(mix(mix(this.seed, key[Key.a]), key[Key.b]), key[Key.ports]), key[Key.identity]);
    if (key[5] | key[6] | key[7] | key[8] | key[9] | key[10]) {
      for (let i = Key.restA; i < Key.restB + 3; i++) h = mix(h, key[i]);
    }
    return finish(mix(h, path));
  }

  /** Entry whose key is `key`, -1 where there is none. */
  find(hash: number): number {
    const { index, key } = this;
    const mask = index.length / 2 - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = index[2 * slot + 1] - 1;
      if (id < 0) return -1;
      if (index[2 * slot] !== hash) continue;
      const w = this.wordSegments[id >>> SEGMENT_BITS];
      const b = (id & (SEGMENT - 1)) * WORDS;
      if (w[b + Word.path] === key[Key.path] && this.sameConversation(w, b)) return id;
    }
  }

  private sameConversation(w: Int32Array, b: number): boolean {
    const { key } = this;
    return (
      w[b + Word.a] === key[Key.a] &&
      w[b + Word.b] === key[Key.b] &&
      w[b + Word.ports] === key[Key.ports] &&
      w[b + Word.identity] === key[Key.identity] &&
      (key[Key.identity] < FIRST_LONG_KIND || this.sameRest(w, b))
    );
  }

  private sameRest(w: Int32Array, b: number): boolean {
    for (let i = 0; i < 6; i++) if (w[b + Word.restA + i] !== this.key[Key.restA + i]) return false;
    return true;
  }

  /** Entry found under `hash` whose key is `key` but for the path, -1 where there is none. */
  findConversation(hash: number): number {
    const { index } = this;
    const mask = index.length / 2 - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = index[2 * slot + 1] - 1;
      if (id < 0) return -1;
      if (index[2 * slot] === hash && this.sameConversation(this.words(id), this.base(id))) return id;
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
    w[b + Word.a] = key[Key.a];
    w[b + Word.b] = key[Key.b];
    w[b + Word.ports] = key[Key.ports];
    w[b + Word.path] = key[Key.path];
    w[b + Word.identity] = key[Key.identity];
    for (let i = 0; i < 6; i++) w[b + Word.restA + i] = key[Key.restA + i];
    w[b + Word.endpoints] = -1;
    w[b + Word.endpoints + 1] = -1;
    w[b + Word.tcp] = -1;
    w[b + Word.optionSet] = -1;
    return id;
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

/** Widens an entry's time span to hold a packet's time. Seconds that do not fit count as the first or last moment that does. */
export function touch(w: Int32Array, b: number, seconds: number, nanoseconds: number): void {
  if (seconds < 0) touchAt(w, b, 0, 0);
  else if (seconds > 0xffffffff) touchAt(w, b, 0xffffffff, 999_999_999);
  else touchAt(w, b, seconds, nanoseconds);
}

function touchAt(w: Int32Array, b: number, seconds: number, nanoseconds: number): void {
  const timed = (w[b + Word.flags] & Flag.timed) !== 0;
  const last = w[b + Word.lastSeconds] >>> 0;
  const isLast = seconds > last || (seconds === last && nanoseconds >= w[b + Word.lastNanoseconds]);
  if (!timed || isLast) {
    w[b + Word.lastSeconds] = seconds;
    w[b + Word.lastNanoseconds] = nanoseconds;
    if (timed) return;
  }
  const first = w[b + Word.firstSeconds] >>> 0;
  if (!timed || seconds < first || (seconds === first && nanoseconds < w[b + Word.firstNanoseconds])) {
    w[b + Word.flags] |= Flag.timed;
    w[b + Word.firstSeconds] = seconds;
    w[b + Word.firstNanoseconds] = nanoseconds;
  }
}

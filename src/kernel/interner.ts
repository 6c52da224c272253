/** Small numbers for tuples of 32-bit words: tunnel endpoints, option sets, and pairs that are only counted. */
import { mix, tagOf } from './hash';
import { allocate, allocateTable, release } from './memory';

@unmanaged
export class Interner {
  /** Words of a tuple's place. */
  width: u32;
  used: u32;
  /** Tuples there is room for; half as many again as slots. */
  capacity: u32;
  words: usize;
  /** Pairs (tag, number + 1); 0 in the second for an empty slot. */
  slots: usize;
}

export function newInterner(width: u32, capacity: u32): Interner {
  const t = changetype<Interner>(allocate(offsetof<Interner>()));
  t.width = width;
  t.used = 0;
  makeRoom(t, capacity);
  return t;
}

function makeRoom(t: Interner, capacity: u32): void {
  t.capacity = capacity;
  t.words = allocate(<usize>capacity * t.width * 4);
  t.slots = allocateTable(<usize>capacity * 16);
}

/** Address of tuple `id`. */
export function tuple(t: Interner, id: u32): usize {
  return t.words + <usize>id * t.width * 4;
}

/** True where tuple `id` begins with the `length` words at `key`. */
export function equals(t: Interner, id: u32, key: usize, length: u32): bool {
  const at = tuple(t, id);
  for (let i: u32 = 0; i < length; i++) {
    if (load<u32>(at + (i << 2)) != load<u32>(key + (i << 2))) return false;
  }
  return true;
}

/** Number of the tuple of `length` words at `key`; the next one from 0 where it is new. Tuples of different lengths must differ in a word they share. */
export function intern(t: Interner, key: usize, length: u32): u32 {
  return internTagged(t, key, length, tagOfTuple(key, length));
}

export function tagOfTuple(key: usize, length: u32): u32 {
  let h: u64 = 0;
  for (let i: u32 = 0; i < length; i++) h = mix(h, load<u32>(key + (i << 2)));
  return tagOf(h);
}

/** Number + 1 in the first slot of a tag, and the first word of a tuple: read to have them in the cache. */
export function fetchSlot(t: Interner, tag: u32): u32 {
  return load<u32>(t.slots + (<usize>(tag & ((t.capacity << 1) - 1)) << 3), 4);
}
export function fetchTuple(t: Interner, slot: u32): u32 {
  return slot == 0 ? 0 : load<u32>(tuple(t, slot - 1));
}

/** True where the tuple is known. */
export function has(t: Interner, key: usize, length: u32): bool {
  const tag = tagOfTuple(key, length);
  const mask = (t.capacity << 1) - 1;
  let slot = tag & mask;
  while (true) {
    const at = t.slots + (<usize>slot << 3);
    const id = load<u32>(at, 4);
    if (id == 0) return false;
    if (load<u32>(at) == tag && equals(t, id - 1, key, length)) return true;
    slot = (slot + 1) & mask;
  }
}

/** Forgets all tuples. */
export function empty(t: Interner): void {
  if (t.used != 0) memory.fill(t.slots, 0, <usize>t.capacity * 16);
  t.used = 0;
}

export function internTagged(t: Interner, key: usize, length: u32, tag: u32): u32 {
  const mask = (t.capacity << 1) - 1;
  let slot = tag & mask;
  while (true) {
    const at = t.slots + (<usize>slot << 3);
    const id = load<u32>(at, 4);
    if (id == 0) break;
    if (load<u32>(at) == tag && equals(t, id - 1, key, length)) return id - 1;
    slot = (slot + 1) & mask;
  }
  if (t.used == t.capacity) {
    grow(t);
    return internTagged(t, key, length, tag);
  }
  const place = t.slots + (<usize>slot << 3);
  store<u32>(place, tag);
  store<u32>(place, t.used + 1, 4);
  memory.copy(tuple(t, t.used), key, length << 2);
  return t.used++;
}

function grow(t: Interner): void {
  const words = t.words;
  const slots = t.slots;
  const before = t.capacity << 1;
  makeRoom(t, before);
  memory.copy(t.words, words, <usize>t.used * t.width * 4);
  const mask = (t.capacity << 1) - 1;
  for (let i: u32 = 0; i < before; i++) {
    const entry = load<u64>(slots + (<usize>i << 3));
    if (entry >> 32 == 0) continue;
    let slot = <u32>entry & mask;
    while (load<u32>(t.slots + (<usize>slot << 3), 4) != 0) slot = (slot + 1) & mask;
    store<u64>(t.slots + (<usize>slot << 3), entry);
  }
  release(words, <usize>t.used * t.width * 4);
  release(slots, <usize>before << 3);
}

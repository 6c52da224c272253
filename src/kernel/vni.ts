/**
 * Sums by VNI over entries. Each entry's addresses and tunnel endpoints are counted once by VNI, so that a hundred
 * thousand of them cost as many look-ups in tables as there are flows: ten times as many nanoseconds in JavaScript.
 */
import { bytesOf, firstOtherSet, Flow, flow, formerEndpoints, otherSets, outerBytesOf, packetsOf, size } from './flows';
import { allocate } from './memory';
import { empty, has, intern, Interner, newInterner, tuple } from './interner';

/** Number of the VNI that packets of a path count for, counted from 0. */
@external('host', 'vniNumber')
declare function vniNumber(path: u32): u32;

/** Tables of tuples; what follows the words of a key in each is a class below. */
@unmanaged
class Sums {
  /** (VNI) */
  vnis: Interner;
  /** (VNI, protocol) */
  protocols: Interner;
  /** (VNI, share, set of options) */
  optionSets: Interner;
  /** (VNI, share, number of tunnel endpoints) */
  tunnelEndpoints: Interner;
  /** (VNI, address kind, address) */
  addresses: Interner;
  /** (path), and the number of its VNI */
  paths: Interner;
}

/** What all of a VNI's packets come to. Without packets it is no VNI's. */
@unmanaged
class VniSum {
  vni: u32;
  endpoints: u32;
  flows: u64;
  /** Conversations whose other direction has another VNI. */
  halves: u64;
  packets: u64;
  bytes: u64;
  outerBytes: u64;
  first: u64;
  last: u64;
  /** Number of the first packet. */
  serial: u64;
}

/** What one protocol, or one set of options, has of a VNI. */
@unmanaged
class Portion {
  vni: u32;
  /** Protocol or share. */
  second: u32;
  /** Set of options. */
  third: u32;
  unused: u32;
  packets: u64;
  bytes: u64;
  serial: u64;
}

const ADDRESS_WORDS: u32 = 6;
/** The tuple at hand; static memory would be the same for all threads. */
let room: usize = 0;
function keyRoom(): usize {
  if (room == 0) room = allocate(ADDRESS_WORDS << 2);
  return room;
}

export function newVniSums(): usize {
  const at = allocate(offsetof<Sums>());
  const sums = changetype<Sums>(at);
  sums.vnis = newInterner(offsetof<VniSum>() >> 2, 64);
  sums.protocols = newInterner(offsetof<Portion>() >> 2, 64);
  sums.optionSets = newInterner(offsetof<Portion>() >> 2, 64);
  sums.tunnelEndpoints = newInterner(3, 64);
  sums.addresses = newInterner(ADDRESS_WORDS, 64);
  sums.paths = newInterner(2, 64);
  return at;
}

/** Forgets what was added; paths stay what they are. */
export function clearVniSums(at: usize): void {
  const sums = changetype<Sums>(at);
  empty(sums.vnis);
  empty(sums.protocols);
  empty(sums.optionSets);
  empty(sums.tunnelEndpoints);
  empty(sums.addresses);
}

/** Adds all entries of this share, and tunnel endpoints that they had before. @param before sums whose addresses are counted there, 0 for none */
export function addAllToVnis(at: usize, before: usize, share: u32): void {
  for (let id: u32 = 0; id < size(); id++) addToVnis(at, before, share, id);
  const sums = changetype<Sums>(at);
  for (let i: u32 = 0; i < formerEndpoints.used; i++) {
    const former = tuple(formerEndpoints, i);
    countEnds(sums, numberOf(sums, load<u32>(former)), share, load<u32>(former, 4));
  }
}

/** Adds an entry, of a flow or of one of its two halves. */
export function addToVnis(at: usize, before: usize, share: u32, id: u32): void {
  const f = flow(id);
  const packets = packetsOf(f, 0) + packetsOf(f, 1);
  if (packets == 0) return;
  const sums = changetype<Sums>(at);
  const vni = numberOf(sums, f.path);

  // Two halves of one conversation are one flow, which the earlier one has counted: in the same VNI, where outer ones differ.
  let flows: u32 = 1;
  let halves: u32 = 0;
  if (f.otherHalf != 0 && f.otherHalf - 1 < id) {
    const other = numberOf(sums, flow(f.otherHalf - 1).path);
    if (other == vni) {
      flows = 0;
    } else {
      sumOf(sums, other).halves++;
      halves = 1;
    }
  }

  let endpoints: u32 = 0;
  const kind = f.identity >>> 16;
  if (kind != 0) endpoints = <u32>isNew(sums, before, vni, kind, f, 0) + <u32>isNew(sums, before, vni, kind, f, 1);

  const bytes = bytesOf(f, 0) + bytesOf(f, 1);
  const sum = sumOf(sums, vni);
  sum.flows += flows;
  sum.halves += halves;
  sum.endpoints += endpoints;
  sum.packets += packets;
  sum.bytes += bytes;
  sum.outerBytes += outerBytesOf(f, 0) + outerBytesOf(f, 1);
  if (f.first < sum.first) sum.first = f.first;
  if (f.last > sum.last) sum.last = f.last;
  if (f.serial < sum.serial) sum.serial = f.serial;

  addPortion(sums.protocols, 2, vni, f.identity & 0xffff, 0, packets, bytes, f.serial);
  if (f.optionSet != 0) addSets(sums, vni, share, id, f);
  for (let direction: u32 = 0; direction < 2; direction++) {
    const ends = direction == 0 ? f.endpoints0 : f.endpoints1;
    if (ends > 0 && packetsOf(f, direction) != 0) countEnds(sums, vni, share, <u32>ends);
  }
}

function numberOf(sums: Sums, path: u32): u32 {
  const key = keyRoom();
  store<u32>(key, path);
  const known = sums.paths.used;
  const id = intern(sums.paths, key, 1);
  if (id == known) store<u32>(tuple(sums.paths, id), vniNumber(path), 4);
  return load<u32>(tuple(sums.paths, id), 4);
}

function sumOf(sums: Sums, vni: u32): VniSum {
  const key = keyRoom();
  store<u32>(key, vni);
  const known = sums.vnis.used;
  const id = intern(sums.vnis, key, 1);
  const sum = changetype<VniSum>(tuple(sums.vnis, id));
  if (id == known) {
    memory.fill(changetype<usize>(sum) + 4, 0, offsetof<VniSum>() - 4);
    sum.first = u64.MAX_VALUE;
    sum.serial = u64.MAX_VALUE;
  }
  return sum;
}

/** Whether the VNI has no entry with that address yet: A's or B's. */
function isNew(sums: Sums, before: usize, vni: u32, kind: u32, f: Flow, end: u32): bool {
  const key = keyRoom();
  store<u32>(key, vni);
  store<u32>(key, kind, 4);
  store<i32>(key, end == 0 ? f.a : f.b, 8);
  if (f.rest == 0) {
    store<u64>(key, 0, 12);
    store<u32>(key, 0, 20);
  } else {
    memory.copy(key + 12, f.rest + 12 * <usize>end, 12);
  }
  if (before != 0 && has(changetype<Sums>(before).addresses, key, ADDRESS_WORDS)) return false;
  const known = sums.addresses.used;
  return intern(sums.addresses, key, ADDRESS_WORDS) == known;
}

function countEnds(sums: Sums, vni: u32, share: u32, ends: u32): void {
  const key = keyRoom();
  store<u32>(key, vni);
  store<u32>(key, share, 4);
  store<u32>(key, ends, 8);
  intern(sums.tunnelEndpoints, key, 3);
}

function addSets(sums: Sums, vni: u32, share: u32, id: u32, f: Flow): void {
  addPortion(sums.optionSets, 3, vni, share, f.optionSet, f.optionPackets, 0, f.serial);
  for (let next = firstOtherSet(id); next != 0; ) {
    const at = tuple(otherSets, next - 1);
    addPortion(sums.optionSets, 3, vni, share, load<u32>(at, 4), load<u64>(at, 8), 0, f.serial);
    next = load<u32>(at, 16);
  }
}

function addPortion(to: Interner, length: u32, vni: u32, second: u32, third: u32, packets: u64, bytes: u64, serial: u64): void {
  const key = keyRoom();
  if (packets == 0) return;
  store<u32>(key, vni);
  store<u32>(key, second, 4);
  store<u32>(key, third, 8);
  const known = to.used;
  const id = intern(to, key, length);
  const portion = changetype<Portion>(tuple(to, id));
  if (id == known) {
    portion.packets = 0;
    portion.bytes = 0;
    portion.serial = serial;
  }
  portion.packets += packets;
  portion.bytes += bytes;
  if (serial < portion.serial) portion.serial = serial;
}

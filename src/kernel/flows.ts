/**
 * The flow table: dense, append-only entries in fixed segments, and an index of (tag, entry).
 *
 * Entries never move, so growth copies only the index, and the order of entries is the order of first packets. An entry
 * is two cache lines, the first of which has all that counting an IPv4 packet touches: with many flows, cache misses are
 * most of what a packet costs.
 */
import { m0, m1, m2, m3, m4, mix, tagOf } from './hash';
import { equals, fetchSlot, fetchTuple, intern, internTagged, Interner, newInterner, tagOfTuple, tuple } from './interner';
import { allocate, allocateTable, release } from './memory';
import { clear, fetchTcp, freeTcp, lose, newTcp, segment, split } from './tcp';

/** Address kinds from here on (IPv6, then Ethernet) have words beyond the first. */
const FIRST_LONG_KIND: u32 = 2 << 16;

/** A packet as flow accounting sees it: left by the walk, or by whoever walked a packet that the kernel does not. */
@unmanaged
export class Walked {
  /** First words of source and destination address; once `order` has run, A sorts before B. */
  a: i32;
  b: i32;
  /** Port of A in the upper half, of B in the lower; what tells conversations apart where there are no ports. */
  ports: u32;
  /** Tunnel path. */
  path: u32;
  /** Number of the protocol (16 bits), address kind (2 bits at 16). */
  identity: u32;
  tag: u32;
  /** Further words of A's address, then of B's. */
  restA0: i32;
  restA1: i32;
  restA2: i32;
  restB0: i32;
  restB1: i32;
  restB2: i32;
  /** Hash of the key without the path. */
  conversation: u64;
  /** Bits of `Status`. */
  status: u32;
  /** 0: from A to B. */
  direction: u32;
  /** Bytes of the inner frame, and of the whole one, on the wire. */
  bytes: u32;
  length: u32;
  /** Seconds in the upper half, nanoseconds in the lower. */
  time: u64;
  sequence: i32;
  acknowledgment: i32;
  tcpFlags: u16;
  window: u16;
  payload: u32;
  /** Number of the tunnel endpoints; -1: they are the tuple below. */
  endpoints: i32;
  /** TLV options of the tunnel header, `optionsTo` 0 for none; `options` is then the row of the tunnel's protocol, else a set. */
  optionsFrom: u32;
  optionsTo: u32;
  options: u32;
  /** Tuple of `Endpoints`: the tunnel around this one, kind and port, then words of source and destination in turn. */
  parent: u32;
  kindAndPort: u32;
  ends0: i32;
  ends1: i32;
  ends2: i32;
  ends3: i32;
  ends4: i32;
  ends5: i32;
  ends6: i32;
  ends7: i32;
  /** Entry + 1 that the index had for the packet when its group was fetched, 0 for none. */
  candidate: u32;
}
export const WALKED: u32 = 160;

export namespace Status {
  /** Not a packet that the kernel walks. */
  export const left: u32 = 1;
  /** Ends with the transport header, of whose payload nothing was captured. */
  export const truncated: u32 = 2;
  /** Has a TCP header. */
  export const tcp: u32 = 4;
  /** The ends do not say which sorts first: ports are no ports. */
  export const portless: u32 = 8;
}

@unmanaged
export class Flow {
  a: i32;
  b: i32;
  ports: u32;
  path: u32;
  identity: u32;
  /** Address of the TCP entry, 0 for none. */
  tcp: usize;
  /** Of the two directions, modulo 2^32; the upper halves are below. */
  packets0: u32;
  packets1: u32;
  bytes0: u32;
  bytes1: u32;
  last: u64;
  /** Tunnel endpoints of the two directions; -1 where none was seen. */
  endpoints0: i32;
  endpoints1: i32;
  /** Bytes around the inner frame of a direction's first packet. */
  overhead0: u16;
  overhead1: u16;
  flags: u32;
  first: u64;
  /** Whole frames' bytes less inner frames' and packets times overhead. With `Flag.deferred`: the first segment. */
  excess0: i64;
  excess1: i64;
  bytesUpper0: u32;
  bytesUpper1: u32;
  packetsUpper0: u32;
  packetsUpper1: u32;
  /** Entry + 1 of the other direction of the conversation, where that uses another path; 0 for none. */
  otherHalf: u32;
  /** Set of options of most packets, 0 for none, and how many packets had exactly that set. */
  optionSet: u32;
  optionPackets: u32;
  /** Address of the addresses' further words, 0 for none. */
  rest: usize;
  /** Number of the first packet, by which entries of several tables are put in order. */
  serial: u64;
}
const FLOW: u32 = 128;

export namespace Flag {
  /** Forward is from B to A. */
  export const forwardBA: u32 = 1;
  /** The times are set. */
  export const timed: u32 = 2;
  /** One segment so far, kept in the entry: most flows of a port scan or a DNS-heavy capture never need more. */
  export const deferred: u32 = 4;
  /** Has more sets of options than the first. */
  export const moreOptions: u32 = 8;
  /** An entry that waits to be used again. */
  export const removed: u32 = 16;
}

const SEGMENT_BITS: u32 = 13;
const SEGMENT: u32 = 1 << SEGMENT_BITS;

/** Addresses of segments; room for 2^29 entries, more than 4 GiB hold. */
let directory: usize = 0;
let used: u32 = 0;
/** Entries in use. */
export let live: u32 = 0;
/** First of the removed entries + 1, which are linked by `otherHalf`, and of the further words of addresses. */
let free: u32 = 0;
let freeRest: usize = 0;
/** Entries were used again: their order is no longer that of first packets. */
export let outOfOrder: bool = false;
let restFrom: usize = 0;
let restTo: usize = 0;

/** Pairs (tag, entry + 1); 0 in the second for an empty slot. */
let index: usize = 0;
let indexMask: u32 = 0;
/** Entries of one direction that wait for their other half: pairs (tag, entry + 1 and direction in the top bit). */
let halves: usize = 0;
let halvesMask: u32 = 0;
let waiting: u32 = 0;

/** TCP segments are looked at. */
let analyses: bool = true;
/** Halves of conversations are joined. */
let joins: bool = false;
/** Number of the packet at hand. */
export let serial: u64 = 0;

export const ENDPOINT_WORDS: u32 = 10;
/** Tuples as in `Walked.parent`, and one word more: number + 1 of the endpoints seen from the other side. */
export let endpoints: Interner = changetype<Interner>(0);
/** (set, option table, class << 8 | type): a set and one option more. */
export let optionSets: Interner = changetype<Interner>(0);
/**
 * (flow, set) for sets beyond a flow's first, the packets of each in two words, and number + 1 of the flow's next one. The
 * list of a flow begins in the tuple of (flow, 0), which is no set and has the last one's number + 1 in place of packets.
 */
export let otherSets: Interner = changetype<Interner>(0);
/** (path, endpoints) that flows have moved away from. */
export let formerEndpoints: Interner = changetype<Interner>(0);
const OTHER_SET_WORDS: u32 = 5;
let scratch: usize = 0;

export function start(analyse: bool, join: bool): void {
  analyses = analyse;
  joins = join;
  directory = allocate(1 << 18);
  indexMask = 8191;
  index = allocateTable(<usize>(indexMask + 1) << 3);
  halvesMask = 4095;
  halves = allocateTable(<usize>(halvesMask + 1) << 3);
  endpoints = newInterner(ENDPOINT_WORDS + 1, 256);
  optionSets = newInterner(3, 64);
  // Number 0 is "none" in both.
  scratch = allocate(64);
  memory.fill(scratch, 0xff, 64);
  intern(endpoints, scratch, ENDPOINT_WORDS);
  intern(optionSets, scratch, 3);
  recent = allocate(RECENT * 16);
  otherSets = newInterner(OTHER_SET_WORDS, 64);
  formerEndpoints = newInterner(2, 64);
  waitingPairs = allocate(12 * MOST_PAIRS);
}

/** Six words from which another instance on the same memory can read what this one has accounted. */
export function saveState(at: usize): void {
  store<usize>(at, directory);
  store<u32>(at, used, 4);
  store<usize>(at, changetype<usize>(endpoints), 8);
  store<usize>(at, changetype<usize>(optionSets), 12);
  store<usize>(at, changetype<usize>(otherSets), 16);
  store<usize>(at, changetype<usize>(formerEndpoints), 20);
}
export function adoptState(at: usize): void {
  directory = load<usize>(at);
  used = load<u32>(at, 4);
  endpoints = changetype<Interner>(load<usize>(at, 8));
  optionSets = changetype<Interner>(load<usize>(at, 12));
  otherSets = changetype<Interner>(load<usize>(at, 16));
  formerEndpoints = changetype<Interner>(load<usize>(at, 20));
  scratch = allocate(64);
}

export function setSerial(number: u64): void {
  serial = number;
}

export function flow(id: u32): Flow {
  return changetype<Flow>(load<usize>(directory + ((id >>> SEGMENT_BITS) << 2)) + (id & (SEGMENT - 1)) * FLOW);
}
export function size(): u32 {
  return used;
}

export function packetsOf(f: Flow, direction: u32): u64 {
  const at = changetype<usize>(f) + (<usize>direction << 2);
  return (<u64>load<u32>(at, offsetof<Flow>('packetsUpper0')) << 32) | <u64>load<u32>(at, offsetof<Flow>('packets0'));
}
export function bytesOf(f: Flow, direction: u32): u64 {
  const at = changetype<usize>(f) + (<usize>direction << 2);
  return (<u64>load<u32>(at, offsetof<Flow>('bytesUpper0')) << 32) | <u64>load<u32>(at, offsetof<Flow>('bytes0'));
}
export function outerBytesOf(f: Flow, direction: u32): u64 {
  const overhead = direction == 0 ? f.overhead0 : f.overhead1;
  const excess = (f.flags & Flag.deferred) != 0 ? 0 : direction == 0 ? f.excess0 : f.excess1;
  return bytesOf(f, direction) + packetsOf(f, direction) * <u64>overhead + <u64>excess;
}
function endpointsOf(f: Flow, direction: u32): i32 {
  return direction == 0 ? f.endpoints0 : f.endpoints1;
}

/** Puts the ends of `w` in order, so that both directions have the same key, and hashes it. */
export function order(w: Walked): void {
  const long = w.identity >= FIRST_LONG_KIND;
  let swapped = w.b < w.a;
  if (w.a == w.b) {
    swapped = (w.status & Status.portless) == 0 && (w.ports & 0xffff) < w.ports >>> 16;
    if (long) {
      if (w.restA0 != w.restB0) swapped = w.restB0 < w.restA0;
      else if (w.restA1 != w.restB1) swapped = w.restB1 < w.restA1;
      else if (w.restA2 != w.restB2) swapped = w.restB2 < w.restA2;
    }
  }
  w.direction = <u32>swapped;
  if (swapped) {
    const a = w.a;
    w.a = w.b;
    w.b = a;
    if ((w.status & Status.portless) == 0) w.ports = rotl<u32>(w.ports, 16);
    if (long) {
      const rest0 = w.restA0;
      const rest1 = w.restA1;
      const rest2 = w.restA2;
      w.restA0 = w.restB0;
      w.restA1 = w.restB1;
      w.restA2 = w.restB2;
      w.restB0 = rest0;
      w.restB1 = rest1;
      w.restB2 = rest2;
    }
  }
  const at = changetype<usize>(w);
  let h = load<u64>(at) * m0 + ((<u64>w.identity << 32) | <u64>w.ports) * m1;
  if (long) {
    h += load<u64>(at, offsetof<Walked>('restA0')) * m2 + load<u64>(at, offsetof<Walked>('restA2')) * m3;
    h += load<u64>(at, offsetof<Walked>('restB1')) * m4;
  }
  w.conversation = h;
  w.tag = tagOf(mix(h, w.path));
  w.candidate = 0;
}

function sameConversation(f: Flow, w: Walked): bool {
  const at = changetype<usize>(f);
  const key = changetype<usize>(w);
  if (load<u64>(at) != load<u64>(key) || f.ports != w.ports || f.identity != w.identity) return false;
  if (w.identity < FIRST_LONG_KIND) return true;
  const rest = f.rest;
  const words = key + offsetof<Walked>('restA0');
  return (
    load<u64>(rest) == load<u64>(words) &&
    load<u64>(rest, 8) == load<u64>(words, 8) &&
    load<u64>(rest, 16) == load<u64>(words, 16)
  );
}

// Reading what `account` will read of a packet, one step for all packets of a group before the next step, so that their
// cache misses overlap.

/** The index. */
export function fetchIndex(w: Walked): u32 {
  return load<u32>(index + (<usize>(w.tag & indexMask) << 3), 4);
}
/** The entry that the index has under the packet's tag: both its cache lines. */
export function fetchFlow(w: Walked): u32 {
  const id = <u32>candidate(w) + 1;
  w.candidate = id;
  return id == 0 ? 0 : load<u32>(changetype<usize>(flow(id - 1))) + load<u32>(changetype<usize>(flow(id - 1)), 64);
}
/** What the entry leads to: both sides and the state of its TCP entry, and the rest of its addresses. */
export function fetchDetails(w: Walked): u32 {
  if (w.candidate == 0) return 0;
  const f = flow(w.candidate - 1);
  const ends = endpointsOf(f, w.direction);
  const rest = (f.rest == 0 ? 0 : load<u32>(f.rest)) + (ends < 0 ? 0 : load<u32>(tuple(endpoints, <u32>ends)));
  return f.tcp == 0 ? rest : rest + fetchTcp(f.tcp);
}

/** Entry that the index has under the tag of `w`, -1 for none. */
function candidate(w: Walked): i32 {
  let slot = w.tag & indexMask;
  while (true) {
    const at = index + (<usize>slot << 3);
    const id = load<u32>(at, 4);
    if (id == 0 || load<u32>(at) == w.tag) return <i32>id - 1;
    slot = (slot + 1) & indexMask;
  }
}

function find(w: Walked): i32 {
  if (w.candidate != 0) {
    const f = flow(w.candidate - 1);
    if (f.path == w.path && sameConversation(f, w)) return <i32>(w.candidate - 1);
  }
  const tag = w.tag;
  let slot = tag & indexMask;
  while (true) {
    const at = index + (<usize>slot << 3);
    const id = load<u32>(at, 4);
    if (id == 0) return -1;
    if (load<u32>(at) == tag) {
      const f = flow(id - 1);
      if (f.path == w.path && sameConversation(f, w)) return <i32>(id - 1);
    }
    slot = (slot + 1) & indexMask;
  }
}

function append(w: Walked): u32 {
  if (++live > indexMask - (indexMask >>> 2)) growIndex();
  const reused = free;
  const id = reused == 0 ? used++ : reused - 1;
  if (reused != 0) {
    const f = flow(id);
    free = f.otherHalf;
    memory.fill(changetype<usize>(f), 0, FLOW);
    outOfOrder = true;
  } else if ((id & (SEGMENT - 1)) == 0) store<u32>(directory + ((id >>> SEGMENT_BITS) << 2), <u32>allocate(<usize>FLOW * SEGMENT));
  const f = flow(id);
  memory.copy(changetype<usize>(f), changetype<usize>(w), 20);
  f.endpoints0 = -1;
  f.endpoints1 = -1;
  f.serial = serial;
  if (w.direction == 1) f.flags = Flag.forwardBA;
  if (w.identity >= FIRST_LONG_KIND) {
    f.rest = newRest();
    memory.copy(f.rest, changetype<usize>(w) + offsetof<Walked>('restA0'), 24);
  }
  put(index, indexMask, w.tag, id + 1);
  return id;
}

function newRest(): usize {
  if (freeRest != 0) {
    const at = freeRest;
    freeRest = load<usize>(at);
    return at;
  }
  if (restFrom == restTo) {
    restFrom = allocate(24 << 13);
    restTo = restFrom + (24 << 13);
  }
  restFrom += 24;
  return restFrom - 24;
}

function put(table: usize, mask: u32, tag: u32, value: u32): void {
  let slot = tag & mask;
  while (load<u32>(table + (<usize>slot << 3), 4) != 0) slot = (slot + 1) & mask;
  const at = table + (<usize>slot << 3);
  store<u32>(at, tag);
  store<u32>(at, value, 4);
}

function doubled(table: usize, mask: u32): usize {
  const size = (<usize>mask + 1) << 3;
  const grown = allocateTable(size << 1);
  const grownMask = (mask << 1) | 1;
  for (let i: usize = 0; i <= <usize>mask; i++) {
    const value = load<u32>(table + (i << 3), 4);
    if (value != 0) put(grown, grownMask, load<u32>(table + (i << 3)), value);
  }
  release(table, size);
  return grown;
}

function growIndex(): void {
  index = doubled(index, indexMask);
  indexMask = (indexMask << 1) | 1;
}

/** Number of the tunnel endpoints of `w`. */
function currentEndpoints(w: Walked): u32 {
  if (w.endpoints < 0) w.endpoints = <i32>internEndpoints(changetype<usize>(w) + offsetof<Walked>('parent'));
  return <u32>w.endpoints;
}

function lengthOf(kindAndPort: u32): u32 {
  const kind = kindAndPort >>> 16;
  return kind == 2 ? 10 : kind == 3 ? 6 : 4;
}

/** Number of the endpoints at `at`; the words that their kind of address does not need may be anything. */
export function internEndpoints(at: usize): u32 {
  const length = lengthOf(load<u32>(at, 4));
  const known = endpoints.used;
  const id = intern(endpoints, at, length);
  if (id == known) {
    // Words beyond the length are read by whoever shows addresses, and the last is a cache.
    const from = tuple(endpoints, id);
    memory.fill(from + (length << 2), 0, (ENDPOINT_WORDS + 1 - length) << 2);
  }
  return id;
}

/** The same tunnels seen in the other direction. */
export function reverseEndpoints(id: u32): u32 {
  if (id == 0) return 0;
  const width = (ENDPOINT_WORDS + 1) << 2;
  const cached = load<u32>(endpoints.words + <usize>id * width + (ENDPOINT_WORDS << 2));
  if (cached != 0) return cached - 1;
  const parent = reverseEndpoints(load<u32>(endpoints.words + <usize>id * width));
  const at = endpoints.words + <usize>id * width;
  store<u32>(scratch, parent);
  store<u32>(scratch, load<u32>(at, 4), 4);
  for (let i: usize = 8; i < ENDPOINT_WORDS << 2; i += 8) store<u64>(scratch + i, rotl<u64>(load<u64>(at + i), 32));
  const reversed = internEndpoints(scratch);
  store<u32>(endpoints.words + <usize>id * width + (ENDPOINT_WORDS << 2), reversed + 1);
  store<u32>(endpoints.words + <usize>reversed * width + (ENDPOINT_WORDS << 2), id + 1);
  return reversed;
}

/** Accounts a packet whose key is in order. Returns its flow's number. */
export function account(w: Walked): u32 {
  let id = find(w);
  if (id < 0) {
    id = <i32>append(w);
    if (joins && w.path != 0) join(<u32>id, w);
  } else {
    const f = flow(<u32>id);
    // With both directions it is whole by itself: what was taken for its other half is another conversation.
    if (f.otherHalf != 0 && packetsOf(f, w.direction) == 0) part(<u32>id, w.direction);
  }
  countPacket(<u32>id, w);
  if ((w.status & Status.tcp) != 0) takeSegment(<u32>id, w);
  return <u32>id;
}

/** Adds a packet to flow `id`, which may be another than its key says (fragments). */
export function countPacket(id: u32, w: Walked): void {
  const f = flow(id);
  if ((f.flags & Flag.deferred) != 0) undefer(id);
  const direction = w.direction;
  const at = changetype<usize>(f) + (<usize>direction << 2);
  const packets = load<u32>(at, offsetof<Flow>('packets0')) + 1;
  store<u32>(at, packets, offsetof<Flow>('packets0'));
  const bytes = load<u32>(at, offsetof<Flow>('bytes0'));
  store<u32>(at, bytes + w.bytes, offsetof<Flow>('bytes0'));
  if (bytes + w.bytes < bytes)
    store<u32>(at, load<u32>(at, offsetof<Flow>('bytesUpper0')) + 1, offsetof<Flow>('bytesUpper0'));
  if (packets == 0)
    store<u32>(at, load<u32>(at, offsetof<Flow>('packetsUpper0')) + 1, offsetof<Flow>('packetsUpper0'));
  const overheadAt = changetype<usize>(f) + (<usize>direction << 1);
  const around = <i64>w.length - <i64>w.bytes;
  if (packets == 1 && around <= 0xffff && packetsOf(f, direction) == 1) {
    store<u16>(overheadAt, <u16>around, offsetof<Flow>('overhead0'));
  }
  const excess = around - <i64>load<u16>(overheadAt, offsetof<Flow>('overhead0'));
  if (excess != 0) {
    if (direction == 0) f.excess0 += excess;
    else f.excess1 += excess;
  }
  touch(f, w.time);
  const ends = load<i32>(at, offsetof<Flow>('endpoints0'));
  if (w.endpoints >= 0 ? ends != w.endpoints : ends <= 0 || !equals(endpoints, <u32>ends, changetype<usize>(w) + offsetof<Walked>('parent'), lengthOf(w.kindAndPort))) {
    if (ends >= 0) {
      store<u32>(scratch, f.path);
      store<i32>(scratch, ends, 4);
      intern(formerEndpoints, scratch, 2);
    }
    store<u32>(at, currentEndpoints(w), offsetof<Flow>('endpoints0'));
  }
  const set = w.optionsTo == 0 ? w.options : optionSetOf(w);
  if (set != 0) countPacketOptions(id, set);
}

/** Widens an entry's time span to hold a packet's time. */
export function touch(f: Flow, time: u64): void {
  if ((f.flags & Flag.timed) == 0) {
    f.flags |= Flag.timed;
    f.first = time;
    f.last = time;
  } else if (time >= f.last) {
    f.last = time;
  } else if (time < f.first) {
    f.first = time;
  }
}

/** How the options of a tunnel header lie: numbers from the fields of its protocol. */
@unmanaged
export class OptionList {
  table: u32;
  /** Bytes of an option's header. */
  minimum: u32;
  /** The byte with the length, its bits, and what one of them is worth. */
  lengthAt: u32;
  lengthMask: u32;
  lengthScale: u32;
  /** 24 bits: class and type. */
  keyAt: u32;
}

function optionSetOf(w: Walked): u32 {
  const list = changetype<OptionList>(w.options);
  let set: u32 = 0;
  let at: usize = w.optionsFrom;
  const to: usize = w.optionsTo;
  while (at + list.minimum <= to) {
    const size = list.minimum + (<u32>load<u8>(at + list.lengthAt) & list.lengthMask) * list.lengthScale;
    if (at + size > to) break;
    set = withOption(set, list.table, bswap<u32>(load<u32>(at + list.keyAt)) >>> 8);
    at += size;
  }
  return set;
}

/** The last answers of `withOption`, which nearly always is asked the same: set, table, option, answer + 1. */
let recent: usize = 0;
const RECENT: u32 = 512;

/** The set of `set` and one option more (class << 8 | type) of the family with number `table`. */
export function withOption(set: u32, table: u32, option: u32): u32 {
  const at = recent + <usize>((option + set * 37) & (RECENT - 1)) * 16;
  if (load<u32>(at, 8) == option && load<u32>(at) == set && load<u32>(at, 4) == table && load<u32>(at, 12) != 0)
    return load<u32>(at, 12) - 1;
  store<u32>(at, set);
  store<u32>(at, table, 4);
  store<u32>(at, option, 8);
  const answer = intern(optionSets, at, 3);
  store<u32>(at, answer + 1, 12);
  return answer;
}

export function countOptions(id: u32, set: u32, packets: f64): void {
  const f = flow(id);
  if (f.optionSet == 0) f.optionSet = set;
  if (f.optionSet != set) {
    countOtherSet(id, set, <i64>packets);
    return;
  }
  const sum = <i64>f.optionPackets + <i64>packets;
  f.optionPackets = <u32>sum;
  if (sum >> 32 != 0) countOtherSet(id, set, (sum >> 32) << 32);
}

/** Counts packets of a set beyond a flow's first, or whole 2^32 packets of that one. */
function countOtherSet(id: u32, set: u32, packets: i64): void {
  flow(id).flags |= Flag.moreOptions;
  store<u32>(scratch, id);
  store<u32>(scratch, set, 4);
  countPair(scratch, tagOfTuple(scratch, 2), packets);
}

/** Triples (flow, set beyond its first, tag) of packets that wait to be counted together: their cache misses overlap. */
let waitingPairs: usize = 0;
let pairs: u32 = 0;
const MOST_PAIRS: u32 = 16;

function countPacketOptions(id: u32, set: u32): void {
  const f = flow(id);
  if (f.optionSet == 0 || f.optionSet == set) {
    f.optionSet = set;
    if (++f.optionPackets == 0) countOtherSet(id, set, 1 << 32);
    return;
  }
  f.flags |= Flag.moreOptions;
  const at = waitingPairs + <usize>pairs * 12;
  store<u32>(at, id);
  store<u32>(at, set, 4);
  store<u32>(at, tagOfTuple(at, 2), 8);
  if (++pairs == MOST_PAIRS) countPairs();
}

/** Counts what waits. Returns a number that says nothing. */
export function countPairs(): u32 {
  if (pairs == 0) return 0;
  const to = waitingPairs + <usize>pairs * 12;
  let sum: u32 = 0;
  for (let at = waitingPairs; at < to; at += 12) sum += fetchSlot(otherSets, load<u32>(at, 8));
  for (let at = waitingPairs; at < to; at += 12) sum += fetchTuple(otherSets, fetchSlot(otherSets, load<u32>(at, 8)));
  for (let at = waitingPairs; at < to; at += 12) countPair(at, load<u32>(at, 8), 1);
  pairs = 0;
  return sum;
}

/** Counts packets of the (flow, set) at `key`. */
function countPair(key: usize, tag: u32, packets: i64): void {
  const id = load<u32>(key);
  const known = otherSets.used;
  const pair = internTagged(otherSets, key, 2, tag);
  const at = tuple(otherSets, pair);
  const before = load<i64>(at, 8);
  store<i64>(at, before + packets, 8);
  // The tuple of a removed flow, found again, is in no list; see `forgetOptions`.
  if (pair < known && before != ABSENT) return;
  if (before == ABSENT) store<i64>(at, packets, 8);
  store<u32>(at, 0, 16);
  store<u32>(scratch, id);
  store<u32>(scratch, 0, 4);
  const head = intern(otherSets, scratch, 2);
  const list = tuple(otherSets, head);
  const last = load<u32>(list, 8);
  store<u32>(last == 0 ? list : tuple(otherSets, last - 1), pair + 1, 16);
  store<u32>(list, pair + 1, 8);
}

const ABSENT: i64 = -1;

/** Empties the list of a flow's further sets. */
function forgetOptions(id: u32): void {
  let next = firstOtherSet(id);
  if (next == 0) return;
  store<u32>(scratch, id);
  store<u32>(scratch, 0, 4);
  const list = tuple(otherSets, intern(otherSets, scratch, 2));
  store<u64>(list, 0, 8);
  store<u32>(list, 0, 16);
  while (next != 0) {
    const at = tuple(otherSets, next - 1);
    next = load<u32>(at, 16);
    store<i64>(at, ABSENT, 8);
    store<u32>(at, 0, 16);
  }
}

/** Number + 1 of the first of a flow's further sets, 0 for none. */
export function firstOtherSet(id: u32): u32 {
  if ((flow(id).flags & Flag.moreOptions) == 0) return 0;
  store<u32>(scratch, id);
  store<u32>(scratch, 0, 4);
  return load<u32>(tuple(otherSets, intern(otherSets, scratch, 2)), 16);
}

/** Adds packets to one direction of `id`, or takes them away: what waited under another flow. */
export function adjust(id: u32, direction: u32, packets: f64, bytes: f64, outerBytes: f64): void {
  undefer(id);
  const f = flow(id);
  const at = changetype<usize>(f) + (<usize>direction << 2);
  const count = packetsOf(f, direction) + <u64><i64>packets;
  const sum = bytesOf(f, direction) + <u64><i64>bytes;
  store<u32>(at, <u32>count, offsetof<Flow>('packets0'));
  store<u32>(at, <u32>(count >> 32), offsetof<Flow>('packetsUpper0'));
  store<u32>(at, <u32>sum, offsetof<Flow>('bytes0'));
  store<u32>(at, <u32>(sum >> 32), offsetof<Flow>('bytesUpper0'));
  const overhead = <i64>(direction == 0 ? f.overhead0 : f.overhead1);
  const excess = <i64>outerBytes - <i64>bytes - <i64>packets * overhead;
  if (direction == 0) f.excess0 += excess;
  else f.excess1 += excess;
}

// TCP

function nanosecondsOf(time: u64): i64 {
  return <i64>(time >> 32) * 1_000_000_000 + <i64>(time & 0xffffffff);
}

const SYN: u32 = 2;
const RST: u32 = 4;
const ACK: u32 = 16;

export function takeSegment(id: u32, w: Walked): void {
  if (!analyses) return;
  const f = flow(id);
  if (f.tcp == 0) {
    if ((f.flags & Flag.deferred) == 0 && f.otherHalf == 0 && packetsOf(f, 0) + packetsOf(f, 1) == 1 && f.excess0 == 0 && f.excess1 == 0) {
      f.flags |= Flag.deferred;
      f.excess0 = <i64>((<u64>(<u32>w.sequence) << 32) | <u64>(<u32>w.acknowledgment));
      f.excess1 = <i64>((<u64>w.payload << 32) | (<u64>w.window << 16) | <u64>w.tcpFlags);
      if ((<u32>w.tcpFlags & (SYN | ACK | RST)) == SYN) setForward(f, w.direction);
      return;
    }
    tcpOf(id);
  }
  const opens = segment(f.tcp, w.direction, w.sequence, w.acknowledgment, w.tcpFlags, w.window, w.payload, nanosecondsOf(w.time));
  if (opens) {
    setForward(f, w.direction);
    if (f.otherHalf != 0) setForward(flow(f.otherHalf - 1), w.direction);
  }
}

function setForward(f: Flow, direction: u32): void {
  f.flags = (f.flags & ~Flag.forwardBA) | (direction == 1 ? Flag.forwardBA : 0);
}

/** The flow's TCP entry, made where it has none. */
function tcpOf(id: u32): usize {
  const f = flow(id);
  if (f.tcp == 0) {
    f.tcp = newTcp();
    if (f.otherHalf != 0) flow(f.otherHalf - 1).tcp = f.tcp;
  }
  return f.tcp;
}

/** Gives a flow whose only segment is kept in its entry a TCP entry that has seen it. */
export function undefer(id: u32): void {
  const f = flow(id);
  if ((f.flags & Flag.deferred) == 0) return;
  const numbers = <u64>f.excess0;
  const rest = <u64>f.excess1;
  f.flags &= ~Flag.deferred;
  f.excess0 = 0;
  f.excess1 = 0;
  replay(f, tcpOf(id), numbers, rest);
}

/** A flow's TCP entry to read; of a flow whose segment is kept in its entry, one that holds until the next call. 0 for none. */
export function tcpToRead(f: Flow): usize {
  if ((f.flags & Flag.deferred) == 0) return f.tcp;
  if (spareTcp == 0) spareTcp = newTcp();
  clear(spareTcp);
  replay(f, spareTcp, <u64>f.excess0, <u64>f.excess1);
  return spareTcp;
}
let spareTcp: usize = 0;

function replay(f: Flow, tcp: usize, numbers: u64, rest: u64): void {
  segment(
    tcp,
    f.packets1 > 0 ? 1 : 0,
    <i32>(numbers >> 32),
    <i32>numbers,
    <u32>rest & 0xffff,
    <u32>(rest >> 16) & 0xffff,
    <u32>(rest >> 32),
    nanosecondsOf(f.first),
  );
}

/** What `direction` of flow `id` sends next cannot be told: of its last segment only the beginning was in this frame. */
export function loseTrack(id: u32, direction: u32): void {
  undefer(id);
  if (flow(id).tcp != 0) lose(flow(id).tcp, direction);
}

// Conversations whose directions use different VNIs: each direction has an entry of its own, and the two are linked.
//
// Cilium puts the sender's identity in the VNI, so that the answers to a packet of VNI 20001 come in VNI 20002. Entries
// that have seen one direction only wait under (conversation, endpoints), whatever their path, for an entry of the other
// direction between the same tunnel endpoints; the latest is the one.

/** Tells whether two paths use the same protocols; only its host knows paths of several levels. */
@external('host', 'sameShape')
declare function sameShapeOfNested(a: u32, b: u32): bool;

/** Paths of one level say what they are: bit 30, the protocol's number, 24 bits of VNI. */
const DIRECT: u32 = 1 << 30;
function sameShape(a: u32, b: u32): bool {
  if ((a & b & DIRECT) != 0) return a >>> 24 == b >>> 24;
  if (((a | b) & DIRECT) != 0 && (a == 0 || b == 0)) return false;
  return sameShapeOfNested(a, b);
}

/** The same for both directions of a conversation between two endpoints, but not if one direction's endpoints are turned round. */
function halfTag(conversation: u64, ends: u32, direction: u32): u32 {
  const reversed = reverseEndpoints(ends);
  const low = ends < reversed ? ends : reversed;
  const high = ends < reversed ? reversed : ends;
  const turned = low == high ? 0 : direction ^ <u32>(ends == low);
  return tagOf(mix(mix(conversation, (<u64>low << 32) | <u64>high), <u64>turned));
}

/** Address of the slot of the half that waits in `direction` under `tag`, 0 where none does. */
function waitingSlot(tag: u32, direction: u32, w: Walked): usize {
  let slot = tag & halvesMask;
  while (true) {
    const at = halves + (<usize>slot << 3);
    const value = load<u32>(at, 4);
    if (value == 0) return 0;
    if (load<u32>(at) == tag && value >>> 31 == direction && sameConversation(flow((value & 0x7fffffff) - 1), w)) return at;
    slot = (slot + 1) & halvesMask;
  }
}

/** Links new entry `id` of packet `w` with its other half; where none waits, it waits for one. */
function join(id: u32, w: Walked): void {
  const direction = w.direction;
  const ends = currentEndpoints(w);
  const tag = halfTag(w.conversation, ends, direction);
  const at = waitingSlot(tag, 1 - direction, w);
  if (at != 0) {
    const other = (load<u32>(at, 4) & 0x7fffffff) - 1;
    if (isHalf(other, 1 - direction, reverseEndpoints(ends), w.path)) {
      undefer(other);
      const f = flow(id);
      const o = flow(other);
      f.otherHalf = other + 1;
      o.otherHalf = id + 1;
      f.flags = (f.flags & ~Flag.forwardBA) | (o.flags & Flag.forwardBA);
      f.tcp = o.tcp;
      return;
    }
  }
  offer(id, tag, direction, w);
}

function isHalf(id: u32, direction: u32, ends: u32, path: u32): bool {
  const f = flow(id);
  return (
    packetsOf(f, direction) > 0 &&
    packetsOf(f, 1 - direction) == 0 &&
    f.otherHalf == 0 &&
    endpointsOf(f, direction) == <i32>ends &&
    sameShape(f.path, path)
  );
}

/** Lets `id`, all of whose packets went in `direction`, be found as a half by those of the other one. */
function offer(id: u32, tag: u32, direction: u32, w: Walked): void {
  const value = (id + 1) | (direction << 31);
  const at = waitingSlot(tag, direction, w);
  if (at != 0) {
    store<u32>(at, value, 4);
    return;
  }
  if (++waiting > halvesMask - (halvesMask >>> 2)) {
    halves = doubled(halves, halvesMask);
    halvesMask = (halvesMask << 1) | 1;
  }
  put(halves, halvesMask, tag, value);
}

/**
 * A packet in `direction` has come for `id`, which had the other direction only: it is whole by itself, and what was
 * taken for its other half is another conversation, whose own half may be still to come.
 */
function part(id: u32, direction: u32): void {
  const other = flow(id).otherHalf - 1;
  separate(id);
  const o = flow(other);
  const w = keyOf(other);
  offer(other, halfTag(w.conversation, <u32>endpointsOf(o, direction), direction), direction, w);
}

let keyWalked: usize = 0;
/** The key of an entry, in a place that is used again. */
function keyOf(id: u32): Walked {
  if (keyWalked == 0) keyWalked = allocate(WALKED);
  const f = flow(id);
  const w = changetype<Walked>(keyWalked);
  memory.copy(keyWalked, changetype<usize>(f), 20);
  if (f.rest != 0) memory.copy(keyWalked + offsetof<Walked>('restA0'), f.rest, 24);
  w.status = Status.portless; // in order already
  order(w);
  return w;
}

/** Undoes what `join` did to `id`. */
export function separate(id: u32): void {
  const other = flow(id).otherHalf - 1;
  const younger = id > other ? id : other;
  apart(id, younger);
  apart(other, younger);
}

function apart(half: u32, younger: u32): void {
  const f = flow(half);
  const direction: u32 = packetsOf(f, 1) > 0 ? 1 : 0;
  f.otherHalf = 0;
  setForward(f, direction);
  if (half == younger && f.tcp != 0) f.tcp = split(f.tcp, direction);
}

// The life of flows: entries that have timed out are found, read by the host, and removed.

/** Where the search for timed-out entries goes on. */
let swept: u32 = 0;

/** True where the entry has packets, or is half of one that has. */
function isLive(f: Flow): bool {
  return (f.flags & Flag.removed) == 0;
}

/**
 * Looks at up to `looks` entries, from where the last call stopped and round again, for those whose last packet came
 * before `idle` or whose first came before `active`. Stores at most `room` of their numbers at `to`; returns how many.
 */
export function timedOut(idle: u64, active: u64, looks: u32, to: usize, room: u32): u32 {
  let found: u32 = 0;
  for (let i: u32 = 0; i < looks && i < used && found < room; i++) {
    if (swept >= used) swept = 0;
    const id = swept++;
    const f = flow(id);
    if (!isLive(f) || (f.flags & Flag.timed) == 0) continue;
    const other = f.otherHalf == 0 ? f : flow(f.otherHalf - 1);
    // Of two halves the earlier stands for both.
    if (f.otherHalf != 0 && f.otherHalf - 1 < id) continue;
    const last = other.last > f.last ? other.last : f.last;
    const first = other.first < f.first ? other.first : f.first;
    if (last >= idle && first >= active) continue;
    store<u32>(to + (<usize>found << 2), id);
    found++;
  }
  return found;
}

/** Removes an entry and its other half. What they hold is used for other flows. */
export function remove(id: u32): void {
  const other = flow(id).otherHalf;
  if (other != 0) {
    const o = flow(other - 1);
    if (o.tcp == flow(id).tcp) o.tcp = 0;
    removeOne(other - 1);
  }
  removeOne(id);
  if (waiting > 4096 && waiting > 2 * live) sweepHalves();
}

function removeOne(id: u32): void {
  const f = flow(id);
  unlink(keyOf(id).tag, id + 1);
  forgetOptions(id);
  if (f.tcp != 0) freeTcp(f.tcp);
  if (f.rest != 0) {
    store<usize>(f.rest, freeRest);
    freeRest = f.rest;
  }
  memory.fill(changetype<usize>(f), 0, FLOW);
  f.flags = Flag.removed;
  f.otherHalf = free;
  free = id + 1;
  live--;
}

/** Takes an entry out of the index; those that a search for them would miss then move up. */
function unlink(tag: u32, value: u32): void {
  let slot = tag & indexMask;
  while (load<u32>(index + (<usize>slot << 3), 4) != value) slot = (slot + 1) & indexMask;
  let hole = slot;
  while (true) {
    slot = (slot + 1) & indexMask;
    const at = index + (<usize>slot << 3);
    if (load<u32>(at, 4) == 0) break;
    const home = load<u32>(at) & indexMask;
    if (((slot - home) & indexMask) < ((slot - hole) & indexMask)) continue;
    store<u64>(index + (<usize>hole << 3), load<u64>(at));
    hole = slot;
  }
  store<u64>(index + (<usize>hole << 3), 0);
}

/** Makes the table of halves anew, with those alone that still wait. */
function sweepHalves(): void {
  const old = halves;
  const size = (<usize>halvesMask + 1) << 3;
  halves = allocateTable(size);
  waiting = 0;
  for (let i: usize = 0; i <= <usize>halvesMask; i++) {
    const value = load<u32>(old + (i << 3), 4);
    if (value == 0) continue;
    const id = (value & 0x7fffffff) - 1;
    const direction = value >>> 31;
    const f = flow(id);
    if (!isLive(f) || f.otherHalf != 0 || endpointsOf(f, direction) < 0) continue;
    const tag = halfTag(keyOf(id).conversation, <u32>endpointsOf(f, direction), direction);
    if (tag != load<u32>(old + (i << 3))) continue;
    waiting++;
    put(halves, halvesMask, tag, value);
  }
  release(old, size);
}

/** Flows as lines of JSON; the shape is docs/schema's `flow`, and this is where it is made. */
import {
  bytesOf,
  ENDPOINT_WORDS,
  endpoints,
  firstOtherSet,
  Flag,
  Flow,
  flow,
  optionSets,
  otherSets,
  outerBytesOf,
  packetsOf,
  reverseEndpoints,
  size,
  tcpToRead,
} from './flows';
import { tuple } from './interner';
import { allocate } from './memory';
import { conversation, countOf, newTcp, side } from './tcp';
import {
  begin,
  place,
  prepareText,
  put,
  putByte,
  putBytes,
  putIpv4,
  putIpv6,
  putMac,
  putNumber,
  putSeconds,
  putTime,
} from './text';

/** Text of the tunnels of a path of several levels. Each of these writes to `to` and returns the length. */
@external('host', 'tunnelsText')
declare function tunnelsText(path: u32, ends: u32, to: usize): u32;
/** Innermost VNI of a path of several levels, -1 for none. */
@external('host', 'vniOf')
declare function vniOf(path: u32): f64;
/** Address of address and length of an option's text up to the number of packets. */
@external('host', 'optionText')
declare function optionText(table: u32, option: u32): usize;

/** Text that the host has prepared. */
@unmanaged
class Text {
  at: usize;
  length: u32;
}
/** By protocol number. */
@unmanaged
class Name {
  at: usize;
  length: u32;
  /** `PORTS`, `CONVERSATION`. */
  traits: u32;
}
const PORTS: u32 = 1;
const CONVERSATION: u32 = 2;
const NO_PROTOCOL: u32 = 0xffff;
const DIRECT: u32 = 1 << 30;
/** Bit beside the type in the upper half of a `conversation` number: the lower half is an identifier. */
const HAS_IDENTIFIER: u32 = 0x100;

let names: usize = 0;
let tunnelNames: usize = 0;

export function setNames(protocols: usize, tunnels: usize): void {
  names = protocols;
  tunnelNames = tunnels;
  if (noCounts != 0) return;
  prepareText();
  noCounts = allocate(NO_COUNTS);
  begin(noCounts);
  putCounts(newTcp(), 0, 0);
  noCountsLength = <u32>(place() - noCounts);
}

/** Text of the counts of a conversation without trouble, as most are. */
let noCounts: usize = 0;
let noCountsLength: u32 = 0;
const NO_COUNTS: usize = 256;

/** The other half of the flow, -1 where there is none. */
export function otherHalf(id: u32): i32 {
  const f = flow(id);
  return (f.flags & Flag.removed) != 0 ? -1 : <i32>f.otherHalf - 1;
}

/** Entry of the flow's packets in `direction`. */
export function half(id: u32, direction: u32): u32 {
  const other = otherHalf(id);
  return other >= 0 && packetsOf(flow(id), direction) == 0 ? <u32>other : id;
}

/** Entries that lost all their packets are no flows, and of two halves of one the earlier stands for both. */
export function isFlow(id: u32): bool {
  const f = flow(id);
  if ((f.flags & Flag.removed) != 0) return false;
  const other = otherHalf(id);
  if (other >= 0 && <u32>other < id) return false;
  return (f.packets0 | f.packets1 | f.packetsUpper0 | f.packetsUpper1) != 0 || other >= 0;
}

/** How many flows there are. */
export function flows(): u32 {
  let count: u32 = 0;
  for (let id: u32 = 0; id < size(); id++) if (isFlow(id)) count++;
  return count;
}

export function forwardOf(id: u32): u32 {
  return flow(id).flags & Flag.forwardBA;
}

export function firstOf(id: u32): u64 {
  const other = otherHalf(id);
  const first = flow(id).first;
  return other >= 0 && flow(<u32>other).first < first ? flow(<u32>other).first : first;
}
export function lastOf(id: u32): u64 {
  const other = otherHalf(id);
  const last = flow(id).last;
  return other >= 0 && flow(<u32>other).last > last ? flow(<u32>other).last : last;
}
/** Nanoseconds. */
export function durationOf(id: u32): i64 {
  const first = firstOf(id);
  const last = lastOf(id);
  const seconds = <i64>(last >> 32) - <i64>(first >> 32);
  return seconds * 1_000_000_000 + <i64>(last & 0xffffffff) - <i64>(first & 0xffffffff);
}

/** Innermost VNI of a path, -1 for none. */
export function vniOfPath(path: u32): f64 {
  return path == 0 ? -1 : (path & DIRECT) != 0 ? <f64>(path & 0xffffff) : vniOf(path);
}

export namespace Sort {
  export const bytes: u32 = 0;
  export const packets: u32 = 1;
  export const first: u32 = 2;
  export const last: u32 = 3;
  export const duration: u32 = 4;
  export const vni: u32 = 5;
  export const retransmissions: u32 = 6;
}

/** What flows are put in order by, largest first. */
export function sortKey(id: u32, by: u32): f64 {
  const there = flow(half(id, 0));
  const back = flow(half(id, 1));
  switch (by) {
    case Sort.bytes:
      return <f64>(bytesOf(there, 0) + bytesOf(back, 1));
    case Sort.packets:
      return <f64>(packetsOf(there, 0) + packetsOf(back, 1));
    case Sort.first:
      return -inSeconds(firstOf(id));
    case Sort.last:
      return inSeconds(lastOf(id));
    case Sort.duration:
      return <f64>durationOf(id);
    case Sort.vni:
      return -vniOfPath(flow(half(id, forwardOf(id))).path);
    default: {
      const tcp = tcpToRead(flow(id));
      return tcp == 0 ? 0 : <f64>countOf(tcp, 0, 0) + <f64>countOf(tcp, 1, 0);
    }
  }
}

function inSeconds(time: u64): f64 {
  return <f64>(time >> 32) + <f64>(time & 0xffffffff) / 1e9;
}

function putVni(vni: f64): void {
  if (vni < 0) put('null');
  else putNumber(<u64>vni);
}

function putAddress(kind: u32, a: u32, b: u32, c: u32, d: u32): void {
  if (kind == 0) {
    put('null');
    return;
  }
  putByte(34);
  if (kind == 1) putIpv4(a);
  else if (kind == 2) putIpv6(a, b, c, d);
  else putMac(a, b);
  putByte(34);
}

function putEnd(f: Flow, end: u32): void {
  const at = changetype<usize>(f) + (<usize>end << 2);
  const kind = f.identity >>> 16;
  if (f.rest == 0) {
    putAddress(kind, load<u32>(at), 0, 0, 0);
    return;
  }
  const rest = f.rest + (end == 0 ? 0 : 12);
  putAddress(kind, load<u32>(at), load<u32>(rest), load<u32>(rest, 4), load<u32>(rest, 8));
}

function putTunnels(id: u32, forward: u32): void {
  const f = flow(half(id, forward));
  const path = f.path;
  if (path == 0) {
    put('[]');
    return;
  }
  const seen = forward == 0 ? f.endpoints0 : f.endpoints1;
  const other = forward == 0 ? flow(id).endpoints1 : flow(id).endpoints0;
  const ends = seen >= 0 ? <u32>seen : reverseEndpoints(other > 0 ? <u32>other : 0);
  if ((path & DIRECT) == 0) {
    begin(place() + tunnelsText(path, ends, place()));
    return;
  }
  const name = changetype<Text>(tunnelNames + <usize>((path >>> 24) & 63) * offsetof<Text>());
  put('[{"protocol":');
  putBytes(name.at, name.length);
  put(',"vni":');
  putNumber(path & 0xffffff);
  if (ends == 0) {
    put(',"src":null,"dst":null,"dstPort":null}]');
    return;
  }
  const at = endpoints.words + <usize>ends * ((ENDPOINT_WORDS + 1) << 2);
  const kindAndPort = load<u32>(at, 4);
  const kind = kindAndPort >>> 16;
  put(',"src":');
  putAddress(kind, load<u32>(at, 8), load<u32>(at, 16), load<u32>(at, 24), load<u32>(at, 32));
  put(',"dst":');
  putAddress(kind, load<u32>(at, 12), load<u32>(at, 20), load<u32>(at, 28), load<u32>(at, 36));
  put(',"dstPort":');
  if ((kindAndPort & 0xffff) == 0) put('null');
  else putNumber(kindAndPort & 0xffff);
  put('}]');
}

/** Kinds of option that a record lists at most: a sender can make up 2^24. */
const LISTED: u32 = 1000;
/** Options of the flow at hand: (table, option, packets in two words), and how many. */
let listed: usize = 0;
let listedCount: u32 = 0;
const LISTED_SIZE: usize = 16;

/** Adds the options of a set, each of which counts once for a packet. */
function addSet(set: u32, packets: u64): void {
  if (packets == 0) return;
  for (let rest = set; rest != 0; rest = load<u32>(tuple(optionSets, rest))) {
    if (!isRepeated(set, rest)) addOption(load<u32>(tuple(optionSets, rest), 4), load<u32>(tuple(optionSets, rest), 8), packets);
  }
}

/** True where the option that `rest` ends with is also further on in `set`. */
function isRepeated(set: u32, rest: u32): bool {
  const option = load<u64>(tuple(optionSets, rest), 4);
  for (let at = set; at != rest; at = load<u32>(tuple(optionSets, at))) {
    if (load<u64>(tuple(optionSets, at), 4) == option) return true;
  }
  return false;
}

function addOption(table: u32, option: u32, packets: u64): void {
  for (let i: u32 = 0; i < listedCount; i++) {
    const at = listed + <usize>i * LISTED_SIZE;
    if (load<u32>(at) == table && load<u32>(at, 4) == option) {
      store<u64>(at, load<u64>(at, 8) + packets, 8);
      return;
    }
  }
  if (listedCount == LISTED) return;
  const at = listed + <usize>listedCount * LISTED_SIZE;
  listedCount++;
  store<u32>(at, table);
  store<u32>(at, option, 4);
  store<u64>(at, packets, 8);
}

function addOptions(id: u32): void {
  const f = flow(id);
  addSet(f.optionSet, f.optionPackets);
  for (let next = firstOtherSet(id); next != 0; ) {
    const at = tuple(otherSets, next - 1);
    addSet(load<u32>(at, 4), load<u64>(at, 8));
    next = load<u32>(at, 16);
  }
}

function putOptions(id: u32): void {
  const other = otherHalf(id);
  if (flow(id).optionSet == 0 && (other < 0 || flow(<u32>other).optionSet == 0)) {
    put('[]');
    return;
  }
  if (listed == 0) listed = allocate(<usize>LISTED * LISTED_SIZE);
  listedCount = 0;
  addOptions(id);
  if (other >= 0) addOptions(<u32>other);
  putByte(91);
  for (let i: u32 = 0; i < listedCount; i++) {
    const at = listed + <usize>i * LISTED_SIZE;
    const text = changetype<Text>(optionText(load<u32>(at), load<u32>(at, 4)));
    if (i > 0) putByte(44);
    putBytes(text.at, text.length);
    putNumber(load<u64>(at, 8));
    putByte(125);
  }
  putByte(93);
}

const STATES: StaticArray<string> = [
  'midstream',
  'syn-sent',
  'syn-received',
  'established',
  'closing',
  'closed',
  'reset',
];

function putCount(tcp: usize, first: u32, last: u32, count: u32): void {
  let sum = <u64>countOf(tcp, first, count);
  if (first != last) sum += <u64>countOf(tcp, last, count);
  putNumber(sum);
}

/** Counts of one direction, or the sums of both. */
function putCounts(tcp: usize, first: u32, last: u32): void {
  if (conversation(tcp).trouble == 0 && noCountsLength != 0) {
    putBytes(noCounts, noCountsLength);
    return;
  }
  put('"retransmissions":');
  putCount(tcp, first, last, 0);
  put(',"outOfOrder":');
  putCount(tcp, first, last, 1);
  put(',"duplicateAcks":');
  putCount(tcp, first, last, 2);
  put(',"lostSegments":');
  putCount(tcp, first, last, 3);
  put(',"keepAlives":');
  putCount(tcp, first, last, 4);
  put(',"zeroWindows":');
  putCount(tcp, first, last, 5);
  put(',"resets":');
  putCount(tcp, first, last, 6);
}

function putSide(tcp: usize, direction: u32): void {
  putByte(123);
  putCounts(tcp, direction, direction);
  put(',"ackTime":');
  const s = side(tcp, direction);
  if (s.timings == 0) put('null');
  else putSeconds(<i64>Math.floor(<f64>s.timeSum / <f64>s.timings + 0.5));
  putByte(125);
}

function putTcp(tcp: usize, forward: u32): void {
  const c = conversation(tcp);
  put(',"tcp":{"state":"');
  put(unchecked(STATES[c.state]));
  put('","connections":');
  putNumber(c.connections);
  put(',"rtt":');
  if (c.rtt > 0) putSeconds(c.rtt);
  else put('null');
  putByte(44);
  putCounts(tcp, 0, 1);
  put(',"forward":');
  putSide(tcp, forward);
  put(',"reverse":');
  putSide(tcp, 1 - forward);
  putByte(125);
}

function putDirection(packets: u64, bytes: u64): void {
  put('{"packets":');
  putNumber(packets);
  put(',"bytes":');
  putNumber(bytes);
  putByte(125);
}

function putPort(has: bool, port: u32): void {
  if (has) putNumber(port);
  else put('null');
}

/** Writes flow `id` at `to`. Returns the length. */
export function flowText(id: u32, to: usize): u32 {
  begin(to);
  const f = flow(id);
  const forward = forwardOf(id);
  const back = 1 - forward;
  const there = flow(half(id, forward));
  const reverse = flow(half(id, back));
  const protocol = f.identity & 0xffff;
  const traits = protocol == NO_PROTOCOL ? 0 : changetype<Name>(names + <usize>protocol * offsetof<Name>()).traits;

  put('{"type":"flow","schema":1,"vni":');
  const vni = vniOfPath(there.path);
  const reverseVni = vniOfPath(reverse.path);
  putVni(vni);
  put(',"reverseVni":');
  putVni(reverseVni == vni ? -1 : reverseVni);
  put(',"tunnels":');
  putTunnels(id, forward);
  put(',"protocol":');
  if (protocol == NO_PROTOCOL) {
    put('null');
  } else {
    const name = changetype<Name>(names + <usize>protocol * offsetof<Name>());
    putBytes(name.at, name.length);
  }
  // A later fragment whose first one was not seen has a protocol with ports, but no ports.
  const hasPorts = (traits & PORTS) != 0 && f.ports != 0;
  put(',"src":');
  putEnd(f, forward);
  put(',"srcPort":');
  putPort(hasPorts, forward == 0 ? f.ports >>> 16 : f.ports & 0xffff);
  put(',"dst":');
  putEnd(f, back);
  put(',"dstPort":');
  putPort(hasPorts, forward == 0 ? f.ports & 0xffff : f.ports >>> 16);
  const packets = packetsOf(there, forward);
  const reversePackets = packetsOf(reverse, back);
  const bytes = bytesOf(there, forward);
  const reverseBytes = bytesOf(reverse, back);
  put(',"packets":');
  putNumber(packets + reversePackets);
  put(',"bytes":');
  putNumber(bytes + reverseBytes);
  put(',"forward":');
  putDirection(packets, bytes);
  put(',"reverse":');
  putDirection(reversePackets, reverseBytes);
  put(',"outerBytes":');
  putNumber(outerBytesOf(there, forward) + outerBytesOf(reverse, back));
  put(',"first":"');
  putTime(firstOf(id));
  put('","last":"');
  putTime(lastOf(id));
  put('","duration":');
  putSeconds(durationOf(id));
  put(',"options":');
  putOptions(id);
  const tcp = tcpToRead(f);
  if (tcp != 0) putTcp(tcp, forward);
  // Of a later fragment alone the type is not known.
  if ((traits & CONVERSATION) != 0 && f.ports != 0) {
    put(',"icmp":{"type":');
    putNumber((f.ports >>> 16) & 0xff);
    put(',"id":');
    putPort(((f.ports >>> 16) & HAS_IDENTIFIER) != 0, f.ports & 0xffff);
    putByte(125);
  }
  putByte(125);
  return <u32>(place() - to);
}

/** Where `flowLines` stopped. */
export let nextFlow: u32 = 0;

/** Writes flows from `id` on, a line each, to `to` as long as `room` bytes are left. Returns the length. */
export function flowLines(id: u32, to: usize, room: u32): u32 {
  const count = size();
  let at = to;
  const end = to + room;
  while (id < count && at < end) {
    if (isFlow(id)) {
      at += flowText(id, at);
      store<u8>(at++, 10);
    }
    id++;
  }
  nextFlow = id;
  return <u32>(at - to);
}

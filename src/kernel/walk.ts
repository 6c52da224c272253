/**
 * The walk of plain packets: those whose every layer is as the `plain` part of its protocol's description says. It leaves
 * what flow accounting needs of each; every other packet is left to the general walk.
 */
import { order, OptionList, Status, Walked, WALKED } from './flows';
import { be16, be32 } from './memory';

/** The plain description of a protocol, as numbers. Offsets are from the start of the layer. */
@unmanaged
export class Row {
  /** Bytes of the fixed header. */
  minimum: u32;
  role: u32;
  /** Kind of address, in bits 16 and 17. */
  kind: u32;
  /** Addresses or ports: source, and destination right behind it. */
  pairAt: u32;
  /** The eight bytes at `checkAt`, as far as `checkMask` goes, are `checkValue`: bytes as they lie. */
  checkMask: u64;
  checkValue: u64;
  checkAt: u32;
  /** Header length: the byte at `headerAt`, masked, shifted, times `headerScale`, plus `headerPlus`; mask 0: fixed. */
  headerAt: u32;
  headerMask: u32;
  headerShift: u32;
  headerScale: u32;
  headerPlus: u32;
  /** Length of the layer: 16 bits at `totalAt`, plus `totalPlus`; 0 bits say nothing. -1 for layers without. */
  totalAt: i32;
  totalPlus: u32;
  next: u32;
  nextAt: u32;
  /** Smallest type that is one. */
  nextLeast: u32;
  /** Numbers of protocols by key (16 bits each), or the number itself. */
  nextTable: usize;
  /** Tunnels: 24 bits, and bit 30 and the name's number for the path. */
  vniAt: u32;
  pathBits: u32;
  /** Where options begin, and how they lie; 0 for none. */
  optionsFrom: u32;
  options: usize;
  /** TCP: behind its ports lie sequence and acknowledgment number, flags and window; the bits that are flags, 0 for others. */
  flagsMask: u32;
  /** Echoes: the types of requests and replies, and what tells conversations apart but for the identifier. */
  typeAt: u32;
  request: u32;
  reply: u32;
  identifierAt: u32;
  conversation: u32;
}

namespace Role {
  export const none: u32 = 0;
  export const ether: u32 = 1;
  export const network: u32 = 2;
  export const ports: u32 = 3;
  export const tunnel: u32 = 4;
  export const echo: u32 = 5;
}

namespace Next {
  export const byte: u32 = 0;
  export const type: u32 = 1;
  export const fixed: u32 = 2;
  export const ports: u32 = 3;
}

const MAX_LENGTH: u32 = 0x3fffffff;
const MAX_LAYERS: u32 = 32;
const IPV6: u32 = 2 << 16;

/** In tables of protocols by port: there is none, and only the host can tell. */
const NONE: i32 = -1;
const ASK: i32 = -2;

/** Addresses of rows by protocol number, 0 where a protocol has no plain description. */
let rows: usize = 0;
/** VNIs do not enter paths. */
let withoutPath: bool = false;

export function setRows(at: usize, ignoreVni: bool): void {
  rows = at;
  withoutPath = ignoreVni;
}

/** A block of packets: addresses of its bytes and of the columns of its index. */
@unmanaged
export class Batch {
  bytes: usize;
  /** i32: offset in `bytes`, captured bytes. */
  offset: usize;
  captured: usize;
  /** f64: bytes on the wire. */
  length: usize;
  /** f64 and i32. */
  seconds: usize;
  nanoseconds: usize;
  /** i32: number of the interface. */
  interfaceIndex: usize;
  /** i32 by interface: number of the protocol that its frames begin with, -1 for none. */
  roots: usize;
  /** `Walked` by packet. */
  walked: usize;
  /** By share, the packets that it accounts; 0 where one share has them all. See `List`. */
  lists: usize;
}

/** Numbers of a share's packets (u16), in order, behind how many there are. */
export namespace List {
  export const BEGIN: usize = 4;
  export const SIZE: usize = 4 + 2 * 4096;
}

function enlist(list: usize, number: u32): void {
  const count = load<u32>(list);
  store<u16>(list + (<usize>count << 1), <u16>number, List.BEGIN);
  store<u32>(list, count + 1);
}

/** Which of `parts` equal shares of the conversations this instance keeps. */
let share: u32 = 0;
let shares: u32 = 1;

export function setShare(which: u32, parts: u32): void {
  share = which;
  shares = parts;
}

function shareOf(w: Walked): u32 {
  return <u32>((w.conversation >> 32) * <u64>shares >> 32);
}

export function isMine(w: Walked): bool {
  return shares == 1 || shareOf(w) == share;
}

/** Packets whose headers are fetched together: misses of a group overlap. */
const AHEAD: u32 = 16;
/** Keeps loads that are made for their cache lines alone from being optimised away. */
export let fetched: u32 = 0;

/** Reads a byte of each of the first three cache lines: outer headers, tunnel, inner headers. */
function fetch(batch: Batch, from: u32, to: u32): void {
  let sum: u32 = 0;
  for (let i = from; i < to; i++) {
    const frame = batch.bytes + load<u32>(batch.offset + (<usize>i << 2));
    sum += <u32>load<u8>(frame) + <u32>load<u8>(frame, 64) + <u32>load<u8>(frame, 128);
  }
  fetched += sum;
}

/** Walks the packets [from, to) of a batch. Returns how many of them are cut right behind their last header. */
export function walk(batch: Batch, from: u32, to: u32): u32 {
  let truncated: u32 = 0;
  const lists = batch.lists;
  if (lists != 0) for (let s: u32 = 0; s < shares; s++) store<u32>(lists + <usize>s * List.SIZE, 0);
  for (let i = from; i < to; i++) {
    if (((i - from) & (AHEAD - 1)) == 0) fetch(batch, i, i + AHEAD < to ? i + AHEAD : to);
    const four = <usize>i << 2;
    const eight = <usize>i << 3;
    const w = changetype<Walked>(batch.walked + <usize>i * WALKED);
    const root = load<i32>(batch.roots + (<usize>load<u32>(batch.interfaceIndex + four) << 2));
    const status =
      root < 0
        ? Status.left
        : plain(
            w,
            batch.bytes + load<u32>(batch.offset + four),
            load<u32>(batch.captured + four),
            <u32>load<f64>(batch.length + eight),
            <u32>root,
          );
    w.status = status;
    if (status == Status.left) {
      // Every share's host reads it for itself.
      if (lists != 0) for (let s: u32 = 0; s < shares; s++) enlist(lists + <usize>s * List.SIZE, i);
      continue;
    }
    w.time = timeOf(load<f64>(batch.seconds + eight), load<i32>(batch.nanoseconds + four));
    if ((status & Status.truncated) != 0) truncated++;
    order(w);
    if (lists != 0) enlist(lists + <usize>shareOf(w) * List.SIZE, i);
  }
  return truncated;
}

/** Seconds that do not fit count as the first or last moment that does. */
export function timeOf(seconds: f64, nanoseconds: u32): u64 {
  if (seconds < 0) return 0;
  if (seconds > 4294967295) return ((<u64>0xffffffff) << 32) | 999_999_999;
  return (<u64>seconds << 32) | <u64>nanoseconds;
}

function plain(w: Walked, frame: usize, captured: u32, length: u32, root: u32): u32 {
  let end = captured;
  let limit = length < captured ? captured : length > MAX_LENGTH ? MAX_LENGTH : length;
  let at: u32 = 0;
  let protocol = root;
  let inner: u32 = 0;
  let network: usize = 0;
  let networkRow = changetype<Row>(0);
  w.path = 0;
  w.endpoints = 0;
  w.options = 0;
  w.optionsTo = 0;
  let tunnelled = false;
  let transport = false;
  for (let layers: u32 = 0; layers < MAX_LAYERS; layers++) {
    const row = changetype<Row>(load<usize>(rows + (<usize>protocol << 2)));
    if (changetype<usize>(row) == 0 || end - at < row.minimum) return Status.left;
    const p = frame + at;
    if ((load<u64>(p + row.checkAt) & row.checkMask) != row.checkValue) return Status.left;
    let header = row.minimum;
    if (row.headerMask != 0) {
      header = ((<u32>load<u8>(p + row.headerAt) & row.headerMask) >>> row.headerShift) * row.headerScale + row.headerPlus;
      if (header < row.minimum) return Status.left;
    }
    if (row.totalAt >= 0) {
      const value = be16(p + row.totalAt);
      if (value != 0) {
        const total = value + row.totalPlus;
        if (total < header) return Status.left;
        if (at + total < limit) {
          limit = at + total;
          if (limit < end) end = limit;
        }
      }
    }
    const body = at + header;
    if (body > end) return Status.left;

    if (row.role == Role.network) {
      // IP whose section already has IP is IP-in-IP.
      if (network != 0 && networkRow.role == Role.network) return Status.left;
      network = p;
      networkRow = row;
    } else if (row.role == Role.ether) {
      network = p;
      networkRow = row;
    } else if (row.role == Role.ports) {
      if (network == 0 || networkRow.role != Role.network) return Status.left;
      const head = words(v128.load(p + row.pairAt));
      const ports = v128.extract_lane<u32>(head, 0);
      const destination = ports & 0xffff;
      let next = NONE;
      if (body < end) {
        next = <i32>load<i16>(row.nextTable + (<usize>destination << 1));
        if (next == ASK || next < 0 && load<i16>(row.nextTable + (<usize>(ports >>> 16) << 1)) >= 0) return Status.left;
      }
      if (next < 0) {
        // The last layer: nothing above transport is walked.
        let status: u32 = body == end && body < limit ? Status.truncated : 0;
        w.ports = ports;
        w.identity = networkRow.kind | protocol;
        addresses(w, networkRow, network);
        w.bytes = length > inner ? length - inner : 0;
        w.length = length;
        if (row.flagsMask != 0) {
          status |= Status.tcp;
          w.sequence = v128.extract_lane<i32>(head, 1);
          w.acknowledgment = v128.extract_lane<i32>(head, 2);
          w.tcpFlags = <u16>(v128.extract_lane<u32>(head, 3) >>> 16 & row.flagsMask);
          w.window = <u16>v128.extract_lane<u32>(head, 3);
          w.payload = limit - body;
        }
        return status;
      }
      protocol = <u32>next;
      transport = true;
      w.kindAndPort = networkRow.kind | destination;
      at = body;
      continue;
    } else if (row.role == Role.tunnel) {
      if (tunnelled || !transport) return Status.left;
      tunnelled = true;
      w.endpoints = -1;
      w.parent = 0;
      ends(w, networkRow, network);
      if (!withoutPath) w.path = row.pathBits | (be32(p + row.vniAt) >>> 8);
      if (row.options != 0 && header > row.minimum) {
        w.optionsFrom = <u32>(p + row.optionsFrom);
        w.optionsTo = <u32>(frame + body);
        w.options = <u32>row.options;
      }
      inner = body;
      network = 0;
      transport = false;
    }
    if (row.role == Role.echo) {
      const type = <u32>load<u8>(p + row.typeAt);
      if (network == 0 || networkRow.role != Role.network || end - at < row.identifierAt + 4) return Status.left;
      if (type != row.request && type != row.reply) return Status.left;
      w.ports = row.conversation | be16(p + row.identifierAt);
      w.identity = networkRow.kind | protocol;
      addresses(w, networkRow, network);
      w.bytes = length > inner ? length - inner : 0;
      w.length = length;
      return Status.portless;
    }
    if (body == end) return Status.left;

    if (row.next == Next.byte) {
      protocol = <u32>(<i32>load<i16>(row.nextTable + (<usize>load<u8>(p + row.nextAt) << 1)));
    } else if (row.next == Next.type) {
      const type = be16(p + row.nextAt);
      if (type < row.nextLeast) return Status.left;
      protocol = <u32>(<i32>load<i16>(row.nextTable + (<usize>type << 1)));
    } else {
      protocol = <u32>row.nextTable;
    }
    if (<i32>protocol < 0) return Status.left;
    at = body;
  }
  return Status.left;
}

function addresses(w: Walked, row: Row, p: usize): void {
  const pair = p + row.pairAt;
  if (row.kind != IPV6) {
    v128.store64_lane(changetype<usize>(w) + offsetof<Walked>('a'), words(v128.load64_zero(pair)), 0);
    return;
  }
  const source = words(v128.load(pair));
  const destination = words(v128.load(pair + 16));
  w.a = v128.extract_lane<i32>(source, 0);
  w.b = v128.extract_lane<i32>(destination, 0);
  w.restA0 = v128.extract_lane<i32>(source, 1);
  w.restA1 = v128.extract_lane<i32>(source, 2);
  w.restA2 = v128.extract_lane<i32>(source, 3);
  w.restB0 = v128.extract_lane<i32>(destination, 1);
  w.restB1 = v128.extract_lane<i32>(destination, 2);
  w.restB2 = v128.extract_lane<i32>(destination, 3);
}

function ends(w: Walked, row: Row, p: usize): void {
  const pair = p + row.pairAt;
  const to = changetype<usize>(w) + offsetof<Walked>('ends0');
  if (row.kind != IPV6) {
    v128.store64_lane(to, words(v128.load64_zero(pair)), 0);
    return;
  }
  const source = words(v128.load(pair));
  const destination = words(v128.load(pair + 16));
  // Words of source and destination in turn.
  v128.store(to, v128.shuffle<i32>(source, destination, 0, 4, 1, 5));
  v128.store(to + 16, v128.shuffle<i32>(source, destination, 2, 6, 3, 7));
}

/** Four big-endian words: WebAssembly turns round the bytes of a vector in one instruction, those of a number in seven. */
function words(bytes: v128): v128 {
  return v128.shuffle<u8>(bytes, bytes, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
}

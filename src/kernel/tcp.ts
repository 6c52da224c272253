/**
 * TCP analysis per conversation, in constant memory: what each direction's sequence and acknowledgment numbers tell.
 * The terms are Wireshark's (tcp.analysis.*); since a conversation's key holds its VNI path, tenants with equal
 * addresses never disturb each other.
 *
 * An entry holds what nearly every segment touches, side by side: with many flows, cache lines touched are what a segment
 * costs. Counts and gaps are in a second table, where a conversation has an entry from its first trouble on.
 */
import { allocateTable } from './memory';

const FIN: u32 = 1;
const SYN: u32 = 2;
const RST: u32 = 4;
const ACK: u32 = 16;

/** States, in the order of the names that records give them. */
namespace State {
  /** Packets, but no handshake was seen. */
  export const midstream: u8 = 0;
  export const synSent: u8 = 1;
  export const synReceived: u8 = 2;
  export const established: u8 = 3;
  /** One side has sent FIN. */
  export const closing: u8 = 4;
  /** Both sides have. */
  export const closed: u8 = 5;
  export const reset: u8 = 6;
}

namespace Known {
  export const next: u16 = 1;
  export const ack: u16 = 2;
  export const hole: u16 = 4;
  export const timed: u16 = 8;
  export const fin: u16 = 16;
  /** The last segment was a keep-alive or a zero-window probe. */
  export const lastWasProbe: u16 = 32;
}

export namespace Count {
  export const retransmission: u32 = 0;
  export const outOfOrder: u32 = 1;
  export const duplicateAck: u32 = 2;
  export const lostSegment: u32 = 3;
  export const keepAlive: u32 = 4;
  export const zeroWindow: u32 = 5;
  export const reset: u32 = 6;
}

/** One direction of a conversation. */
@unmanaged
export class Side {
  /** Sequence number expected next. */
  next: i32;
  /** Last acknowledgment number sent. */
  acked: i32;
  /** Last window sent. */
  window: u16;
  /** Bits of `Known`. */
  known: u16;
  /** Acknowledgment number that ends the running time measurement. */
  timed: i32;
  /** Measurements taken. */
  timings: u32;
  /** Duplicates of the last acknowledgment. */
  repeats: u32;
  /** When the running measurement began; for the client, its SYN. Nanoseconds. */
  timedAt: i64;
  /** Of the measurements taken. */
  timeSum: i64;
}

@unmanaged
export class Conversation {
  state: u8;
  /** Direction of the last SYN. */
  client: u8;
  connections: u32;
  clientIsn: i32;
  /** Entry of the second table, 0 for none. */
  trouble: usize;
  /** Nanoseconds, 0 where not measured. */
  rtt: i64;
}

/** One direction's counts and its most recent gap. */
@unmanaged
export class Trouble {
  counts0: u32;
  counts1: u32;
  counts2: u32;
  counts3: u32;
  counts4: u32;
  counts5: u32;
  counts6: u32;
  /** First missing sequence number, and one past the last. */
  from: i32;
  to: i32;
  time: i64;
}

// offsetof gives the plain sum of the fields; these keep 64-bit ones aligned in arrays.
export const SIDE: usize = 40;
const CONVERSATION: usize = 24;
export const TROUBLE: usize = 48;
const ENTRY: usize = 2 * SIDE + CONVERSATION;

/**
 * A gap filled within a round trip was reordering, later it was sent again. Where no handshake gives the round trip,
 * Wireshark's default of 3 ms.
 */
const REORDER_NANOSECONDS: i64 = 3_000_000;
/** Acknowledgments repeated so often ask for the segment they name (fast retransmit, RFC 5681 section 3.2). */
const FAST_RETRANSMIT: u32 = 2;

/** Entries are cut from blocks of this size. */
const BLOCK: usize = 1 << 18;
let entriesFrom: usize = 0;
let entriesTo: usize = 0;
let troublesFrom: usize = 0;
let troublesTo: usize = 0;

/** Entries given back, linked by their first words; those with counts keep theirs. */
let freed: usize = 0;

/** Gives an entry back. */
export function freeTcp(entry: usize): void {
  clear(entry);
  store<usize>(entry, freed);
  freed = entry;
}

/** Address of a new entry. */
export function newTcp(): usize {
  if (freed != 0) {
    const at = freed;
    freed = load<usize>(at);
    store<usize>(at, 0);
    return at;
  }
  if (entriesFrom + ENTRY > entriesTo) {
    entriesFrom = allocateTable(BLOCK);
    entriesTo = entriesFrom + BLOCK;
  }
  const at = entriesFrom;
  entriesFrom += ENTRY;
  return at;
}

/** Reads a word of each cache line that an entry may lie in. */
export function fetchTcp(entry: usize): u32 {
  return load<u32>(entry) + load<u32>(entry, 52) + load<u32>(entry, ENTRY - 4);
}

/** Makes an entry as good as new. */
export function clear(entry: usize): void {
  const trouble = conversation(entry).trouble;
  memory.fill(entry, 0, ENTRY);
  if (trouble == 0) return;
  memory.fill(trouble, 0, 2 * TROUBLE);
  conversation(entry).trouble = trouble;
}

// The conversation and direction at hand: kept here so that the steps below need no dozen parameters.
let c: Conversation = changetype<Conversation>(0);
let mine: Side = changetype<Side>(0);
let peer: Side = changetype<Side>(0);
let direction: u32 = 0;
let now: i64 = 0;

export function side(entry: usize, which: u32): Side {
  return changetype<Side>(entry + <usize>which * SIDE);
}
export function conversation(entry: usize): Conversation {
  return changetype<Conversation>(entry + 2 * SIDE);
}

function select(entry: usize, which: u32): void {
  c = conversation(entry);
  mine = side(entry, which);
  peer = side(entry, 1 - which);
  direction = which;
}

function troubleOf(which: u32): Trouble {
  if (c.trouble == 0) {
    if (troublesFrom + 2 * TROUBLE > troublesTo) {
      troublesFrom = allocateTable(BLOCK);
      troublesTo = troublesFrom + BLOCK;
    }
    c.trouble = troublesFrom;
    troublesFrom += 2 * TROUBLE;
  }
  return changetype<Trouble>(c.trouble + <usize>which * TROUBLE);
}
function tally(count: u32): void {
  const at = changetype<usize>(troubleOf(direction)) + (<usize>count << 2);
  store<u32>(at, load<u32>(at) + 1);
}

function inHandshake(): bool {
  return c.state == State.synSent || c.state == State.synReceived;
}

/**
 * Takes in a segment.
 * @param which direction, 0 or 1, the same for all packets one way
 * @param length payload bytes on the wire
 * @param time nanoseconds on a clock that all segments share
 * @returns true where the segment opens a new connection in this direction
 */
export function segment(
  entry: usize,
  which: u32,
  sequence: i32,
  acknowledgment: i32,
  flags: u32,
  window: u32,
  length: u32,
  time: i64,
): bool {
  select(entry, which);
  now = time;
  if ((flags & RST) != 0) {
    tally(Count.reset);
    c.state = State.reset;
    return false;
  }
  let opens = false;
  if ((flags & SYN) != 0) {
    opens = handshake(sequence, flags);
  } else if (inHandshake() && which == <u32>c.client && (flags & ACK) != 0) {
    // The client's ACK tells of a SYN/ACK even where none was captured.
    if (c.state == State.synReceived) c.rtt = now - mine.timedAt;
    c.state = State.established;
  }

  // SYN and FIN each take one sequence number (RFC 9293 section 3.4).
  const span = length + ((flags & SYN) >> 1) + (flags & FIN);
  const ahead = (mine.known & Known.next) == 0 ? 0 : sequence - mine.next;
  const plain = (flags & (SYN | FIN | RST)) == 0;
  const keepAlive = ahead == -1 && length <= 1 && plain;
  // One byte sent into a closed window does not count as sent: it will come again, with those behind it.
  const probe = ahead == 0 && length == 1 && plain && (peer.known & Known.ack) != 0 && peer.window == 0;
  if (keepAlive || probe) {
    if (keepAlive) tally(Count.keepAlive);
    mine.known |= Known.lastWasProbe;
    if (window == 0) tally(Count.zeroWindow);
  } else {
    if ((flags & ACK) != 0) {
      const bare = plain && length == 0 && sequence == mine.next;
      acknowledge(acknowledgment, window, plain, bare);
    }
    if (span > 0 || ahead > 0) data(sequence, span, ahead, length > 0);
    else if ((mine.known & Known.next) == 0) mine.next = sequence; // a guess, for repeated ACKs
    mine.known &= ~Known.lastWasProbe;
  }
  mine.window = <u16>window;

  if ((flags & FIN) != 0) {
    mine.known |= Known.fin;
    if (c.state != State.reset) c.state = (peer.known & Known.fin) != 0 ? State.closed : State.closing;
  }
  return opens;
}

function handshake(sequence: i32, flags: u32): bool {
  if ((flags & ACK) != 0) {
    if (c.state == State.synSent && direction != <u32>c.client) c.state = State.synReceived;
    return false;
  }
  if (c.connections > 0 && direction == <u32>c.client && sequence == c.clientIsn) {
    // The same SYN again; after a refusal it may yet succeed.
    if (c.state == State.reset) c.state = State.synSent;
    if (inHandshake()) mine.timedAt = now;
    return false;
  }
  // SYNs that cross make one connection (RFC 9293 section 3.5, figure 7).
  if (c.state == State.synSent && direction != <u32>c.client) return false;
  // Ports used again: what was learnt of the old connection's numbers is void, its counts stay.
  mine.known = 0;
  mine.window = 0;
  peer.known = 0;
  peer.window = 0;
  c.state = State.synSent;
  c.client = <u8>direction;
  c.connections++;
  c.clientIsn = sequence;
  mine.timedAt = now;
  return true;
}

function data(sequence: i32, span: u32, ahead: i32, timed: bool): void {
  const end = sequence + <i32>span;
  if ((mine.known & Known.next) == 0) {
    mine.known |= Known.next;
    mine.next = end;
    return;
  }
  if (ahead == 0) {
    // During the handshake the client's clock holds the time of its SYN.
    if (timed && !inHandshake() && (mine.known & Known.timed) == 0) {
      mine.known |= Known.timed;
      mine.timed = end;
      mine.timedAt = now;
    }
    mine.next = end;
    return;
  }
  if (ahead > 0) {
    tally(Count.lostSegment);
    mine.known |= Known.hole;
    const trouble = troubleOf(direction);
    trouble.from = mine.next;
    trouble.to = sequence;
    trouble.time = now;
  } else {
    sentBefore(sequence, end);
  }
  if (end - mine.next > 0) mine.next = end;
}

/** A segment that begins before what is expected next. */
function sentBefore(sequence: i32, end: i32): void {
  const trouble = troubleOf(direction);
  const inHole = (mine.known & Known.hole) != 0 && sequence - trouble.from >= 0 && trouble.to - sequence > 0;
  const asked = peer.acked == sequence && peer.repeats >= FAST_RETRANSMIT;
  const soon = now - trouble.time < (c.rtt > 0 ? c.rtt : REORDER_NANOSECONDS);
  tally(inHole && soon && !asked ? Count.outOfOrder : Count.retransmission);
  if (inHole && sequence == trouble.from) {
    trouble.from = end;
    if (trouble.to - end <= 0) mine.known &= ~Known.hole;
  }
  // Karn's rule: what was sent twice is not timed, the answer could be to either.
  if (mine.timed - sequence > 0) mine.known &= ~Known.timed;
}

/** @param bare no data, no SYN, FIN or RST, and all that this side sent lies before it */
function acknowledge(acknowledgment: i32, window: u32, plain: bool, bare: bool): void {
  if (window == 0 && plain) tally(Count.zeroWindow);
  const answersProbe = (peer.known & Known.lastWasProbe) != 0;
  if ((mine.known & Known.ack) != 0 && acknowledgment == mine.acked) {
    // Wireshark's terms for a duplicate: nothing new in it, and not the answer to a keep-alive.
    if (bare && window != 0 && window == <u32>mine.window && (peer.known & Known.next) != 0 && !answersProbe) {
      tally(Count.duplicateAck);
      mine.repeats++;
    }
    return;
  }
  if (answersProbe && acknowledgment == peer.next + 1) peer.next = acknowledgment;
  mine.repeats = 0;
  mine.acked = acknowledgment;
  mine.known |= Known.ack;
  if ((peer.known & Known.timed) != 0 && acknowledgment - peer.timed >= 0) {
    peer.known &= ~Known.timed;
    peer.timings++;
    peer.timeSum += now - peer.timedAt;
  }
}

/** Moves what `which` did, where it turned out to belong to another conversation, to an entry of its own. */
export function split(entry: usize, which: u32): usize {
  const other = newTcp();
  const from = conversation(entry);
  const to = conversation(other);
  const moved = side(entry, which);
  memory.copy(changetype<usize>(side(other, which)), changetype<usize>(moved), SIDE);
  memory.fill(changetype<usize>(moved), 0, SIDE);
  if (from.connections > 0 && <u32>from.client == which) {
    to.state = from.state;
    to.client = from.client;
    to.connections = from.connections;
    to.clientIsn = from.clientIsn;
    from.state = 0;
    from.client = 0;
    from.connections = 0;
    from.clientIsn = 0;
  }
  if (from.trouble != 0) {
    select(other, which);
    const made = troubleOf(which);
    const old = changetype<Trouble>(from.trouble + <usize>which * TROUBLE);
    memory.copy(changetype<usize>(made), changetype<usize>(old), TROUBLE);
    memory.fill(changetype<usize>(old), 0, TROUBLE);
  }
  return other;
}

/** What direction `which` sends next cannot be told: its last segment was not seen to its end. */
export function lose(entry: usize, which: u32): void {
  side(entry, which).known &= ~(Known.next | Known.hole | Known.timed);
}

/** One of a direction's counters. */
export function countOf(entry: usize, which: u32, count: u32): u32 {
  const trouble = conversation(entry).trouble;
  return trouble == 0 ? 0 : load<u32>(trouble + <usize>which * TROUBLE + (<usize>count << 2));
}

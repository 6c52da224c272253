/**
 * What the host calls. Numbers of flows, sets and endpoints are indices; places are addresses in the memory, whose
 * structures the host reads at the offsets exported here.
 */
import {
  account,
  countPacket,
  countPairs,
  fetchDetails,
  fetchFlow,
  fetchIndex,
  Flag,
  Flow,
  flow,
  order,
  setSerial,
  start,
  takeSegment,
  live,
  outOfOrder,
  timedOut,
  Status,
  bytesOf,
  endpoints,
  ENDPOINT_WORDS,
  optionSets,
  otherSets,
  formerEndpoints,
  outerBytesOf,
  packetsOf,
  touch,
  Walked,
  WALKED,
} from './flows';
import { Interner } from './interner';
import { isMine, List, Row, setRows, setShare, timeOf } from './walk';

export {
  adjust,
  adoptState,
  countOptions,
  flow,
  internEndpoints,
  loseTrack,
  reverseEndpoints,
  saveState,
  separate,
  setSerial,
  size,
  undefer,
  withOption,
  remove,
} from './flows';
export { seed } from './hash';
export { allocate } from './memory';
export { flowLines, flows, flowText, isFlow, otherHalf, nextFlow, setNames, sortKey } from './json';
export { addAllToVnis, addToVnis, clearVniSums, newVniSums } from './vni';
export { CANDIDATE as candidateSize, largest } from './largest';
export { timeOf, walk } from './walk';

/** Keeps loads that are made for their cache lines alone from being optimised away. */
export let fetched: u32 = 0;
/** Packets whose index slots and entries are fetched together: misses of a group overlap. */
const GROUP: u32 = 32;

/** @param rows addresses of `Row` by protocol number */
export function initialize(rows: usize, analyses: bool, join: bool, ignoreVni: bool, which: u32, parts: u32): void {
  start(analyses, join);
  setRows(rows, ignoreVni);
  setShare(which, parts);
}

function listed(walked: usize, list: usize, k: u32): Walked {
  const i = list == 0 ? k : <u32>load<u16>(list + (<usize>k << 1), List.BEGIN);
  return changetype<Walked>(walked + <usize>i * WALKED);
}

/**
 * Accounts walked packets up to the first that was left to the host: packets [from, to), or those whose numbers are at
 * these places of a list.
 * @param list 0 for none
 * @param first number of packet 0
 * @returns the place of that one, or `to`
 */
export function accountWalked(walked: usize, list: usize, from: u32, to: u32, first: f64): u32 {
  for (let i = from; i < to; ) {
    const end = i + GROUP < to ? i + GROUP : to;
    let sum: u32 = 0;
    for (let j = i; j < end; j++) sum += fetchIndex(listed(walked, list, j));
    for (let j = i; j < end; j++) sum += fetchFlow(listed(walked, list, j));
    for (let j = i; j < end; j++) sum += fetchDetails(listed(walked, list, j));
    fetched += sum;
    for (; i < end; i++) {
      const w = listed(walked, list, i);
      if (w.status == Status.left) {
        fetched += countPairs();
        return i;
      }
      setSerial(<u64>first + <u64>((changetype<usize>(w) - walked) / WALKED));
      account(w);
    }
  }
  fetched += countPairs();
  return to;
}

/** Puts the key at `at` in order and accounts its packet. Returns its flow's number, -1 where another share has it. */
export function accountOne(at: usize, number: f64): i32 {
  const w = changetype<Walked>(at);
  order(w);
  if (!isMine(w)) return -1;
  setSerial(<u64>number);
  const id = account(w);
  countPairs();
  return <i32>id;
}

/** Counts the packet at `at` for flow `id`, whatever its key. */
export function countAs(id: u32, at: usize): void {
  countPacket(id, changetype<Walked>(at));
  countPairs();
}

/** Takes in the TCP segment of the packet at `at` for flow `id`. */
export function segmentOf(id: u32, at: usize): void {
  takeSegment(id, changetype<Walked>(at));
}

/** Number of the first packet of flow `id`. */
export function serialOf(id: u32): f64 {
  return <f64>flow(id).serial;
}

/** One direction's packets, inner frames' bytes and whole frames' bytes. */
export function packets(id: u32, direction: u32): f64 {
  return <f64>packetsOf(flow(id), direction);
}
export function bytes(id: u32, direction: u32): f64 {
  return <f64>bytesOf(flow(id), direction);
}
export function outerBytes(id: u32, direction: u32): f64 {
  return <f64>outerBytesOf(flow(id), direction);
}

/** Widens the time span of flow `id`. */
export function touchTimes(id: u32, seconds: f64, nanoseconds: u32): void {
  touch(flow(id), timeOf(seconds, nanoseconds));
}
/** Forgets the time span of flow `id`, which has no packets left. */
export function untime(id: u32): void {
  flow(id).flags &= ~Flag.timed;
}

/** A word of a tuple: table 0 has tunnel endpoints, 1 option sets, 2 further sets of flows, 3 former endpoints. */
export function tupleWord(table: u32, id: u32, word: u32): u32 {
  const t = internerOf(table);
  return load<u32>(t.words + (<usize>id * t.width + word) * 4);
}
export function tuples(table: u32): u32 {
  return internerOf(table).used;
}
function internerOf(table: u32): Interner {
  return table == 0 ? endpoints : table == 1 ? optionSets : table == 2 ? otherSets : formerEndpoints;
}

// Offsets in bytes, for the host.
export const walkedA = offsetof<Walked>('a');
export const walkedB = offsetof<Walked>('b');
export const walkedPorts = offsetof<Walked>('ports');
export const walkedPath = offsetof<Walked>('path');
export const walkedIdentity = offsetof<Walked>('identity');
export const walkedRest = offsetof<Walked>('restA0');
export const walkedStatus = offsetof<Walked>('status');
export const walkedDirection = offsetof<Walked>('direction');
export const walkedBytes = offsetof<Walked>('bytes');
export const walkedLength = offsetof<Walked>('length');
export const walkedTime = offsetof<Walked>('time');
export const walkedSequence = offsetof<Walked>('sequence');
export const walkedAcknowledgment = offsetof<Walked>('acknowledgment');
export const walkedTcpFlags = offsetof<Walked>('tcpFlags');
export const walkedPayload = offsetof<Walked>('payload');
export const walkedEndpoints = offsetof<Walked>('endpoints');
export const walkedOptionsTo = offsetof<Walked>('optionsTo');
export const walkedOptions = offsetof<Walked>('options');
export const walkedEnds = offsetof<Walked>('parent');
export const walkedSize = WALKED;
export const listSize = List.SIZE;
export const listBegin = List.BEGIN;
export const flowA = offsetof<Flow>('a');
export const flowPorts = offsetof<Flow>('ports');
export const flowPath = offsetof<Flow>('path');
export const flowIdentity = offsetof<Flow>('identity');
export const flowLast = offsetof<Flow>('last');
export const flowEndpoints = offsetof<Flow>('endpoints0');
export const flowFlags = offsetof<Flow>('flags');
export const flowFirst = offsetof<Flow>('first');
export const flowOtherHalf = offsetof<Flow>('otherHalf');
export const flowOptionSet = offsetof<Flow>('optionSet');
export const flowOptionPackets = offsetof<Flow>('optionPackets');
export const flowRest = offsetof<Flow>('rest');
export const rowSize = offsetof<Row>();

/** Numbers of timed-out flows; see `timedOut`. Times are whole seconds: flows with packets since then stay. */
export function findTimedOut(idle: f64, active: f64, looks: u32, to: usize, room: u32): u32 {
  return timedOut(timeOf(idle, 0), timeOf(active, 0), looks, to, room);
}
export function liveFlows(): u32 {
  return live;
}
export function isOutOfOrder(): bool {
  return outOfOrder;
}

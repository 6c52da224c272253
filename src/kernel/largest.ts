/** The largest flows by a heap: sorting a million to print fifty takes ten times as long. */
import { flow, size } from './flows';
import { isFlow, sortKey } from './json';

/** A flow among the largest so far. */
@unmanaged
class Candidate {
  key: f64;
  serial: f64;
  id: u32;
}
export const CANDIDATE: u32 = 24;

function candidate(heap: usize, i: u32): Candidate {
  return changetype<Candidate>(heap + <usize>i * CANDIDATE);
}

/** Of equal ones the earlier goes first. */
function isBefore(a: Candidate, b: Candidate): bool {
  return a.key > b.key || (a.key == b.key && a.serial < b.serial);
}

function swap(a: Candidate, b: Candidate): void {
  const key = a.key;
  const serial = a.serial;
  const id = a.id;
  a.key = b.key;
  a.serial = b.serial;
  a.id = b.id;
  b.key = key;
  b.serial = serial;
  b.id = id;
}

/** Stores the at most `limit` flows with the largest `sortKey` at `heap`, in no order, with room for one more. Returns how many. */
export function largest(by: u32, limit: u32, heap: usize): u32 {
  let count: u32 = 0;
  const next = candidate(heap, limit);
  for (let id: u32 = 0; id < size(); id++) {
    if (!isFlow(id)) continue;
    next.key = sortKey(id, by);
    next.serial = <f64>flow(id).serial;
    next.id = id;
    // The root is the one that goes when a larger comes.
    if (count < limit) {
      swap(candidate(heap, count), next);
      for (let at: u32 = count++; at > 0; ) {
        const parent = (at - 1) >> 1;
        if (!isBefore(candidate(heap, parent), candidate(heap, at))) break;
        swap(candidate(heap, parent), candidate(heap, at));
        at = parent;
      }
    } else if (limit > 0 && isBefore(next, candidate(heap, 0))) {
      swap(candidate(heap, 0), next);
      for (let at: u32 = 0; ; ) {
        let last = at;
        for (let child: u32 = 2 * at + 1; child <= 2 * at + 2 && child < limit; child++) {
          if (isBefore(candidate(heap, last), candidate(heap, child))) last = child;
        }
        if (last == at) break;
        swap(candidate(heap, last), candidate(heap, at));
        at = last;
      }
    }
  }
  return count;
}

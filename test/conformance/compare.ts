/** One capture against tshark, frame by frame and field by field. */
import type { PacketRecord } from '../../src/core/record.ts';
import { type ComparedField, FIELDS, theirValues } from './fields.ts';
import type { Row } from './goldens.ts';
import { ourStack, theirStack } from './protocols.ts';

export interface Mismatch {
  readonly capture: string;
  /** Counted from 1; 0 for the capture as a whole. */
  readonly frame: number;
  readonly field: string;
  readonly ours: readonly string[];
  readonly theirs: readonly string[];
  /** Null where only one of the two has the frame. */
  readonly packet: PacketRecord | null;
  readonly row: Row | null;
  /** First protocol of tshark's stack after ours, where ours is the beginning of it; else null. */
  readonly beyond: string | null;
}

/** How many values of a field agree, and what became of the others: the kind of the reason, or 'not listed'. */
export class Agreement {
  agreed = 0;
  readonly others = new Map<string, number>();

  other(kind: string): void {
    this.others.set(kind, (this.others.get(kind) ?? 0) + 1);
  }
  get total(): number {
    return [...this.others.values()].reduce((sum, count) => sum + count, this.agreed);
  }
}

/** Counts by field, in the order of first use. Where neither has a value there is nothing to count. */
export class Tally {
  readonly fields = new Map<string, Agreement>();

  of(field: string): Agreement {
    let counts = this.fields.get(field);
    if (counts === undefined) {
      counts = new Agreement();
      this.fields.set(field, counts);
    }
    return counts;
  }
}

/** Nanoseconds since 1970 of a number of seconds with any fraction. */
function nanosecondsOf(epoch: string): string {
  const match = /^(-?)(\d+)\.?(\d*)$/.exec(epoch);
  if (!match) return epoch;
  const [, sign, seconds, fraction] = match;
  const total = BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0').slice(0, 9));
  return String(sign === '-' ? -total : total);
}

/** The same of a record's RFC 3339 `time`. */
function nanosecondsOfTime(time: string): string {
  const dot = time.lastIndexOf('.');
  const seconds = Date.parse(`${time.slice(0, dot)}Z`);
  if (Number.isNaN(seconds)) return nanosecondsOf(time);
  return String(BigInt(seconds) * 1_000_000n + BigInt(time.slice(dot + 1, -1)));
}

const equal = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && a.every((value, i) => value === b[i]);

export const isBeginning = (part: readonly string[], whole: readonly string[]) =>
  part.length <= whole.length && part.every((value, i) => value === whole[i]);

/** tshark numbers custom and journal blocks of pcapng files among the frames; they have no link type. */
const isPacket = (row: Row) => row.get('frame.encap_type') !== '';

/** Compares, counts agreements in `tally`, and returns the rest for the list to judge. */
export function compareCapture(
  capture: string,
  packets: readonly PacketRecord[],
  rows: readonly Row[],
  tally: Tally,
): Mismatch[] {
  const mismatches: Mismatch[] = [];
  const whole = { capture, frame: 0, packet: null, row: null, beyond: null };
  const frames = rows.filter(isPacket);
  if (packets.length === rows.length) tally.of('frames').agreed++;
  else {
    const theirs =
      frames.length < rows.length ? [`${frames.length} and other blocks`] : [String(rows.length)];
    mismatches.push({ ...whole, field: 'frames', ours: [String(packets.length)], theirs });
  }
  const pairs = Math.min(packets.length, frames.length);
  for (let i = 0; i < pairs; i++) compareFrame(capture, packets[i], frames[i], tally, mismatches);
  return mismatches;
}

function compareFrame(
  capture: string,
  packet: PacketRecord,
  row: Row,
  tally: Tally,
  mismatches: Mismatch[],
): void {
  const cell = (column: string) => row.get(column) ?? '';
  const ourNames = ourStack(packet);
  const theirNames = theirStack(cell('frame.protocols'));
  const goesOn = isBeginning(ourNames, theirNames) && theirNames.length > ourNames.length;
  const frame = {
    capture,
    frame: Number(cell('frame.number')),
    packet,
    row,
    beyond: goesOn ? theirNames[ourNames.length] : null,
  };
  const check = (field: string, ours: readonly string[], theirs: readonly string[]) => {
    if (ours.length === 0 && theirs.length === 0) return;
    if (equal(ours, theirs)) tally.of(field).agreed++;
    else mismatches.push({ ...frame, field, ours, theirs });
  };
  check('number', [String(packet.number)], [cell('frame.number')]);
  check('time', [nanosecondsOfTime(packet.time)], [nanosecondsOf(cell('frame.time_epoch'))]);
  check('length', [String(packet.length)], [cell('frame.len')]);
  check('captured', [String(packet.captured)], [cell('frame.cap_len')]);
  check('protocols', ourNames, theirNames);
  for (const field of FIELDS) check(field.name, field.ours(packet), theirsOf(field, cell(field.column)));
}

const theirsOf = (field: ComparedField, cell: string) => (cell === '' ? [] : theirValues(field, cell));

export function describeMismatch({ frame, field, ours, theirs, row }: Mismatch): string {
  const stack = row?.get('frame.protocols') ?? '';
  return `frame ${frame} ${field}: ours [${ours}], tshark [${theirs}]  (${stack})`;
}

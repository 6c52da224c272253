/** Tests of single values, and what a comparison needs of all occurrences of a field. */

import type { Packet } from '../pipeline.ts';
import type { Quantifier, Relation } from './ast.ts';
import type { BytesLiteral } from './literal.ts';
import type { Predicate } from './scan.ts';
import type { Test } from './source.ts';

export type Ordering = Exclude<Relation, 'contains' | 'matches'>;

/** Whether the sign of a difference is what the relation wants. */
function holds(relation: Ordering, sign: number): boolean {
  switch (relation) {
    case 'eq':
      return sign === 0;
    case 'ne':
      return sign !== 0;
    case 'lt':
      return sign < 0;
    case 'le':
      return sign <= 0;
    case 'gt':
      return sign > 0;
    case 'ge':
      return sign >= 0;
  }
}

/** Apart for each relation: V8 makes one comparison of each, where a common one would ask for the relation each time. */
export function numberTest(relation: Ordering, wanted: number): Test<number> {
  switch (relation) {
    case 'eq':
      return (value) => value === wanted;
    case 'ne':
      return (value) => value !== wanted;
    case 'lt':
      return (value) => value < wanted;
    case 'le':
      return (value) => value <= wanted;
    case 'gt':
      return (value) => value > wanted;
    case 'ge':
      return (value) => value >= wanted;
  }
}

export const numberOrder = (a: number, b: number) => a - b;
export const textOrder = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export function textTest(relation: Ordering, wanted: string): Test<string> {
  if (relation === 'eq') return (value) => value === wanted;
  return (value) => holds(relation, textOrder(value, wanted));
}

/** As in Wireshark, more bytes are greater than fewer, whatever they are. */
function bytesOrder(a: DataView, from: number, to: number, b: DataView, start: number, end: number): number {
  const longer = to - from - (end - start);
  if (longer !== 0) return longer;
  for (let i = from; i < to; i++) {
    const difference = a.getUint8(i) - b.getUint8(start + i - from);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function bytesTest(relation: Ordering, { bytes, bits }: BytesLiteral): Test<DataView> {
  const wanted = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bits < 0)
    return (view, from, to) => holds(relation, bytesOrder(view, from, to, wanted, 0, bytes.length));
  const whole = bits >> 3;
  const mask = (0xff00 >> (bits & 7)) & 0xff;
  const last = mask === 0 ? 0 : bytes[whole] & mask;
  return (view, from, to) => {
    if (to - from !== bytes.length) return false;
    const order = bytesOrder(view, from, from + whole, wanted, 0, whole);
    return holds(relation, order !== 0 || mask === 0 ? order : (view.getUint8(from + whole) & mask) - last);
  };
}

/** Knuth, Morris and Pratt's search: linear whatever the bytes are, and nothing is allocated. */
export function containsTest(wanted: Uint8Array): Test<DataView> {
  const { length } = wanted;
  /** Bytes of `wanted` that are still right where those up to an index were and the next is wrong. */
  const kept = new Int32Array(length);
  for (let i = 1, same = 0; i < length; i++) {
    while (same > 0 && wanted[i] !== wanted[same]) same = kept[same - 1];
    if (wanted[i] === wanted[same]) same++;
    kept[i] = same;
  }
  return (view, from, to) => {
    let same = 0;
    for (let at = from; same < length && at < to; at++) {
      const byte = view.getUint8(at);
      while (same > 0 && byte !== wanted[same]) same = kept[same - 1];
      if (byte === wanted[same]) same++;
    }
    return same === length;
  };
}

/** Bytes for a test of text: one character each. */
export function asCharacters(test: (text: string) => boolean): Test<DataView> {
  return (view, from, to) =>
    test(Buffer.from(view.buffer as ArrayBuffer, view.byteOffset + from, to - from).toString('latin1'));
}

interface Bindable<T> {
  readonly bind: (test: Test<T>) => Predicate;
}

/** One value that passes, or at least one value and none that fails. */
export function quantified<T>(source: Bindable<T>, test: Test<T>, quantifier: Quantifier): Predicate {
  if (quantifier === 'any') return source.bind(test);
  let seen = false;
  const failing = source.bind((value, from, to) => {
    seen = true;
    return !test(value, from, to);
  });
  return (packet) => {
    seen = false;
    return !failing(packet) && seen;
  };
}

type Order<T> = (a: T, b: T, aFrom: number, aTo: number, bFrom: number, bTo: number) => number;

export const viewOrder: Order<DataView> = (a, b, aFrom, aTo, bFrom, bTo) =>
  bytesOrder(a, aFrom, aTo, b, bFrom, bTo);

/** The same of all pairs of values of two fields. */
export function paired<T>(
  relation: Ordering,
  left: Bindable<T>,
  right: Bindable<T>,
  order: Order<T>,
  quantifier: Quantifier,
): Predicate {
  const all = quantifier === 'all';
  let seen = false;
  let current: Packet;
  let value: T;
  let first = 0;
  let end = 0;
  const others = right.bind((other, from, to) => {
    seen = true;
    return holds(relation, order(value, other, first, end, from, to)) !== all;
  });
  const pairs = left.bind((one, from, to) => {
    value = one;
    first = from;
    end = to;
    return others(current);
  });
  return (packet) => {
    current = packet;
    seen = false;
    return all ? !pairs(packet) && seen : pairs(packet);
  };
}

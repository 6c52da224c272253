/** Operands as streams of values: numbers, text, or bytes in a packet. */
import type { Field, FieldValue } from '../core/field.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Range } from './ast.ts';
import { type Catalog, type Kind, kindOf } from './catalog.ts';
import {
  type BytesLiteral,
  bytesLiteral,
  etherLiteral,
  ipv4Literal,
  ipv6Literal,
  uint64Literal,
} from './literal.ts';
import { type Predicate, type Reference, scan, type Visitor } from './scan.ts';

/** Sees a value: a number, text, or the bytes [from, to) of a view. */
export type Test<T> = (value: T, from: number, to: number) => boolean;

interface Stream<T> {
  readonly kind: Kind;
  /** What messages call it. */
  readonly title: string;
  /** Fields whose value names its values may be written as. */
  readonly fields: readonly Field[];
  /** True for a packet where the test is, for one of the values. */
  readonly bind: (test: Test<T>) => Predicate;
}

export type Source =
  | ({ readonly lane: 'number' } & Stream<number>)
  | ({ readonly lane: 'text' } & Stream<string>)
  | ({ readonly lane: 'bytes' } & Stream<DataView>);
export type Lane = Source['lane'];
export type NumberSource = Extract<Source, { lane: 'number' }>;
export type TextSource = Extract<Source, { lane: 'text' }>;
export type BytesSource = Extract<Source, { lane: 'bytes' }>;

const LANES: Readonly<Record<Kind, Lane>> = {
  uint: 'number',
  int: 'number',
  bool: 'number',
  time: 'number',
  string: 'text',
  uint64: 'bytes',
  ether: 'bytes',
  ipv4: 'bytes',
  ipv6: 'bytes',
  bytes: 'bytes',
  protocol: 'bytes',
};

const never = () => false;

function numberVisitor(test: Test<number>): (field: Field | null) => Visitor {
  const value = (made: FieldValue) => test(Number(made), 0, 0);
  return (field) => {
    if (field === null) return { at: never, value, span: never };
    const read = field.read as (view: DataView, base: number) => number;
    const at =
      field.type === 'bool'
        ? (view: DataView, base: number) => test(read(view, base) ? 1 : 0, 0, 0)
        : (view: DataView, base: number) => test(read(view, base), 0, 0);
    return { at, value, span: never };
  };
}

function textVisitor(test: Test<string>): (field: Field | null) => Visitor {
  const value = (made: FieldValue) => test(String(made), 0, 0);
  return (field) => ({
    at: field ? (view, base) => test(String(field.read(view, base)), 0, 0) : never,
    value,
    span: never,
  });
}

/** Readers of the text that fields have as their value. */
const BYTES_OF: Partial<Record<Kind, (text: string) => BytesLiteral | null>> = {
  uint64: uint64Literal,
  ether: etherLiteral,
  ipv4: ipv4Literal,
  ipv6: ipv6Literal,
  bytes: bytesLiteral,
};

function bytesVisitor(test: Test<DataView>): (field: Field | null) => Visitor {
  return (field) => {
    if (field === null) return { at: never, value: never, span: test };
    const { at, size } = field;
    const bytesOf = BYTES_OF[kindOf(field)];
    return {
      at: (view, base) => test(view, base + at, base + at + size),
      value: (made) => {
        const bytes = bytesOf?.(String(made))?.bytes ?? new Uint8Array();
        return test(new DataView(bytes.buffer), 0, bytes.length);
      },
      span: test,
    };
  };
}

/** Values of what a filter names. */
export function namedSource(reference: Reference, catalog: Catalog, roles: FlowRoles): Source {
  const { meaning } = reference;
  const { kind } = meaning;
  const fields = meaning.of === 'fields' ? meaning.fields.map(({ field }) => field) : [];
  const common = { kind, title: meaning.name, fields };
  const lane = LANES[kind];
  if (lane === 'number') {
    const bind = (test: Test<number>) => scan(reference, catalog, roles, numberVisitor(test));
    return { lane, ...common, bind };
  }
  if (lane === 'text') {
    const bind = (test: Test<string>) => scan(reference, catalog, roles, textVisitor(test));
    return { lane, ...common, bind };
  }
  const bind = (test: Test<DataView>) => scan(reference, catalog, roles, bytesVisitor(test));
  return { lane, ...common, bind };
}

/** string(): values as text, addresses in canonical form. */
export function asText(reference: Reference, catalog: Catalog, roles: FlowRoles): TextSource {
  return {
    lane: 'text',
    kind: 'string',
    title: 'string()',
    fields: [],
    bind: (test) => scan(reference, catalog, roles, textVisitor(test)),
  };
}

/** A scan that is true where there is any occurrence. */
export function presence(reference: Reference, catalog: Catalog, roles: FlowRoles): Predicate {
  const always = () => true;
  const visitor: Visitor = { at: always, value: always, span: always };
  return scan(reference, catalog, roles, () => visitor);
}

/** count(): how many occurrences; nothing where there is none, as in Wireshark. */
export function occurrences(reference: Reference, catalog: Catalog, roles: FlowRoles): NumberSource {
  return numbers('count()', (test) => {
    let count = 0;
    const one = () => {
      count++;
      return false;
    };
    const visitor: Visitor = { at: one, value: one, span: one };
    const all = scan(reference, catalog, roles, () => visitor);
    return (packet) => {
      count = 0;
      all(packet);
      return count > 0 && test(count, 0, 0);
    };
  });
}

function numbers(title: string, bind: NumberSource['bind']): NumberSource {
  return { lane: 'number', kind: 'uint', title, fields: [], bind };
}

/** len(): bytes that a value takes. */
export function lengths(of: TextSource | BytesSource): NumberSource {
  return numbers('len()', (test) =>
    of.lane === 'text'
      ? of.bind((text) => test(Buffer.byteLength(text), 0, 0))
      : of.bind((_view, from, to) => test(to - from, 0, 0)),
  );
}

/** lower() and upper(). */
export function changed(of: TextSource, change: (text: string) => string): TextSource {
  return { ...of, bind: (test) => of.bind((text) => test(change(text), 0, 0)) };
}

/** The value's bits that `mask` has. */
export function maskedNumbers(of: NumberSource, mask: number): NumberSource {
  // Of values up to 2^53: the upper halves apart, since bit operations take 32 bits.
  const high = Math.floor(mask / 2 ** 32);
  const and = (value: number) =>
    ((value & mask) >>> 0) + (high === 0 ? 0 : (Math.floor(value / 2 ** 32) & high) * 2 ** 32);
  return { ...of, fields: [], bind: (test) => of.bind((value) => test(and(value), 0, 0)) };
}

/** The same of bytes; nothing where the value has not as many as the mask. */
export function maskedBytes(of: BytesSource, mask: Uint8Array): BytesSource {
  const result = new Uint8Array(mask.length);
  const view = new DataView(result.buffer);
  const bind = (test: Test<DataView>) =>
    of.bind((bytes, first, end) => {
      if (end - first !== mask.length) return false;
      for (let i = 0; i < mask.length; i++) result[i] = bytes.getUint8(first + i) & mask[i];
      return test(view, 0, mask.length);
    });
  return { ...of, kind: 'bytes', fields: [], bind };
}

function sliceStart({ start }: Range, size: number): number {
  return start < 0 ? size + start : start;
}

/** One past the last byte; -1 where the value is too short to have the slice. */
function sliceEnd({ length, last }: Range, start: number, size: number): number {
  const end = last !== null ? (last < 0 ? size + last : last) + 1 : length === null ? size : start + length;
  return start >= 0 && start < end && end <= size ? end : -1;
}

/** Parts of a value, one after the other; nothing where it is too short for one of them. */
export function sliced(of: TextSource | BytesSource, ranges: readonly Range[]): BytesSource {
  const bind = (test: Test<DataView>) => {
    const slice = ranges.length === 1 ? single(ranges[0], test) : joined(ranges, test);
    if (of.lane === 'bytes') return of.bind(slice);
    const encoder = new TextEncoder();
    return of.bind((text) => {
      const bytes = encoder.encode(text);
      return slice(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
    });
  };
  return { lane: 'bytes', kind: 'bytes', title: 'a slice', fields: [], bind };
}

function single(range: Range, test: Test<DataView>): Test<DataView> {
  return (view, from, to) => {
    const start = sliceStart(range, to - from);
    const end = sliceEnd(range, start, to - from);
    return end >= 0 && test(view, from + start, from + end);
  };
}

function joined(ranges: readonly Range[], test: Test<DataView>): Test<DataView> {
  return (view, from, to) => {
    const bytes: number[] = [];
    for (const range of ranges) {
      const start = sliceStart(range, to - from);
      const end = sliceEnd(range, start, to - from);
      if (end < 0) return false;
      for (let at = start; at < end; at++) bytes.push(view.getUint8(from + at));
    }
    return test(new DataView(Uint8Array.from(bytes).buffer), 0, bytes.length);
  };
}

/**
 * Fields: each fact about the wire, stated once. The flow path, the tree, JSON and filters all read through these.
 */
import { asciiText, bitPattern, hexNumber, hexText, ipv4Text, ipv6Text, macText, printable } from './text.ts';

/** What a field holds once read; also its JSON form. 64-bit numbers beyond 2^53 are decimal strings. */
export type FieldValue = number | boolean | string;

export type FieldType = 'uint' | 'int' | 'bool' | 'ether' | 'ipv4' | 'ipv6' | 'bytes' | 'string';

export interface Field<V extends FieldValue = FieldValue> {
  /** Filter name, Wireshark's where it has one: 'geneve.vni'. */
  readonly name: string;
  readonly label: string;
  readonly type: FieldType;
  /** Offset in bytes from the start of what the field belongs to (a layer, an option's data). */
  readonly at: number;
  /** Bytes the field's value is read from; 0 for a field whose length is given when it is added. */
  readonly size: number;
  /** Bits of those bytes that are the field's, 0 for all of them. */
  readonly mask: number;
  /** True where one layer can hold several: JSON then has an array of them. */
  readonly list: boolean;
  /** The value at `base + at`. The caller guarantees that `size` bytes are there. */
  readonly read: (view: DataView, base: number) => V;
  /** The value as people read it. */
  show(value: V): string;
  /** The name alone of a value that has one; booleans are 0 and 1. */
  readonly nameOf?: (value: number) => string | undefined;
}

export interface FieldOptions {
  /** Bits that are the field's; the value is shifted down to them. */
  readonly mask?: number;
  /** Names of values, shown as "name (value)". */
  readonly values?: Readonly<Record<number, string>> | ((value: number) => string | undefined);
  readonly base?: 'dec' | 'hex' | 'dechex';
  /** What one unit on the wire is worth: lengths in words of four bytes read as bytes, as in Wireshark. */
  readonly scale?: number;
  /** Text after the number, e.g. ' bytes'. */
  readonly unit?: string;
  readonly list?: boolean;
  /** Overrides the display altogether. */
  readonly show?: (value: number) => string;
}

function lowestBit(mask: number): number {
  let shift = 0;
  while (Math.floor(mask / 2 ** shift) % 2 === 0) shift++;
  return shift;
}

function namesOf({ values }: FieldOptions): Pick<Field, 'nameOf'> {
  if (!values) return {};
  return { nameOf: typeof values === 'function' ? values : (value) => values[value] };
}

function displayOf(size: number, options: FieldOptions): (value: number) => string {
  if (options.show) return options.show;
  const { base = 'dec', unit = '', mask = 0 } = options;
  const { nameOf } = namesOf(options);
  const bits = mask === 0 ? size * 8 : Math.ceil(Math.log2(mask / 2 ** lowestBit(mask) + 1));
  const digits = Math.ceil(bits / 4);
  const number = (value: number) => {
    if (base === 'hex') return hexNumber(value, digits);
    if (base === 'dechex') return `${value} (${hexNumber(value, digits)})`;
    return `${value}${unit}`;
  };
  if (!nameOf) return number;
  return (value) => {
    const text = nameOf(value);
    return text === undefined ? number(value) : `${text} (${number(value)})`;
  };
}

type Reader = (view: DataView, base: number) => number;

/**
 * `whole` and `masked` are closures of one literal per width: a masked reader that called the whole one would make a
 * megamorphic call, since V8 keeps one feedback vector for all closures of a literal.
 */
function uint(
  name: string,
  label: string,
  at: number,
  size: number,
  options: FieldOptions,
  whole: Reader,
  masked: (mask: number, shift: number, scale: number) => Reader,
): Field<number> {
  const { mask = 0, scale = 1 } = options;
  const read =
    mask !== 0
      ? masked(mask, lowestBit(mask), scale)
      : scale !== 1
        ? masked(2 ** (8 * size) - 1, 0, scale)
        : whole;
  return {
    name,
    label,
    type: 'uint',
    at,
    size,
    mask,
    list: options.list ?? false,
    read,
    show: displayOf(size, options),
    ...namesOf(options),
  };
}

export function u8(name: string, label: string, at: number, options: FieldOptions = {}): Field<number> {
  return uint(
    name,
    label,
    at,
    1,
    options,
    (view, base) => view.getUint8(base + at),
    (mask, shift, scale) => (view, base) => ((view.getUint8(base + at) & mask) >>> shift) * scale,
  );
}

export function u16(name: string, label: string, at: number, options: FieldOptions = {}): Field<number> {
  return uint(
    name,
    label,
    at,
    2,
    options,
    (view, base) => view.getUint16(base + at),
    (mask, shift, scale) => (view, base) => ((view.getUint16(base + at) & mask) >>> shift) * scale,
  );
}

export function u24(name: string, label: string, at: number, options: FieldOptions = {}): Field<number> {
  return uint(
    name,
    label,
    at,
    3,
    options,
    (view, base) => (view.getUint16(base + at) << 8) | view.getUint8(base + at + 2),
    (mask, shift, scale) => (view, base) =>
      ((((view.getUint16(base + at) << 8) | view.getUint8(base + at + 2)) & mask) >>> shift) * scale,
  );
}

export function u32(name: string, label: string, at: number, options: FieldOptions = {}): Field<number> {
  return uint(
    name,
    label,
    at,
    4,
    options,
    (view, base) => view.getUint32(base + at),
    (mask, shift, scale) => (view, base) => ((view.getUint32(base + at) & mask) >>> shift) * scale,
  );
}

export function i32(name: string, label: string, at: number, options: FieldOptions = {}): Field<number> {
  return { ...u32(name, label, at, options), type: 'int', read: (view, base) => view.getInt32(base + at) };
}

/** 48 bits as a number (exact). */
export function u48(
  name: string,
  label: string,
  at: number,
  options: Omit<FieldOptions, 'mask'> = {},
): Field<number> {
  const read: Reader = (view, base) => view.getUint16(base + at) * 2 ** 32 + view.getUint32(base + at + 2);
  return uint(name, label, at, 6, options, read, () => read);
}

/** 64 bits: `base: 'hex'` reads as a hex string, otherwise as a decimal string (JSON numbers lose bits above 2^53). */
export function u64(name: string, label: string, at: number, options: FieldOptions = {}): Field<string> {
  const hex = options.base === 'hex';
  return {
    name,
    label,
    type: 'uint',
    at,
    size: 8,
    mask: 0,
    list: options.list ?? false,
    read: (view, base) =>
      hex ? `0x${hexText(view, base + at, base + at + 8)}` : view.getBigUint64(base + at).toString(),
    show: (value) => value,
  };
}

/**
 * One bit (or several read as "any set") of the byte at `at`, or of the two or four bytes there with `size`; `names` are
 * what people read.
 */
export function flag(
  name: string,
  label: string,
  at: number,
  mask: number,
  size: 1 | 2 | 4 = 1,
  names: readonly [set: string, clear: string] = ['Set', 'Not set'],
): Field<boolean> {
  const read =
    size === 1
      ? (view: DataView, base: number) => (view.getUint8(base + at) & mask) !== 0
      : size === 2
        ? (view: DataView, base: number) => (view.getUint16(base + at) & mask) !== 0
        : (view: DataView, base: number) => (view.getUint32(base + at) & mask) !== 0;
  return {
    name,
    label,
    type: 'bool',
    at,
    size,
    mask,
    list: false,
    read,
    show: (value) => (value ? names[0] : names[1]),
    nameOf: (value) => (value ? names[0] : names[1]),
  };
}

export function ether(
  name: string,
  label: string,
  at: number,
  options: { list?: boolean } = {},
): Field<string> {
  return text(name, label, 'ether', at, 6, options.list ?? false, (view, base) => macText(view, base + at));
}

export function ipv4(
  name: string,
  label: string,
  at: number,
  options: { list?: boolean } = {},
): Field<string> {
  return text(name, label, 'ipv4', at, 4, options.list ?? false, (view, base) => ipv4Text(view, base + at));
}

export function ipv6(
  name: string,
  label: string,
  at: number,
  options: { list?: boolean } = {},
): Field<string> {
  return text(name, label, 'ipv6', at, 16, options.list ?? false, (view, base) => ipv6Text(view, base + at));
}

/** Bytes of a fixed length, as hex. */
export function bytes(
  name: string,
  label: string,
  at: number,
  size: number,
  options: { list?: boolean } = {},
): Field<string> {
  return text(name, label, 'bytes', at, size, options.list ?? false, (view, base) =>
    hexText(view, base + at, base + at + size),
  );
}

/** Text of a fixed length, one character per byte. */
export function characters(name: string, label: string, at: number, size: number): Field<string> {
  return text(name, label, 'string', at, size, false, (view, base) =>
    asciiText(view, base + at, base + at + size),
  );
}

/** A field whose place and value the dissector finds itself (`Details.computed`): names, lists, reassembled numbers. */
export function computed<V extends FieldValue>(
  name: string,
  label: string,
  type: FieldType,
  options: FieldOptions & { list?: boolean } = {},
): Field<V> {
  const show =
    type === 'uint' || type === 'int'
      ? displayOf(4, options)
      : (value: FieldValue) => printable(String(value));
  return {
    name,
    label,
    type,
    at: 0,
    size: 0,
    mask: 0,
    list: options.list ?? false,
    read: () => {
      throw new Error(`${name} has no fixed place: it is added with its value`);
    },
    show: show as (value: V) => string,
    ...namesOf(options),
  };
}

function text(
  name: string,
  label: string,
  type: FieldType,
  at: number,
  size: number,
  list: boolean,
  read: (view: DataView, base: number) => string,
): Field<string> {
  return { name, label, type, at, size, mask: 0, list, read, show: printable };
}

/** "0100 .... = Version: 4" for masked fields, "Label: value" for whole ones. */
export function fieldLine(field: Field, view: DataView, base: number): string {
  const value = field.show(field.read(view, base));
  if (field.mask === 0) return `${field.label}: ${value}`;
  let whole = 0;
  for (let i = 0; i < field.size; i++) whole = whole * 256 + view.getUint8(base + field.at + i);
  return `${bitPattern(whole, field.mask, field.size * 8)} = ${field.label}: ${value}`;
}

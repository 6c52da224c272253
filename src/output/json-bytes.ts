/**
 * JSON made as UTF-8, byte by byte: no strings are put together and encoded afterwards. Keys and what else is known before
 * is encoded once, as a `Literal`.
 */
import type { FieldValue } from '../core/field.ts';
import { jsonText } from './json.ts';

/**
 * Bytes that were encoded before, to be copied eight at a time: as doubles, since those need no objects. No UTF-8 is the
 * bytes of a NaN, which a copy might change.
 */
export interface Literal {
  readonly words: Float64Array;
  readonly length: number;
}

const encoder = new TextEncoder();

export function literal(text: string): Literal {
  const bytes = encoder.encode(text);
  const padded = new Uint8Array((bytes.length + 7) & ~7);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  const words = Float64Array.from({ length: padded.length / 8 }, (_, i) => view.getFloat64(i * 8, true));
  return { words, length: bytes.length };
}

const TENS = Float64Array.from({ length: 11 }, (_, i) => 10 ** i);
const ZERO = 0x30;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const TRUE = literal('true');
const FALSE = literal('false');
const NULL = literal('null');

export class JsonBytes {
  bytes: Uint8Array;
  length = 0;
  private view: DataView;
  private spare: Uint8Array;

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
    this.spare = new Uint8Array(capacity);
  }

  /** Begins anew, in `bytes` as long as there is room in it. */
  begin(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.length = 0;
  }

  /** Everything so far, which stays what it is until this is called once more; begins anew. */
  take(): Uint8Array {
    const taken = this.bytes.subarray(0, this.length);
    const { spare } = this;
    this.spare = this.bytes;
    this.begin(spare);
    return taken;
  }

  /** Makes room for `count` bytes more. */
  private room(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  byte(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  literal({ words, length }: Literal): void {
    this.room(words.length * 8);
    const { view } = this;
    let at = this.length;
    for (let i = 0; i < words.length; i++, at += 8) view.setFloat64(at, words[i], true);
    this.length += length;
  }

  /** What another buffer has in [from, to). */
  append({ bytes }: JsonBytes, from: number, to: number): void {
    if (from === to) return;
    this.room(to - from);
    this.bytes.set(bytes.subarray(from, to), this.length);
    this.length += to - from;
  }

  /** Text that is JSON already. */
  text(json: string): void {
    this.room(json.length * 3);
    this.length += encoder.encodeInto(json, this.bytes.subarray(this.length)).written;
  }

  private ascii(json: string): void {
    this.room(json.length);
    for (let i = 0; i < json.length; i++) this.bytes[this.length + i] = json.charCodeAt(i);
    this.length += json.length;
  }

  number(value: number): void {
    // Kinds of number that are computed with as integers, most of them small: doubles take twice as long.
    if (value >= 0 && value < 1000 && (value | 0) === value) this.small(value);
    else if (value >= 0 && (value | 0) === value) this.digits(value, 1);
    else if (value > 0 && value >>> 0 === value) {
      this.digits((value / 1e5) | 0, 1);
      this.digits((value % 1e5) | 0, 5);
    } else this.ascii(Number.isFinite(value) ? String(value) : 'null');
  }

  /** A whole number below 1000. */
  private small(value: number): void {
    this.room(3);
    const { bytes } = this;
    let at = this.length;
    // Quotients by 100 and by 10 that are right below 1000 and below 100.
    const hundreds = (value * 41) >> 12;
    const rest = value - hundreds * 100;
    const tens = (rest * 103) >> 10;
    if (value >= 100) bytes[at++] = ZERO + hundreds;
    if (value >= 10) bytes[at++] = ZERO + tens;
    bytes[at++] = ZERO + rest - tens * 10;
    this.length = at;
  }

  /** A whole number below 2^31 with at least `least` digits. */
  private digits(value: number, least: number): void {
    this.room(10);
    const { bytes } = this;
    let count = least;
    for (let bound = TENS[count]; value >= bound; bound = TENS[count]) count++;
    let rest = value;
    for (let at = this.length + count - 1; at >= this.length; at--) {
      const tens = (rest / 10) | 0;
      bytes[at] = ZERO + rest - tens * 10;
      rest = tens;
    }
    this.length += count;
  }

  string(value: string): void {
    const { length } = value;
    this.room(length + 2);
    const { bytes } = this;
    let at = this.length;
    bytes[at++] = QUOTE;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code < 0x20 || code >= 0x7f || code === QUOTE || code === BACKSLASH) {
        this.text(jsonText(value));
        return;
      }
      bytes[at++] = code;
    }
    bytes[at++] = QUOTE;
    this.length = at;
  }

  value(value: FieldValue | null): void {
    if (typeof value === 'number') this.number(value);
    else if (typeof value === 'string') this.string(value);
    else this.literal(value === null ? NULL : value ? TRUE : FALSE);
  }
}

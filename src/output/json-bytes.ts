/**
 * JSON made as UTF-8, byte by byte: no strings are put together and encoded afterwards. Keys and what else is known before
 * is encoded once, as a `Literal`.
 */
import type { FieldValue } from '../core/field.ts';
import { jsonText } from './json.ts';

/** Bytes that were encoded before, as words in the machine's order: four are copied at a time. */
export interface Literal {
  readonly words: Int32Array;
  readonly length: number;
}

const encoder = new TextEncoder();

export function literal(text: string): Literal {
  const bytes = encoder.encode(text);
  const padded = new Uint8Array((bytes.length + 3) & ~3);
  padded.set(bytes);
  return { words: new Int32Array(padded.buffer), length: bytes.length };
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
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

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
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
    this.room(words.length * 4);
    const { view } = this;
    let at = this.length;
    for (let i = 0; i < words.length; i++, at += 4) view.setInt32(at, words[i], LITTLE_ENDIAN);
    this.length += length;
  }

  /** What another buffer has in [from, to). */
  append({ bytes }: JsonBytes, from: number, to: number): void {
    this.room(to - from);
    this.bytes.set(bytes.subarray(from, to), this.length);
    this.length += to - from;
  }

  /** Text that is JSON already. */
  text(json: string): void {
    this.room(json.length * 3);
    this.length += encoder.encodeInto(json, this.bytes.subarray(this.length)).written;
  }

  number(value: number): void {
    if (!(value >= 0 && value <= 0xffffffff && Math.floor(value) === value)) {
      this.text(jsonText(value));
      return;
    }
    this.room(10);
    const { bytes } = this;
    let digits = 1;
    for (let least = 10; least <= value; least *= 10) digits++;
    let rest = value;
    for (let at = this.length + digits - 1; at > this.length; at--) {
      const tens = Math.floor(rest / 10);
      bytes[at] = ZERO + rest - tens * 10;
      rest = tens;
    }
    bytes[this.length] = ZERO + rest;
    this.length += digits;
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

/**
 * HPACK: header compression for HTTP/2 (RFC 7541), decoding only. Representations of a field (section 6):
 *
 *   | 1 |      index (7+)      |    field of a table
 *   | 0 1 |     index (6+)     |    literal, to be added to the dynamic table
 *   | 0 0 1 |   maximum (5+)   |    new maximum size of the dynamic table
 *   | 0 0 0 n |  index (4+)    |    literal, not added; n: never to be
 *
 * A literal's index names its name, or is 0 and its name follows. Strings (section 5.2):
 *
 *   | H |     length (7+)      |    and the string, Huffman-coded where H is set
 */
import { HUFFMAN_LENGTHS, STATIC_TABLE } from './hpack-tables.ts';

export type HeaderField = readonly [name: string, value: string];

/** What a field costs in the dynamic table besides its text (section 4.1). */
const ENTRY_OVERHEAD = 32;
/** Size of a dynamic table unless its owner announced another (RFC 9113 section 6.5.2). */
const DEFAULT_SIZE = 4096;
/** A table larger than this is refused, whatever was announced: 16 times the default. */
const LARGEST_SIZE = 65_536;

const END_OF_STRING = 256;
const LONGEST_CODE = 30;
/** Per length of code: the first code, and where its symbols begin in `symbols`. */
const firstCode = new Int32Array(LONGEST_CODE + 2);
const firstSymbol = new Int32Array(LONGEST_CODE + 2);
const symbols: number[] = [];
for (let length = 1, code = 0; length <= LONGEST_CODE + 1; length++) {
  firstCode[length] = code;
  firstSymbol[length] = symbols.length;
  for (let symbol = 0; symbol <= END_OF_STRING; symbol++) {
    if (Number.parseInt(HUFFMAN_LENGTHS[symbol], 36) === length) symbols.push(symbol);
  }
  code = (code + symbols.length - firstSymbol[length]) << 1;
}

/** Text of a Huffman-coded string, null where it is none. One character per byte. */
export function huffmanText(bytes: Uint8Array, from: number, to: number): string | null {
  let text = '';
  let code = 0;
  let length = 0;
  for (let at = from; at < to; at++) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((bytes[at] >>> bit) & 1);
      length++;
      const place = code - firstCode[length];
      if (place < firstSymbol[length + 1] - firstSymbol[length]) {
        const symbol = symbols[firstSymbol[length] + place];
        if (symbol === END_OF_STRING) return null;
        text += String.fromCharCode(symbol);
        code = 0;
        length = 0;
      } else if (length === LONGEST_CODE) {
        return null;
      }
    }
  }
  // Section 5.2: what is left over is less than a byte, and the beginning of the end of string: all ones.
  return length < 8 && code === (1 << length) - 1 ? text : null;
}

/** One direction's decoder: its table lives as long as the connection, so a block that is lost loses the rest too. */
export class HpackDecoder {
  /** Newest first. */
  private readonly dynamic: HeaderField[] = [];
  private size = 0;
  private maximum = DEFAULT_SIZE;

  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;

  /** Fields of a whole header block, null where it makes no sense: nothing after it can be decoded then. */
  decode(block: Uint8Array): HeaderField[] | null {
    this.bytes = block;
    this.at = 0;
    const fields: HeaderField[] = [];
    while (this.at < block.length) {
      const first = block[this.at];
      if ((first & 0xe0) === 0x20) {
        // Section 4.2: only at the beginning of a block.
        if (fields.length > 0 || !this.resize(this.integer(5))) return null;
        continue;
      }
      const field =
        (first & 0x80) !== 0 ? this.indexed(this.integer(7)) : this.literal((first & 0x40) !== 0 ? 6 : 4);
      if (field === null) return null;
      if ((first & 0xc0) === 0x40) this.add(field);
      fields.push(field);
    }
    return fields;
  }

  /** Section 5.1; -1 where it is cut or above 2^28, which no length or index here is. */
  private integer(prefix: number): number {
    const { bytes } = this;
    const mask = (1 << prefix) - 1;
    let value = bytes[this.at++] & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.at >= bytes.length) return -1;
      const byte = bytes[this.at++];
      value += (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value;
    }
    return -1;
  }

  private string(): string | null {
    const { bytes } = this;
    if (this.at >= bytes.length) return null;
    const coded = (bytes[this.at] & 0x80) !== 0;
    const length = this.integer(7);
    const from = this.at;
    if (length < 0 || length > bytes.length - from) return null;
    this.at = from + length;
    if (coded) return huffmanText(bytes, from, this.at);
    return Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString('latin1');
  }

  private indexed(index: number): HeaderField | null {
    if (index <= 0) return null;
    return STATIC_TABLE[index - 1] ?? this.dynamic[index - 1 - STATIC_TABLE.length] ?? null;
  }

  private literal(prefix: number): HeaderField | null {
    const index = this.integer(prefix);
    const name = index === 0 ? this.string() : this.indexed(index)?.[0];
    const value = name == null ? null : this.string();
    return name == null || value === null ? null : [name, value];
  }

  private resize(maximum: number): boolean {
    if (maximum < 0 || maximum > LARGEST_SIZE) return false;
    this.maximum = maximum;
    this.evict();
    return true;
  }

  private add(field: HeaderField): void {
    this.dynamic.unshift(field);
    this.size += sizeOf(field);
    this.evict();
  }

  private evict(): void {
    while (this.size > this.maximum) this.size -= sizeOf(this.dynamic.pop()!);
  }
}

function sizeOf([name, value]: HeaderField): number {
  return name.length + value.length + ENTRY_OVERHEAD;
}

/** Values as they are written in filters, read as the type that they are compared with. */
import type { Kind } from './catalog.ts';

/** Bytes to compare with; of an address in CIDR notation only the first `bits`. */
export interface BytesLiteral {
  readonly bytes: Uint8Array;
  /** -1 for all. */
  readonly bits: number;
}

/** What is wrong with a value: to be reported at its place. */
export class LiteralError extends Error {}

/** What a value of each kind looks like. */
export const EXPECTED: Readonly<Record<Kind, string>> = {
  uint: 'a number',
  int: 'a number',
  uint64: 'a number',
  bool: 'True or False',
  time: 'seconds since 1970, such as 1700000000.25',
  ether: 'a MAC address such as 02:00:00:00:00:01',
  ipv4: 'an IPv4 address such as 10.0.0.1 or 10.0.0.0/8',
  ipv6: 'an IPv6 address such as fd00::1 or fd00::/8',
  bytes: 'bytes such as 0a:00:ff, or text in double quotes',
  protocol: 'bytes such as 0a:00:ff, or text in double quotes',
  string: 'text in double quotes',
};

const TITLES: Readonly<Record<Kind, string>> = {
  uint: 'a number',
  int: 'a number',
  uint64: 'a number',
  bool: 'a boolean',
  time: 'a time',
  ether: 'a MAC address',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
  bytes: 'a sequence of bytes',
  protocol: 'a protocol',
  string: 'text',
};

/** What the type is called in a sentence. */
export function kindTitle(kind: Kind): string {
  return TITLES[kind];
}

const DECIMAL = /^[+-]?(?:0|[1-9]\d*)$/;
const OTHER_BASES = /^([+-]?)(0x[0-9a-f]+|0b[01]+|0[0-7]+)$/i;

/** A whole number in any of C's notations, null for something else. */
function integer(text: string): bigint | null {
  if (DECIMAL.test(text)) return BigInt(text.replace('+', ''));
  const match = OTHER_BASES.exec(text);
  if (!match) return null;
  const [, sign, digits] = match;
  const value = BigInt(/^0[0-7]/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return sign === '-' ? -value : value;
}

/** A number that a field of `size` bytes can be compared with; 0 for any size. */
export function numberLiteral(text: string, size: number): number | null {
  const value = integer(text);
  if (value === null) return null;
  const maximum = size > 0 && size < 8 ? 2n ** BigInt(size * 8) - 1n : BigInt(Number.MAX_SAFE_INTEGER);
  if (value > maximum) throw new LiteralError(`at most ${maximum} fits`);
  if (value < -maximum) throw new LiteralError(`at least ${-maximum} fits`);
  return Number(value);
}

export function uint64Literal(text: string): BytesLiteral | null {
  const value = integer(text);
  if (value === null) return null;
  if (value < 0n || value >= 2n ** 64n) throw new LiteralError('0 to 18446744073709551615 fit');
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return { bytes, bits: -1 };
}

export function booleanLiteral(text: string): number | null {
  if (/^true$/i.test(text)) return 1;
  if (/^false$/i.test(text)) return 0;
  const value = integer(text);
  return value === null ? null : value === 0n ? 0 : 1;
}

/** Seconds with up to nine decimals, put together as those of packets are, so that equal times are equal numbers. */
export function timeLiteral(text: string): number | null {
  const match = /^(-?)(\d{1,15})(?:\.(\d{1,9}))?$/.exec(text);
  if (!match) return null;
  const [, sign, seconds, fraction = '0'] = match;
  const nanoseconds = Number(fraction.padEnd(9, '0'));
  const value = Number(seconds) + nanoseconds / 1e9;
  return sign === '-' ? -value : value;
}

/** Pairs of hex digits, apart or with one separator between all of them; '-', ':' and '.' may also part longer groups. */
function hexBytes(text: string): Uint8Array | null {
  const one = /^0x([0-9a-f]{1,2})$/i.exec(text);
  if (one) return Uint8Array.of(Number.parseInt(one[1], 16));
  if (/^[0-9a-f]$/i.test(text)) return Uint8Array.of(Number.parseInt(text, 16));
  if (!/^[0-9a-f]{1,}(?:([:.-])[0-9a-f]+(?:\1[0-9a-f]+)*)?$/i.test(text)) return null;
  const groups = text.split(/[:.-]/);
  // A group of one digit is a byte where groups are bytes: 0.1.a is 00:01:0a.
  const digits = groups.map((group) => (group.length === 1 && groups.length > 1 ? `0${group}` : group));
  if (digits.some((group) => group.length % 2 === 1)) return null;
  return Uint8Array.from(digits.join('').match(/../g)!, (pair) => Number.parseInt(pair, 16));
}

export function bytesLiteral(text: string): BytesLiteral | null {
  const bytes = hexBytes(text);
  return bytes && { bytes, bits: -1 };
}

export function etherLiteral(text: string): BytesLiteral | null {
  const bytes = hexBytes(text);
  return bytes?.length === 6 ? { bytes, bits: -1 } : null;
}

/** Splits off the number of bits behind a slash. */
function prefixed(text: string, size: number): { address: string; bits: number } {
  const [address, bits, ...rest] = text.split('/');
  if (bits === undefined) return { address, bits: -1 };
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > size)
    throw new LiteralError(`a prefix has 0 to ${size} bits`);
  return { address, bits: Number(bits) };
}

function ipv4Bytes(text: string): number[] | null {
  const parts = text.split('.');
  // No leading zeros: some tools read them as octal.
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part))) return null;
  const bytes = parts.map(Number);
  return bytes.every((byte) => byte <= 255) ? bytes : null;
}

export function ipv4Literal(text: string): BytesLiteral | null {
  const { address, bits } = prefixed(text, 32);
  const bytes = ipv4Bytes(address);
  return bytes && { bytes: Uint8Array.from(bytes), bits };
}

/** Words of one side of '::', the last of which may be an IPv4 address. */
function ipv6Words(text: string): number[] | null {
  if (text === '') return [];
  const words: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    const four = i === parts.length - 1 ? ipv4Bytes(part) : null;
    if (four) words.push(four[0] * 256 + four[1], four[2] * 256 + four[3]);
    else if (/^[0-9a-f]{1,4}$/i.test(part)) words.push(Number.parseInt(part, 16));
    else return null;
  }
  return words;
}

export function ipv6Literal(text: string): BytesLiteral | null {
  const { address, bits } = prefixed(text, 128);
  const sides = address.split('::');
  if (sides.length > 2) return null;
  const [head, tail] = sides.map(ipv6Words);
  if (head === null || tail === null) return null;
  const gap = tail === undefined ? 0 : 8 - head.length - tail.length;
  if (tail === undefined ? head.length !== 8 : gap < 1) return null;
  const words = [...head, ...Array<number>(gap).fill(0), ...(tail ?? [])];
  return { bytes: Uint8Array.from(words.flatMap((word) => [word >>> 8, word & 255])), bits };
}

/** Text forms of wire values: addresses, hex, bit patterns. */

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

const RECENT = 4096;
const RECENT_SHIFT = 32 - Math.log2(RECENT);

/**
 * Texts of addresses met of late, by the words of the address: packets repeat addresses, and to make a text takes ten times
 * as long as to find it again.
 */
class RecentTexts {
  private readonly words = new Int32Array(4 * RECENT);
  private readonly texts: string[] = new Array(RECENT).fill('');

  /** Text of the address held as words (signed or unsigned), made by `make` unless it is known. */
  of(
    a: number,
    b: number,
    c: number,
    d: number,
    make: (a: number, b: number, c: number, d: number) => string,
  ): string {
    const { words } = this;
    const mixed = Math.imul(Math.imul(Math.imul(a, 31) ^ b, 31) ^ c, 31) ^ d;
    const slot = Math.imul(mixed, 0x9e3779b1) >>> RECENT_SHIFT;
    const at = slot * 4;
    const known =
      words[at + 3] === (d | 0) &&
      words[at + 2] === (c | 0) &&
      words[at + 1] === (b | 0) &&
      words[at] === (a | 0);
    if (known && this.texts[slot] !== '') return this.texts[slot];
    words[at] = a;
    words[at + 1] = b;
    words[at + 2] = c;
    words[at + 3] = d;
    const text = make(a, b, c, d);
    this.texts[slot] = text;
    return text;
  }
}

const recentMac = new RecentTexts();
const recentIpv4 = new RecentTexts();
const recentIpv6 = new RecentTexts();

export function macText(view: DataView, at: number): string {
  return recentMac.of(0, 0, view.getUint16(at), view.getUint32(at + 2), makeMacText);
}

function makeMacText(_a: number, _b: number, high: number, low: number): string {
  return [high >>> 8, high & 255, low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255]
    .map((byte) => HEX[byte])
    .join(':');
}

export function ipv4Text(view: DataView, at: number): string {
  return ipv4WordText(view.getUint32(at));
}

/** Dotted form of an IPv4 address held as a 32-bit word (signed or unsigned). */
export function ipv4WordText(word: number): string {
  return recentIpv4.of(0, 0, 0, word, makeIpv4Text);
}

function makeIpv4Text(_a: number, _b: number, _c: number, word: number): string {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join('.');
}

export function ipv6Text(view: DataView, at: number): string {
  return ipv6WordsText(
    view.getUint32(at),
    view.getUint32(at + 4),
    view.getUint32(at + 8),
    view.getUint32(at + 12),
  );
}

/** Canonical form (RFC 5952) of an IPv6 address held as four 32-bit words. */
export function ipv6WordsText(a: number, b: number, c: number, d: number): string {
  return recentIpv6.of(a, b, c, d, makeIpv6Text);
}

function makeIpv6Text(a: number, b: number, c: number, d: number): string {
  const groups = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff, c >>> 16, c & 0xffff, d >>> 16, d & 0xffff];
  // RFC 5952 section 5: addresses known to embed IPv4 are written so; ::ffff:0:0/96 is the well-known one.
  if (a === 0 && b === 0 && c === 0xffff) return `::ffff:${ipv4WordText(d)}`;
  // Section 4.2: the longest run of zero groups, the first of equals, never a single group.
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    i = j + 1;
  }
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return best < 0 ? hex(0, 8) : `${hex(0, best)}::${hex(best + bestLength, 8)}`;
}

export function hexText(view: DataView, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at++) text += HEX[view.getUint8(at)];
  return text;
}

/** `0x` and at least `digits` hexadecimal digits. */
export function hexNumber(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** Wireshark's picture of a masked value: "0100 .... " for mask 0xf0 and value 0x45. */
export function bitPattern(value: number, mask: number, bits: number): string {
  let text = '';
  for (let i = bits - 1; i >= 0; i--) {
    const bit = 2 ** i;
    const inMask = Math.floor(mask / bit) % 2 === 1;
    text += inMask ? (Math.floor(value / bit) % 2 === 1 ? '1' : '0') : '.';
    if (i % 4 === 0 && i > 0) text += ' ';
  }
  return text;
}

// Control and format characters of packet text must not reach a terminal: C0, DEL, C1, bidi marks and overrides,
// zero-width and line/paragraph separators, lone surrogates.
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly the characters to neutralise
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/g;

/** Text from a packet made safe for a terminal: unsafe characters become `\xNN` or `\uNNNN`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 256 ? `\\x${HEX[code]}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** Bytes as text, one character per byte (Latin-1), for fields that hold names. */
export function asciiText(view: DataView, from: number, to: number): string {
  let text = '';
  for (let at = from; at < to; at++) text += String.fromCharCode(view.getUint8(at));
  return text;
}

// Seconds repeat: those of packets from one to the next, those of flows within a capture. Formatting a date takes 1 us.
const KNOWN_SECONDS = 256;
const knownSeconds = new Float64Array(KNOWN_SECONDS).fill(Number.NaN);
const knownTexts: string[] = Array.from({ length: KNOWN_SECONDS }, () => '');

function secondText(seconds: number): string {
  const slot = seconds & (KNOWN_SECONDS - 1);
  if (knownSeconds[slot] !== seconds) {
    const date = new Date(seconds * 1000);
    knownTexts[slot] = Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().slice(0, -5);
    knownSeconds[slot] = seconds;
  }
  return knownTexts[slot];
}

/** RFC 3339 in UTC with nine digits of fraction; a time beyond what dates can hold as plain seconds. */
export function timeText(seconds: number, nanoseconds: number): string {
  const knownText = secondText(seconds);
  const fraction = String(nanoseconds).padStart(9, '0');
  return Math.abs(seconds) <= 8.64e12 ? `${knownText}.${fraction}Z` : `${knownText}.${fraction}`;
}

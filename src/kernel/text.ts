/** Text written to memory: digits, addresses, times. `at` is where the next character goes. */

import { allocate } from './memory';

let at: usize = 0;

/** Digits of the numbers 0 to 99, two bytes each. */
let pairs: usize = 0;
/** The numbers 0 to 255, each with a point behind it. */
let octets: usize = 0;
/** Texts of times up to the second, by its lower bits: the second, and `SECOND_TEXT` bytes. */
let seconds: usize = 0;
const SECONDS: u32 = 64;
const SECOND_TEXT: u32 = 20;
const SECOND_SIZE: u32 = 24;

/** Makes the tables of this module; before anything is written. */
export function prepareText(): void {
  if (pairs != 0) return;
  pairs = allocate(200);
  for (let i: u32 = 0; i < 100; i++) store<u16>(pairs + (i << 1), <u16>(0x3030 + i / 10 + ((i % 10) << 8)));
  octets = allocate(1024);
  for (let i: u32 = 0; i < 256; i++) {
    begin(octets + (i << 2));
    putNumber(i);
    putByte(46);
  }
  seconds = allocate(SECONDS * SECOND_SIZE);
}

export function begin(place: usize): void {
  at = place;
}
export function place(): usize {
  return at;
}

// Texts are written in whole words, which reach a few bytes past their ends: the next text overwrites those.

/** ASCII text: eight characters at a time from the two bytes that each takes in a string. */
export function put(text: string): void {
  const from = changetype<usize>(text);
  const length = <usize>text.length;
  for (let i: usize = 0; i < length; i += 8) {
    const eight = v128.load(from + (i << 1));
    store<u64>(at + i, i64x2.extract_lane(i8x16.narrow_i16x8_u(eight, eight), 0));
  }
  at += length;
}

export function putByte(character: u32): void {
  store<u8>(at++, <u8>character);
}

export function putBytes(from: usize, length: u32): void {
  for (let i: usize = 0; i < length; i += 16) v128.store(at + i, v128.load(from + i));
  at += length;
}

/** A number in decimal. */
export function putNumber(value: u64): void {
  if (value < 10_000) {
    putSmall(<u32>value);
  } else if (value < 100_000_000) {
    const high = <u32>value / 10_000;
    putSmall(high);
    putFour(<u32>value - high * 10_000);
  } else {
    const high = value / 100_000_000;
    putNumber(high);
    putEight(<u32>(value - high * 100_000_000));
  }
}

/** A number below 10,000. */
function putSmall(value: u32): void {
  if (value < 10) {
    putByte(48 + value);
  } else if (value < 100) {
    putTwo(value);
  } else if (value < 1000) {
    const high = value / 100;
    putByte(48 + high);
    putTwo(value - high * 100);
  } else {
    putFour(value);
  }
}
function putTwo(value: u32): void {
  store<u16>(at, load<u16>(pairs + (value << 1)));
  at += 2;
}
function putFour(value: u32): void {
  const high = value / 100;
  putTwo(high);
  putTwo(value - high * 100);
}
function putEight(value: u32): void {
  const high = value / 10_000;
  putFour(high);
  putFour(value - high * 10_000);
}

/** Nanoseconds as seconds, without trailing zeros. */
export function putSeconds(nanoseconds: i64): void {
  let value = <u64>nanoseconds;
  if (nanoseconds < 0) {
    putByte(45);
    value = <u64>-nanoseconds;
  }
  const whole = value / 1_000_000_000;
  const fraction = value - whole * 1_000_000_000;
  putNumber(whole);
  if (fraction == 0) return;
  putByte(46);
  putNine(<u32>fraction);
  while (load<u8>(at - 1) == 48) at--;
}

function putNine(value: u32): void {
  const high = value / 100_000_000;
  putByte(48 + high);
  putEight(value - high * 100_000_000);
}

/** RFC 3339 in UTC with nine digits of fraction. */
export function putTime(time: u64): void {
  const second = <u32>(time >> 32);
  const known = seconds + <usize>(second & (SECONDS - 1)) * SECOND_SIZE;
  if (load<u8>(known, 4) == 0 || load<u32>(known) != second) {
    const here = at;
    begin(known + 4);
    putSecond(second);
    begin(here);
    store<u32>(known, second);
  }
  putBytes(known + 4, SECOND_TEXT);
  putNine(<u32>time);
  putByte(90);
}

/** `SECOND_TEXT` bytes: a time up to the point before its fraction. */
function putSecond(seconds: u32): void {
  const days = seconds / 86400;
  const second = seconds - days * 86400;
  // Days to a date: a year that begins in March puts the leap day last (Howard Hinnant, chrono-compatible date algorithms).
  const z = days + 719468;
  const era = z / 146097;
  const dayOfEra = z - era * 146097;
  const yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365;
  const dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const fromMarch = (5 * dayOfYear + 2) / 153;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  putFour(yearOfEra + era * 400 + (month <= 2 ? 1 : 0));
  putByte(45);
  putTwo(month);
  putByte(45);
  putTwo(dayOfYear - (153 * fromMarch + 2) / 5 + 1);
  putByte(84);
  putTwo(second / 3600);
  putByte(58);
  putTwo((second / 60) % 60);
  putByte(58);
  putTwo(second % 60);
  putByte(46);
}

export function putIpv4(word: u32): void {
  putOctet(word >>> 24);
  putOctet((word >>> 16) & 255);
  putOctet((word >>> 8) & 255);
  putOctet(word & 255);
  at--;
}
function putOctet(octet: u32): void {
  store<u32>(at, load<u32>(octets + (octet << 2)));
  at += octet < 10 ? 2 : octet < 100 ? 3 : 4;
}

function putHexDigit(digit: u32): void {
  putByte(digit < 10 ? 48 + digit : 87 + digit);
}

function group(a: u32, b: u32, c: u32, d: u32, i: u32): u32 {
  const word = i < 2 ? a : i < 4 ? b : i < 6 ? c : d;
  return (i & 1) == 0 ? word >>> 16 : word & 0xffff;
}

/** Canonical form (RFC 5952); see `ipv6WordsText` for the sections. */
export function putIpv6(a: u32, b: u32, c: u32, d: u32): void {
  if (a == 0 && b == 0 && c == 0xffff) {
    put('::ffff:');
    putIpv4(d);
    return;
  }
  let best: u32 = 8;
  let bestLength: u32 = 1;
  for (let i: u32 = 0; i < 8; ) {
    let j = i;
    while (j < 8 && group(a, b, c, d, j) == 0) j++;
    if (j - i > bestLength) {
      best = i;
      bestLength = j - i;
    }
    i = j + 1;
  }
  for (let i: u32 = 0; i < 8; ) {
    if (i == best) {
      put('::');
      i += bestLength;
      continue;
    }
    if (i > 0 && i != best + bestLength) putByte(58);
    const value = group(a, b, c, d, i);
    if (value >= 0x1000) putHexDigit(value >>> 12);
    if (value >= 0x100) putHexDigit((value >>> 8) & 15);
    if (value >= 0x10) putHexDigit((value >>> 4) & 15);
    putHexDigit(value & 15);
    i++;
  }
}

/** Six bytes: the first word and the lower half of the second. */
export function putMac(a: u32, b: u32): void {
  const bytes = (<u64>a << 16) | <u64>(b & 0xffff);
  for (let i = 40; i >= 0; i -= 8) {
    const byte = <u32>(bytes >> i) & 255;
    putHexDigit(byte >>> 4);
    putHexDigit(byte & 15);
    if (i > 0) putByte(58);
  }
}

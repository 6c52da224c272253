/** Text written to memory: digits, addresses, times. `at` is where the next character goes. */

let at: usize = 0;

export function begin(place: usize): void {
  at = place;
}
export function place(): usize {
  return at;
}

/** ASCII text: four characters at a time from the two bytes that each takes in a string. */
export function put(text: string): void {
  const from = changetype<usize>(text);
  const length = text.length;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    let four = load<u64>(from + (<usize>i << 1));
    four = (four | (four >> 8)) & 0x0000ffff0000ffff;
    store<u32>(at + i, <u32>(four | (four >> 16)));
  }
  for (; i < length; i++) store<u8>(at + i, <u8>load<u16>(from + (<usize>i << 1)));
  at += length;
}

export function putByte(character: u32): void {
  store<u8>(at++, <u8>character);
}

export function putBytes(from: usize, length: u32): void {
  memory.copy(at, from, length);
  at += length;
}

/** A number in decimal. */
export function putNumber(value: u64): void {
  if (value < 10) {
    putByte(48 + <u32>value);
    return;
  }
  let digits: u32 = 1;
  let rest = value;
  if (rest >= 10_000_000_000) {
    digits += 10;
    rest /= 10_000_000_000;
  }
  let small = rest;
  while (small >= 10) {
    small /= 10;
    digits++;
  }
  putDigits(value, digits);
}

/** The last `digits` digits of a number. */
function putDigits(value: u64, digits: u32): void {
  let to = at + digits;
  at = to;
  let rest = value;
  for (let i: u32 = 0; i < digits; i++) {
    const next = rest / 10;
    store<u8>(--to, <u8>(48 + rest - next * 10));
    rest = next;
  }
}

/** Nanoseconds as seconds, without trailing zeros. */
export function putSeconds(nanoseconds: i64): void {
  let value = <u64>nanoseconds;
  if (nanoseconds < 0) {
    putByte(45);
    value = <u64>-nanoseconds;
  }
  const whole = value / 1_000_000_000;
  let fraction = value - whole * 1_000_000_000;
  putNumber(whole);
  if (fraction == 0) return;
  let digits: u32 = 9;
  while (fraction % 10 == 0) {
    fraction /= 10;
    digits--;
  }
  putByte(46);
  putDigits(fraction, digits);
}

/** RFC 3339 in UTC with nine digits of fraction. */
export function putTime(time: u64): void {
  const seconds = <u32>(time >> 32);
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
  putDigits(yearOfEra + era * 400 + (month <= 2 ? 1 : 0), 4);
  putByte(45);
  putDigits(month, 2);
  putByte(45);
  putDigits(dayOfYear - (153 * fromMarch + 2) / 5 + 1, 2);
  putByte(84);
  putDigits(second / 3600, 2);
  putByte(58);
  putDigits((second / 60) % 60, 2);
  putByte(58);
  putDigits(second % 60, 2);
  putByte(46);
  putDigits(<u32>time, 9);
  putByte(90);
}

export function putIpv4(word: u32): void {
  putNumber(word >>> 24);
  putByte(46);
  putNumber((word >>> 16) & 255);
  putByte(46);
  putNumber((word >>> 8) & 255);
  putByte(46);
  putNumber(word & 255);
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

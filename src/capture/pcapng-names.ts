import { ipv4Text, ipv6Text, macText } from '../core/text.ts';
import { optionText } from './pcapng-option.ts';

/** Names kept per capture, so that a hostile file cannot fill the memory. */
const MAX_NAMES = 65_536;
/** Bytes of a name; those of hosts have at most 253 (RFC 1035 section 3.1). */
const MAX_NAME = 255;

/** Types of records, how long their addresses are and how these are written. */
const FORMS = [
  { type: 1, length: 4, text: ipv4Text },
  { type: 2, length: 16, text: ipv6Text },
  { type: 3, length: 6, text: macText },
];

/**
 * Reads the records of a name resolution block: type(2) length(2) value padded to 4, the value being an
 * address and its names, each ended by a NUL. The first name of an address wins.
 */
export function readNames(
  view: DataView,
  at: number,
  end: number,
  littleEndian: boolean,
  names: Map<string, string>,
): void {
  while (end - at >= 4 && names.size < MAX_NAMES) {
    const type = view.getUint16(at, littleEndian);
    const length = view.getUint16(at + 2, littleEndian);
    const value = at + 4;
    if (type === 0 || length > end - value) return;
    const form = FORMS.find((known) => known.type === type);
    if (form !== undefined && length > form.length) {
      const address = form.text(view, value);
      const name = optionText(view, value + form.length, length - form.length, MAX_NAME);
      if (name !== '' && !names.has(address)) names.set(address, name);
    }
    at = value + ((length + 3) & ~3);
  }
}

/** Type of the records for addresses of so many bytes. */
export function nameType(length: number): number | undefined {
  return FORMS.find((form) => form.length === length)?.type;
}

/** Bytes of an IPv4, IPv6 or EUI-48 address, null where the text is none. */
export function addressBytes(text: string): Uint8Array | null {
  if (/^[\da-f]{2}(:[\da-f]{2}){5}$/i.test(text)) return numbers(text.split(':'), 16, 255);
  if (!text.includes(':')) {
    const bytes = numbers(text.split('.'), 10, 255);
    return bytes?.length === 4 ? bytes : null;
  }
  return ipv6Bytes(text);
}

function ipv6Bytes(text: string): Uint8Array | null {
  const dotted = /[^:]*\.[^:]*$/.exec(text)?.[0];
  if (dotted !== undefined) {
    const last = addressBytes(dotted);
    if (last === null) return null;
    const view = new DataView(last.buffer);
    const groups = `${view.getUint16(0).toString(16)}:${view.getUint16(2).toString(16)}`;
    return ipv6Bytes(text.slice(0, -dotted.length) + groups);
  }
  const parts = text.split('::');
  const [head, tail = []] = parts.map((part) => (part === '' ? [] : part.split(':')));
  const missing = 8 - head.length - tail.length;
  if (parts.length > 2 || (parts.length === 2 ? missing < 1 : missing !== 0)) return null;
  return numbers([...head, ...new Array<string>(missing).fill('0'), ...tail], 16, 0xffff);
}

/** Numbers in text as bytes, big-endian: one byte each up to 255, else two. Null where one is no number or too large. */
function numbers(texts: readonly string[], base: 10 | 16, maximum: number): Uint8Array | null {
  const digits = base === 10 ? /^\d{1,3}$/ : /^[\da-f]{1,4}$/i;
  const bytes: number[] = [];
  for (const text of texts) {
    const number = Number.parseInt(text, base);
    if (!digits.test(text) || number > maximum) return null;
    if (maximum > 255) bytes.push(number >> 8);
    bytes.push(number & 255);
  }
  return Uint8Array.from(bytes);
}

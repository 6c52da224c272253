import { optionText } from './pcapng-option.ts';

/** Names kept per capture, so that a hostile file cannot fill the memory. */
const MAX_NAMES = 65_536;

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
    const addressLength = type === 1 ? 4 : type === 2 ? 16 : type === 3 ? 6 : 0;
    if (addressLength !== 0 && length > addressLength) {
      const address = addressText(new Uint8Array(view.buffer, view.byteOffset + value, addressLength));
      const name = optionText(view, value + addressLength, length - addressLength);
      if (name !== '' && !names.has(address)) names.set(address, name);
    }
    at = value + ((length + 3) & ~3);
  }
}

/** IPv4, IPv6 (RFC 5952) or EUI-48 address as text, by its length. */
function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length === 6) return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i] << 8) | bytes[2 * i + 1]);
  const zeros = longestZeroRun(groups);
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (zeros.length < 2) return text(0, 8);
  return `${text(0, zeros.start)}::${text(zeros.start + zeros.length, 8)}`;
}

/** The run that RFC 5952 section 4.2 shortens: the longest, the first of equals. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}

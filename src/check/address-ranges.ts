/** Which addresses are routed on the Internet (RFC 6890 and its registries). */
import { AddressKind } from '../core/outline.ts';

/** IPv4 prefixes that are not: address, bits. */
const SPECIAL: readonly (readonly [address: number, bits: number])[] = [
  [0x00000000, 8],
  [0x0a000000, 8],
  [0x64400000, 10],
  [0x7f000000, 8],
  [0xa9fe0000, 16],
  [0xac100000, 12],
  [0xc0000000, 24],
  [0xc0000200, 24],
  [0xc0a80000, 16],
  [0xc6120000, 15],
  [0xc6336400, 24],
  [0xcb007100, 24],
  [0xe0000000, 3],
];

/** Whether the address at `at` is routed on the Internet; never for other kinds of address than IP. */
export function isGlobal(view: DataView, at: number, kind: number): boolean {
  if (kind === AddressKind.ipv4) {
    const address = view.getUint32(at);
    return !SPECIAL.some(([prefix, bits]) => (address ^ prefix) >>> (32 - bits) === 0);
  }
  if (kind !== AddressKind.ipv6) return false;
  const first = view.getUint32(at);
  // 2000::/3 but documentation: 2001:db8::/32 and 3fff::/20.
  return first >>> 29 === 1 && first !== 0x20010db8 && first >>> 12 !== 0x3fff0;
}

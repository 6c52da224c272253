// Byte helpers, checksums and the one idea everything here is built on: a layer is an object that can render
// itself once it knows its neighbours. `ether`, `ip` and `gre`-style numbers say how the layer above it must
// announce it, and `render(pseudo)` returns the bytes; `pseudo(protocol, length)` yields the pseudo header
// that UDP, TCP and ICMPv6 need for their checksum (RFC 9293 section 3.1, RFC 8200 section 8.1).

export const u8 = (v) => Buffer.from([v & 0xff]);
export const u16 = (v) => Buffer.from([(v >> 8) & 0xff, v & 0xff]);
export const u24 = (v) => Buffer.from([(v >> 16) & 0xff, (v >> 8) & 0xff, v & 0xff]);
export const u32 = (v) => {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(v >>> 0);
  return b;
};
export const u64 = (v) => {
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(BigInt(v));
  return b;
};
export const hex = (text) => Buffer.from(text.replace(/\s+/g, ''), 'hex');
export const zeros = (n) => Buffer.alloc(n);
/** n bytes counting up from `first`: visible structure in a hex dump. */
export const ramp = (n, first = 0) => Buffer.from(Array.from({ length: n }, (_, i) => first + i));

export const layer = (ids, render) => ({ ...ids, render });

/** Bytes of a Buffer, a string, a layer, or a list of these; nothing at all gives no bytes. */
export function bytes(x, pseudo) {
  if (x === undefined || x === null) return Buffer.alloc(0);
  if (Buffer.isBuffer(x)) return x;
  if (typeof x === 'string') return Buffer.from(x);
  if (Array.isArray(x)) return Buffer.concat(x.map((y) => bytes(y, pseudo)));
  return x.render(pseudo);
}
export const cat = (...parts) => bytes(parts);

/** Pads with zeros to a multiple of n. */
export const padTo = (b, n) => cat(b, zeros((n - (b.length % n)) % n));

/** Overwrites bytes at an offset: for lengths and checksums that must be wrong. */
export function patch(x, offset, value) {
  const b = Buffer.from(bytes(x));
  bytes(value).copy(b, offset);
  return b;
}

/** Internet checksum, RFC 1071. */
export function inetSum(...parts) {
  const b = padTo(cat(...parts), 2);
  let sum = 0;
  for (let i = 0; i < b.length; i += 2) sum += b.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** CRC-32C as SCTP uses it (RFC 9260 appendix A); SCTP stores it least significant byte first. */
export function crc32c(b) {
  let crc = 0xffffffff;
  for (const byte of b) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

export const mac = (text) => hex(text.replace(/:/g, ''));

export const ipv4 = (text) => Buffer.from(text.split('.').map(Number));

export function ipv6(text) {
  const groups = (part) => (part ? part.split(':').map((g) => Number.parseInt(g, 16)) : []);
  const [head, tail] = text.split('::');
  const left = groups(head);
  const right = groups(tail);
  const middle = tail === undefined ? [] : new Array(8 - left.length - right.length).fill(0);
  return bytes([...left, ...middle, ...right].map(u16));
}

export const address = (text) => (text.includes(':') ? ipv6(text) : ipv4(text));

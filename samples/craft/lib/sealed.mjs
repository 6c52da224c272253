// What TLS 1.3, ESP and MACsec make of plain bytes. Keys are counters: nothing here is secret.
import { createCipheriv, createHmac } from 'node:crypto';
import { tlsRecord } from './app.mjs';
import { bytes, cat, u8, u16, u24, u32, zeros } from './bytes.mjs';

/** n bytes counting up from `first`. */
export const counting = (n, first = 0) => Buffer.from(Uint8Array.from({ length: n }, (_, i) => first + i));

// ------------------------------------------------------------------------------------------------- TLS 1.3
const expandLabel = (secret, label, length) => {
  const text = `tls13 ${label}`;
  const info = cat(u16(length), u8(text.length), text, u8(0), u8(1));
  return createHmac('sha256', secret).update(info).digest().subarray(0, length);
};

/** One direction under TLS_AES_128_GCM_SHA256 and a traffic secret (RFC 8446 sections 5.2, 5.3 and 7.3). */
export function sealer(secret) {
  let current = secret;
  let sequence = 0;
  const seal = (type, content) => {
    const nonce = expandLabel(current, 'iv', 12);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ sequence) >>> 0, 8);
    sequence += 1;
    const plain = cat(content, u8(type));
    const cipher = createCipheriv('aes-128-gcm', expandLabel(current, 'key', 16), nonce);
    cipher.setAAD(cat(u8(23), u16(0x0303), u16(plain.length + 16)));
    return tlsRecord(23, 0x0303, cat(cipher.update(plain), cipher.final(), cipher.getAuthTag()));
  };
  return {
    handshake: (...messages) => seal(22, cat(...messages)),
    application: (content) => seal(23, content),
    /** KeyUpdate, section 4.6.3: what follows is under the next secret. */
    update: () => {
      const record = seal(22, message(24, u8(0)));
      current = expandLabel(current, 'traffic upd', 32);
      sequence = 0;
      return record;
    },
  };
}

export const message = (type, body) => cat(u8(type), u24(bytes(body).length), body);
const vector16 = (x) => cat(u16(x.length), x);
const vector24 = (x) => cat(u24(x.length), x);

export const encryptedExtensions = (protocol) => {
  const alpn = vector16(cat(u8(protocol.length), protocol));
  return message(8, vector16(cat(u16(16), vector16(alpn))));
};
export const certificate = (der) => message(11, cat(u8(0), vector24(cat(vector24(der), u16(0)))));
/** Signature and MAC are filler: nobody here checks them. */
export const certificateVerify = message(15, cat(u16(0x0403), vector16(counting(70))));
export const finished = message(20, counting(32));

/** The four secrets of a connection, and the lines of a key log for them. */
export function secretsOf(random, first) {
  const labels = [
    'CLIENT_HANDSHAKE_TRAFFIC_SECRET',
    'SERVER_HANDSHAKE_TRAFFIC_SECRET',
    'CLIENT_TRAFFIC_SECRET_0',
    'SERVER_TRAFFIC_SECRET_0',
  ];
  const secrets = labels.map((_, i) => counting(32, first + 32 * i));
  const line = (label, i) => `${label} ${random.toString('hex')} ${secrets[i].toString('hex')}\n`;
  return { secrets, keyLog: labels.map(line).join('') };
}

// -------------------------------------------------------------------------------------------------- HTTP/2
export const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** RFC 9113 section 4.1. */
export const frame = (type, flags, stream, payload = '') =>
  cat(u24(bytes(payload).length), u8(type), u8(flags), u32(stream), payload);
export const settings = frame(4, 0, 0);
export const headers = (stream, block) => frame(1, 0x04, stream, block);
export const data = (stream, payload, last = false) => frame(0, last ? 1 : 0, stream, payload);

// RFC 7541 section 6; strings without Huffman code, all shorter than 127.
const string = (text) => cat(u8(text.length), text);
export const indexed = (index) => u8(0x80 | index);
/** A literal whose name is `name`, or an index, added to the table where `keep`. */
export const literal = (name, value, keep = true) => {
  const first = keep ? 0x40 : 0x00;
  return typeof name === 'number'
    ? cat(u8(first | name), string(value))
    : cat(u8(first), string(name), string(value));
};

// --------------------------------------------------------------------------------------------------- ESP
/** RFC 4303 section 2.4: padding that counts up, so that the trailer ends on four bytes. */
const trailed = (protocol, payload) => {
  const padding = -(payload.length + 2) & 3;
  return cat(payload, counting(padding, 1), u8(padding), u8(protocol));
};

/** RFC 4106: `key` is the AES key and four bytes of salt. */
export function espGcm({ spi, seq, key }, protocol, payload) {
  const header = cat(u32(spi), u32(seq));
  const iv = cat(zeros(4), u32(seq));
  const cipher = createCipheriv('aes-128-gcm', key.subarray(0, 16), cat(key.subarray(16), iv));
  cipher.setAAD(header);
  return cat(header, iv, cipher.update(trailed(protocol, payload)), cipher.final(), cipher.getAuthTag());
}

/** RFC 2410 and RFC 4868: nothing is hidden, but changes show. */
export function espNull({ spi, seq, key }, protocol, payload) {
  const packet = cat(u32(spi), u32(seq), trailed(protocol, payload));
  return cat(packet, createHmac('sha256', key).update(packet).digest().subarray(0, 16));
}

// ------------------------------------------------------------------------------------------------- MACsec
/** An Ethernet frame behind a tag with SCI, encrypted (IEEE 802.1AE, GCM-AES-128). */
export function macsecFrame({ key, sci, pn }, ethernet) {
  const inside = ethernet.subarray(12);
  const tag = cat(u16(0x88e5), u8(0x2c), u8(inside.length < 48 ? inside.length : 0), u32(pn), sci);
  const cipher = createCipheriv('aes-128-gcm', key, cat(sci, u32(pn)));
  cipher.setAAD(cat(ethernet.subarray(0, 12), tag));
  return cat(ethernet.subarray(0, 12), tag, cipher.update(inside), cipher.final(), cipher.getAuthTag());
}

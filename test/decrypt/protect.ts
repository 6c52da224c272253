/** The sending side of ESP and MACsec, for frames to be opened again. */
import { createCipheriv, createHmac } from 'node:crypto';
import { bytes, u16, u32, udp, zeros } from '../flow/frames.ts';

export interface EspKey {
  readonly spi: number;
  readonly gcm?: Buffer;
  readonly hmac?: readonly ['sha1' | 'sha256', Buffer];
  readonly icv?: number;
  /** Upper half of the sequence number. */
  readonly high?: number;
}

/** RFC 4303: what an ESP packet is made of, its padding counting up from 1. */
export function espOf(key: EspKey, sequence: number, nextHeader: number, payload: Uint8Array): Buffer {
  const padding = -(payload.length + 2) & 3;
  const pad = Uint8Array.from({ length: padding }, (_, i) => i + 1);
  const body = bytes(payload, pad, padding, nextHeader);
  const header = bytes(u32(key.spi), u32(sequence));
  const high = key.high === undefined ? zeros(0) : u32(key.high);
  if (key.gcm !== undefined) {
    const iv = bytes(u32(0x01020304), u32(sequence));
    const aes = key.gcm.length === 20 ? 'aes-128-gcm' : key.gcm.length === 28 ? 'aes-192-gcm' : 'aes-256-gcm';
    const nonce = bytes(key.gcm.subarray(-4), iv);
    const cipher = createCipheriv(aes, key.gcm.subarray(0, -4), nonce, { authTagLength: key.icv ?? 16 });
    cipher.setAAD(bytes(header.subarray(0, 4), high, header.subarray(4)));
    return bytes(header, iv, cipher.update(body), cipher.final(), cipher.getAuthTag());
  }
  const [hash, secret] = key.hmac!;
  const icv = createHmac(hash, secret)
    .update(bytes(header, body, high))
    .digest();
  return bytes(header, body, icv.subarray(0, key.icv ?? (hash === 'sha1' ? 12 : 16)));
}

/** An IPv4 header's checksum, put in its place. */
export function summed(packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  let sum = 0;
  for (let at = 0; at < (copy[0] & 15) * 4; at += 2) sum += at === 10 ? 0 : copy.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  copy.writeUInt16BE(~sum & 0xffff, 10);
  return copy;
}

/** An IP packet in transport mode, from the given header on inside ESP; in UDP where `port` is given. */
export function transport(
  packet: Buffer,
  key: EspKey,
  sequence: number,
  {
    headers = packet[0] >> 4 === 4 ? (packet[0] & 15) * 4 : 40,
    type = packet[0] >> 4 === 4 ? 9 : 6,
    port = 0,
  } = {},
): Buffer {
  const inside = espOf(key, sequence, packet[type], packet.subarray(headers));
  const body = port === 0 ? inside : udp(port, port, inside);
  const copy = bytes(packet.subarray(0, headers), body);
  copy[type] = port === 0 ? 50 : 17;
  if (copy[0] >> 4 === 4) copy.writeUInt16BE(copy.length, 2);
  else copy.writeUInt16BE(copy.length - 40, 4);
  return copy[0] >> 4 === 4 ? summed(copy) : copy;
}

/** IEEE 802.1AE: an Ethernet frame behind a tag with the channel's identifier. */
export function macsecOf(frame: Buffer, key: Buffer, identifier: Buffer, number: number, an = 0): Buffer {
  const inside = frame.subarray(12);
  const short = inside.length < 48 ? inside.length : 0;
  const header = bytes(frame.subarray(0, 12), u16(0x88e5), 0x2c | an, short, u32(number), identifier);
  const cipher = createCipheriv(
    key.length === 16 ? 'aes-128-gcm' : 'aes-256-gcm',
    key,
    bytes(identifier, u32(number)),
  );
  cipher.setAAD(header);
  return bytes(header, cipher.update(inside), cipher.final(), cipher.getAuthTag());
}

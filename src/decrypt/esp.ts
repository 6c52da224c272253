/**
 * Security associations of ESP (RFC 4303), and what they protect:
 *
 *   | SPI 32 | sequence 32 | IV | payload | padding | pad length 8 | next header 8 | ICV |
 *                                | ------------ encrypted -------------------------|
 *
 * With AES-GCM (RFC 4106) the IV is 8 bytes; with NULL encryption (RFC 2410) there is none, and an HMAC is the ICV.
 */
import { createDecipheriv, createHmac } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import { esp, FIRST_SPI, sequence } from '../../dissectors/esp.ts';
import { KeySpec } from './key-spec.ts';

export const ESP_OPTION = '--esp-sa';

const HEADER = esp.minLength;
const IV = 8;
/** RFC 4106 section 4: what goes before the IV to make the nonce. */
const SALT = 4;
/** Pad length and next header. */
const TRAILER = 2;

const GCM_CIPHERS = { 16: 'aes-128-gcm', 24: 'aes-192-gcm', 32: 'aes-256-gcm' } as const;
const HMACS = {
  // RFC 2404; RFC 4868 section 2.1.1
  'hmac-sha1': { hash: 'sha1', key: 20, icv: 12 },
  'hmac-sha256': { hash: 'sha256', key: 32, icv: 16 },
} as const;
/** RFC 4106 section 6; HMACs are cut to the longer two. */
const ICV_LENGTHS = [8, 12, 16];

/**
 * Payload, padding and trailer of a packet, null where it does not authenticate. `high` is the upper half of a 64-bit
 * sequence number, -1 where there is none.
 */
type Opener = (packet: Uint8Array, high: number) => Uint8Array | null;

/** What was inside an ESP packet. */
export interface EspContent {
  /** IP protocol number. */
  readonly nextHeader: number;
  readonly payload: Uint8Array;
}

export class SecurityAssociation {
  readonly spi: number;
  /** Canonical text of the address packets go to, null for any. */
  readonly destination: string | null;
  private readonly opener: Opener;
  /** Bytes of the shortest packet. */
  private readonly minimum: number;
  /** Upper half of the 64-bit sequence number (RFC 4303 section 2.2.1), -1 where numbers have 32 bits. */
  private high: number;

  /**
   * @param text `spi=0x1001,aes-gcm=KEY` with the salt behind the key, or `spi=...,hmac-sha256=KEY` for NULL encryption;
   *   also `dst=ADDRESS`, `icv=BYTES`, and `esn=HIGH` where sequence numbers have 64 bits.
   */
  static parse(text: string): SecurityAssociation {
    const names = ['spi', 'dst', 'aes-gcm', 'hmac-sha1', 'hmac-sha256', 'icv', 'esn'];
    return new SecurityAssociation(new KeySpec(ESP_OPTION, text, names));
  }

  private constructor(spec: KeySpec) {
    this.spi = spec.number('spi', FIRST_SPI, 0xffffffff) ?? spec.fail('spi=NUMBER is missing');
    this.destination = addressOf(spec);
    this.high = spec.number('esn', 0, 0xffffffff) ?? -1;
    const icv = spec.number('icv', 0, 0xff);
    if (icv !== undefined && !ICV_LENGTHS.includes(icv)) spec.fail('icv takes 8, 12 or 16');
    const names = (['aes-gcm', 'hmac-sha1', 'hmac-sha256'] as const).filter((name) => spec.has(name));
    if (names.length !== 1) spec.fail('give one of aes-gcm, hmac-sha1 and hmac-sha256 with its key');
    const [name] = names;
    if (name === 'aes-gcm') {
      const lengths = Object.keys(GCM_CIPHERS).map((length) => Number(length) + SALT);
      const material = spec.bytes(name, lengths, 'the key and 4 bytes of salt')!;
      this.opener = gcm(material.subarray(0, -SALT), material.subarray(-SALT), icv ?? 16);
      this.minimum = HEADER + IV + TRAILER + (icv ?? 16);
    } else {
      const hmac = HMACS[name];
      this.opener = integrity(hmac.hash, spec.bytes(name, [hmac.key], 'the key')!, icv ?? hmac.icv);
      this.minimum = HEADER + TRAILER + (icv ?? hmac.icv);
    }
  }

  /** The content of the whole ESP packet from its SPI to its ICV, null where it does not authenticate. */
  open(packet: Uint8Array): EspContent | null {
    if (packet.length < this.minimum) return null;
    if (this.high < 0) return contentOf(this.opener(packet, -1));
    // Appendix A: the upper half is not sent. The one in use goes first, then those next to it.
    for (const high of [this.high, this.high + 1, this.high - 1]) {
      const content = high < 0 ? null : contentOf(this.opener(packet, high));
      if (content === null) continue;
      this.high = high;
      return content;
    }
    return null;
  }
}

function addressOf(spec: KeySpec): string | null {
  const address = spec.text('dst');
  if (address === undefined) return null;
  const version = isIP(address);
  if (version === 0) spec.fail('dst takes an IPv4 or IPv6 address');
  return new SocketAddress({ address, family: version === 4 ? 'ipv4' : 'ipv6' }).address;
}

function contentOf(plain: Uint8Array | null): EspContent | null {
  if (plain === null) return null;
  const length = plain.length - TRAILER - plain[plain.length - TRAILER];
  return length < 0 ? null : { nextHeader: plain[plain.length - 1], payload: plain.subarray(0, length) };
}

/** RFC 4106 sections 4 and 5: the nonce is salt and IV; SPI and sequence number are authenticated too. */
function gcm(key: Buffer, salt: Buffer, icv: number): Opener {
  const cipher = GCM_CIPHERS[key.length as keyof typeof GCM_CIPHERS];
  return (packet, high) => {
    const header = packet.subarray(0, HEADER);
    const body = HEADER + IV;
    const nonce = Buffer.concat([salt, packet.subarray(HEADER, body)]);
    const decipher = createDecipheriv(cipher, key, nonce, { authTagLength: icv });
    const numbered = [header.subarray(0, sequence.at), word(high), header.subarray(sequence.at)];
    decipher.setAAD(high < 0 ? header : Buffer.concat(numbered));
    decipher.setAuthTag(packet.subarray(packet.length - icv));
    const plain = decipher.update(packet.subarray(body, packet.length - icv));
    try {
      decipher.final();
    } catch {
      return null;
    }
    return plain;
  };
}

/** RFC 4303 section 2.8: the HMAC is over everything before it, and the upper half of the sequence number. */
function integrity(hash: string, key: Buffer, icv: number): Opener {
  return (packet, high) => {
    const end = packet.length - icv;
    const hmac = createHmac(hash, key).update(packet.subarray(0, end));
    if (high >= 0) hmac.update(word(high));
    const expected = hmac.digest().subarray(0, icv);
    return expected.equals(packet.subarray(end)) ? packet.subarray(HEADER, end) : null;
  };
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

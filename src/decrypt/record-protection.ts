/** Keys of TLS 1.3 and the records they protect (RFC 8446 sections 5.2, 5.3, 7.2 and 7.3). */
import { createDecipheriv, createHmac } from 'node:crypto';

export interface CipherSuite {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly keyLength: number;
  readonly hash: 'sha256' | 'sha384';
  readonly hashLength: number;
}

/** By code point; section B.4. AES-CCM is not among them: hardly anything offers it. */
export const CIPHER_SUITES: ReadonlyMap<number, CipherSuite> = new Map([
  [0x1301, { cipher: 'aes-128-gcm', keyLength: 16, hash: 'sha256', hashLength: 32 }],
  [0x1302, { cipher: 'aes-256-gcm', keyLength: 32, hash: 'sha384', hashLength: 48 }],
  [0x1303, { cipher: 'chacha20-poly1305', keyLength: 32, hash: 'sha256', hashLength: 32 }],
]);

const NONCE = 12;
const TAG = 16;

/**
 * HKDF-Expand-Label (section 7.1) with an empty context:
 *
 *   | length 16 | label length 8 | "tls13 " label | context length 8 |
 *
 * node:crypto has HKDF-Expand (RFC 5869 section 2.3) only behind HKDF-Extract. No length here is above that of the
 * hash, so one block of it is enough.
 */
function expandLabel({ hash }: CipherSuite, secret: Uint8Array, label: string, length: number): Buffer {
  const text = `tls13 ${label}`;
  const info = Buffer.of(length >>> 8, length & 0xff, text.length, ...Buffer.from(text), 0);
  return createHmac(hash, secret).update(info).update(Buffer.of(1)).digest().subarray(0, length);
}

/** One direction's records under one traffic secret and its successors. */
export class RecordProtection {
  private readonly suite: CipherSuite;
  private secret: Uint8Array;
  private key: Buffer;
  private iv: Buffer;
  /** Records opened or refused under the current key. */
  private sequence = 0;

  /** Records of early data (section 4.2.10), which have a key of their own, may come first. */
  private readonly afterEarlyData: boolean;

  /** Null where the secret is not as long as the suite's hash. */
  static of(
    suite: CipherSuite,
    secret: Uint8Array | undefined,
    afterEarlyData = false,
  ): RecordProtection | null {
    return secret?.length === suite.hashLength ? new RecordProtection(suite, secret, afterEarlyData) : null;
  }

  private constructor(suite: CipherSuite, secret: Uint8Array, afterEarlyData: boolean) {
    this.suite = suite;
    this.secret = secret;
    this.afterEarlyData = afterEarlyData;
    this.key = expandLabel(suite, secret, 'key', suite.keyLength);
    this.iv = expandLabel(suite, secret, 'iv', NONCE);
  }

  /** KeyUpdate, section 7.2. */
  update(): void {
    const { suite } = this;
    this.secret = expandLabel(suite, this.secret, 'traffic upd', suite.hashLength);
    this.key = expandLabel(suite, this.secret, 'key', suite.keyLength);
    this.iv = expandLabel(suite, this.secret, 'iv', NONCE);
    this.sequence = 0;
  }

  /**
   * The plaintext of a record, null where it does not authenticate. It then counts for the sequence all the same.
   *
   * @param header The record's five bytes, which are authenticated too.
   */
  open(header: Uint8Array, encrypted: Uint8Array): Buffer | null {
    if (encrypted.length < TAG) return null;
    const nonce = Buffer.from(this.iv);
    nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ (this.sequence & 0xffffffff)) >>> 0, 8);
    nonce.writeUInt16BE(nonce.readUInt16BE(6) ^ Math.floor(this.sequence / 2 ** 32), 6);
    const decipher = createDecipheriv(this.suite.cipher as 'aes-128-gcm', this.key, nonce, {
      authTagLength: TAG,
    });
    decipher.setAAD(header);
    decipher.setAuthTag(encrypted.subarray(-TAG));
    const plain = decipher.update(encrypted.subarray(0, -TAG));
    try {
      decipher.final();
    } catch {
      if (this.sequence > 0 || !this.afterEarlyData) this.sequence++;
      return null;
    }
    this.sequence++;
    return plain;
  }
}

/** MACsec under given keys: GCM-AES-128 and -256 (IEEE 802.1AE clause 14.5), not the XPN suites. */
import { createDecipheriv } from 'node:crypto';
import { source as etherSource } from '../../dissectors/ethernet.ts';
import {
  association,
  CHECK_VALUE,
  packetNumber,
  secureChannel,
  shortLength,
  singleCopy,
  system,
  tagBytes,
} from '../../dissectors/macsec.ts';
import { KeySpec } from './key-spec.ts';

export const MACSEC_OPTION = '--macsec-key';

/** Bytes of a secure channel's identifier: the system's address and a port. */
const IDENTIFIER = 8;
const CIPHERS = { 16: 'aes-128-gcm', 32: 'aes-256-gcm' } as const;

/** A secure association key. */
export class MacsecKey {
  /** The channel it is for, null for any. */
  private readonly identifier: Buffer | null;
  /** Its association number, null for any. */
  private readonly number: number | null;
  private readonly cipher: (typeof CIPHERS)[keyof typeof CIPHERS];
  private readonly key: Buffer;

  /** @param text `key=KEY`, also `sci=IDENTIFIER` and `an=NUMBER`. */
  static parse(text: string): MacsecKey {
    return new MacsecKey(new KeySpec(MACSEC_OPTION, text, ['key', 'sci', 'an']));
  }

  private constructor(spec: KeySpec) {
    this.identifier = spec.bytes('sci', [IDENTIFIER], 'MAC address and port') ?? null;
    this.number = spec.number('an', 0, 3) ?? null;
    this.key =
      spec.bytes('key', Object.keys(CIPHERS).map(Number), 'the SAK') ?? spec.fail('key=HEX is missing');
    this.cipher = CIPHERS[this.key.length as keyof typeof CIPHERS];
  }

  /**
   * EtherType and payload of an encrypted frame, null where this is not its key.
   *
   * @param frame Start of the Ethernet header.
   * @param tag Start of the tag behind the EtherType 88e5.
   * @param end One past the last byte of the frame.
   */
  open(bytes: Uint8Array, view: DataView, frame: number, tag: number, end: number): Uint8Array | null {
    if (this.number !== null && association.read(view, tag) !== this.number) return null;
    const data = tag + tagBytes(view, tag);
    // Clause 9.7: frames shorter than the minimum say how long their data are; padding follows the check value.
    const short = shortLength.read(view, tag);
    const check = short === 0 ? end - CHECK_VALUE : data + short;
    if (check < data || check + CHECK_VALUE > end) return null;
    const identifier = this.identifierOf(bytes, view, frame, tag);
    if (this.identifier !== null && !this.identifier.equals(identifier)) return null;
    const nonce = Buffer.concat([
      identifier,
      bytes.subarray(tag + packetNumber.at, tag + packetNumber.at + 4),
    ]);
    const decipher = createDecipheriv(this.cipher, this.key, nonce, { authTagLength: CHECK_VALUE });
    decipher.setAAD(bytes.subarray(frame, data));
    decipher.setAuthTag(bytes.subarray(check, check + CHECK_VALUE));
    const plain = decipher.update(bytes.subarray(data, check));
    try {
      decipher.final();
    } catch {
      return null;
    }
    return plain;
  }

  /** The secure channel's identifier, in the tag or, as clause 9.5 has it, implied by the source address. */
  private identifierOf(bytes: Uint8Array, view: DataView, frame: number, tag: number): Uint8Array {
    if (secureChannel.read(view, tag)) return bytes.subarray(tag + system.at, tag + system.at + IDENTIFIER);
    if (this.identifier !== null) return this.identifier;
    const source = bytes.subarray(frame + etherSource.at, frame + etherSource.at + etherSource.size);
    return Buffer.concat([source, Buffer.of(0, singleCopy.read(view, tag) ? 0 : 1)]);
  }
}

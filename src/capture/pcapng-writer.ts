/**
 * Writes pcapng, draft-ietf-opsawg-pcapng, with times in nanoseconds. Nothing is put in later: what was flushed is a
 * complete file at any moment.
 */
import packageJson from '../../package.json' with { type: 'json' };
import type { CaptureInterface } from './capture.ts';
import type { Destination } from './destination.ts';
import {
  BYTE_ORDER_MAGIC,
  ENHANCED_PACKET,
  IF_DESCRIPTION,
  IF_NAME,
  IF_TSRESOL,
  INTERFACE_DESCRIPTION,
  INTERFACE_STATISTICS,
  ISB_IFDROP,
  ISB_IFRECV,
  NAME_RESOLUTION,
  OPT_COMMENT,
  SECTION_HEADER,
  SHB_USERAPPL,
} from './pcapng-format.ts';
import { addressBytes, nameType } from './pcapng-names.ts';
import { MAX_OPTION } from './pcapng-option.ts';

/** What an interface is described with. */
export type InterfaceDescription = Pick<CaptureInterface, 'linkType' | 'name' | 'description' | 'snapLength'>;

const TICKS_PER_SECOND = 1_000_000_000;
const TSRESOL_NANOSECONDS = 9;
const WORD = 0x1_0000_0000;

export class PcapngWriter {
  /** Interfaces and names that the current file has. */
  interfaces = 0;
  names = 0;
  /** Packets whose times 64 bits of nanoseconds since 1970 cannot tell: they have the nearest one that can be told. */
  clampedTimes = 0;

  private destination: Destination;
  private readonly littleEndian: boolean;
  private bytes = new Uint8Array(1 << 16);
  private view = new DataView(this.bytes.buffer);
  private used = 0;
  private flushed = 0;

  /** @param littleEndian order of all numbers; link types like NULL have headers in that order too */
  constructor(destination: Destination, littleEndian = true) {
    this.destination = destination;
    this.littleEndian = littleEndian;
    this.sectionHeader();
  }

  /** Bytes of the current file, with those that are not flushed yet. */
  get size(): number {
    return this.flushed + this.used;
  }

  private sectionHeader(): void {
    const at = this.begin(SECTION_HEADER, 16);
    this.view.setUint32(at, BYTE_ORDER_MAGIC, this.littleEndian);
    this.view.setUint16(at + 4, 1, this.littleEndian);
    this.view.setUint16(at + 6, 0, this.littleEndian);
    // The section's length is not known: -1.
    this.view.setBigInt64(at + 8, -1n, this.littleEndian);
    this.textOption(SHB_USERAPPL, `tunscope ${packageJson.version}`);
    this.end(at, true);
  }

  /** Describes an interface; returns the number that its packets have in this file. */
  interface({ linkType, name, description, snapLength }: InterfaceDescription): number {
    const at = this.begin(INTERFACE_DESCRIPTION, 8);
    this.view.setUint16(at, linkType, this.littleEndian);
    this.view.setUint16(at + 2, 0, this.littleEndian);
    this.view.setUint32(at + 4, snapLength, this.littleEndian);
    if (name !== null) this.textOption(IF_NAME, name);
    if (description !== null) this.textOption(IF_DESCRIPTION, description);
    this.bytes[this.option(IF_TSRESOL, 1)] = TSRESOL_NANOSECONDS;
    this.end(at, true);
    return this.interfaces++;
  }

  /** Names an IPv4, IPv6 or EUI-48 address; any other text is no address and has no place here. */
  name(address: string, name: string): void {
    this.names++;
    const value = addressBytes(address);
    if (value === null) return;
    const text = encode(name, MAX_OPTION - value.length - 1);
    const at = this.begin(NAME_RESOLUTION, 0);
    const place = this.option(nameType(value.length)!, value.length + text.length + 1);
    this.bytes.set(value, place);
    this.bytes.set(text, place + value.length);
    this.bytes[place + value.length + text.length] = 0;
    this.end(at, true);
  }

  /**
   * Writes a packet: the bytes of `frame` from `from` to `to`.
   *
   * @param which number that `interface` returned
   * @param length bytes on the wire
   */
  packet(
    which: number,
    seconds: number,
    nanoseconds: number,
    frame: Uint8Array,
    from: number,
    to: number,
    length: number,
    comment?: string,
  ): void {
    const captured = to - from;
    const at = this.begin(ENHANCED_PACKET, 20 + captured);
    const { view, littleEndian } = this;
    view.setUint32(at, which, littleEndian);
    this.time(at + 4, seconds, nanoseconds);
    view.setUint32(at + 12, captured, littleEndian);
    view.setUint32(at + 16, length, littleEndian);
    this.bytes.set(frame.subarray(from, to), at + 20);
    this.pad();
    if (comment !== undefined) this.textOption(OPT_COMMENT, comment);
    this.end(at, comment !== undefined);
  }

  /** What was counted on an interface up to some time. */
  statistics(
    which: number,
    seconds: number,
    nanoseconds: number,
    { received, dropped }: NonNullable<CaptureInterface['statistics']>,
  ): void {
    const at = this.begin(INTERFACE_STATISTICS, 12);
    this.view.setUint32(at, which, this.littleEndian);
    this.time(at + 4, seconds, nanoseconds);
    if (received !== null) this.countOption(ISB_IFRECV, received);
    if (dropped !== null) this.countOption(ISB_IFDROP, dropped);
    this.end(at, true);
  }

  /** Hands everything to the destination. Nothing may be written until this resolves. */
  async flush(): Promise<void> {
    const { used } = this;
    if (used === 0) return;
    await this.destination.write(this.bytes.subarray(0, used));
    this.flushed += used;
    this.used = 0;
  }

  /** Completes this file and goes on in another, which has no interfaces and names yet. */
  async next(destination: Destination): Promise<void> {
    await this.complete();
    this.destination = destination;
    this.interfaces = 0;
    this.names = 0;
    this.flushed = 0;
    this.sectionHeader();
  }

  async complete(): Promise<void> {
    await this.flush();
    await this.destination.complete();
  }

  /** Gives up after an error; see `Destination.abandon`. */
  abandon(): Promise<string | null> {
    return this.destination.abandon();
  }

  /** Begins a block, whose `size` bytes of fixed fields are the caller's to fill in; returns where they are. */
  private begin(type: number, size: number): number {
    this.reserve(8 + size);
    const at = this.used + 8;
    this.view.setUint32(this.used, type, this.littleEndian);
    this.used = at + size;
    return at;
  }

  /** Ends the block whose fields are at `at`. */
  private end(at: number, hasOptions: boolean): void {
    this.reserve(8);
    const { view, littleEndian } = this;
    // opt_endofopt; the list of names ends in the same way.
    if (hasOptions) {
      view.setUint32(this.used, 0);
      this.used += 4;
    }
    const length = this.used + 4 - (at - 8);
    view.setUint32(at - 4, length, littleEndian);
    view.setUint32(this.used, length, littleEndian);
    this.used += 4;
  }

  /** Begins an option or a name record of `length` bytes, padded to words; returns where these are. */
  private option(code: number, length: number): number {
    this.reserve(4 + length);
    const at = this.used + 4;
    this.view.setUint16(this.used, code, this.littleEndian);
    this.view.setUint16(this.used + 2, length, this.littleEndian);
    this.used = at + length;
    this.pad();
    return at;
  }

  private textOption(code: number, text: string): void {
    const value = encode(text, MAX_OPTION);
    const at = this.option(code, value.length);
    this.bytes.set(value, at);
  }

  private countOption(code: number, count: number): void {
    const at = this.option(code, 8);
    this.view.setBigUint64(at, BigInt(count), this.littleEndian);
  }

  /** Fills up with zeros to a whole word: the buffer is used again and again. */
  private pad(): void {
    while ((this.used & 3) !== 0) this.bytes[this.used++] = 0;
  }

  private time(at: number, seconds: number, nanoseconds: number): void {
    // The product loses its low bits above 2^53. They are taken from 32-bit arithmetic, where no bits are lost; what is
    // left is a multiple of 2^32, and far nearer to the right one than to any other.
    let low = (Math.imul(seconds | 0, TICKS_PER_SECOND) + nanoseconds) >>> 0;
    let high = Math.round((seconds * TICKS_PER_SECOND + nanoseconds - low) / WORD);
    if (high < 0 || high >= WORD) {
      this.clampedTimes++;
      low = high < 0 ? 0 : WORD - 1;
      high = low;
    }
    this.view.setUint32(at, high, this.littleEndian);
    this.view.setUint32(at + 4, low, this.littleEndian);
  }

  /** Makes room for `size` more bytes, and the padding behind them. */
  private reserve(size: number): void {
    const needed = this.used + size + 3;
    if (needed <= this.bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, 2 * this.bytes.length));
    bytes.set(this.bytes.subarray(0, this.used));
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }
}

/** UTF-8 of at most `maximum` bytes, whole characters. */
function encode(text: string, maximum: number): Uint8Array {
  const bytes = Buffer.from(text);
  if (bytes.length <= maximum) return bytes;
  let end = maximum;
  while ((bytes[end] & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

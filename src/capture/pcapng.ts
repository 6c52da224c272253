/**
 * pcapng, draft-ietf-opsawg-pcapng. A file is a row of blocks, in one or more sections:
 *
 *   type(4) total length(4) body, padded to 4, total length(4) again
 *
 * A section header may change the byte order and restarts the numbering of interfaces. The section length
 * is ignored: capturing tools leave it at "unknown", and it adds nothing to walking the blocks.
 */
import type { PacketBatch } from './batch.ts';
import type { InputBlock } from './block.ts';
import type { CaptureInterface } from './capture.ts';
import {
  BYTE_ORDER_MAGIC,
  DECRYPTION_SECRETS,
  ENHANCED_PACKET,
  EPB_FLAGS,
  IF_DESCRIPTION,
  IF_FCSLEN,
  IF_NAME,
  IF_TSOFFSET,
  IF_TSRESOL,
  INTERFACE_DESCRIPTION,
  INTERFACE_STATISTICS,
  ISB_IFDROP,
  ISB_IFRECV,
  MAX_INTERFACES,
  NAME_RESOLUTION,
  OPT_COMMENT,
  PACKET,
  SECTION_HEADER,
  SIMPLE_PACKET,
} from './pcapng-format.ts';
import { readNames } from './pcapng-names.ts';
import { eachOption, MAX_OPTION, optionText } from './pcapng-option.ts';
import { type CaptureRecords, cutFcs, MAX_PACKET, type RecordReader } from './reader.ts';
import { Clock } from './time.ts';

const BYTE_ORDER_SWAPPED = 0x4d3c2b1a;

/** Room for a packet of the greatest length and its options. */
const MAX_BLOCK = MAX_PACKET + (1 << 20);
/** Secrets type of a TLS key log, "TLSK" (section 4.7). */
const TLS_KEY_LOG = 0x544c534b;
/** Bytes of key logs kept per capture. */
const MAX_SECRETS = 1 << 24;
/** Bytes that each takes beside its text. */
const SECRET_OVERHEAD = 32;
/** Characters of the comments of one packet, taken together: even of three bytes each, they fit into one option. */
const MAX_COMMENT = 16_384;

/** What an interface description says that is needed for its packets. */
interface SectionInterface {
  /** Index in `Capture.interfaces`. */
  readonly index: number;
  readonly snapLength: number;
  readonly fcsLength: number;
  readonly clock: Clock;
}

export class PcapngReader implements RecordReader {
  damage: { offset: number; text: string } | null = null;

  readonly #file: string;
  readonly #records: CaptureRecords;
  #littleEndian = true;
  /** Interfaces of the current section by their id. */
  #interfaces: SectionInterface[] = [];
  // Time of the last packet that had one: simple packet blocks have none and take this, or 1970 at first.
  #seconds = 0;
  #nanoseconds = 0;
  /** Bytes of key logs seen. */
  #secretBytes = 0;

  constructor(file: string, records: CaptureRecords) {
    this.#file = file;
    this.#records = records;
  }

  index(block: InputBlock, batch: PacketBatch): void {
    const view = block.view;
    const end = block.end;
    const capacity = batch.offset.length;
    let littleEndian = this.#littleEndian;
    let at = block.start;
    while (batch.count < capacity && end - at >= 12) {
      const type = view.getUint32(at, littleEndian);
      if (type === SECTION_HEADER && !this.#setByteOrder(view, at)) {
        this.#damage(
          block,
          at,
          `byte-order magic 0x${hex32(view.getUint32(at + 8))} is neither order of 1a2b3c4d`,
        );
        break;
      }
      littleEndian = this.#littleEndian;
      const length = view.getUint32(at + 4, littleEndian);
      if (length < 12 || (length & 3) !== 0) {
        this.#damage(
          block,
          at,
          `block length ${length} is ${length < 12 ? 'below 12' : 'not a multiple of 4'}`,
        );
        break;
      }
      if (length > MAX_BLOCK) {
        this.#damage(block, at, `block of ${length} bytes announced, the limit is ${MAX_BLOCK}`);
        break;
      }
      if (length > end - at) break;
      const trailer = view.getUint32(at + length - 4, littleEndian);
      if (trailer !== length) {
        this.#damage(block, at, `block length ${length} differs from ${trailer} at the block's end`);
        break;
      }
      if (type === ENHANCED_PACKET) {
        const id = length >= 32 ? view.getUint32(at + 8, littleEndian) : 0;
        if (!this.#packet(block, batch, at, length, id)) break;
      } else if (!this.#otherBlock(block, batch, type, at, length)) break;
      at += length;
    }
    block.start = at;
  }

  describeCut(block: InputBlock): string {
    if (block.size < 12) return `block header cut: 12 bytes expected, ${block.size} there`;
    const length = block.view.getUint32(block.start + 4, this.#littleEndian);
    return `block cut: ${length} bytes announced, ${block.size} there`;
  }

  #damage(block: InputBlock, at: number, text: string): false {
    this.damage = { offset: block.origin + at, text };
    return false;
  }

  #setByteOrder(view: DataView, at: number): boolean {
    const magic = view.getUint32(at + 8, true);
    this.#littleEndian = magic === BYTE_ORDER_MAGIC;
    return this.#littleEndian || magic === BYTE_ORDER_SWAPPED;
  }

  /** Enters an enhanced or obsolete packet block, which differ in the first two words only. */
  #packet(block: InputBlock, batch: PacketBatch, at: number, blockLength: number, id: number): boolean {
    const view = block.view;
    const littleEndian = this.#littleEndian;
    if (blockLength < 32) {
      return this.#damage(block, at, `packet block of ${blockLength} bytes, 32 needed`);
    }
    if (id >= this.#interfaces.length) return this.#unknownInterface(block, at, id);
    const captured = view.getUint32(at + 20, littleEndian);
    const optionsLength = blockLength - 32 - captured;
    if (optionsLength < 0) {
      const text = `packet of ${captured} bytes announced in a block that has room for ${blockLength - 32}`;
      return this.#damage(block, at, text);
    }
    if (captured > MAX_PACKET) {
      return this.#damage(block, at, `packet of ${captured} bytes announced, the limit is ${MAX_PACKET}`);
    }
    const { index, clock, fcsLength } = this.#interfaces[id];
    const i = batch.count++;
    batch.offset[i] = at + 28;
    batch.captured[i] = captured;
    batch.length[i] = view.getUint32(at + 24, littleEndian);
    batch.interfaceIndex[i] = index;
    clock.set(batch, i, view.getUint32(at + 12, littleEndian), view.getUint32(at + 16, littleEndian));
    this.#seconds = batch.seconds[i];
    this.#nanoseconds = batch.nanoseconds[i];
    // Padding alone is at most 3 bytes: the common packet without options stops here.
    const packetFcsLength =
      optionsLength >= 4
        ? this.#packetOptions(view, batch, i, at + 28 + ((captured + 3) & ~3), at + blockLength - 4)
        : 0;
    if (packetFcsLength !== 0 || fcsLength !== 0) cutFcs(batch, i, packetFcsLength || fcsLength);
    return true;
  }

  /** Notes the comments of packet `i`. Returns the FCS length in epb_flags, 0 where it does not say. */
  #packetOptions(view: DataView, batch: PacketBatch, i: number, at: number, end: number): number {
    const littleEndian = this.#littleEndian;
    let fcsLength = 0;
    eachOption(view, at, end, littleEndian, (code, value, length) => {
      if (code === OPT_COMMENT) {
        batch.comments ??= new Map();
        const before = batch.comments.get(i);
        // A packet may have millions of comments: each that is added to a long one would copy it.
        if (before !== undefined && before.length >= MAX_COMMENT) return;
        const text = optionText(view, value, length, MAX_OPTION);
        batch.comments.set(i, (before === undefined ? text : `${before}\n${text}`).slice(0, MAX_COMMENT));
      } else if (code === EPB_FLAGS && length === 4) {
        fcsLength = (view.getUint32(value, littleEndian) >>> 5) & 0xf;
      }
    });
    return fcsLength;
  }

  #otherBlock(block: InputBlock, batch: PacketBatch, type: number, at: number, length: number): boolean {
    const view = block.view;
    const littleEndian = this.#littleEndian;
    const end = at + length - 4;
    switch (type) {
      case SECTION_HEADER: {
        if (length < 28) return this.#damage(block, at, `section header of ${length} bytes, 28 needed`);
        const major = view.getUint16(at + 12, littleEndian);
        const minor = view.getUint16(at + 14, littleEndian);
        // 1.2 was written by some tools and is the same format.
        if (major !== 1 || (minor !== 0 && minor !== 2)) {
          return this.#damage(block, at, `pcapng version ${major}.${minor} is not supported`);
        }
        this.#interfaces = [];
        return true;
      }
      case INTERFACE_DESCRIPTION:
        return this.#interface(block, at, length);
      case PACKET:
        return this.#packet(
          block,
          batch,
          at,
          length,
          length >= 32 ? view.getUint16(at + 8, littleEndian) : 0,
        );
      case SIMPLE_PACKET:
        return this.#simplePacket(block, batch, at, length);
      case NAME_RESOLUTION:
        readNames(view, at + 8, end, littleEndian, this.#records.names);
        return true;
      case INTERFACE_STATISTICS:
        if (length >= 24) this.#statistics(view, at, end);
        return true;
      case DECRYPTION_SECRETS:
        this.#secrets(view, at, end);
        return true;
      default:
        return true; // custom, journal, sysdig and whatever comes: not packets
    }
  }

  #interface(block: InputBlock, at: number, blockLength: number): boolean {
    const view = block.view;
    const littleEndian = this.#littleEndian;
    if (blockLength < 20) {
      return this.#damage(block, at, `interface description of ${blockLength} bytes, 20 needed`);
    }
    if (this.#records.interfaces.length >= MAX_INTERFACES) {
      return this.#damage(block, at, `more than ${MAX_INTERFACES} interfaces`);
    }
    let name: string | null = null;
    let description: string | null = null;
    let resolution = 6;
    let offset = 0;
    let fcsLength = 0;
    eachOption(view, at + 16, at + blockLength - 4, littleEndian, (code, value, length) => {
      if (code === IF_NAME) name = optionText(view, value, length);
      else if (code === IF_DESCRIPTION) description = optionText(view, value, length);
      else if (code === IF_TSRESOL && length >= 1) resolution = view.getUint8(value);
      else if (code === IF_FCSLEN && length >= 1) fcsLength = view.getUint8(value);
      else if (code === IF_TSOFFSET && length >= 8) offset = Number(view.getBigInt64(value, littleEndian));
    });
    const snapLength = view.getUint32(at + 12, littleEndian);
    const linkType = view.getUint16(at + 8, littleEndian);
    const entry: CaptureInterface = {
      file: this.#file,
      linkType,
      name,
      description,
      snapLength,
      littleEndian,
      statistics: null,
    };
    const index = this.#records.interfaces.push(entry) - 1;
    this.#interfaces.push({ index, snapLength, fcsLength, clock: new Clock(resolution, offset) });
    return true;
  }

  /** length(4) data: on interface 0, without a time and without a captured length of its own. */
  #simplePacket(block: InputBlock, batch: PacketBatch, at: number, blockLength: number): boolean {
    if (blockLength < 16) {
      return this.#damage(block, at, `simple packet block of ${blockLength} bytes, 16 needed`);
    }
    if (this.#interfaces.length === 0) return this.#unknownInterface(block, at, 0);
    const { index, snapLength, fcsLength } = this.#interfaces[0];
    const length = block.view.getUint32(at + 8, this.#littleEndian);
    const i = batch.count++;
    batch.offset[i] = at + 12;
    batch.captured[i] = Math.min(length, snapLength || length, blockLength - 16);
    batch.length[i] = length;
    batch.interfaceIndex[i] = index;
    batch.seconds[i] = this.#seconds;
    batch.nanoseconds[i] = this.#nanoseconds;
    if (fcsLength !== 0) cutFcs(batch, i, fcsLength);
    return true;
  }

  #statistics(view: DataView, at: number, end: number): void {
    const littleEndian = this.#littleEndian;
    const id = view.getUint32(at + 8, littleEndian);
    if (id >= this.#interfaces.length) return;
    let received: number | null = null;
    let dropped: number | null = null;
    eachOption(view, at + 20, end, littleEndian, (code, value, length) => {
      if (length < 8) return;
      if (code === ISB_IFRECV) received = Number(view.getBigUint64(value, littleEndian));
      else if (code === ISB_IFDROP) dropped = Number(view.getBigUint64(value, littleEndian));
    });
    if (received === null && dropped === null) return;
    this.#records.interfaces[this.#interfaces[id].index].statistics = { received, dropped };
  }

  /** type(4) length(4) data */
  #secrets(view: DataView, at: number, end: number): void {
    const littleEndian = this.#littleEndian;
    const from = at + 16;
    if (from > end || view.getUint32(at + 8, littleEndian) !== TLS_KEY_LOG) return;
    const length = view.getUint32(at + 12, littleEndian);
    this.#secretBytes += length + SECRET_OVERHEAD;
    if (length > end - from || this.#secretBytes > MAX_SECRETS) return;
    this.#records.secrets.push(Buffer.from(view.buffer, view.byteOffset + from, length).toString('latin1'));
  }

  #unknownInterface(block: InputBlock, at: number, id: number): false {
    return this.#damage(
      block,
      at,
      `packet on interface ${id}, the section describes ${this.#interfaces.length}`,
    );
  }
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/**
 * pcap, draft-ietf-opsawg-pcap and libpcap's sf-pcap.c:
 *
 *   file header    magic(4) major(2) minor(2) reserved(8) snaplen(4) link type word(4)
 *   record header  seconds(4) fraction(4) captured(4) length(4), then the captured bytes, no padding
 *
 * Kuznetzov's variant has 8 more bytes in the record header: ifindex(4) protocol(2) packet type(1) pad(1).
 */
import type { PacketBatch } from './batch.ts';
import type { InputBlock } from './block.ts';
import { type CaptureRecords, cutFcs, MAX_PACKET, type RecordReader } from './reader.ts';

const FILE_HEADER = 24;

/** Variants by magic number, read in the byte order of the file. */
const VARIANTS = new Map([
  [0xa1b2c3d4, { recordHeader: 16, ticksPerSecond: 1_000_000 }],
  [0xa1b23c4d, { recordHeader: 16, ticksPerSecond: 1_000_000_000 }],
  [0xa1b2cd34, { recordHeader: 24, ticksPerSecond: 1_000_000 }], // Kuznetzov
  [0xa12b3c4d, { recordHeader: 16, ticksPerSecond: 1_000_000_000 }], // Navtel
]);

/** Byte order of a pcap file by its first four bytes (given as a big-endian number), null if it is none. */
export function pcapByteOrder(magic: number): 'big' | 'little' | null {
  if (VARIANTS.has(magic)) return 'big';
  return VARIANTS.has(swap32(magic)) ? 'little' : null;
}

function swap32(value: number): number {
  return ((value >>> 24) | ((value >>> 8) & 0xff00) | ((value & 0xff00) << 8) | (value << 24)) >>> 0;
}

export class PcapReader implements RecordReader {
  damage: { offset: number; text: string } | null = null;

  readonly #file: string;
  readonly #records: CaptureRecords;
  readonly #littleEndian: boolean;
  #headerRead = false;
  #recordHeader = 0;
  #ticksPerSecond = 1;
  #fcsLength = 0;
  /** libpcap wrote the two lengths the other way round before version 2.3, sometimes in 2.3 and 543.0. */
  #swapped: 'never' | 'always' | 'ifLarger' = 'never';
  #interfaceIndex = 0;

  constructor(file: string, littleEndian: boolean, records: CaptureRecords) {
    this.#file = file;
    this.#littleEndian = littleEndian;
    this.#records = records;
  }

  index(block: InputBlock, batch: PacketBatch): void {
    if (!this.#headerRead) {
      if (block.size < FILE_HEADER) return;
      this.#readFileHeader(block);
      if (this.damage !== null) return;
    }
    const view = block.view;
    const end = block.end;
    const littleEndian = this.#littleEndian;
    const headerLength = this.#recordHeader;
    const ticksPerSecond = this.#ticksPerSecond;
    const nanosecondsPerTick = 1_000_000_000 / ticksPerSecond;
    const fcsLength = this.#fcsLength;
    const swappable = this.#swapped !== 'never';
    const interfaceIndex = this.#interfaceIndex;
    const capacity = batch.offset.length;
    let at = block.start;
    let i = batch.count;
    while (i < capacity && end - at >= headerLength) {
      let captured = view.getUint32(at + 8, littleEndian);
      let length = view.getUint32(at + 12, littleEndian);
      if (swappable && (captured > length || this.#swapped === 'always')) {
        const first = captured;
        captured = length;
        length = first;
      }
      if (captured > MAX_PACKET) {
        this.damage = {
          offset: block.origin + at,
          text: `packet of ${captured} bytes announced, the limit is ${MAX_PACKET}`,
        };
        break;
      }
      const data = at + headerLength;
      if (captured > end - data) break;

      let seconds = view.getUint32(at, littleEndian);
      let fraction = view.getUint32(at + 4, littleEndian);
      if (fraction >= ticksPerSecond) {
        seconds += Math.floor(fraction / ticksPerSecond);
        fraction %= ticksPerSecond;
      }
      at = data + captured;
      batch.offset[i] = data;
      batch.captured[i] = captured;
      batch.length[i] = length;
      batch.seconds[i] = seconds;
      batch.nanoseconds[i] = fraction * nanosecondsPerTick;
      batch.interfaceIndex[i] = interfaceIndex;
      if (fcsLength !== 0) cutFcs(batch, i, fcsLength);
      i++;
    }
    batch.count = i;
    block.start = at;
  }

  describeCut(block: InputBlock): string {
    const size = block.size;
    if (!this.#headerRead) return `file header cut: ${FILE_HEADER} bytes expected, ${size} there`;
    if (size < this.#recordHeader)
      return `record header cut: ${this.#recordHeader} bytes expected, ${size} there`;
    const first = block.view.getUint32(block.start + 8, this.#littleEndian);
    const second = block.view.getUint32(block.start + 12, this.#littleEndian);
    const swapped = this.#swapped === 'always' || (this.#swapped === 'ifLarger' && first > second);
    return `packet data cut: ${swapped ? second : first} bytes announced, ${size - this.#recordHeader} there`;
  }

  #readFileHeader(block: InputBlock): void {
    const { view, start } = block;
    const littleEndian = this.#littleEndian;
    const variant = VARIANTS.get(view.getUint32(start, littleEndian))!;
    const major = view.getUint16(start + 4, littleEndian);
    const minor = view.getUint16(start + 6, littleEndian);
    const linkTypeWord = view.getUint32(start + 20, littleEndian);
    if (major !== 2 && major !== 543) {
      this.damage = { offset: block.offset, text: `pcap version ${major}.${minor} is not supported` };
      return;
    }
    // R (0x08000000) is left to future use; the 10 bits below P must be zero.
    if ((linkTypeWord & 0x03ff0000) !== 0) {
      this.damage = {
        offset: block.offset,
        text: `reserved bits set in the link type word 0x${linkTypeWord.toString(16).padStart(8, '0')}`,
      };
      return;
    }
    this.#recordHeader = variant.recordHeader;
    this.#ticksPerSecond = variant.ticksPerSecond;
    // P says that the upper four bits are valid: the FCS length in 16-bit words.
    this.#fcsLength = linkTypeWord & 0x04000000 ? (linkTypeWord >>> 28) * 2 : 0;
    if (major === 543 || minor === 3) this.#swapped = 'ifLarger';
    else if (minor < 3) this.#swapped = 'always';
    this.#interfaceIndex = this.#records.interfaces.push({
      file: this.#file,
      linkType: linkTypeWord & 0xffff,
      name: null,
      description: null,
      snapLength: view.getUint32(start + 16, littleEndian),
      littleEndian,
      statistics: null,
    });
    this.#interfaceIndex--;
    this.#headerRead = true;
    block.start += FILE_HEADER;
  }
}

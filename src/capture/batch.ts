/** Makes zeroed memory, aligned to eight bytes. */
export type Allocate = (bytes: number) => Uint8Array;

export const allocateBytes: Allocate = (bytes) => new Uint8Array(bytes);

/**
 * A block of capture bytes with an index of the packets in it.
 *
 * Ownership: a batch, its bytes and its index are valid until the capture is asked for the next one; whoever
 * keeps a packet copies it. Nothing here is allocated per packet: the arrays are reused from batch to batch.
 */
export class PacketBatch {
  /** The block. Packets lie inside it; bytes between them are record headers and padding. */
  bytes: Uint8Array;
  view: DataView;
  /** Packets in this batch; entries of the arrays below at and beyond it are stale. */
  count = 0;
  /** Number of the first packet, counted from 1 in its file (used where `numbers` is null). */
  firstNumber = 1;
  /** Number of each packet in its own file, where a batch mixes packets of several files; else null. */
  numbers: Float64Array | null = null;
  /** Offset in `bytes` of each packet's first byte. */
  offset: Int32Array;
  /** Captured bytes of each packet, frame check sequence removed. */
  captured: Int32Array;
  /** Bytes of each packet on the wire, frame check sequence removed. Unsigned 32-bit as in the file. */
  length: Float64Array;
  /** Whole seconds since 1970, UTC; negative before. */
  seconds: Float64Array;
  /** Nanoseconds within the second, 0 to 999 999 999. */
  nanoseconds: Int32Array;
  /** Index of each packet's interface in `Capture.interfaces`. */
  interfaceIndex: Int32Array;
  /** Comments of packets (pcapng), by index in this batch; null where no packet has one. */
  comments: Map<number, string> | null = null;

  constructor(bytes: Uint8Array, capacity = 4096, allocate: Allocate = allocateBytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const words = () => {
      const { buffer, byteOffset } = allocate(4 * capacity);
      return new Int32Array(buffer, byteOffset, capacity);
    };
    const doubles = () => {
      const { buffer, byteOffset } = allocate(8 * capacity);
      return new Float64Array(buffer, byteOffset, capacity);
    };
    this.offset = words();
    this.captured = words();
    this.length = doubles();
    this.seconds = doubles();
    this.nanoseconds = words();
    this.interfaceIndex = words();
  }

  /** The packet's number in its file, from 1. */
  number(i: number): number {
    return this.numbers === null ? this.firstNumber + i : this.numbers[i];
  }
}

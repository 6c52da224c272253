/** Builds capture files from bytes, for tests. */
import { Readable } from 'node:stream';
import type { Capture } from '../../src/capture/capture.ts';
import { openCapture } from '../../src/capture/open.ts';

export interface Order {
  readonly littleEndian: boolean;
}

export const LITTLE: Order = { littleEndian: true };
export const BIG: Order = { littleEndian: false };

export function u16(value: number, { littleEndian }: Order = LITTLE): Uint8Array {
  const bytes = new Uint8Array(2);
  new DataView(bytes.buffer).setUint16(0, value, littleEndian);
  return bytes;
}

export function u32(value: number, { littleEndian }: Order = LITTLE): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, littleEndian);
  return bytes;
}

export function u64(value: bigint, { littleEndian }: Order = LITTLE): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), littleEndian);
  return bytes;
}

export function text(value: string): Uint8Array {
  return Buffer.from(value);
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

export interface PcapHeader extends Partial<Order> {
  readonly magic?: number;
  readonly major?: number;
  readonly minor?: number;
  readonly snapLength?: number;
  readonly linkType?: number;
}

export function pcapHeader(header: PcapHeader = {}): Uint8Array {
  const order = { littleEndian: header.littleEndian ?? true };
  return join(
    u32(header.magic ?? 0xa1b2c3d4, order),
    u16(header.major ?? 2, order),
    u16(header.minor ?? 4, order),
    new Uint8Array(8),
    u32(header.snapLength ?? 262144, order),
    u32(header.linkType ?? 1, order),
  );
}

/** A record; `length` and `captured` are the words of its header where they shall not fit the data. */
export function pcapRecord(
  seconds: number,
  fraction: number,
  data: Uint8Array,
  words: { length?: number; captured?: number } & Partial<Order> = {},
): Uint8Array {
  const order = { littleEndian: words.littleEndian ?? true };
  return join(
    u32(seconds, order),
    u32(fraction, order),
    u32(words.captured ?? data.length, order),
    u32(words.length ?? data.length, order),
    data,
  );
}

function padded(data: Uint8Array): Uint8Array {
  return join(data, new Uint8Array(-data.length & 3));
}

export function block(type: number, body: Uint8Array, order: Order = LITTLE): Uint8Array {
  const length = u32(12 + body.length + (-body.length & 3), order);
  return join(u32(type, order), length, padded(body), length);
}

export function option(code: number, value: Uint8Array, order: Order = LITTLE): Uint8Array {
  return join(u16(code, order), u16(value.length, order), padded(value));
}

export const END_OF_OPTIONS = new Uint8Array(4);

export function sectionHeader(
  order: Order = LITTLE,
  version: readonly [number, number] = [1, 0],
): Uint8Array {
  const unknownLength = u64(-1n, order);
  return block(
    0x0a0d0d0a,
    join(u32(0x1a2b3c4d, order), u16(version[0], order), u16(version[1], order), unknownLength),
    order,
  );
}

export function interfaceDescription(
  options: readonly Uint8Array[] = [],
  { linkType = 1, snapLength = 0, order = LITTLE } = {},
): Uint8Array {
  return block(1, join(u16(linkType, order), u16(0, order), u32(snapLength, order), ...options), order);
}

export function enhancedPacket(
  id: number,
  ticks: bigint,
  data: Uint8Array,
  {
    options = [] as readonly Uint8Array[],
    length = data.length,
    captured = data.length,
    order = LITTLE,
  } = {},
): Uint8Array {
  const time = [
    u32(Number(BigInt.asUintN(64, ticks) >> 32n), order),
    u32(Number(ticks & 0xffffffffn), order),
  ];
  return block(
    6,
    join(u32(id, order), ...time, u32(captured, order), u32(length, order), padded(data), ...options),
    order,
  );
}

/** A packet as the reader found it, bytes and all. */
export interface SeenPacket {
  readonly number: number;
  /** Seconds and nanoseconds, e.g. "1.000000005". */
  readonly time: string;
  readonly length: number;
  readonly data: string;
  readonly interfaceIndex: number;
  readonly comment?: string;
}

/** Reads all packets that are left, copying them. */
export async function readAll(capture: Capture): Promise<SeenPacket[]> {
  const packets: SeenPacket[] = [];
  for await (const batch of capture) {
    for (let i = 0; i < batch.count; i++) {
      const data = batch.bytes.subarray(batch.offset[i], batch.offset[i] + batch.captured[i]);
      const comment = batch.comments?.get(i);
      packets.push({
        number: batch.number(i),
        time: `${batch.seconds[i]}.${String(batch.nanoseconds[i]).padStart(9, '0')}`,
        length: batch.length[i],
        data: Buffer.from(data).toString('hex'),
        interfaceIndex: batch.interfaceIndex[i],
        ...(comment === undefined ? {} : { comment }),
      });
    }
  }
  return packets;
}

/** Opens bytes as if they came from a pipe, in the given pieces. */
export function openBytes(bytes: Uint8Array | readonly Uint8Array[], blockSize = 4096): Promise<Capture> {
  const pieces = bytes instanceof Uint8Array ? [bytes] : bytes;
  return openCapture('test', { input: Readable.from(pieces), blockSize });
}

/** All packets of `bytes`, and how reading ended. */
export async function readBytes(bytes: Uint8Array | readonly Uint8Array[], blockSize?: number) {
  const capture = await openBytes(bytes, blockSize);
  const packets = await readAll(capture);
  const [{ damage, ...file }] = capture.files;
  return { packets, damage, file, interfaces: capture.interfaces, names: capture.names };
}

/** A file of packets large enough for several compressed blocks, and easy to compress. */
export function repetitiveCapture(): Uint8Array {
  const data = new Uint8Array(1000).map((_, i) => i % 50);
  return join(pcapHeader(), ...Array.from({ length: 150 }, (_, i) => pcapRecord(i, i, data)));
}

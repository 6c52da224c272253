import { CaptureError } from '../errors.ts';
import { type Allocate, PacketBatch } from './batch.ts';
import type { InputBlock } from './block.ts';
import type { Capture, CaptureDamage, CaptureFile } from './capture.ts';
import { PcapReader } from './pcap.ts';
import { PcapngReader } from './pcapng.ts';
import type { CaptureRecords, RecordReader } from './reader.ts';
import type { Compression, FileKind } from './sniff.ts';
import { systemReason } from './source.ts';

/** Packets of one file or of standard input. */
export class FileCapture implements Capture {
  readonly interfaces;
  readonly names;
  readonly secrets;
  readonly files: readonly CaptureFile[];

  readonly #file: {
    readonly file: string;
    readonly format: 'pcap' | 'pcapng' | null;
    readonly compression: Compression | null;
    packets: number;
    damage: CaptureDamage | null;
  };
  readonly #block: InputBlock;
  /** Null where the input is too short to have a format. */
  readonly #reader: RecordReader | null;
  readonly #batch: PacketBatch;
  #done = false;
  #closed = false;

  constructor(
    file: string,
    kind: FileKind,
    compression: Compression | null,
    block: InputBlock,
    records: CaptureRecords,
    allocate?: Allocate,
  ) {
    const format = 'format' in kind ? kind.format : null;
    this.interfaces = records.interfaces;
    this.names = records.names;
    this.secrets = records.secrets;
    this.#file = { file, format, compression, packets: 0, damage: null };
    this.files = [this.#file];
    this.#block = block;
    this.#batch = new PacketBatch(block.bytes, undefined, allocate);
    if (!('format' in kind)) this.#reader = null;
    else if (kind.format === 'pcap') this.#reader = new PcapReader(file, kind.littleEndian, records);
    else this.#reader = new PcapngReader(file, records);
    if ('damage' in kind) this.#end(kind.damage, 0);
  }

  async next(): Promise<PacketBatch | null> {
    const batch = this.#batch;
    const block = this.#block;
    const reader = this.#reader;
    if (reader === null) return null;
    batch.firstNumber = this.#file.packets + 1;
    batch.count = 0;
    batch.comments = null;
    while (!this.#done && !this.#closed) {
      reader.index(block, batch);
      if (batch.count > 0) {
        this.#file.packets += batch.count;
        block.handedOut = true;
        batch.bytes = block.bytes;
        batch.view = block.view;
        return batch;
      }
      if (reader.damage !== null) this.#end(reader.damage.text, reader.damage.offset);
      else if (!(await block.fill()) && !this.#closed) this.#endOfInput(reader);
    }
    return null;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#block.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBatch> {
    try {
      for (let batch = await this.next(); batch !== null; batch = await this.next()) yield batch;
    } finally {
      await this.close();
    }
  }

  #endOfInput(reader: RecordReader): void {
    const { failure, size, offset } = this.#block;
    if (failure !== null) this.#end(systemReason(failure), offset);
    else if (size > 0) this.#end(reader.describeCut(this.#block), offset);
    else this.#done = true;
  }

  #end(text: string, offset: number): void {
    this.#done = true;
    this.#file.damage = { file: this.#file.file, offset, text };
  }
}

/** Text of a `CaptureError` for a file whose first bytes are no capture. */
export function refuse(file: string, kind: FileKind, compression: Compression | null): void {
  if ('refusal' in kind) {
    throw new CaptureError(
      file,
      compression === null ? kind.refusal : `${kind.refusal} (inside ${compression})`,
    );
  }
  if ('compression' in kind) {
    throw new CaptureError(file, `not a capture: ${kind.compression} inside ${compression}; unpack it first`);
  }
}

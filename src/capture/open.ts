import type { Readable } from 'node:stream';
import type { Allocate } from './batch.ts';
import { BLOCK_SIZE, InputBlock } from './block.ts';
import type { Capture } from './capture.ts';
import { decompress } from './decompress.ts';
import { FileCapture, refuse } from './file.ts';
import { MergedCapture } from './merge.ts';
import type { CaptureRecords } from './reader.ts';
import { type FileKind, SNIFF_SIZE, sniff } from './sniff.ts';
import { openSource, StreamSource, systemReason } from './source.ts';

export interface OpenOptions {
  /** Bytes per read. Two buffers of this size are kept per file. */
  readonly blockSize?: number;
  /** Read in place of the path, which then only names the capture in messages. */
  readonly input?: Readable;
  /** Where blocks and their indices are kept; `FlowAccounting.allocate` saves copying them. */
  readonly allocate?: Allocate;
  /** Blocks with packets that stay as they are while the following ones are read: others still work on them. 0 if left out. */
  readonly keep?: number;
  /**
   * Blocks of regular files are read by this thread, as long as they come from the page cache: it has others that go on meanwhile,
   * and asking the thread pool for a block costs half as much as reading it (docs/decisions/0006).
   */
  readonly blocking?: boolean;
}

/**
 * Opens a capture: pcap or pcapng, plain or compressed with gzip, zstd or lz4, told apart by content.
 *
 * @param path A regular file, a FIFO, or '-' for standard input. Input from a pipe resolves when its first bytes
 *   have arrived.
 * @throws {CaptureError} The file cannot be opened or is not a capture. An empty or cut one is: see
 *   `files[].damage`.
 */
export function openCapture(path: string, options: OpenOptions = {}): Promise<Capture> {
  const records = { interfaces: [], names: new Map(), secrets: [] };
  return openFile(path, options.blockSize ?? BLOCK_SIZE, records, options);
}

/** Block memory that the files of a merge share, in bytes. */
const MERGE_MEMORY = 16 << 20;

/**
 * Opens several captures as one, merged by time: packets of equal time in the order of `paths`, packets of one
 * file in the order of that file, even where its times go backwards. Damage in one file ends that file only.
 *
 * @throws {CaptureError} As `openCapture`, for the first of the files that cannot be opened.
 */
export async function openCaptures(paths: readonly string[], options: OpenOptions = {}): Promise<Capture> {
  if (paths.length === 1) return openCapture(paths[0], options);
  const blockSize =
    options.blockSize ?? Math.max(1 << 16, Math.min(BLOCK_SIZE, MERGE_MEMORY / (2 * paths.length)));
  const records: CaptureRecords = { interfaces: [], names: new Map(), secrets: [] };
  const files: FileCapture[] = [];
  try {
    for (const path of paths) files.push(await openFile(path, Math.trunc(blockSize), records));
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
  return new MergedCapture(files, records);
}

async function openFile(
  path: string,
  blockSize: number,
  records: CaptureRecords,
  { input, allocate, keep, blocking }: OpenOptions = {},
): Promise<FileCapture> {
  let block = new InputBlock(
    input ? new StreamSource(input) : await openSource(path, blocking),
    blockSize,
    allocate,
    keep,
  );
  try {
    let kind = await firstBytes(block);
    const compression = 'compression' in kind ? kind.compression : null;
    if (compression !== null) {
      block = new InputBlock(await decompress(block, compression), blockSize, allocate, keep);
      kind = await firstBytes(block);
    }
    refuse(path, kind, compression);
    return new FileCapture(path, kind, compression, block, records, allocate);
  } catch (error) {
    await block.close();
    throw error;
  }
}

async function firstBytes(block: InputBlock): Promise<FileKind> {
  while (block.size < SNIFF_SIZE && (await block.fill()));
  const kind = sniff(block.bytes.subarray(block.start, block.end));
  return 'damage' in kind && block.failure !== null ? { damage: systemReason(block.failure) } : kind;
}

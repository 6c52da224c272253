import type { PacketBatch } from './batch.ts';
import type { InputBlock } from './block.ts';
import type { CaptureInterface } from './capture.ts';

/**
 * Largest packet accepted, in bytes. A record that announces more is damage: believing it would swallow the
 * rest of the file. libpcap stops at 256 KiB on network links, but GSO "BIG TCP" frames reach 512 KiB and more.
 */
export const MAX_PACKET = 1 << 24;

/** What a file format reader writes to while it reads. One per capture, shared by the files of a merge. */
export interface CaptureRecords {
  readonly interfaces: CaptureInterface[];
  readonly names: Map<string, string>;
  readonly secrets: string[];
}

/** Finds the packets in the bytes of one file format. */
export interface RecordReader {
  /**
   * Enters complete records from `block.start` on into `batch`, until it is full, no complete record is left
   * or `damage` is set. Moves `block.start` behind the last record it took.
   */
  index(block: InputBlock, batch: PacketBatch): void;
  /** Why nothing can be read behind this point. `offset` in bytes of the uncompressed file. */
  readonly damage: { readonly offset: number; readonly text: string } | null;
  /** What is missing where the input ends with the bytes that `block` still has. */
  describeCut(block: InputBlock): string;
}

/** Removes what was captured of the frame check sequence, the last `fcsLength` bytes on the wire. */
export function cutFcs(batch: PacketBatch, i: number, fcsLength: number): void {
  const captured = batch.captured[i];
  const length = Math.max(0, batch.length[i] - fcsLength);
  batch.captured[i] = captured - Math.min(captured, fcsLength, Math.max(0, captured - length));
  batch.length[i] = length;
}

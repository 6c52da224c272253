import type { PacketBatch } from './batch.ts';

/** What a capture file says of one interface (pcap files have exactly one). */
export interface CaptureInterface {
  /** Path of the file, '-' for standard input. */
  readonly file: string;
  /** LINKTYPE_ value, https://www.tcpdump.org/linktypes.html. */
  readonly linkType: number;
  /** Interface name (pcapng if_name), null where the file does not say. */
  readonly name: string | null;
  readonly description: string | null;
  /** Capture length limit in bytes, 0 for none. */
  readonly snapLength: number;
  /** True where the file's records are in little-endian order: NULL and NFLOG headers follow it. */
  readonly littleEndian: boolean;
  /** Counters of the capturing tool (pcapng interface statistics), null where absent. */
  statistics: { received: number | null; dropped: number | null } | null;
}

/** Where a file stops making sense. `offset` is in bytes of the uncompressed file. */
export interface CaptureDamage {
  readonly file: string;
  readonly offset: number;
  /** One sentence without the file name, e.g. "packet data cut: 156 bytes announced, 44 there". */
  readonly text: string;
}

/** One file of a capture, for the summary. */
export interface CaptureFile {
  readonly file: string;
  readonly format: 'pcap' | 'pcapng' | null;
  readonly compression: 'gzip' | 'zstd' | 'lz4' | null;
  readonly packets: number;
  readonly damage: CaptureDamage | null;
}

/**
 * A stream of packets: one file, standard input, or several files merged by time.
 * Damaged input ends the iteration after every complete packet; it never throws for it (see `files[].damage`).
 */
export interface Capture extends AsyncIterable<PacketBatch> {
  /** Grows while reading; entries never change place. */
  readonly interfaces: readonly CaptureInterface[];
  /** Names for addresses that the file itself brings (pcapng name resolution blocks). */
  readonly names: ReadonlyMap<string, string>;
  /** TLS key logs that the file itself brings (pcapng decryption secrets blocks). Grows while reading. */
  readonly secrets: readonly string[];
  readonly files: readonly CaptureFile[];
  /** The next batch, null at the end. The previous batch is invalid from the call on. */
  next(): Promise<PacketBatch | null>;
  close(): Promise<void>;
}

import type { PacketBatch } from './batch.ts';

/** What a capture file says of one interface (pcap files have exactly one). */
export interface CaptureInterface {
  /** Path of the file, '-' for standard input; null where packets come from a running device. */
  readonly file: string | null;
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

/** What the kernel counted on one device. */
export interface LiveInterfaceRecord {
  name: string;
  /** Packets that passed the capture filter. */
  received: number;
  /** Of them, lost because the buffer was full; null where nobody counts. */
  dropped: number | null;
  /** Lost by the device or its driver. */
  interfaceDropped: number | null;
  /** Why the capture on it ended before the others, null where it did not. */
  ended: string | null;
}

/** The `live` block of the summary. */
export interface LiveRecord {
  received: number;
  dropped: number;
  interfaceDropped: number;
  backend: string;
  /** What the packets of this backend lack. */
  limits: string | null;
  interfaces: LiveInterfaceRecord[];
}

/** Running devices, from the outside. */
export interface LiveControl {
  /** Ends the capture; what was captured still comes. */
  stop(): void;
  /** Asks for fresh counters, where they can be had; once a second at most. */
  askCounters(): void;
  record(): LiveRecord;
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
  /** Set where packets come from running devices. */
  readonly live?: LiveControl | undefined;
  /** The next batch, null at the end. The previous batch is invalid from the call on. */
  next(): Promise<PacketBatch | null>;
  close(): Promise<void>;
}

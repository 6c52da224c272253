import { close, constants, fstat, open, read, readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { promisify } from 'node:util';
import { CaptureError } from '../errors.ts';

/** Where bytes come from: a file, a pipe, or a decompressor over another source. One read at a time. */
export interface ByteSource {
  /**
   * Stores 1 to `length` bytes at `target[offset]` and resolves to their number, 0 at the end of the input or
   * after `close`. Resolves as soon as any bytes are there. Rejects when the input cannot be read or decoded
   * further; everything before that point has been delivered then.
   */
  read(target: Uint8Array, offset: number, length: number): Promise<number>;
  /** Releases everything, also while a read is pending; that read then resolves. */
  close(): Promise<void>;
}

const openDescriptor = promisify(open);
const closeDescriptor = promisify(close);
const readDescriptor = promisify(read);
const statDescriptor = promisify(fstat);

/** Reads on this thread before the event loop turns, so that signals are heard. */
const READS_PER_TURN = 8;
/**
 * Two reads in a row that take longer, in milliseconds by MiB, are not of the page cache, where they take 0.2; a single one
 * can be for want of a processor.
 */
const SLOW = 1;
/** Reads that are left to the thread pool then, before the next two show what reading takes. */
const LEFT_TO_POOL = 64;

/** A regular file or device. Reads at the current position, so a growing or shrinking file ends where it ends. */
class FileSource implements ByteSource {
  readonly #descriptor: number;
  readonly #owned: boolean;
  #pending: Promise<unknown> = Promise.resolve();
  #closed = false;
  /** Reads that go to the thread pool, and those done here. */
  #toPool: number;
  #here = 0;
  /** The last read done here was slow. */
  #slow = false;

  /** @param blocking see `OpenOptions` */
  constructor(descriptor: number, owned: boolean, blocking: boolean) {
    this.#descriptor = descriptor;
    this.#owned = owned;
    this.#toPool = blocking ? 0 : Number.POSITIVE_INFINITY;
  }

  async read(target: Uint8Array, offset: number, length: number): Promise<number> {
    if (this.#toPool === 0 && ++this.#here % READS_PER_TURN === 0) await setImmediate();
    if (this.#closed) return 0;
    if (this.#toPool === 0) return this.#readHere(target, offset, length);
    this.#toPool--;
    const reading = readDescriptor(this.#descriptor, target, offset, length, null);
    this.#pending = reading;
    return (await reading).bytesRead;
  }

  #readHere(target: Uint8Array, offset: number, length: number): number {
    const before = performance.now();
    const count = readSync(this.#descriptor, target, offset, length, null);
    const slow = performance.now() - before > SLOW * Math.max(1, count / 2 ** 20);
    if (slow && this.#slow) this.#toPool = LEFT_TO_POOL;
    this.#slow = slow;
    return count;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // Closed under a pending read, the descriptor's number could already belong to another file.
    await this.#pending.catch(() => {});
    if (this.#owned) await closeDescriptor(this.#descriptor);
  }
}

/** A pipe or socket. Goes through the event loop: a thread blocked in read(2) could not be called back. */
export class StreamSource implements ByteSource {
  readonly #stream: Readable;
  #rest: Uint8Array | null = null;
  #ended = false;
  #error: Error | null = null;
  #wake: () => void = () => {};

  constructor(stream: Readable) {
    this.#stream = stream;
    const end = () => {
      this.#ended = true;
      this.#wake();
    };
    stream.on('readable', () => this.#wake());
    stream.on('end', end);
    stream.on('close', end);
    stream.on('error', (error: Error) => {
      this.#error = error;
      end();
    });
  }

  async read(target: Uint8Array, offset: number, length: number): Promise<number> {
    for (;;) {
      const chunk: Uint8Array | null = this.#rest ?? this.#stream.read();
      if (chunk?.length === 0) continue;
      if (chunk !== null) {
        const size = Math.min(chunk.length, length);
        target.set(chunk.subarray(0, size), offset);
        this.#rest = size < chunk.length ? chunk.subarray(size) : null;
        return size;
      }
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return 0;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async close(): Promise<void> {
    this.#rest = null;
    this.#stream.destroy();
  }
}

const REASONS: Record<string, string> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a directory',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EFBIG: 'larger than files may be',
  EROFS: 'on a read-only file system',
  EIO: 'input/output error',
  EPIPE: 'nobody reads it any more',
};

/** What went wrong with a system call, in the words of the user. */
export function systemReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code !== undefined && REASONS[code]) || message;
}

/**
 * Opens a path for reading, '-' being standard input.
 *
 * @param blocking see `OpenOptions`
 * @throws {CaptureError} The path cannot be opened.
 */
export async function openSource(path: string, blocking = false): Promise<ByteSource> {
  if (path === '-') return openStandardInput();
  let descriptor: number | undefined;
  try {
    // Without O_NONBLOCK, opening a FIFO blocks a thread of the pool until somebody writes.
    descriptor = await openDescriptor(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await statDescriptor(descriptor);
    if (stats.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    if (!stats.isFIFO()) return new FileSource(descriptor, true, blocking && stats.isFile());
    return new StreamSource(new Socket({ fd: descriptor, readable: true, writable: false }));
  } catch (error) {
    if (descriptor !== undefined) await closeDescriptor(descriptor);
    throw new CaptureError(path, systemReason(error));
  }
}

async function openStandardInput(): Promise<ByteSource> {
  if (isatty(0)) throw new CaptureError('-', 'standard input is a terminal, not a capture');
  const stats = await statDescriptor(0);
  // Descriptor 0 is not ours to close.
  return stats.isFIFO() || stats.isSocket()
    ? new StreamSource(process.stdin)
    : new FileSource(0, false, false);
}

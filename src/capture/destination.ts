import { randomBytes } from 'node:crypto';
import { constants, open as openCallback } from 'node:fs';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Interrupted, OutputError } from '../errors.ts';
import { systemReason } from './source.ts';

const openDescriptor = promisify(openCallback);

/** Where a written capture goes. One call at a time; each rejects with an `OutputError`. */
export interface Destination {
  /** Writes all of `bytes`, which may change once this resolves. */
  write(bytes: Uint8Array): Promise<void>;
  /** Everything is written. */
  complete(): Promise<void>;
  /** Nothing more comes, as something failed. Resolves to the path under which the bytes of complete writes are left. */
  abandon(): Promise<string | null>;
}

/**
 * Opens a path for writing.
 *
 * A regular file is written beside its place, and put there by `complete`: one that is there already stays as it is until
 * then, and for good where writing fails. Devices and pipes are written as they are.
 *
 * @param signal ends the wait for the reader of a pipe, with `Interrupted`
 */
export async function openDestination(path: string, signal?: AbortSignal): Promise<Destination> {
  try {
    const target = await stat(path).catch(() => null);
    if (target?.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    if (target?.isFIFO()) return new PipeDestination(path, await openPipe(path, signal));
    if (target !== null && !target.isFile())
      return new DeviceDestination(path, await open(path, constants.O_WRONLY));
    // Through a symbolic link, the file that it leads to is replaced and not the link.
    const place = target === null ? path : await realpath(path);
    const partial = partialOf(place);
    // Exclusive: in a directory that others write to, a link of that name could lead anywhere.
    const file = await open(partial, 'wx', target === null ? 0o666 : target.mode & 0o777);
    return new FileDestination(path, place, partial, file, { replaces: target !== null });
  } catch (error) {
    throw failure(path, error);
  }
}

/** Writes a new file that is there from the first write on, not only when it is complete. */
export async function openGrowing(path: string): Promise<Destination> {
  try {
    const partial = partialOf(path);
    return new FileDestination(path, path, partial, await open(partial, 'wx'), { grows: true });
  } catch (error) {
    throw failure(path, error);
  }
}

function partialOf(place: string): string {
  return `${place}.${randomBytes(3).toString('hex')}.partial`;
}

function failure(path: string, error: unknown): Error {
  if (error instanceof Interrupted) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new OutputError(path, code === 'ENOENT' ? 'no such directory' : systemReason(error));
}

/** Milliseconds between two looks for a reader of a pipe. */
const READER_POLL = 50;

/** Opens a FIFO when somebody reads it. A thread that waits for that in open(2) could not be called back. */
async function openPipe(path: string, signal?: AbortSignal): Promise<Socket> {
  for (;;) {
    if (signal?.aborted) throw new Interrupted();
    try {
      const descriptor = await openDescriptor(path, constants.O_WRONLY | constants.O_NONBLOCK);
      return new Socket({ fd: descriptor, readable: false, writable: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      await setTimeout(READER_POLL);
    }
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

class FileDestination implements Destination {
  /** As the user calls it. */
  private readonly path: string;
  private readonly place: string;
  private partial: string;
  private readonly file: FileHandle;
  /** There is another file in its place, which stays there as long as this one is not complete. */
  private readonly replaces: boolean;
  /** It takes its place with the first write. */
  private readonly grows: boolean;
  /** Bytes of complete writes. */
  private size = 0;

  constructor(
    path: string,
    place: string,
    partial: string,
    file: FileHandle,
    { replaces = false, grows = false },
  ) {
    this.path = path;
    this.place = place;
    this.partial = partial;
    this.file = file;
    this.replaces = replaces;
    this.grows = grows;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.file, bytes);
      this.size += bytes.length;
      if (this.grows && this.partial !== this.place) {
        await rename(this.partial, this.place);
        this.partial = this.place;
      }
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  async complete(): Promise<void> {
    try {
      // Some file systems tell only now that there is no room; and after a power cut, the name must not lead to less.
      if (this.replaces) await this.file.sync();
      await this.file.close();
      await rename(this.partial, this.place);
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  async abandon(): Promise<string | null> {
    try {
      await this.file.truncate(this.size);
      await this.file.close();
      if (this.size > 0) return this.partial;
      await rm(this.partial);
    } catch {
      // What failed before is what the user has to know.
    }
    return null;
  }
}

class PipeDestination implements Destination {
  private readonly path: string;
  private readonly socket: Socket;

  constructor(path: string, socket: Socket) {
    this.path = path;
    this.socket = socket;
    socket.on('error', () => {}); // the write that failed rejects
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(failure(this.path, error)) : resolve()));
    });
  }

  complete(): Promise<void> {
    return new Promise((resolve) => this.socket.end(resolve));
  }

  async abandon(): Promise<null> {
    this.socket.destroy();
    return null;
  }
}

class DeviceDestination implements Destination {
  private readonly path: string;
  private readonly file: FileHandle;

  constructor(path: string, file: FileHandle) {
    this.path = path;
    this.file = file;
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.file, bytes);
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  async complete(): Promise<void> {
    try {
      await this.file.close();
    } catch (error) {
      throw failure(this.path, error);
    }
  }

  async abandon(): Promise<null> {
    await this.file.close().catch(() => {});
    return null;
  }
}

/** A stream that somebody else opened and ends, and whose errors are theirs: standard output. */
export class StreamDestination implements Destination {
  private readonly stream: Writable;

  constructor(stream: Writable) {
    this.stream = stream;
  }

  write(bytes: Uint8Array): Promise<void> {
    // A stream of a file keeps what is written after an error, and never calls back.
    if (this.stream.errored) return Promise.resolve();
    return new Promise((resolve) => this.stream.write(bytes, () => resolve()));
  }

  async complete(): Promise<void> {}

  async abandon(): Promise<null> {
    return null;
  }
}

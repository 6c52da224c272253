/** Files that users name beside captures, such as keys: read as a whole, up to a size. */
import path from 'node:path';
import { openSource, systemReason } from './capture/source.ts';
import { type CaptureError, Interrupted, UsageError } from './errors.ts';

/** Bytes asked for at once. */
const CHUNK = 1 << 20;

/**
 * Waits for the writer where it is a pipe, as `<(command)` in shells.
 *
 * @throws {UsageError} It cannot be read, or has more than `maximum` bytes.
 * @throws {Interrupted} `signal` was aborted meanwhile.
 */
export async function readWholeFile(
  option: string,
  file: string,
  maximum: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const fail = (reason: string) => new UsageError(`${option} ${file}: ${reason}`);
  // '-' is a file of that name here: standard input may be the capture.
  const source = await openSource(path.resolve(file)).catch((error: CaptureError) => {
    throw fail(error.message.slice(error.file.length + 2));
  });
  const close = () => void source.close();
  signal.addEventListener('abort', close);
  const chunk = Buffer.alloc(CHUNK);
  const chunks: Buffer[] = [];
  try {
    for (let size = 0; ; ) {
      const read = await source.read(chunk, 0, Math.min(CHUNK, maximum + 1 - size)).catch((error) => {
        throw fail(systemReason(error));
      });
      if (signal.aborted) throw new Interrupted();
      if (read === 0) return Buffer.concat(chunks);
      chunks.push(Buffer.from(chunk.subarray(0, read)));
      size += read;
      if (size > maximum) throw fail(`larger than ${maximum >> 20} MiB`);
    }
  } finally {
    signal.removeEventListener('abort', close);
    await source.close();
  }
}

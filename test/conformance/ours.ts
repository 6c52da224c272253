/** What `packets --ndjson` prints for a capture: the command itself, run in this process. */
import { Writable } from 'node:stream';
import type { Context } from '../../src/commands/context.ts';
import { packets } from '../../src/commands/packets.ts';
import type { PacketRecord } from '../../src/core/record.ts';
import { CaptureError } from '../../src/errors.ts';

class Collector extends Writable {
  private readonly chunks: Buffer[] = [];
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    // The command may reuse its buffer once the write is acknowledged.
    this.chunks.push(Buffer.from(chunk));
    done();
  }
  text(): string {
    return Buffer.concat(this.chunks).toString();
  }
}

/** Records of a capture in file order; none where the file is refused, as other readers' formats are. */
export async function ourPackets(path: string, decodeAs: readonly string[] = []): Promise<PacketRecord[]> {
  const stdout = new Collector();
  const stderr = new Collector();
  const context: Context = { stdout, stderr, env: {}, signal: new AbortController().signal };
  try {
    await packets([path], { ndjson: true, progress: false, decodeAs: [...decodeAs] }, context);
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
  }
  const lines = stdout.text().split('\n');
  lines.pop();
  return lines.map((line) => JSON.parse(line) as PacketRecord);
}

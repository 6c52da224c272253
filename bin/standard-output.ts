/** What becomes of the process where nothing more can be printed. */
import type { Writable } from 'node:stream';

/**
 * Ends the process when `stdout` fails, after `complete`: a closed pipe (`| head`) is the reader's way to say that it has
 * enough, all else is told in one line.
 */
export function endWithout(stdout: Writable, complete: () => Promise<void>): void {
  // There is nobody to tell that nobody can be told.
  process.stderr.on('error', () => {});
  stdout.once('error', async (error: NodeJS.ErrnoException) => {
    // What was not written is said to have failed, too.
    stdout.on('error', () => {});
    const closed = error.code === 'EPIPE';
    if (!closed) {
      const { systemReason } = await import('../src/capture/source.ts');
      process.stderr.write(`tunscope: standard output: ${systemReason(error)}\n`);
    }
    await complete().catch(() => {});
    process.exit(closed ? 0 : 1);
  });
}

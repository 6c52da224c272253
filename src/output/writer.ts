/** Text to a stream in large writes, respecting its backpressure. */
import type { Writable } from 'node:stream';

/** Bytes gathered before a write: one write per line costs twice the time of the whole conversion to JSON. */
const GATHER = 1 << 16;

export class TextWriter {
  private readonly stream: Writable;
  private text = '';
  private waiting: Promise<void> | null = null;
  private written: Promise<void> = Promise.resolve();

  private readonly gather: number;

  constructor(stream: Writable, gather = GATHER) {
    this.stream = stream;
    this.gather = gather;
  }

  line(text: string): void {
    this.text += `${text}\n`;
    if (this.text.length >= this.gather) this.push();
  }

  private push(): void {
    const { text } = this;
    this.text = '';
    if (text !== '') this.write(text);
  }

  private write(chunk: string | Uint8Array): void {
    if (!this.stream.write(chunk)) {
      this.waiting ??= new Promise((resolve) => {
        this.stream.once('drain', () => {
          this.waiting = null;
          resolve();
        });
      });
    }
  }

  /** Bytes of whole lines, written at once. Their memory may change afterwards. */
  copy(lines: Uint8Array): void {
    this.push();
    this.write(lines.slice());
  }

  /**
   * Bytes of whole lines, which are not copied: their memory may change once the next call resolves. So the next lines are
   * made, in other memory, while these are written.
   */
  async bytes(lines: Uint8Array): Promise<void> {
    this.push();
    const before = this.written;
    this.written = new Promise((resolve) => this.stream.write(lines, () => resolve()));
    await before;
  }

  /** Hands everything to the stream and waits until it wants more. */
  async flush(): Promise<void> {
    this.push();
    await this.written;
    if (this.waiting) await this.waiting;
  }
}

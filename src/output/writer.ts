/** Text to a stream in large writes, respecting its backpressure. */
import type { Writable } from 'node:stream';

/** Bytes gathered before a write: one write per line costs twice the time of the whole conversion to JSON. */
const GATHER = 1 << 16;

export class TextWriter {
  private readonly stream: Writable;
  private text = '';
  private waiting: Promise<void> | null = null;

  constructor(stream: Writable) {
    this.stream = stream;
  }

  line(text: string): void {
    this.text += `${text}\n`;
    if (this.text.length >= GATHER) this.push();
  }

  private push(): void {
    const { text } = this;
    this.text = '';
    if (text !== '') this.send(text);
  }

  private send(data: string | Uint8Array): void {
    if (!this.stream.write(data)) {
      this.waiting ??= new Promise((resolve) => {
        this.stream.once('drain', () => {
          this.waiting = null;
          resolve();
        });
      });
    }
  }

  /** Bytes of whole lines, copied: their memory may change after the call. */
  async bytes(lines: Uint8Array): Promise<void> {
    this.push();
    this.send(Buffer.from(lines));
    if (this.waiting) await this.waiting;
  }

  /** Hands everything to the stream and waits until it wants more. */
  async flush(): Promise<void> {
    this.push();
    if (this.waiting) await this.waiting;
  }
}

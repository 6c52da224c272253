/** Bytes that are appended at one end and consumed at the other. */
export class GrowingBuffer {
  private bytes = Buffer.alloc(0);
  private start = 0;
  private end = 0;

  get length(): number {
    return this.end - this.start;
  }

  /** What is there; valid until the next `append`. */
  get content(): Buffer {
    return this.bytes.subarray(this.start, this.end);
  }

  append(more: Uint8Array): void {
    const length = this.length;
    if (this.end + more.length > this.bytes.length) {
      let { bytes } = this;
      if (length + more.length > bytes.length)
        bytes = Buffer.alloc(Math.max(512, 2 * (length + more.length)));
      bytes.set(this.content);
      this.bytes = bytes;
      this.start = 0;
      this.end = length;
    }
    this.bytes.set(more, this.end);
    this.end += more.length;
  }

  consume(count: number): void {
    this.start += count;
    // Nothing left: an idle connection keeps no memory.
    if (this.start === this.end) {
      this.bytes = Buffer.alloc(0);
      this.start = 0;
      this.end = 0;
    }
  }
}

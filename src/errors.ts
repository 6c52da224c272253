/** The user asked for something that cannot be done. One line, exit status 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError';
  /** Lines to print below the message: the place in what the user wrote. */
  readonly excerpt: readonly string[];
  constructor(message: string, excerpt: readonly string[] = []) {
    super(message);
    this.excerpt = excerpt;
  }
}

/** A capture cannot be opened or read at all (missing, unreadable, not a capture). One line, exit status 1. */
export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  readonly file: string;
  constructor(file: string, text: string) {
    super(`${file}: ${text}`);
    this.file = file;
  }
}

/** There is not enough memory for what was asked. One line, exit status 1. */
export class MemoryError extends Error {
  override readonly name = 'MemoryError';
}

/** What was asked for cannot be written. One line, exit status 1. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
  constructor(file: string, text: string) {
    super(`${file}: ${text}`);
  }
}

/** The user gave up before the first byte of the input came: there is nothing to print. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

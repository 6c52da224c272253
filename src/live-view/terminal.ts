/** A terminal in raw mode on its alternate screen: keys in, lines out. */
import type { Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import type { Key, ViewLine } from './view.ts';

export type TerminalOut = Writable & { readonly columns?: number; readonly rows?: number };

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const LOOK: Record<ViewLine['look'], string> = {
  plain: '',
  bold: '\x1b[1m',
  dim: '\x1b[2m',
  reverse: '\x1b[7m',
};

const KEYS: Record<string, Key> = {
  '\r': 'enter',
  '\n': 'enter',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x1b': 'escape',
  '\x1b[A': 'up',
  '\x1bOA': 'up',
  '\x1b[B': 'down',
  '\x1bOB': 'down',
  '\x1b[5~': 'pageup',
  '\x1b[6~': 'pagedown',
  '\x1b[H': 'home',
  '\x1b[1~': 'home',
  '\x1b[F': 'end',
  '\x1b[4~': 'end',
};

/** Keys in what a terminal sent: escape sequences, or characters. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what keys send
const SEQUENCE = /\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|./gsu;

export class Terminal {
  private readonly input: ReadStream;
  private readonly output: TerminalOut;
  private readonly onKey: (key: Key) => void;
  private readonly redraw: () => void;
  private readonly restore = () => this.output.write(LEAVE);

  constructor(input: ReadStream, output: TerminalOut, onKey: (key: Key) => void, redraw: () => void) {
    this.input = input;
    this.output = output;
    this.onKey = onKey;
    this.redraw = redraw;
    input.setEncoding('utf8');
    input.on('data', this.data);
    output.on('resize', redraw);
    process.on('SIGCONT', this.enter);
    process.once('exit', this.restore);
    this.enter();
  }

  get width(): number {
    return this.output.columns ?? 80;
  }

  get height(): number {
    return this.output.rows ?? 24;
  }

  draw(lines: readonly ViewLine[]): void {
    // A slow terminal misses pictures rather than getting them late.
    if (this.output.writableNeedDrain) return;
    const text = lines.map(({ text, look }) => (look === 'plain' ? text : `${LOOK[look]}${text}\x1b[m`));
    this.output.write(`\x1b[H${text.join('\x1b[K\r\n')}\x1b[K\x1b[J`);
  }

  close(): void {
    this.input.off('data', this.data);
    this.output.off('resize', this.redraw);
    process.off('SIGCONT', this.enter);
    process.off('exit', this.restore);
    this.input.setRawMode(false);
    this.input.pause();
    this.restore();
  }

  private readonly enter = () => {
    this.input.setRawMode(true);
    this.input.resume();
    this.output.write(ENTER);
    this.redraw();
  };

  private readonly data = (text: string) => {
    for (const [sequence] of text.matchAll(SEQUENCE)) {
      if (sequence === '\x1a') this.suspend();
      else this.onKey(KEYS[sequence] ?? sequence);
    }
  };

  /** Ctrl-Z, which raw mode leaves to us. */
  private suspend(): void {
    this.input.setRawMode(false);
    this.restore();
    process.kill(0, 'SIGTSTP');
  }
}

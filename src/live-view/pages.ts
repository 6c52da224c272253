/** Text that changes while it is looked at: drawn each second, scrolled by keys. Knows no terminal but the one it is given. */
import type { ReadStream } from 'node:tty';
import type { LiveControl } from '../capture/capture.ts';
import { Terminal, type TerminalOut } from './terminal.ts';
import type { Key, ViewLine } from './view.ts';

const PICTURE = 1000;
/** Lines above and below the text. */
const FRAME = 3;

export interface Pages {
  /** The line above: what is captured. */
  title(): string;
  /** The text as it is now, in lines of this width at most. */
  lines(width: number): readonly string[];
}

/** What a page shows, and what keys do to it. */
export class PageView {
  quit = false;
  private readonly pages: Pages;
  private top = 0;
  private paused = false;
  private title = '';
  private text: readonly string[] = [];
  private width = 0;
  private notice = '';

  constructor(pages: Pages) {
    this.pages = pages;
  }

  tell(text: string): void {
    this.notice = text;
  }

  key(key: Key, height: number): void {
    this.notice = '';
    const page = Math.max(1, height - FRAME);
    if (key === 'q' || key === '\x03') this.quit = true;
    else if (key === ' ') this.paused = !this.paused;
    else if (key === 'up' || key === 'k') this.top--;
    else if (key === 'down' || key === 'j') this.top++;
    else if (key === 'pageup') this.top -= page;
    else if (key === 'pagedown') this.top += page;
    else if (key === 'home') this.top = 0;
    else if (key === 'end') this.top = Number.MAX_SAFE_INTEGER;
  }

  /** @param fresh with what has come since the last picture, unless paused */
  render(width: number, height: number, fresh: boolean): ViewLine[] {
    if ((fresh && !this.paused) || width !== this.width) {
      this.width = width;
      this.title = this.pages.title();
      this.text = this.pages.lines(width);
    }
    const room = Math.max(1, height - FRAME);
    this.top = Math.max(0, Math.min(this.top, this.text.length - room));
    const shown = this.text.slice(this.top, this.top + room);
    const rest = this.text.length - this.top - shown.length;
    const state = [this.paused ? 'paused' : '', rest > 0 ? `${rest} more lines below` : ''].filter(
      (part) => part !== '',
    );
    const line = (text: string, look: ViewLine['look'] = 'plain'): ViewLine => ({
      text: text.slice(0, width),
      look,
    });
    return [
      line(this.title, 'bold'),
      ...shown.map((text) => line(text)),
      ...Array.from({ length: room - shown.length }, () => line('')),
      line(this.notice === '' ? state.join(', ') : this.notice, 'dim'),
      line('q quit  space pause  arrows and page keys scroll', 'dim'),
    ];
  }
}

/** Shows pages until closed; the key for the end stops the capture. */
export function showPages(
  pages: Pages,
  {
    live,
    stdin,
    stdout,
  }: { readonly live: LiveControl; readonly stdin: ReadStream; readonly stdout: TerminalOut },
): { view: PageView; close: () => void } {
  const view = new PageView(pages);
  let terminal: Terminal | null = null;
  const draw = (fresh: boolean) => terminal?.draw(view.render(terminal.width, terminal.height, fresh));
  const key = (key: Key) => {
    view.key(key, terminal?.height ?? 24);
    if (view.quit) live.stop();
    draw(false);
  };
  terminal = new Terminal(stdin, stdout, key, () => draw(false));
  const timer = setInterval(() => {
    live.askCounters();
    draw(true);
  }, PICTURE);
  draw(true);
  return {
    view,
    close: () => {
      clearInterval(timer);
      terminal.close();
    },
  };
}

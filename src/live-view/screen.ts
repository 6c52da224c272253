/** The view on a terminal: drawn each second, and after each key. */
import type { ReadStream } from 'node:tty';
import type { LiveControl } from '../capture/capture.ts';
import { Terminal, type TerminalOut } from './terminal.ts';
import { type LiveList, type LiveTotals, LiveView } from './view.ts';

/** Milliseconds between pictures, and the part of the time that drawing them may take. */
const PICTURE = 1000;
const DRAWING_SHARE = 0.1;

export interface Screen {
  readonly live: LiveControl;
  readonly totals: () => LiveTotals;
  readonly stdin: ReadStream;
  readonly stdout: TerminalOut;
  /** The terminal has block elements. */
  readonly unicode: boolean;
}

/** Shows the list until closed; the key for the end stops the capture. */
export function showView<R extends object>(
  list: LiveList<R>,
  { live, totals, stdin, stdout, unicode }: Screen,
): { view: LiveView<R>; close: () => void } {
  const view = new LiveView(list);
  let terminal: Terminal | null = null;
  const draw = () => terminal?.draw(view.render({ width: terminal.width, height: terminal.height, unicode }));
  const key = (key: string) => {
    view.key(key);
    if (view.quit) live.stop();
    draw();
  };
  terminal = new Terminal(stdin, stdout, key, draw);
  let sampled = performance.now();
  let timer: NodeJS.Timeout;
  const tick = () => {
    const start = performance.now();
    live.askCounters();
    view.sample(totals(), (start - sampled) / 1000);
    sampled = start;
    draw();
    const took = performance.now() - start;
    timer = setTimeout(tick, Math.max(PICTURE, took / DRAWING_SHARE) - took);
  };
  timer = setTimeout(tick, PICTURE);
  draw();
  return {
    view,
    close: () => {
      clearTimeout(timer);
      terminal.close();
    },
  };
}

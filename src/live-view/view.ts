/** The view that redraws in place: what it shows of which rows, and what keys do to it. Knows no terminal. */
import type { LiveRecord } from '../capture/capture.ts';
import { printable } from '../core/text.ts';
import { largest } from '../flow/largest.ts';
import { type Column, fittingColumns, GAP } from '../output/table.ts';
import { bytesText, countText, durationText } from '../output/units.ts';
import { RateHistory, SAMPLES, sparkline } from './rates.ts';

/** Rows as they are now. A row keeps its number. */
export interface LiveRows<R> {
  ids(): readonly number[];
  /** What the row is sorted by; negative where the smallest goes first. */
  value(id: number, by: string): number;
  record(id: number): R;
}

/** What is shown: flows, or VNIs. */
export interface LiveList<R> {
  /** Plural. */
  readonly name: string;
  rows(): LiveRows<R>;
  readonly columns: readonly Column<R>[];
  /** Keys, and the orders they choose beside that by rate. `bytes` is one of the orders. */
  readonly sorts: Readonly<Record<string, string>>;
}

/** What the whole capture came to so far. */
export interface LiveTotals {
  readonly packets: number;
  readonly bytes: number;
  readonly live: LiveRecord;
}

export interface ViewStyle {
  readonly width: number;
  readonly height: number;
  /** False where the terminal's character set has no block elements. */
  readonly unicode: boolean;
}

export interface ViewLine {
  readonly text: string;
  readonly look: 'plain' | 'bold' | 'reverse' | 'dim';
}

/** A character, or the name of a key: up, down, pageup, pagedown, home, end, enter, escape, backspace. */
export type Key = string;

const SPARK = 10;
const RATE = 'rate';
/** Lines above and below the rows. */
const FRAME = 4;

export class LiveView<R extends object> {
  /** True once the user has had enough. */
  quit = false;
  private readonly list: LiveList<R>;
  private readonly rates = new RateHistory();
  private readonly total = new RateHistory();
  private readonly packetRate = new RateHistory();
  private rows: LiveRows<R>;
  private totals: LiveTotals | null = null;
  private elapsed = 0;
  private sort = RATE;
  private filter = '';
  private typing = false;
  private paused = false;
  private showsDetail = false;
  /** Place of the selected row in the order, and its number, which it is found by when the order changes. */
  private place = 0;
  private selected = -1;
  private top = 0;
  private page = 1;
  private shown: readonly number[] = [];
  private matching = 0;
  private notice = '';
  /** Rows that were looked at since the last sample, and what they say: a pause keeps them as they were. */
  private readonly records = new Map<number, R>();
  private readonly texts = new Map<number, string>();

  constructor(list: LiveList<R>) {
    this.list = list;
    this.rows = list.rows();
  }

  /** Takes in what happened since the last sample, `seconds` ago. */
  sample(totals: LiveTotals, seconds: number): void {
    this.elapsed += seconds;
    if (this.paused) return;
    this.rows = this.list.rows();
    this.texts.clear();
    this.records.clear();
    this.totals = totals;
    const { rows } = this;
    this.rates.sample(rows.ids(), (id) => rows.value(id, 'bytes'), seconds);
    this.total.sample([0], () => totals.bytes, seconds);
    this.packetRate.sample([0], () => totals.packets, seconds);
  }

  /** Something to tell until the next key. */
  tell(text: string): void {
    this.notice = text;
  }

  key(key: Key): void {
    this.notice = '';
    if (key === '\x03') this.quit = true;
    else if (this.typing) this.type(key);
    else if (key === 'q') this.quit = true;
    else if (key === ' ') this.paused = !this.paused;
    else if (key === '/') {
      this.typing = true;
      this.showsDetail = false;
    } else if (key === 'enter') this.showsDetail = !this.showsDetail && this.selected >= 0;
    else if (key === 'escape') this.escape();
    else if (key === 'r') this.sort = RATE;
    else if (Object.hasOwn(this.list.sorts, key)) this.sort = this.list.sorts[key];
    else this.move(key);
  }

  private escape(): void {
    if (this.showsDetail) this.showsDetail = false;
    else this.search('');
  }

  private type(key: Key): void {
    if (key === 'enter') this.typing = false;
    else if (key === 'escape') {
      this.typing = false;
      this.search('');
    } else if (key === 'backspace') this.search(this.filter.slice(0, -1));
    else if (key.length === 1 && key >= ' ') this.search(this.filter + key);
  }

  private search(text: string): void {
    this.filter = text;
    this.place = 0;
    this.selected = -1;
  }

  private move(key: Key): void {
    const steps: Record<string, number> = {
      up: -1,
      k: -1,
      down: 1,
      j: 1,
      pageup: -this.page,
      pagedown: this.page,
      home: Number.NEGATIVE_INFINITY,
      end: Number.POSITIVE_INFINITY,
    };
    const step = steps[key];
    if (step === undefined) return;
    this.place = Math.max(0, Math.min(this.matching - 1, this.place + step));
    this.selected = -1; // whatever is at that place
  }

  render(style: ViewStyle): ViewLine[] {
    const { width, height } = style;
    const lines: ViewLine[] = [this.heading(style)];
    if (this.showsDetail) lines.push(...this.detail(style));
    else lines.push(...this.table(style));
    while (lines.length < height - 1) lines.push({ text: '', look: 'plain' });
    lines.length = Math.max(0, height - 1);
    lines.push(this.footer(width));
    return lines.map(({ text, look }) => ({ text: cut(printable(text), width), look }));
  }

  private heading({ unicode }: ViewStyle): ViewLine {
    const { totals } = this;
    if (totals === null) return { text: 'tunscope', look: 'bold' };
    const { packets, live } = totals;
    const dropped = live.dropped + live.interfaceDropped;
    const parts = [
      live.interfaces.map(({ name, ended }) => (ended === null ? name : `(${name})`)).join(' '),
      durationText(Math.round(this.elapsed)).replace('.00', ''),
      `${countText(packets)} packets`,
      `${countText(Math.round(this.packetRate.rate(0)))}/s`,
      `${bytesText(this.total.rate(0))}/s`,
      sparkline(this.total.history(0, SPARK), 0, unicode),
      dropped > 0 ? `${countText(dropped)} DROPPED` : '',
    ];
    return { text: parts.filter((part) => part !== '').join('  '), look: 'bold' };
  }

  private table({ width, height, unicode }: ViewStyle): ViewLine[] {
    this.page = Math.max(1, height - FRAME);
    this.arrange();
    const columns: Column<number>[] = [
      { heading: 'RATE', right: true, rank: 0, cell: (id) => rateText(this.rates.rate(id)) },
      { heading: '', rank: 0, cell: (id) => sparkline(this.rates.history(id, SPARK), SPARK, unicode) },
    ];
    for (const column of this.list.columns) {
      columns.push({
        ...column,
        // What is lined up below each other elsewhere goes on one line here.
        cell: (id) => column.cell(this.record(id)).replaceAll('\n', ' '),
      });
    }
    const cells = this.shown.map((id) => columns.map((column) => printable(column.cell(id))));
    const widths = columns.map((column, i) =>
      Math.max(column.heading.length, ...cells.map((row) => row[i].length)),
    );
    // The first two stay where they are while all is quiet.
    const telling = columns.map((_, i) => i).filter((i) => i < 2 || cells.some((row) => row[i] !== ''));
    const fitting = fittingColumns(telling, columns, widths, width);
    const line = (row: readonly string[]) =>
      fitting
        .map((i) => (columns[i].right ? row[i].padStart(widths[i]) : row[i].padEnd(widths[i])))
        .join(' '.repeat(GAP));
    const sorted = this.sort === RATE ? 'by rate' : `by ${this.sort}`;
    const found =
      this.filter === '' && !this.typing ? '' : `  filter: ${this.filter}${this.typing ? '_' : ''}`;
    return [
      {
        text: `${countText(this.matching)} ${this.list.name} ${sorted}${found}${this.paused ? '  PAUSED' : ''}`,
        look: 'plain',
      },
      { text: line(columns.map(({ heading }) => heading)), look: 'bold' },
      ...cells.map((row, i): ViewLine => {
        const isSelected = this.shown[i] === this.selected;
        return {
          text: isSelected ? line(row).padEnd(width) : line(row),
          look: isSelected ? 'reverse' : 'plain',
        };
      }),
    ];
  }

  /** Puts rows in order, as far down as the page goes, and the selection where its row went. */
  private arrange(): void {
    const { rows, rates, sort } = this;
    const words = this.filter.toLowerCase().split(' ');
    const ids = rows.ids().filter((id) => this.matches(id, words));
    this.matching = ids.length;
    const keys = Float64Array.from(
      ids,
      sort === RATE ? (id) => rates.rate(id) : (id) => rows.value(id, sort),
    );
    const order = largest(keys, this.top + this.page + this.place + 1);
    const found = this.selected < 0 ? -1 : order.findIndex((i) => ids[i] === this.selected);
    if (found >= 0) this.place = found;
    this.place = Math.max(0, Math.min(this.place, ids.length - 1));
    this.top = Math.max(0, Math.min(this.top, this.place, ids.length - this.page));
    if (this.place >= this.top + this.page) this.top = this.place - this.page + 1;
    this.shown = order.slice(this.top, this.top + this.page).map((i) => ids[i]);
    this.selected = this.shown[this.place - this.top] ?? -1;
  }

  private record(id: number): R {
    const known = this.records.get(id);
    if (known !== undefined) return known;
    const record = this.rows.record(id);
    this.records.set(id, record);
    return record;
  }

  private matches(id: number, words: readonly string[]): boolean {
    if (words.length === 1 && words[0] === '') return true;
    let text = this.texts.get(id);
    if (text === undefined) {
      const record = this.record(id);
      text = this.list.columns
        .map((column) => column.cell(record))
        .join(' ')
        .toLowerCase();
      this.texts.set(id, text);
    }
    return words.every((word) => text.includes(word));
  }

  private detail({ width, unicode }: ViewStyle): ViewLine[] {
    const fields = [...flatten(this.record(this.selected))];
    const name = Math.max(...fields.map(([key]) => key.length));
    const history = this.rates.history(this.selected, Math.min(SAMPLES, width - name - 2));
    const spark = sparkline(history, 0, unicode);
    return [
      { text: '', look: 'plain' },
      ...[['rate', rateText(this.rates.rate(this.selected))], ['', spark], ...fields].map(
        ([key, value]): ViewLine => ({ text: `${key.padEnd(name)}  ${value}`, look: 'plain' }),
      ),
    ];
  }

  private footer(width: number): ViewLine {
    if (this.notice !== '') return { text: this.notice, look: 'bold' };
    if (this.typing) return { text: 'type words to look for  enter: keep  escape: clear', look: 'dim' };
    if (this.showsDetail) return { text: 'enter: back  space: pause  q: quit', look: 'dim' };
    const sorts: [string, string][] = [['r', RATE], ...Object.entries(this.list.sorts)];
    const keys = 'q quit  space pause  / filter  enter details  sort: ';
    const long = keys + sorts.map(([key, by]) => `${key} ${by}`).join('  ');
    return { text: long.length <= width ? long : keys + sorts.map(([key]) => key).join(' '), look: 'dim' };
  }
}

function rateText(bytesPerSecond: number): string {
  return bytesPerSecond === 0 ? '' : `${bytesText(bytesPerSecond)}/s`;
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}>`;
}

/** A record's values with the keys that lead there. */
function* flatten(value: unknown, key = ''): Generator<[string, string]> {
  if (typeof value !== 'object' || value === null) {
    yield [key, value === null ? '-' : String(value)];
    return;
  }
  for (const [name, inner] of Object.entries(value)) {
    if (key === '' && (name === 'type' || name === 'schema')) continue;
    yield* flatten(inner, key === '' ? name : `${key}.${name}`);
  }
}

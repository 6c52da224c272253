/** What the view shows, and what keys do to it, without a terminal. */
import { describe, expect, it } from 'vitest';
import { RateHistory, SAMPLES, sparkline } from '../../src/live-view/rates.ts';
import { type LiveTotals, LiveView } from '../../src/live-view/view.ts';

interface Row {
  name: string;
  bytes: number;
  note: string;
}

const totals = (packets: number, dropped = 0): LiveTotals => ({
  packets,
  bytes: 100 * packets,
  live: {
    received: packets,
    dropped,
    interfaceDropped: 0,
    backend: 'tcpdump',
    limits: null,
    interfaces: [{ name: 'v0', received: packets, dropped, interfaceDropped: 0, ended: null }],
  },
});

/** A view of rows that the test changes. */
function viewOf(rows: Row[]) {
  const view = new LiveView<Row>({
    name: 'rows',
    rows: () => ({
      ids: () => rows.map((_, i) => i),
      value: (id, by) => (by === 'bytes' ? rows[id].bytes : -id),
      record: (id) => ({ ...rows[id] }),
    }),
    columns: [
      { heading: 'NAME', rank: 0, cell: ({ name }) => name },
      { heading: 'BYTES', right: true, rank: 1, cell: ({ bytes }) => String(bytes) },
      { heading: 'NOTE', rank: 2, cell: ({ note }) => note },
    ],
    sorts: { b: 'bytes', f: 'first' },
  });
  const draw = (width = 80, height = 24) => view.render({ width, height, unicode: true });
  return {
    view,
    draw,
    /** Names of the rows on the screen. */
    names: (height = 24) =>
      draw(80, height)
        .slice(3, -1)
        .flatMap(({ text }) => text.match(/\brow\d+/) ?? []),
    selected: () =>
      draw()
        .find(({ look }) => look === 'reverse')
        ?.text.match(/row\d+/)?.[0],
    keys: (...keys: string[]) => {
      for (const key of keys) view.key(key);
    },
  };
}

const many = (count: number): Row[] =>
  Array.from({ length: count }, (_, i) => ({
    name: `row${i}`,
    bytes: i,
    note: i % 2 === 0 ? 'Even' : 'odd',
  }));

describe('the view', () => {
  it('fits the screen, whatever its size', () => {
    const { view, draw } = viewOf(many(100).map((row) => ({ ...row, note: 'x'.repeat(200) })));
    view.sample(totals(10), 1);
    for (const [width, height] of [
      [80, 24],
      [20, 5],
      [300, 100],
      [1, 1],
      [7, 2],
    ]) {
      const lines = draw(width, height);
      expect(lines).toHaveLength(height);
      for (const { text } of lines) expect(text.length).toBeLessThanOrEqual(width);
      view.key('enter');
      expect(draw(width, height)).toHaveLength(height);
      view.key('enter');
    }
  });

  it('sorts by rate until a key says otherwise', () => {
    const rows = many(3);
    const { view, names, keys } = viewOf(rows);
    view.sample(totals(1), 1);
    rows[0].bytes += 500;
    rows[2].bytes += 100;
    view.sample(totals(2), 2);
    expect(names()).toEqual(['row0', 'row2', 'row1']);
    keys('f');
    expect(names()).toEqual(['row0', 'row1', 'row2']);
    rows[1].bytes = 9999;
    keys('b');
    view.sample(totals(3), 1);
    expect(names()).toEqual(['row1', 'row0', 'row2']);
    keys('r');
    expect(names()[0]).toBe('row1');
  });

  it('shows bytes per second', () => {
    const rows = many(1);
    const { view, draw } = viewOf(rows);
    rows[0].bytes = 4000;
    view.sample(totals(40), 2);
    const text = draw().map((line) => line.text);
    expect(text[0]).toMatch(/^v0 {2}2 s {2}40 packets {2}20\/s {2}2\.00 kB\/s {2}█$/);
    expect(text[3]).toMatch(/^2\.00 kB\/s {11}█ {2}row0 +4000/);
  });

  it('keeps the selection on its row when the order changes', () => {
    const rows = many(50);
    const { view, selected, keys, names } = viewOf(rows);
    keys('b');
    view.sample(totals(1), 1);
    expect(selected()).toBe('row49');
    keys('down', 'down');
    expect(selected()).toBe('row47');
    rows[47].bytes = 1000;
    rows[1].bytes = 2000;
    view.sample(totals(2), 1);
    expect(selected()).toBe('row47');
    expect(names().slice(0, 3)).toEqual(['row1', 'row47', 'row49']);
    keys('end');
    expect(selected()).toBe('row0');
    keys('pageup');
    expect(names()).toContain(selected());
    keys('home');
    expect(selected()).toBe('row1');
    keys('up');
    expect(selected()).toBe('row1');
  });

  it('scrolls as far as there are rows', () => {
    const { view, names, keys } = viewOf(many(100));
    keys('f');
    view.sample(totals(1), 1);
    expect(names(14)).toEqual(Array.from({ length: 10 }, (_, i) => `row${i}`));
    keys('pagedown');
    expect(names(14)).toEqual(Array.from({ length: 10 }, (_, i) => `row${i + 1}`));
    keys('end');
    expect(names(14)).toEqual(Array.from({ length: 10 }, (_, i) => `row${i + 90}`));
  });

  it('filters by words, in any case', () => {
    const { view, names, draw, keys } = viewOf(many(20));
    keys('f');
    view.sample(totals(1), 1);
    keys('/', ...'ROW1 even');
    expect(names()).toEqual(['row10', 'row12', 'row14', 'row16', 'row18']);
    expect(draw()[1].text).toBe('5 rows by first  filter: ROW1 even_');
    keys('backspace', 'enter', 'q');
    expect(view.quit).toBe(true);
    view.quit = false;
    keys('escape');
    expect(names()).toHaveLength(20);
    keys('/', ...'nothing like it');
    expect(names()).toEqual([]);
    keys('enter', 'enter', 'down');
    expect(draw()[1].text).toMatch(/^0 rows/);
    // Keys are letters while a filter is typed.
    keys('/', 'escape', '/', 'q', ' ', 'b');
    expect(draw()[1].text).toBe('0 rows by first  filter: q b_');
  });

  it('stands still when paused', () => {
    const rows = many(2);
    const { view, draw, keys } = viewOf(rows);
    view.sample(totals(1), 1);
    const before = draw().map(({ text }) => text);
    keys(' ');
    rows[0].bytes = 5000;
    view.sample(totals(1000), 1);
    expect(draw().map(({ text }) => text)).toEqual(
      before.map((text) => text.replace(/rate$/, 'rate  PAUSED').replace('1 s', '2 s')),
    );
    keys(' ');
    view.sample(totals(2000), 1);
    expect(draw()[0].text).toContain('2,000 packets');
  });

  it('shows everything of one row', () => {
    const { view, draw, keys } = viewOf([{ name: 'row0', bytes: 7, note: 'a\x1b[31mb' }]);
    view.sample(totals(1), 1);
    draw();
    keys('enter');
    const text = draw().map((line) => line.text);
    expect(text).toContain('bytes  7');
    expect(text).toContain('note   a\\x1b[31mb');
    keys('escape');
    expect(draw()[3].text).toContain('row0');
  });

  it('escapes what packets say, everywhere', () => {
    const { view, draw, keys } = viewOf([{ name: 'row0\x1b]0;x\x07', bytes: 1, note: '\u202e\x9b' }]);
    view.sample(totals(1), 1);
    view.tell('v0: \x1b[2J');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
    const control = /[\x00-\x1f\x7f-\x9f\u202e]/;
    expect(draw().some(({ text }) => control.test(text))).toBe(false);
    keys('enter');
    expect(draw().some(({ text }) => control.test(text))).toBe(false);
  });

  it('tells of drops, and of what happens to devices until the next key', () => {
    const { view, draw, keys } = viewOf(many(1));
    view.sample(totals(10, 1234), 1);
    expect(draw()[0].text).toContain('1,234 DROPPED');
    view.tell('v0: the interface is down');
    expect(draw().at(-1)?.text).toBe('v0: the interface is down');
    keys('up');
    expect(draw().at(-1)?.text).toMatch(/^q quit.* r rate {2}b bytes/);
  });
});

describe('rates', () => {
  it('are gains per second, never negative, for rows that come and go', () => {
    const rates = new RateHistory();
    rates.sample([0], () => 100, 1);
    rates.sample([0, 5000], (id) => (id === 0 ? 50 : 300), 2);
    expect([rates.rate(0), rates.rate(5000), rates.rate(1), rates.rate(1e6)]).toEqual([0, 150, 0, 0]);
    rates.sample([5000], () => 301, 1);
    expect(rates.history(5000, 10)).toEqual([0, 150, 1]);
    expect(rates.history(0, 2)).toEqual([0, 0]);
    for (let i = 0; i < 2 * SAMPLES; i++) rates.sample([5000], () => 400 + i, 1);
    expect(rates.history(5000, 1000)).toEqual(Array.from({ length: SAMPLES }, () => 1));
  });

  it('are drawn relative to the largest', () => {
    expect(sparkline([0, 1, 4, 8], 6, true)).toBe('   ▂▅█');
    expect(sparkline([8, 1], 2, false)).toBe('#.');
    expect(sparkline([0, 0], 2, true)).toBe('  ');
    expect(sparkline([], 3, true)).toBe('   ');
  });
});

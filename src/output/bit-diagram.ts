/** Headers as RFCs draw them: rows of bits, a column each, with the fields that lie there. */
import type { Field } from '../core/field.ts';

/** Some bits of a header, and what they are called. */
export interface Cell {
  readonly bit: number;
  readonly bits: number;
  /** What to call it, the longest first; what fits its box is taken, or a part of the last. */
  readonly labels: readonly string[];
  /** What it holds, the longest first; empty in a diagram without values. */
  readonly values: readonly string[];
}

/** Rows that a field takes at most; what is left of larger ones is left out. */
const MAX_ROWS = 4;

/** Runs of set bits of a field, from the most significant one on. */
function runs(field: Field): { bit: number; bits: number }[] {
  const width = field.size * 8;
  if (field.mask === 0) return [{ bit: field.at * 8, bits: width }];
  const found: { bit: number; bits: number }[] = [];
  for (let i = 0; i < width; i++) {
    if (Math.floor(field.mask / 2 ** (width - 1 - i)) % 2 === 0) continue;
    const last = found.at(-1);
    if (last && last.bit + last.bits === field.at * 8 + i) last.bits++;
    else found.push({ bit: field.at * 8 + i, bits: 1 });
  }
  return found;
}

/** What to call a field, the longest first: 'Version', 'Ver'; 'Virtual Network Identifier (VNI)', 'VNI'; for a bit 'O'. */
function labelsOf({ label, name }: Field): string[] {
  const short = /\(([A-Za-z0-9 -]+)\)$/.exec(label)?.[1];
  const last = name.slice(name.lastIndexOf('.') + 1).replace(/^flags?_/, '');
  const words = last.replaceAll('_', ' ');
  return [label, ...(short === undefined ? [] : [short]), words.charAt(0).toUpperCase() + words.slice(1)];
}

/**
 * The cells of a field that lies at `base` bytes from where the diagram begins. Where a field has bits in several places
 * (reserved ones), each place is a cell.
 * @param values what it holds, if anything; of bits in several places nothing is shown
 */
export function cellsOf(field: Field, base = 0, values: readonly string[] = []): Cell[] {
  const places = runs(field);
  const labels = labelsOf(field);
  return places.map(({ bit, bits }) => ({
    bit: bit + base * 8,
    bits,
    labels,
    values: places.length === 1 ? values : [],
  }));
}

const fitting = (texts: readonly string[], room: number, rest: (text: string) => string): string =>
  texts.find((text) => text.length <= room) ?? rest(texts.at(-1) ?? '');

/** In the middle of `room` columns. */
function centred(text: string, room: number): string {
  return text.padStart(Math.floor((room + text.length) / 2)).padEnd(room);
}

class Painter {
  private readonly cells: readonly Cell[];
  private readonly width: number;
  private readonly size: number;
  /** Number of the cell that each bit belongs to, -1 for none. */
  private readonly owners: Int32Array;
  /** Per cell: the first bit of the longest part of it in one row. */
  private readonly named: Int32Array;
  private readonly hasValues: boolean;

  constructor(cells: readonly Cell[], size: number, width: number) {
    // The smallest field has a bit that several claim: the flag, not the flags.
    this.cells = cells.toSorted((a, b) => b.bits - a.bits);
    this.width = width;
    this.size = size;
    this.owners = new Int32Array(size).fill(-1);
    for (const [i, { bit, bits }] of this.cells.entries())
      this.owners.fill(i, Math.max(bit, 0), Math.max(Math.min(bit + bits, size), 0));
    this.hasValues = cells.some(({ values }) => values.length > 0);
    this.named = new Int32Array(cells.length).fill(-1);
    const longest = new Int32Array(cells.length);
    for (let row = 0; row * width < size; row++)
      for (const { from, to, owner } of this.parts(row)) {
        if (owner < 0 || to - from <= longest[owner]) continue;
        longest[owner] = to - from;
        this.named[owner] = from;
      }
  }

  /** Runs of bits of a row that belong together. */
  private parts(row: number): { from: number; to: number; owner: number }[] {
    const end = Math.min((row + 1) * this.width, this.size);
    const parts: { from: number; to: number; owner: number }[] = [];
    for (let bit = row * this.width; bit < end; bit++) {
      const last = parts.at(-1);
      if (last?.owner === this.owners[bit]) last.to++;
      else parts.push({ from: bit, to: bit + 1, owner: this.owners[bit] });
    }
    return parts;
  }

  private text(row: number, what: 'label' | 'value'): string {
    const boxes = this.parts(row).map(({ from, to, owner }) => {
      const room = 2 * (to - from) - 1;
      if (owner < 0 || this.named[owner] !== from) return ' '.repeat(room);
      const { labels, values } = this.cells[owner];
      const shown =
        what === 'label'
          ? fitting(labels, room, (text) => text.slice(0, room))
          : fitting(values, room, (text) => (text === '' ? '' : '*'));
      return centred(shown, room);
    });
    return `|${boxes.join('|')}|`;
  }

  /** The line above a row; `row` is one too many for the last line. */
  private line(row: number): string {
    const { owners, width, size } = this;
    let text = '';
    let before = '';
    for (let column = 0; column < width; column++) {
      const below = row * width + column;
      const above = below - width;
      const isBelow = below < size;
      const isAbove = above >= 0 && above < size;
      if (!isBelow && !isAbove) break;
      const isInside = isBelow && isAbove && owners[below] >= 0 && owners[below] === owners[above];
      const dash = isInside ? ' ' : '-';
      text += `${before === ' ' && dash === ' ' ? ' ' : before === '' && dash === ' ' ? '|' : '+'}${dash}`;
      before = dash;
    }
    return `${text}${before === ' ' ? '|' : '+'}`;
  }

  /** Whether the row, and those `MAX_ROWS` before it, are all of one cell, or of none. */
  private isMore(row: number): boolean {
    const { owners, width, size } = this;
    const from = (row - MAX_ROWS) * width;
    const to = (row + 1) * width;
    if (from < 0 || to > size) return false;
    for (let bit = from; bit < to; bit++) if (owners[bit] !== owners[from]) return false;
    return true;
  }

  lines(): string[] {
    const rows = Math.ceil(this.size / this.width);
    const lines: string[] = [];
    let isLeftOut = false;
    for (let row = 0; row < rows; row++) {
      if (this.isMore(row)) {
        isLeftOut = true;
        continue;
      }
      if (isLeftOut) lines.push(`~${' '.repeat(2 * this.width - 1)}~`);
      isLeftOut = false;
      lines.push(this.line(row), this.text(row, 'label'));
      if (this.hasValues) lines.push(this.text(row, 'value'));
    }
    if (isLeftOut) lines.push(`~${' '.repeat(2 * this.width - 1)}~`);
    lines.push(this.line(rows));
    return lines.map((line) => line.trimEnd());
  }

  /** Labels and values of cells that have no room for what they hold. */
  untold(): string[] {
    return this.cells
      .toSorted((a, b) => a.bit - b.bit)
      .flatMap((cell) => {
        const i = this.cells.indexOf(cell);
        const from = this.named[i];
        const [value] = cell.values;
        if (from < 0 || value === undefined) return [];
        let to = from + 1;
        while (to < this.size && to % this.width !== 0 && this.owners[to] === i) to++;
        return value.length <= 2 * (to - from) - 1 ? [] : [`${cell.labels[0]}: ${value}`];
      });
  }
}

/** The numbers above the bits. */
function ruler(width: number): string[] {
  const bits = Array.from({ length: width }, (_, i) => i);
  return [
    bits.map((i) => ` ${i % 10 === 0 ? i / 10 : ' '}`).join(''),
    bits.map((i) => ` ${i % 10}`).join(''),
  ].map((line) => line.trimEnd());
}

/**
 * A diagram of `bytes` bytes, 2 columns for each of the `width` bits of a row and one more.
 * @returns its lines; `untold` has what did not fit its box
 */
export function bitDiagram(
  cells: readonly Cell[],
  bytes: number,
  width: 16 | 32 = 32,
): { lines: string[]; untold: string[] } {
  const painter = new Painter(cells, bytes * 8, width);
  return { lines: [...ruler(width), ...painter.lines()], untold: painter.untold() };
}

/** Two diagrams beside each other, each under its heading. */
export function sideBySide(
  left: readonly string[],
  right: readonly string[],
  headings: readonly [string, string],
): string[] {
  const room = Math.max(headings[0].length, ...left.map(({ length }) => length)) + 3;
  const rows = Math.max(left.length, right.length);
  const lines = [headings[0].padEnd(room) + headings[1]];
  for (let i = 0; i < rows; i++) lines.push(((left[i] ?? '').padEnd(room) + (right[i] ?? '')).trimEnd());
  return lines;
}

/** Values of a document somebody wrote, taken apart with messages that say where what was expected. */
import { printable } from '../core/text.ts';

export type Path = readonly (string | number)[];

/** A document is not what it should be. */
export class DocumentError extends Error {
  override readonly name = 'DocumentError';
  readonly path: Path;
  constructor(path: Path, text: string) {
    super(path.length === 0 ? text : `${pathText(path)}: ${text}`);
    this.path = path;
  }
}

/** `options[2].fields[0].width` */
function pathText(path: Path): string {
  return path
    .map((step, i) =>
      typeof step === 'number'
        ? `[${step}]`
        : /^[\w-]+$/.test(step)
          ? `${i > 0 ? '.' : ''}${step}`
          : `['${step}']`,
    )
    .join('');
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  if (typeof value === 'function') return 'a function';
  const text = typeof value === 'string' ? `'${value}'` : String(value);
  return printable(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Longest text of a document: a title, a reference. */
const LONGEST_TEXT = 200;
/** As in filters, and in `-d`. */
const NAME = /^[a-z][a-z0-9_]*([._-][a-z0-9_]+)*$/;

/** A value and its place in the document. */
export class Item {
  readonly value: unknown;
  readonly path: Path;

  constructor(value: unknown, path: Path = []) {
    this.value = value;
    this.path = path;
  }

  /** @throws always */
  wrong(text: string): never {
    throw new DocumentError(this.path, text);
  }
  private expected(what: string): never {
    this.wrong(`expected ${what}, found ${shown(this.value)}`);
  }

  get given(): boolean {
    return this.value !== undefined;
  }

  /** The properties of an object; of those that it lacks, `given` is false. */
  object<K extends string>(required: readonly K[], optional: readonly K[] = []): Record<K, Item> {
    const properties = this.properties();
    const known: readonly string[] = [...required, ...optional];
    for (const key of properties.keys())
      if (!known.includes(key))
        new Item(undefined, [...this.path, key]).wrong(`unknown; there are ${known.join(', ')}`);
    for (const key of required) if (properties.get(key) === undefined) this.wrong(`'${key}' is missing`);
    return Object.fromEntries(
      known.map((key) => [key, properties.get(key) ?? new Item(undefined, [...this.path, key])]),
    ) as Record<K, Item>;
  }

  /** The properties of an object, whatever they are called. */
  properties(maximum = 1000): Map<string, Item> {
    const { value, path } = this;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.expected('an object');
    const entries = Object.entries(value);
    if (entries.length > maximum) this.wrong(`expected at most ${maximum} entries, found ${entries.length}`);
    return new Map(
      entries
        .filter(([, child]) => child !== undefined)
        .map(([key, child]) => [key, new Item(child, [...path, key])]),
    );
  }

  /** The items of a list. */
  list(maximum: number): Item[] {
    const { value, path } = this;
    if (!Array.isArray(value)) this.expected('a list');
    if (value.length > maximum) this.wrong(`expected at most ${maximum}, found ${value.length}`);
    return value.map((child, i) => new Item(child, [...path, i]));
  }

  /** The items of a list, or the one that stands for a list of its own. */
  oneOrList(maximum: number): Item[] {
    return Array.isArray(this.value) ? this.list(maximum) : [this];
  }

  text(): string {
    const { value } = this;
    if (typeof value !== 'string' || value === '') this.expected('text');
    if (value.length > LONGEST_TEXT)
      this.wrong(`expected at most ${LONGEST_TEXT} characters, found ${value.length}`);
    // It gets to terminals, among lines. What takes two of a string's characters is no matter here.
    const single = value.replace(/[\u{10000}-\u{10ffff}]/gu, '');
    if (printable(single) !== single)
      this.wrong(`has line breaks or control characters: ${printable(single)}`);
    return value;
  }

  name(): string {
    const { value } = this;
    if (typeof value !== 'string' || value.length > LONGEST_TEXT || !NAME.test(value))
      this.expected("a name like 'acme.tenant'");
    return value;
  }

  /** A whole number; also in hexadecimal as text, which is all that JSON has. */
  integer(minimum: number, maximum: number): number {
    const { value } = this;
    const number = typeof value === 'string' && /^0x[0-9a-f]+$/i.test(value) ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number) || number < minimum || number > maximum)
      this.expected(
        `a whole number from ${minimum} to ${maximum > 0xffff ? `0x${maximum.toString(16)}` : maximum}`,
      );
    return number;
  }

  oneOf<const T extends string | number>(choices: readonly T[]): T {
    const { value } = this;
    const found = choices.find((choice) => choice === value);
    if (found === undefined) this.expected(listText(choices));
    return found;
  }

  callable(): void {
    if (typeof this.value !== 'function') this.expected('a function');
  }

  boolean(): boolean {
    const { value } = this;
    if (typeof value !== 'boolean') this.expected('true or false');
    return value;
  }
}

/** "a, b or c" */
export function listText(choices: readonly (string | number)[]): string {
  return choices.length < 2
    ? choices.join('')
    : `${choices.slice(0, -1).join(', ')} or ${choices[choices.length - 1]}`;
}

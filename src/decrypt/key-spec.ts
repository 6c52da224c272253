/** Keys as the command line gives them: `name=value` pairs between commas, or `@FILE` with one such line per key. */
import { UsageError } from '../errors.ts';
import { readWholeFile } from '../whole-file.ts';

/** Bytes of a file of keys. */
const MAX_FILE = 1 << 20;

/** The named values of one key. Messages never repeat a value: it may be the secret. */
export class KeySpec {
  private readonly option: string;
  private readonly values = new Map<string, string>();

  constructor(option: string, text: string, names: readonly string[]) {
    this.option = option;
    for (const pair of text.split(',')) {
      const equals = pair.indexOf('=');
      const name = pair.slice(0, Math.max(equals, 0)).trim();
      if (!names.includes(name))
        this.fail(`expected name=value pairs between commas, names being ${names.join(', ')}`);
      if (this.values.has(name)) this.fail(`${name} is given twice`);
      this.values.set(name, pair.slice(equals + 1).trim());
    }
  }

  fail(text: string): never {
    throw new UsageError(`${this.option}: ${text}`);
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  text(name: string): string | undefined {
    return this.values.get(name);
  }

  /** A whole number, decimal or hexadecimal behind 0x. */
  number(name: string, minimum: number, maximum: number): number | undefined {
    const text = this.values.get(name);
    if (text === undefined) return undefined;
    const value = /^(0x[0-9a-f]{1,12}|[0-9]{1,15})$/i.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum))
      this.fail(`${name} takes a number from ${minimum} to ${maximum}`);
    return value;
  }

  /** Bytes in hexadecimal, of one of the lengths that `lengths` explains. */
  bytes(name: string, lengths: readonly number[], explanation: string): Buffer | undefined {
    const text = this.values.get(name);
    if (text === undefined) return undefined;
    const digits = text.replace(/^0x/i, '').replaceAll(':', '');
    const isHex = /^([0-9a-f]{2})*$/i.test(digits);
    const wanted =
      lengths.length === 1 ? `${lengths[0]}` : `${lengths.slice(0, -1).join(', ')} or ${lengths.at(-1)}`;
    if (!isHex || !lengths.includes(digits.length / 2)) {
      const got = isHex ? `, not ${digits.length / 2}` : '';
      this.fail(`${name} takes ${wanted} bytes in hexadecimal (${explanation})${got}`);
    }
    return Buffer.from(digits, 'hex');
  }
}

/** The specifications that an option's arguments stand for: each its own, or one per line of `@FILE`. */
export async function specTexts(
  option: string,
  given: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const texts: string[] = [];
  for (const text of given) {
    if (!text.startsWith('@')) texts.push(text);
    else for (const line of await linesOf(option, text.slice(1), signal)) texts.push(line);
  }
  return texts;
}

async function linesOf(option: string, file: string, signal: AbortSignal): Promise<string[]> {
  const text = (await readWholeFile(option, file, MAX_FILE, signal)).toString('latin1');
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

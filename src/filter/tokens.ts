/** A filter's text as tokens. */
import { FilterError, type Span } from './error.ts';

export type TokenKind =
  /** A name, a number, an address, or one of the words that are operators. */
  | 'word'
  /** In double quotes: `text` is what it stands for. */
  | 'string'
  /** In single quotes: `text` is the one character. */
  | 'character'
  /** What stands between square brackets. */
  | 'range'
  | 'symbol'
  | 'end';

export interface Token extends Span {
  readonly kind: TokenKind;
  readonly text: string;
}

/** Longest first, so that `===` is not `==` and `=`. */
const SYMBOLS = [
  '===',
  '!==',
  '==',
  '!=',
  '~=',
  '<=',
  '>=',
  '&&',
  '||',
  '..',
  '<',
  '>',
  '!',
  '~',
  '&',
  '(',
  ')',
  '{',
  '}',
  ',',
  '#',
];

// Two dots make a range of two words; a single one belongs to the word.
const WORD = /(?:[\w:/+-]|\.(?!\.))+/y;
const SPACE = /\s*/y;
const BRACKETS = /\[([^[\]]*)\]/y;
const STRING = /(r?)"((?:[^"\\]|\\.)*)"/sy;
const CHARACTER = /'((?:[^'\\]|\\.)*)'/sy;

const ESCAPES: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const ESCAPE = /\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))/gs;

/** Text with its escape sequences replaced; as in Wireshark, an unknown one stands for itself. */
function unescaped(text: string): string {
  return text.replace(ESCAPE, (all, hex, short, long, octal, other: string | undefined) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    const digits = hex ?? short ?? long;
    if (digits === undefined) return ESCAPES[other!] ?? (/[\\'"]/.test(other!) ? other! : all);
    const code = Number.parseInt(digits, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : all;
  });
}

export function tokens(expression: string): Token[] {
  const list: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(expression);
  };
  const push = (kind: TokenKind, text: string, length: number) => {
    list.push({ kind, text, from: at, to: at + length });
    at += length;
  };
  const fail = (text: string, length = 1): never => {
    throw new FilterError(text, expression, { from: at, to: at + length });
  };
  for (;;) {
    at += match(SPACE)![0].length;
    if (at === expression.length) break;
    const string = match(STRING);
    if (string) {
      const [all, raw, text] = string;
      // Raw strings keep their backslashes, the one before a quote too: they are regular expressions.
      push('string', raw === 'r' ? text : unescaped(text), all.length);
      continue;
    }
    const character = match(CHARACTER);
    if (character) {
      const text = unescaped(character[1]);
      if (text.length !== 1) fail('expected one character between single quotes', character[0].length);
      push('character', text, character[0].length);
      continue;
    }
    const brackets = match(BRACKETS);
    if (brackets) {
      push('range', brackets[1], brackets[0].length);
      continue;
    }
    const symbol = SYMBOLS.find((text) => expression.startsWith(text, at));
    if (symbol) {
      push('symbol', symbol, symbol.length);
      continue;
    }
    const word = match(WORD);
    if (word) {
      push('word', word[0], word[0].length);
      continue;
    }
    if ('"\''.includes(expression[at])) fail('this quote is never closed', expression.length - at);
    if (expression[at] === '[') fail('this bracket is never closed', expression.length - at);
    if (expression.startsWith('${', at))
      fail('a field reference needs a selected packet, which only the Wireshark window has', 2);
    fail(`${JSON.stringify(expression[at])} means nothing here`);
  }
  list.push({ kind: 'end', text: '', from: at, to: at + 1 });
  return list;
}

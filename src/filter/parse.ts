/**
 * From tokens to expressions, by operator precedence: `or`, `and`, `not`, comparisons, `&`, then slices and layers.
 */
import type { Expression, Operand, Quantifier, Range, Relation, Section, SetItem } from './ast.ts';
import { FilterError, type Span } from './error.ts';
import { type Token, tokens } from './tokens.ts';

/** Characters of an expression: a set of 4000 addresses fits. */
const MAXIMUM = 65_536;
/** Parentheses, negations and calls inside each other. */
const DEPTH = 100;

interface Comparison {
  readonly relation: Relation;
  readonly quantifier: Quantifier;
}

const any = (relation: Relation): Comparison => ({ relation, quantifier: 'any' });
const all = (relation: Relation): Comparison => ({ relation, quantifier: 'all' });
/** As since Wireshark 4.0: `!=` is the negation of `==`, but for packets without the field. */
const COMPARISONS: ReadonlyMap<string, Comparison> = new Map([
  ['==', any('eq')],
  ['eq', any('eq')],
  ['any_eq', any('eq')],
  ['===', all('eq')],
  ['all_eq', all('eq')],
  ['!=', all('ne')],
  ['ne', all('ne')],
  ['all_ne', all('ne')],
  ['!==', any('ne')],
  ['~=', any('ne')],
  ['any_ne', any('ne')],
  ['<', any('lt')],
  ['lt', any('lt')],
  ['<=', any('le')],
  ['le', any('le')],
  ['>', any('gt')],
  ['gt', any('gt')],
  ['>=', any('ge')],
  ['ge', any('ge')],
  ['contains', any('contains')],
  ['matches', any('matches')],
  ['~', any('matches')],
]);
const AND = ['and', '&&'];
const OR = ['or', '||'];
const NOT = ['not', '!'];
const MASK = ['&', 'bitwise_and'];
const RESERVED: ReadonlySet<string> = new Set([
  ...COMPARISONS.keys(),
  ...[AND, OR, NOT, MASK].flat(),
  'in',
  'any',
  'all',
]);

const RANGE = /^\s*(-?\d{1,9})?\s*(?:([:-])\s*(-?\d{1,9})?\s*)?$/;

export function parse(expression: string): Expression {
  if (expression.length > MAXIMUM)
    throw new FilterError(`longer than ${MAXIMUM} characters`, expression, {
      from: MAXIMUM,
      to: MAXIMUM + 1,
    });
  return new Parser(expression).whole();
}

class Parser {
  private readonly expression: string;
  private readonly tokens: readonly Token[];
  private at = 0;
  private depth = 0;

  constructor(expression: string) {
    this.expression = expression;
    this.tokens = tokens(expression);
  }

  whole(): Expression {
    if (this.tokens.length === 1) throw this.wrong('an empty filter', this.next);
    const expression = this.either();
    if (this.at < this.tokens.length - 1)
      throw this.wrong(`expected and, or, or the end, not ${this.name(this.next)}`, this.next);
    return expression;
  }

  private get next(): Token {
    return this.tokens[this.at];
  }

  private wrong(text: string, span: Span): FilterError {
    return new FilterError(text, this.expression, span);
  }

  private name({ kind, from, to }: Token): string {
    return kind === 'end' ? 'the end' : `'${this.expression.slice(from, to)}'`;
  }

  /** Takes the next token if it is one of these operators. */
  private take(operators: readonly string[]): Token | null {
    const { next } = this;
    if ((next.kind !== 'word' && next.kind !== 'symbol') || !operators.includes(next.text)) return null;
    this.at++;
    return next;
  }

  private expect(symbol: string): Token {
    const token = this.take([symbol]);
    if (token === null) throw this.wrong(`expected '${symbol}', not ${this.name(this.next)}`, this.next);
    return token;
  }

  private nested<T>(inner: () => T): T {
    if (++this.depth > DEPTH) throw this.wrong(`nested more than ${DEPTH} deep`, this.next);
    const result = inner();
    this.depth--;
    return result;
  }

  private either(): Expression {
    const parts = [this.both()];
    while (this.take(OR)) parts.push(this.both());
    return parts.length === 1 ? parts[0] : { kind: 'or', parts };
  }

  private both(): Expression {
    const parts = [this.single()];
    while (this.take(AND)) parts.push(this.single());
    return parts.length === 1 ? parts[0] : { kind: 'and', parts };
  }

  private single(): Expression {
    if (this.take(NOT)) return this.nested(() => ({ kind: 'not', part: this.single() }));
    if (this.take(['('])) {
      const inner = this.nested(() => this.either());
      this.expect(')');
      return inner;
    }
    return this.comparison();
  }

  private comparison(): Expression {
    const quantifier = this.take(['any', 'all'])?.text as Quantifier | undefined;
    const left = this.masked();
    if (this.take(['in'])) return this.membership(left, quantifier);
    if (this.next.text === 'not' && this.tokens[this.at + 1]?.text === 'in') {
      this.at += 2;
      return { kind: 'not', part: this.membership(left, quantifier) };
    }
    const token = this.take([...COMPARISONS.keys()]);
    if (token === null) {
      if (quantifier !== undefined)
        throw this.wrong(
          `'${quantifier}' needs a comparison: expected an operator after the field`,
          this.next,
        );
      return { kind: 'test', operand: left };
    }
    const comparison = COMPARISONS.get(token.text)!;
    const right = this.masked();
    return {
      kind: 'compare',
      relation: comparison.relation,
      quantifier: quantifier ?? comparison.quantifier,
      left,
      right,
    };
  }

  private membership(left: Operand, quantifier: Quantifier = 'any'): Expression {
    this.expect('{');
    const items: SetItem[] = [];
    do {
      const low = this.operand();
      items.push({ low, high: this.take(['..']) ? this.operand() : null });
    } while (this.take([',']));
    this.expect('}');
    return { kind: 'in', quantifier, left, items };
  }

  private masked(): Operand {
    const left = this.operand();
    if (this.take(MASK) === null) return left;
    const right = this.operand();
    return { kind: 'mask', left, right, from: left.from, to: right.to };
  }

  private operand(): Operand {
    let operand = this.primary();
    for (let slices = 0; this.next.kind === 'range'; slices++) {
      const token = this.next;
      if (slices === DEPTH) throw this.wrong(`nested more than ${DEPTH} deep`, token);
      operand = { kind: 'slice', of: operand, ranges: this.ranges(token), from: operand.from, to: token.to };
      this.at++;
    }
    return operand;
  }

  private primary(): Operand {
    const token = this.next;
    const { kind, text, from, to } = token;
    if (kind === 'string' || kind === 'character') {
      this.at++;
      return { kind, text, from, to };
    }
    if (kind !== 'word' || RESERVED.has(text))
      throw this.wrong(`expected a field or a value, not ${this.name(token)}`, token);
    this.at++;
    if (this.next.text === '(' && this.next.kind === 'symbol') return this.call(token);
    return this.word(token);
  }

  private call({ text, from }: Token): Operand {
    this.expect('(');
    const inputs = this.nested(() => {
      const list = [this.masked()];
      while (this.take([','])) list.push(this.masked());
      return list;
    });
    const { to } = this.expect(')');
    return { kind: 'call', name: text, inputs, from, to };
  }

  /** A name with what restricts it, or a value: which of the two, the names that there are will tell. */
  private word(token: Token): Operand {
    let { text, to } = token;
    let section: Section | null = null;
    const dot = text.indexOf('.');
    const prefix = dot < 0 ? text : text.slice(0, dot);
    if (dot > 0 && (prefix === 'outer' || prefix === 'inner')) {
      section = prefix === 'inner' ? { kind: 'inner' } : { kind: 'tunnel', index: 0 };
      text = text.slice(dot + 1);
    } else if (text === 'tunnel' && this.next.kind === 'range') {
      const range = this.next;
      const name = this.tokens[this.at + 1];
      if (!/^\s*-?\d{1,9}\s*$/.test(range.text))
        throw this.wrong("expected a tunnel's number, from 0 for the outermost: tunnel[0].geneve.vni", range);
      if (name.kind !== 'word' || !name.text.startsWith('.') || name.from !== range.to)
        throw this.wrong('expected a field of the tunnel: tunnel[0].geneve.vni', name);
      this.at += 2;
      section = { kind: 'tunnel', index: Number(range.text) };
      text = name.text.slice(1);
      to = name.to;
    } else if (dot === 0) {
      text = text.slice(1);
    }
    const layers = this.layers();
    if (layers !== null) to = this.tokens[this.at - 1].to;
    return { kind: 'word', text, section, layers, from: token.from, to };
  }

  private layers(): readonly Range[] | null {
    const hash = this.take(['#']);
    if (hash === null) return null;
    const { next } = this;
    this.at++;
    if (next.kind === 'range') return this.ranges(next);
    if (next.kind === 'word' && /^\d{1,9}$/.test(next.text))
      return [{ start: Number(next.text), length: 1, last: null }];
    throw this.wrong(`expected the number of a layer, from 1, not ${this.name(next)}`, next);
  }

  private ranges(token: Token): Range[] {
    return token.text.split(',').map((text) => {
      const match = RANGE.exec(text);
      const [, start, separator, end] = match ?? [];
      if (!match || (start === undefined && end === undefined) || (separator === '-' && end === undefined))
        throw this.wrong(`expected a range such as [0:3], [0-2], [1], [:4] or [4:]`, token);
      const range = {
        start: Number(start ?? 0),
        length: separator === ':' ? (end === undefined ? null : Number(end)) : separator === '-' ? null : 1,
        last: separator === '-' ? Number(end) : null,
      };
      if (range.length !== null && range.length <= 0)
        throw this.wrong('a range has at least one element: after the colon stands how many', token);
      return range;
    });
  }
}

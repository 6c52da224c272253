/** From a parsed filter to a predicate over packets. */
import type { Expression, Operand, Quantifier, SetItem } from './ast.ts';
import {
  asCharacters,
  bytesTest,
  containsTest,
  numberOrder,
  numberTest,
  type Ordering,
  paired,
  quantified,
  textOrder,
  textTest,
  viewOrder,
} from './compare.ts';
import { kindTitle } from './literal.ts';
import type { Operands } from './operands.ts';
import { PatternError, textMatcher } from './regex.ts';
import type { Predicate } from './scan.ts';
import {
  type BytesSource,
  type NumberSource,
  presence,
  type Source,
  type Test,
  type TextSource,
} from './source.ts';

export function compile(expression: Expression, operands: Operands): Predicate {
  switch (expression.kind) {
    case 'and':
      return every(expression.parts.map((part) => compile(part, operands)));
    case 'or':
      return some(expression.parts.map((part) => compile(part, operands)));
    case 'not': {
      const part = compile(expression.part, operands);
      return (packet) => !part(packet);
    }
    case 'test':
      return existence(expression.operand, operands);
    case 'compare': {
      const { relation, quantifier, left, right } = expression;
      if (relation === 'contains') return contains(left, right, quantifier, operands);
      if (relation === 'matches') return matches(left, right, quantifier, operands);
      return comparison(relation, left, right, quantifier, operands);
    }
    case 'in':
      return membership(expression.left, expression.items, expression.quantifier, operands);
  }
}

function every(parts: readonly Predicate[]): Predicate {
  const [first, second] = parts;
  if (parts.length === 2) return (packet) => first(packet) && second(packet);
  return (packet) => {
    for (const part of parts) if (!part(packet)) return false;
    return true;
  };
}

function some(parts: readonly Predicate[]): Predicate {
  const [first, second] = parts;
  if (parts.length === 2) return (packet) => first(packet) || second(packet);
  return (packet) => {
    for (const part of parts) if (part(packet)) return true;
    return false;
  };
}

function existence(operand: Operand, operands: Operands): Predicate {
  const reference = operands.reference(operand);
  if (reference !== null) return presence(reference, operands.catalog, operands.roles);
  const source = operands.source(operand);
  if (operand.kind === 'call')
    throw operands.wrong(`expected a comparison: ${source.title} is ${kindTitle(source.kind)}`, operand);
  if (source.lane === 'number') return source.bind((value) => value !== 0);
  if (source.lane === 'text') return source.bind(() => true);
  if (operand.kind !== 'mask') return source.bind(() => true);
  return source.bind((view, from, to) => {
    for (let at = from; at < to; at++) if (view.getUint8(at) !== 0) return true;
    return false;
  });
}

/** What stands on the left: a value there would be compared with itself. */
function leftSource(operand: Operand, operands: Operands, whole = false): Source {
  if (operand.kind === 'string' || operand.kind === 'character')
    throw operands.wrong(`expected a field on the left, not ${operands.written(operand)}`, operand);
  return operands.source(operand, whole);
}

function comparison(
  relation: Ordering,
  left: Operand,
  right: Operand,
  quantifier: Quantifier,
  operands: Operands,
): Predicate {
  const source = leftSource(left, operands);
  if (operands.isRead(right)) {
    const other = operands.source(right);
    if (source.lane === 'number' && other.lane === 'number')
      return paired(relation, source, other, numberOrder, quantifier);
    if (source.lane === 'text' && other.lane === 'text')
      return paired(relation, source, other, textOrder, quantifier);
    if (source.lane === 'bytes' && other.lane === 'bytes' && comparable(source, other))
      return paired(relation, source, other, viewOrder, quantifier);
    const quote = right.kind === 'word' && source.fields.some(({ nameOf }) => nameOf !== undefined);
    throw operands.wrong(
      `${source.title} is ${kindTitle(source.kind)}, ${other.title} is ${kindTitle(other.kind)}: they cannot be compared` +
        (quote ? `; for a value of that name, write "${other.title}"` : ''),
      right,
    );
  }
  if (source.lane === 'number')
    return quantified(source, numberTest(relation, operands.number(source, right)), quantifier);
  if (source.lane === 'text')
    return quantified(source, textTest(relation, operands.text(source, right)), quantifier);
  return quantified(source, bytesTest(relation, operands.bytes(source, right)), quantifier);
}

function comparable(a: BytesSource, b: BytesSource): boolean {
  const plain = ({ kind }: BytesSource) => kind === 'bytes' || kind === 'protocol';
  return a.kind === b.kind || (plain(a) && b.kind !== 'uint64') || (plain(b) && a.kind !== 'uint64');
}

/** Sources whose bytes can be searched. */
function searchable(
  word: 'contains' | 'matches',
  left: Operand,
  operands: Operands,
): TextSource | BytesSource {
  const source = leftSource(left, operands, true);
  const { kind } = source;
  const searched = kind === 'bytes' || kind === 'protocol' || (kind === 'ether' && word === 'contains');
  if (source.lane === 'text' || (source.lane === 'bytes' && searched)) return source;
  throw operands.wrong(
    `${source.title} is ${kindTitle(kind)}: '${word}' takes text or bytes; string(${source.title}) makes text of it`,
    left,
  );
}

function contains(left: Operand, right: Operand, quantifier: Quantifier, operands: Operands): Predicate {
  const source = searchable('contains', left, operands);
  if (source.lane === 'text') {
    const wanted = operands.text(source, right);
    return quantified(source, (text) => text.includes(wanted), quantifier);
  }
  const { bytes } = operands.bytes({ ...source, kind: 'bytes' }, right);
  return quantified(source, containsTest(bytes), quantifier);
}

function matches(left: Operand, right: Operand, quantifier: Quantifier, operands: Operands): Predicate {
  const source = searchable('matches', left, operands);
  if (right.kind !== 'string') throw operands.wrong('expected a regular expression in double quotes', right);
  let test: (text: string) => boolean;
  try {
    test = textMatcher(right.text);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw operands.wrong(error.message, right);
  }
  return source.lane === 'text'
    ? quantified(source, test, quantifier)
    : quantified(source, asCharacters(test), quantifier);
}

/** True where one of the tests is. */
function anyTest<T>(tests: readonly Test<T>[]): Test<T> {
  if (tests.length === 1) return tests[0];
  return (value, from, to) => {
    for (const test of tests) if (test(value, from, to)) return true;
    return false;
  };
}

function membership(
  left: Operand,
  items: readonly SetItem[],
  quantifier: Quantifier,
  operands: Operands,
): Predicate {
  const source = leftSource(left, operands);
  if (source.lane === 'number') return quantified(source, numberSet(source, items, operands), quantifier);
  if (source.lane === 'text') {
    const tests = itemTests(items, (operand) => operands.text(source, operand), textTest);
    return quantified(source, anyTest(tests), quantifier);
  }
  const tests = itemTests(items, (operand) => operands.bytes(source, operand), bytesTest);
  return quantified(source, anyTest(tests), quantifier);
}

function itemTests<T, L>(
  items: readonly SetItem[],
  literal: (operand: Operand) => L,
  testOf: (relation: Ordering, wanted: L) => Test<T>,
): Test<T>[] {
  return items.map(({ low, high }) => {
    const from = literal(low);
    if (high === null) return testOf('eq', from);
    const above = testOf('ge', from);
    const below = testOf('le', literal(high));
    return (value, start, end) => above(value, start, end) && below(value, start, end);
  });
}

/** Single numbers are looked up, however many there are. */
function numberSet(source: NumberSource, items: readonly SetItem[], operands: Operands): Test<number> {
  const literal = (operand: Operand) => operands.number(source, operand);
  const singles = new Set(items.filter(({ high }) => high === null).map(({ low }) => literal(low)));
  const ranges = itemTests(
    items.filter(({ high }) => high !== null),
    literal,
    numberTest,
  );
  const listed: Test<number> = (value) => singles.has(value);
  return anyTest(singles.size > 0 ? [listed, ...ranges] : ranges);
}

/** Operands of a filter with their names looked up and their types known. */
import type { FlowRoles } from '../core/outline.ts';
import type { Operand } from './ast.ts';
import type { Catalog } from './catalog.ts';
import { FilterError, type Span } from './error.ts';
import {
  type BytesLiteral,
  booleanLiteral,
  bytesLiteral,
  EXPECTED,
  etherLiteral,
  ipv4Literal,
  ipv6Literal,
  kindTitle,
  LiteralError,
  numberLiteral,
  timeLiteral,
  uint64Literal,
} from './literal.ts';
import type { Reference } from './scan.ts';
import {
  asText,
  type BytesSource,
  changed,
  lengths,
  maskedBytes,
  maskedNumbers,
  type NumberSource,
  namedSource,
  occurrences,
  type Source,
  sliced,
} from './source.ts';

const FUNCTIONS = ['len', 'count', 'lower', 'upper', 'string'];
/** A value that could be meant as a name. */
const LIKE_NAME = /^[a-z_][\w-]*(?:\.[\w-]+)*$/i;
/** Numbers whose names are looked through for one that was written. */
const NAMED = 0x10000;

export class Operands {
  readonly catalog: Catalog;
  readonly roles: FlowRoles;
  private readonly expression: string;
  /** True once something was named that only a walk beyond the transport layer finds. */
  application = false;

  constructor(expression: string, catalog: Catalog, roles: FlowRoles) {
    this.expression = expression;
    this.catalog = catalog;
    this.roles = roles;
  }

  wrong(text: string, span: Span): FilterError {
    return new FilterError(text, this.expression, span);
  }

  written({ from, to }: Span): string {
    return `'${this.expression.slice(from, to)}'`;
  }

  private suggestion(name: string): string {
    const names = this.catalog.suggestions(name);
    return names.length === 0 ? '' : `; did you mean ${names.join(', ').replace(/, ([^,]*)$/, ' or $1')}?`;
  }

  /** Whether the operand is read from packets, rather than a value to compare with. */
  isRead(operand: Operand): boolean {
    if (operand.kind !== 'word') return operand.kind !== 'string' && operand.kind !== 'character';
    return operand.section !== null || operand.layers !== null || this.catalog.find(operand.text) !== null;
  }

  /** What a name stands for; null where the operand is no name. */
  reference(operand: Operand, whole = false): Reference | null {
    if (operand.kind !== 'word') return null;
    const { text, section, layers } = operand;
    const meaning = this.catalog.find(text);
    if (meaning === null) {
      const what = LIKE_NAME.test(text) ? 'no field or protocol is called' : 'expected a field, not';
      throw this.wrong(`${what} '${text}'${this.suggestion(text)}`, operand);
    }
    if (meaning.of === 'frame' && (section !== null || layers !== null))
      throw this.wrong(`${text} is said of a packet as a whole, not of a layer`, operand);
    if (meaning.of === 'vni' && (layers !== null || section?.kind === 'inner'))
      throw this.wrong(
        'vni is that of any tunnel, tunnel[0].vni of the outermost, tunnel[-1].vni of the last',
        operand,
      );
    const { protocols } = this.catalog.registry;
    const numbers =
      meaning.of === 'protocol'
        ? [meaning.protocol]
        : meaning.of === 'fields'
          ? meaning.fields.map(({ protocol }) => protocol)
          : [];
    if (text === 'frame.protocols' || numbers.some((number) => protocols[number].application))
      this.application = true;
    return { meaning, section, layers, whole };
  }

  /** With `whole`, a protocol is its header and all it contains. */
  source(operand: Operand, whole = false): Source {
    const { catalog, roles } = this;
    switch (operand.kind) {
      case 'word':
        return namedSource(this.reference(operand, whole)!, catalog, roles);
      case 'slice': {
        const of = this.source(operand.of);
        if (of.lane === 'number' || of.kind === 'uint64')
          throw this.wrong(`${of.title} is ${kindTitle(of.kind)}, which has no slices`, operand);
        return sliced(of, operand.ranges);
      }
      case 'mask':
        return this.mask(operand.left, operand.right, operand);
      case 'call':
        return this.call(operand.name, operand.inputs, operand);
      default:
        throw this.wrong(`expected a field, not ${this.written(operand)}`, operand);
    }
  }

  private call(name: string, inputs: readonly Operand[], span: Span): Source {
    if (!FUNCTIONS.includes(name))
      throw this.wrong(`no function is called '${name}'; there are ${FUNCTIONS.join(', ')}`, span);
    const [input] = inputs;
    if (inputs.length > 1) throw this.wrong(`${name}() takes one field`, inputs[1]);
    const { catalog, roles } = this;
    if (name === 'count' || name === 'string') {
      const reference = this.reference(input);
      if (reference === null) throw this.wrong(`${name}() takes a field`, input);
      if (name === 'count') return occurrences(reference, catalog, roles);
      if (reference.meaning.kind === 'protocol')
        throw this.wrong(`${reference.meaning.name} is a protocol, which is no text`, input);
      return asText(reference, catalog, roles);
    }
    const of = this.source(input);
    if (name === 'len') {
      if (of.lane === 'number')
        throw this.wrong(`len() takes text or bytes; ${of.title} is ${kindTitle(of.kind)}`, input);
      return lengths(of);
    }
    if (of.lane !== 'text')
      throw this.wrong(`${name}() takes text; ${of.title} is ${kindTitle(of.kind)}`, input);
    return changed(of, (text) => (name === 'lower' ? text.toLowerCase() : text.toUpperCase()));
  }

  private mask(left: Operand, right: Operand, span: Span): Source {
    const of = this.source(left);
    if (this.isRead(right)) throw this.wrong('expected a value behind &, not a field', right);
    if (of.lane === 'bytes' && of.kind !== 'uint64')
      return maskedBytes(of, this.bytes({ ...of, kind: 'bytes' }, right).bytes);
    if (of.lane === 'number' && (of.kind === 'uint' || of.kind === 'int'))
      return maskedNumbers(of, this.number(of, right));
    throw this.wrong(`${of.title} is ${kindTitle(of.kind)}: & takes numbers and slices`, span);
  }

  private mismatch({ title, kind, fields }: Source, operand: Operand, why = ''): FilterError {
    const text = operand.kind === 'word' && LIKE_NAME.test(operand.text) ? operand.text : '';
    const hint = text.includes('.') ? this.suggestion(text) : '';
    const names = fields.some(({ nameOf }) => nameOf !== undefined) ? ' or the name of a value' : '';
    const expected = why === '' ? `expected ${EXPECTED[kind]}${names}, not ${this.written(operand)}` : why;
    return this.wrong(`${title} is ${kindTitle(kind)}: ${expected}${hint}`, operand);
  }

  /** The value that `read` makes of the operand's text. */
  private literal<T>(source: Source, operand: Operand, read: (text: string) => T | null): T {
    const text = operand.kind === 'word' ? operand.text : null;
    if (text === null || this.isRead(operand)) throw this.mismatch(source, operand);
    try {
      const value = read(text);
      if (value !== null) return value;
    } catch (error) {
      if (!(error instanceof LiteralError)) throw error;
      throw this.mismatch(source, operand, error.message);
    }
    throw this.mismatch(source, operand);
  }

  number(source: NumberSource, operand: Operand): number {
    if (operand.kind === 'character') return operand.text.charCodeAt(0);
    const { kind, fields } = source;
    const size = fields.reduce((most, field) => Math.max(most, field.size), 0);
    const read = (text: string) =>
      kind === 'bool'
        ? booleanLiteral(text)
        : kind === 'time'
          ? timeLiteral(text)
          : numberLiteral(text, size);
    if (operand.kind === 'word' || operand.kind === 'string') {
      const named = this.named(source, operand.text);
      if (named !== null && (operand.kind === 'string' || !this.isRead(operand))) return named;
    }
    return this.literal(source, operand, read);
  }

  /** The number that has this name among the values of the fields, in either case. */
  private named({ fields }: NumberSource, wanted: string): number | null {
    const lower = wanted.toLowerCase();
    for (const { nameOf, size } of fields) {
      if (!nameOf || /^\d/.test(wanted)) continue;
      const end = Math.min(NAMED, size === 0 ? NAMED : 2 ** (size * 8));
      for (let value = 0; value < end; value++) if (nameOf(value)?.toLowerCase() === lower) return value;
    }
    return null;
  }

  bytes(source: BytesSource, operand: Operand): BytesLiteral {
    const { kind } = source;
    if (kind === 'bytes' || kind === 'protocol') {
      if (operand.kind === 'string' || operand.kind === 'character')
        return { bytes: new TextEncoder().encode(operand.text), bits: -1 };
      return this.literal(source, operand, bytesLiteral);
    }
    const readers = { uint64: uint64Literal, ether: etherLiteral, ipv4: ipv4Literal, ipv6: ipv6Literal };
    return this.literal(source, operand, readers[kind as keyof typeof readers]);
  }

  text(source: Source, operand: Operand): string {
    if (operand.kind === 'string' || operand.kind === 'character') return operand.text;
    // Wireshark too takes a single word that is no field, though it would rather have quotes.
    return this.literal(source, operand, (text) => text);
  }
}

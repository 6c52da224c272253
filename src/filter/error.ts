import { printable } from '../core/text.ts';
import { UsageError } from '../errors.ts';

/** Characters [from, to) of an expression. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Columns of a terminal that an excerpt may take. */
const WIDTH = 76;
const INDENT = '    ';

/** A filter that cannot be understood, with the place where. */
export class FilterError extends UsageError {
  override readonly name = 'FilterError';
  readonly span: Span;
  constructor(text: string, expression: string, span: Span) {
    super(printable(text), excerpt(expression, span));
    this.span = span;
  }
}

/** The part of `expression` around `span`, and a line below that marks it. */
function excerpt(expression: string, { from, to }: Span): string[] {
  const first = Math.max(0, Math.min(from - WIDTH / 2, expression.length - WIDTH));
  const last = Math.min(expression.length, first + WIDTH);
  // Control characters take several columns once they are made printable.
  const before = printable(expression.slice(first, from));
  const marked = printable(expression.slice(from, Math.min(to, last)));
  const after = printable(expression.slice(Math.min(to, last), last));
  const start = first > 0 ? '…' : '';
  const end = last < expression.length ? '…' : '';
  return [
    `${INDENT}${start}${before}${marked}${after}${end}`,
    `${INDENT}${' '.repeat(start.length + before.length)}^${'~'.repeat(Math.max(0, marked.length - 1))}`,
  ];
}

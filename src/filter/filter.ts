/** Display filters in Wireshark's language, with our own names for the layers inside tunnels: docs/filters.md. */
import type { FlowRoles } from '../core/outline.ts';
import type { Catalog } from './catalog.ts';
import { compile } from './compile.ts';
import { Operands } from './operands.ts';
import { parse } from './parse.ts';
import type { Predicate } from './scan.ts';

export interface Filter {
  readonly matches: Predicate;
  /** True where packets must be walked beyond the transport layer for it. */
  readonly application: boolean;
}

/** Throws a `FilterError`, which says where the expression is wrong. */
export function compileFilter(expression: string, catalog: Catalog, roles: FlowRoles): Filter {
  const operands = new Operands(expression, catalog, roles);
  const matches = compile(parse(expression), operands);
  return { matches, application: operands.application };
}

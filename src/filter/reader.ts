/** The values that a packet has for a name: what packets are grouped by. */
import type { Field, FieldValue } from '../core/field.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Packet } from '../pipeline.ts';
import type { Catalog } from './catalog.ts';
import { Operands } from './operands.ts';
import { parse } from './parse.ts';
import { scan, type Visitor } from './scan.ts';

export interface FieldReader {
  /** As it was written. */
  readonly name: string;
  /** True where packets must be walked beyond the transport layer for it. */
  readonly application: boolean;
  /**
   * The value, an array where the packet has several, null where it has none; of a protocol whether it is there. The
   * array is the caller's.
   */
  readonly read: (packet: Packet) => FieldValue | FieldValue[] | null;
}

/** Values of one field that are read of a packet: a hostile answer may have a thousand. */
const MAXIMUM = 16;

/** A reader for a name as filters have them: `geneve.vni`, `inner.ip.src`, `ip.addr#1`. */
export function compileReader(name: string, catalog: Catalog, roles: FlowRoles): FieldReader {
  const operands = new Operands(name, catalog, roles);
  const expression = parse(name);
  const reference = expression.kind === 'test' ? operands.reference(expression.operand) : null;
  if (reference === null) throw operands.wrong('expected a field', { from: 0, to: name.length });
  const { application } = operands;
  let values: FieldValue[] = [];
  const value = (made: FieldValue) => values.push(made) === MAXIMUM;
  const present = () => true;
  const visitorFor = (field: Field | null): Visitor => ({
    at: field ? (view, base) => value(field.read(view, base)) : present,
    value,
    span: present,
  });
  const find = scan(reference, catalog, roles, visitorFor);
  if (reference.meaning.kind === 'protocol') return { name, application, read: find };
  const read = (packet: Packet) => {
    values = [];
    find(packet);
    return values.length === 0 ? null : values.length === 1 ? values[0] : values;
  };
  return { name, application, read };
}

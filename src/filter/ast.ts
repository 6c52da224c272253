/** A filter as it was written, before names and types are looked at. */
import type { Span } from './error.ts';

/** Part of a field's bytes, or some of a protocol's layers; offsets below 0 count from the end. */
export interface Range {
  readonly start: number;
  /** How many; null to the end, or to `last`. */
  readonly length: number | null;
  /** The last one, inclusive. */
  readonly last: number | null;
}

/** What `outer.`, `inner.` and `tunnel[n].` restrict a name to. */
export type Section = { readonly kind: 'inner' } | { readonly kind: 'tunnel'; readonly index: number };

export type Operand = Span &
  (
    | {
        readonly kind: 'word';
        readonly text: string;
        readonly section: Section | null;
        /** From `#`: the protocol's first layer is 1. */
        readonly layers: readonly Range[] | null;
      }
    | { readonly kind: 'string'; readonly text: string }
    | { readonly kind: 'character'; readonly text: string }
    | { readonly kind: 'slice'; readonly of: Operand; readonly ranges: readonly Range[] }
    | { readonly kind: 'call'; readonly name: string; readonly inputs: readonly Operand[] }
    | { readonly kind: 'mask'; readonly left: Operand; readonly right: Operand }
  );

/** How values are compared; `ne` holds where `eq` does not. */
export type Relation = 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'contains' | 'matches';

/** A field may occur several times: one occurrence is enough, or there is at least one and all of them hold. */
export type Quantifier = 'any' | 'all';

export interface SetItem {
  readonly low: Operand;
  /** The end of a range, inclusive; null for a single value. */
  readonly high: Operand | null;
}

export type Expression =
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Expression[] }
  | { readonly kind: 'not'; readonly part: Expression }
  /** The operand is there. */
  | { readonly kind: 'test'; readonly operand: Operand }
  | {
      readonly kind: 'compare';
      readonly relation: Relation;
      readonly quantifier: Quantifier;
      readonly left: Operand;
      readonly right: Operand;
    }
  | {
      readonly kind: 'in';
      readonly quantifier: Quantifier;
      readonly left: Operand;
      readonly items: readonly SetItem[];
    };

/** Objects of fields as JSON: members in any order and number, each key once. */
import type { Field, FieldValue } from '../core/field.ts';
import { jsonText } from './json.ts';
import { type JsonBytes, type Literal, literal } from './json-bytes.ts';

// Every element of a list is written with a comma before it; the first one's becomes the bracket.
const COMMA = 0x2c;
const ARRAY = 0x5b;
const ARRAY_END = 0x5d;
const OBJECT = 0x7b;
export const OBJECT_END = 0x7d;

function enclose(out: JsonBytes, from: number, open: number, close: number): void {
  if (out.length === from) out.byte(open);
  else out.bytes[from] = open;
  out.byte(close);
}

/** Makes an array of the elements written since `from`. */
export function encloseArray(out: JsonBytes, from: number): void {
  enclose(out, from, ARRAY, ARRAY_END);
}

/** A member's key, after a comma. */
export const key = (name: string) => literal(`,${jsonText(name)}:`);

/** A field's key, and what the object under way has there. */
export class Member {
  readonly key: Literal;
  /** The values of a field of which there may be several; null for others. */
  readonly list: FieldValue[] | null;
  count = 0;
  /** Number of the object that it was last put in, and its place there. */
  object = 0;
  place = 0;

  constructor({ name, list }: Field) {
    this.key = key(name);
    this.list = list ? [] : null;
  }
}

/** Fields of one object after the other: of a field that is put twice the last value stays, or all where it is a list. */
export class Members {
  private readonly byField = new Map<Field, Member>();
  private readonly byName = new Map<string, Member>();
  private readonly members: Member[] = [];
  private readonly values: FieldValue[] = [];
  private count = 0;
  private object = 0;

  of(field: Field): Member {
    let member = this.byField.get(field);
    if (member === undefined) {
      member = this.byName.get(field.name) ?? new Member(field);
      this.byName.set(field.name, member);
      this.byField.set(field, member);
    }
    return member;
  }

  begin(): void {
    this.count = 0;
    this.object++;
  }

  put(member: Member, value: FieldValue): void {
    const { list } = member;
    if (member.object !== this.object) {
      member.object = this.object;
      member.place = this.count;
      this.members[this.count++] = member;
      member.count = 0;
    }
    if (list) list[member.count++] = value;
    else this.values[member.place] = value;
  }

  write(out: JsonBytes): void {
    const from = out.length;
    for (let i = 0; i < this.count; i++) {
      const { key, list, count } = this.members[i];
      out.literal(key);
      if (list === null) {
        out.value(this.values[i]);
        continue;
      }
      const first = out.length;
      for (let j = 0; j < count; j++) {
        out.byte(COMMA);
        out.value(list[j]);
      }
      encloseArray(out, first);
    }
    enclose(out, from, OBJECT, OBJECT_END);
  }
}

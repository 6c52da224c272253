/** JSON that is written byte by byte is the JSON that `JSON.stringify` makes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { computed, type FieldValue } from '../../src/core/field.ts';
import { jsonText } from '../../src/output/json.ts';
import { JsonBytes, literal } from '../../src/output/json-bytes.ts';
import { Members } from '../../src/output/json-fields.ts';

/** What `write` wrote, into a buffer so small that it has to grow. */
function written(write: (out: JsonBytes) => void): string {
  const out = new JsonBytes(1);
  write(out);
  return new TextDecoder('utf-8', { fatal: true }).decode(out.bytes.subarray(0, out.length));
}

const number = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double(),
  fc.nat(0xffffffff),
  fc.constantFrom(-0, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1e5, 99999, 2147500000, 4294900000),
  fc.nat(32).map((bits) => 2 ** bits),
  fc.nat(10).map((digits) => 10 ** digits),
);
const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));
const value: fc.Arbitrary<FieldValue> = fc.oneof(number, text, fc.boolean());

describe('JSON as bytes', () => {
  it('has values as text would', () => {
    fc.assert(
      fc.property(value, (one) => {
        expect(written((out) => out.value(one))).toBe(jsonText(one));
      }),
      { numRuns: 2000 },
    );
  });

  it('has one value after the other, pieces that were encoded before among them', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string({ unit: 'grapheme' }), value)), (pairs) => {
        const bytes = written((out) => {
          for (const [name, one] of pairs) {
            out.literal(literal(name));
            out.value(one);
          }
        });
        const expected = pairs.map(([name, one]) => name + jsonText(one)).join('');
        expect(bytes).toBe(expected);
      }),
    );
  });

  it('has each field once: the last of its values, or all of a list', () => {
    const fields = [0, 1, 2, 3, 4, 5].map((i) => computed(`f.${i}`, '', 'uint', { list: i % 2 === 0 }));
    const put = fc.tuple(fc.constantFrom(...fields), value);
    fc.assert(
      fc.property(fc.array(fc.array(put)), (objects) => {
        const members = new Members();
        for (const puts of objects) {
          members.begin();
          const expected: Record<string, FieldValue | FieldValue[]> = {};
          for (const [field, one] of puts) {
            members.put(members.of(field), one);
            const before = (expected[field.name] ?? []) as FieldValue[];
            expected[field.name] = field.list ? [...before, one] : one;
          }
          expect(written((out) => members.write(out))).toBe(jsonText(expected));
        }
      }),
    );
  });
});

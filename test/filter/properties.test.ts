/** What holds for any filter and any packet: only its own errors, in little time, and the values that records have. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FieldValue } from '../../src/core/field.ts';
import type { LayerRecord } from '../../src/core/record.ts';
import { containsTest } from '../../src/filter/compare.ts';
import { compileFilter, FilterError } from '../../src/filter/index.ts';
import { packetRecord } from '../../src/output/packet-json.ts';
import { captures, sample } from '../samples.ts';
import { catalog, dissector, eachPacket, matching, roles } from './matching.ts';

const names = catalog.names();

function attempt(expression: string): FilterError | null {
  try {
    compileFilter(expression, catalog, roles);
    return null;
  } catch (error) {
    if (error instanceof FilterError) return error;
    throw error;
  }
}

/** Text that gets further into the language than any text would. */
const piece = fc.oneof(
  fc.constantFrom(...names),
  fc.constantFrom(
    '==',
    '!=',
    '===',
    '~=',
    '<',
    'contains',
    'matches',
    'in',
    'and',
    'or',
    'not',
    'any',
    'all',
    '&',
  ),
  fc.constantFrom(
    '(',
    ')',
    '{',
    '}',
    '[0:3]',
    '[-1]',
    '[1-2,4:]',
    '#2',
    '#[1-2]',
    '..',
    ',',
    'len(',
    'count(',
    '!',
  ),
  fc.constantFrom(
    '1',
    '0x1f',
    '0b1',
    '10.0.0.0/8',
    'fd00::/64',
    '02:00:00:00:00:01',
    '"text"',
    'r"a.*b"',
    "'a'",
    'True',
  ),
  fc.constantFrom(
    'outer.',
    'inner.ip.src',
    'tunnel[0].geneve.vni',
    'tunnel',
    '[',
    '"',
    "'",
    '${',
    '\\',
    '\u0000',
  ),
  fc.string({ maxLength: 8 }),
);

describe('any text', () => {
  it('is a filter or an error that points into it', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(' ')),
      fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join('')),
    );
    fc.assert(
      fc.property(text, (expression) => {
        const error = attempt(expression);
        if (error === null) return;
        expect(error.span.from).toBeGreaterThanOrEqual(0);
        expect(error.span.from).toBeLessThanOrEqual(expression.length);
        expect(error.excerpt).toHaveLength(2);
        for (const line of [error.message, ...error.excerpt]) expect(line).not.toMatch(/\p{Cc}/u);
      }),
      { numRuns: 3000 },
    );
  });

  // Work that grows faster than the text would not end here.
  it.each([
    ['parentheses', (n: number) => `${'('.repeat(n)}ip${')'.repeat(n)}`],
    ['negations', (n: number) => `${'!'.repeat(n)}ip`],
    ['slices', (n: number) => `frame${'[0:]'.repeat(n)} == 00`],
    ['calls', (n: number) => `${'lower('.repeat(n)}frame.protocols${')'.repeat(n)} == "x"`],
    ['layers', (n: number) => `ip.src#[${'1,'.repeat(n)}]`],
    ['an unfinished string', (n: number) => `frame contains "${'\\a'.repeat(n)}`],
    ['a wrong name', (n: number) => 'x'.repeat(n)],
    ['a set without end', (n: number) => `tcp.port in {${'1,'.repeat(n)}`],
    ['a pattern', (n: number) => `frame matches "${'('.repeat(n)}"`],
    ['nothing but blanks', (n: number) => ' '.repeat(n)],
  ])('is refused where it is long: %s', (_, make) => {
    expect(attempt(make(30_000))).toBeInstanceOf(FilterError);
    expect(attempt(make(70_000))).toBeInstanceOf(FilterError);
  });

  it('is taken where it is long and right', () => {
    expect(attempt(Array(3500).fill('ip.ttl == 64').join(' or '))).toBeNull();
    expect(attempt(`tcp.port in {${Array.from({ length: 9000 }, (_, i) => i).join(', ')}}`)).toBeNull();
  });
});

describe('any bytes', () => {
  it('are found in others as Buffer finds them', () => {
    // Of three values only, so that parts of what is searched occur.
    const bytes = (maxLength: number) =>
      fc.array(fc.integer({ min: 0, max: 2 }), { maxLength }).map((list) => Buffer.from(list));
    fc.assert(
      fc.property(bytes(40), bytes(6), fc.nat(5), (all, wanted, from) => {
        const view = new DataView(Uint8Array.from(all).buffer);
        const end = Math.max(from, all.length - 2);
        fc.pre(end <= all.length);
        expect(containsTest(wanted)(view, from, end)).toBe(all.subarray(from, end).includes(wanted));
      }),
      { numRuns: 2000 },
    );
  });
});

/** How a value is written to be compared with. */
function literal(name: string, value: FieldValue): string | null {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return String(value);
  const kind = catalog.find(name)?.kind;
  if (kind === 'bytes') return value === '' ? null : value;
  return kind === 'string' ? `"${value.replace(/[\\"]/g, '\\$&')}"` : value;
}

/** Every value of every field in the records of a capture, with the packets that have it. */
async function recordedValues(path: string): Promise<Map<string, number[]>> {
  const values = new Map<string, Set<number>>();
  const note = (number: number, fields: LayerRecord['fields']) => {
    for (const [name, value] of Object.entries(fields)) {
      for (const one of Array.isArray(value) ? value : [value]) {
        const text = literal(name, one);
        if (text === null) continue;
        const filter = `${name} == ${text}`;
        const numbers = values.get(filter) ?? new Set();
        values.set(filter, numbers.add(number));
      }
    }
  };
  await eachPacket(path, ({ batch, index, layers, outline }) => {
    const number = batch.number(index);
    const record = packetRecord(dissector, roles, batch.view, batch.offset[index], layers, outline, {
      number,
      seconds: 0,
      nanoseconds: 0,
      file: null,
      interface: null,
      length: batch.length[index],
      captured: batch.captured[index],
      linkType: 1,
      comment: null,
    });
    for (const { fields, options } of record.layers) {
      note(number, fields);
      for (const option of options ?? []) note(number, option.fields ?? {});
    }
  });
  return new Map([...values].map(([filter, numbers]) => [filter, [...numbers]]));
}

const FILTERS = 400;

describe('any value of a record', () => {
  it.each(captures)('of %s is found by a filter in exactly its packets', async (name) => {
    const values = await recordedValues(sample(name));
    // As many of a large capture as of a small one: a filter costs as much to try as the capture has packets.
    const every = Math.ceil(values.size / FILTERS);
    const filters = [...values.keys()].filter((_, i) => i % every === 0);
    const found = await matching(sample(name), filters);
    const wrong = filters.filter((filter, i) => found[i].join() !== values.get(filter)!.join());
    expect(wrong).toEqual([]);
  });
});

/** How values read: what plug-ins may ask for, whether or not a built-in dissector does. */
import { describe, expect, it } from 'vitest';
import { computed, type Field, fieldLine, flag, u8, u16, u24, u32, u48 } from '../../src/core/field.ts';

const view = new DataView(Uint8Array.of(0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc).buffer);
const line = <V extends number | boolean>(field: Field<V>) => fieldLine(field as Field, view, 0);

describe('lines of fields', () => {
  it.each([
    ['Field: 0x12', u8('f', 'Field', 0, { base: 'hex' })],
    ['Field: 0x1234', u16('f', 'Field', 0, { base: 'hex' })],
    ['Field: 1193046 (0x123456)', u24('f', 'Field', 0, { base: 'dechex' })],
    ['Field: 0x12345678', u32('f', 'Field', 0, { base: 'hex' })],
    ['Field: 0x123456789abc', u48('f', 'Field', 0, { base: 'hex' })],
    ['Field: 13398 bytes', u16('f', 'Field', 1, { unit: ' bytes' })],
    ['Field: 18640', u16('f', 'Field', 0, { scale: 4 })],
    // As many digits as the mask has room for, and no fewer.
    ['...1 001. = Field: 0x9', u8('f', 'Field', 0, { base: 'hex', mask: 0x1e })],
    ['...1 0010 = Field: 0x12', u8('f', 'Field', 0, { base: 'hex', mask: 0x1f })],
    ['...1 0010 0011 .... = Field: 0x123', u16('f', 'Field', 0, { base: 'hex', mask: 0x1ff0 })],
    ['.... ...0 0011 0100 = Field: 0x034', u16('f', 'Field', 0, { base: 'hex', mask: 0x01ff })],
    ['...1 001. = Field: 36', u8('f', 'Field', 0, { mask: 0x1e, scale: 4 })],
    ['Field: Eighteen (18)', u8('f', 'Field', 0, { values: { 18: 'Eighteen' } })],
    ['Field: 52', u8('f', 'Field', 1, { values: { 18: 'Eighteen' } })],
    ['Field: Eighteen (0x12)', u8('f', 'Field', 0, { base: 'hex', values: { 18: 'Eighteen' } })],
    ['Field: <18>', u8('f', 'Field', 0, { values: { 18: 'Eighteen' }, show: (value) => `<${value}>` })],
    ['...1 .... = Field: Set', flag('f', 'Field', 0, 0x10)],
    ['..0. .... = Field: Not set', flag('f', 'Field', 0, 0x20)],
    ['.... ..1. .... .... = Field: on', flag('f', 'Field', 0, 0x0200, 2, ['on', 'off'])],
  ])('%s', (text, field) => {
    expect(line(field as Field<number>)).toBe(text);
  });
});

describe('fields whose value the dissector finds', () => {
  it('read as numbers of 32 bits, and have names', () => {
    expect(computed<number>('f', 'Field', 'uint', { base: 'hex' }).show(0x12)).toBe('0x00000012');
    const named = computed<number>('f', 'Field', 'int', {
      values: (value) => (value < 0 ? 'less' : undefined),
    });
    expect([-1, 1].map((value) => named.show(value))).toEqual(['less (-1)', '1']);
    expect(computed<string>('f', 'Field', 'string').show('a\u001b')).toBe('a\\x1b');
  });
});

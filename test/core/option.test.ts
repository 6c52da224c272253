/** What option decoders of several items come to. */
import { describe, expect, it } from 'vitest';
import { bytes, u8, u16, u32 } from '../../src/core/field.ts';
import { itemSize } from '../../src/core/option.ts';

describe('the size of an item', () => {
  it.each([
    ['ends with its last field', [u32('a', 'A', 0), u16('b', 'B', 4)], 6],
    ['whatever the order', [u16('b', 'B', 4), u32('a', 'A', 0)], 6],
    ['also a field of one byte', [u16('a', 'A', 0), u8('b', 'B', 2)], 3],
    ['is 0 where it takes what others leave', [bytes('rest', 'Rest', 0, 0)], 0],
  ])('%s', (_, fields, size) => {
    expect(itemSize({ fields })).toBe(size);
  });
});

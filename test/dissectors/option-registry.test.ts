/** What a registry takes of option decoders, and what it says of those that it does not take. */
import { describe, expect, it } from 'vitest';
import { computed, u8, u16, u32 } from '../../src/core/field.ts';
import { defineOption, definePlugin, type OptionDecoder } from '../../src/core/protocol.ts';
import { Registry } from '../../src/core/registry.ts';

describe('a decoder that cannot be', () => {
  const good = {
    name: 'x.y',
    title: 'X',
    reference: 'none',
    table: 'geneve.option',
    class: 0xff00,
    type: 1,
    length: 4,
    fields: [u16('x.a', 'A', 0)],
  };
  const size = u8('x.size', 'Size', 0);
  const listed = u32('x.item', 'Item', 0, { list: true });
  const open = () => computed<string>('x.open', 'Open', 'bytes', { list: true });

  it.each<[string, OptionDecoder, RegExp]>([
    [
      'has a field beyond its data',
      { ...good, fields: [u32('x.a', 'A', 2)] },
      /x\.a lies beyond its 4 bytes/,
    ],
    ['has a field without a place', { ...good, fields: [open()] }, /x\.open has no place/],
    ['has a type of nine bits', { ...good, type: 256 }, /do not fit 16 and 8 bits/],
    ['has a class of 17 bits', { ...good, class: 0x10000 }, /do not fit 16 and 8 bits/],
    [
      'has one value for several groups',
      { ...good, groups: { title: 'G', items: [{ fields: [u32('x.item', 'Item', 0)] }] } },
      /x\.item is in a group.* must be a list/,
    ],
    ['has groups of nothing', { ...good, groups: { title: 'G', items: [] } }, /groups have no size/],
    [
      'has groups whose size lies elsewhere',
      { ...good, groups: { title: 'G', size, items: [{ fields: [listed] }] } },
      /x\.size tells of its groups, but is none of its fields/,
    ],
    [
      'has items that nothing tells of',
      { ...good, groups: { title: 'G', items: [{ bit: 1, fields: [listed] }] } },
      /nothing tells which groups have the item with bit 1/,
    ],
    [
      'shares what is left of a group out twice',
      {
        ...good,
        fields: [size],
        groups: { title: 'G', size, items: [{ fields: [open()] }, { fields: [open()] }] },
      },
      /cannot both take what is left/,
    ],
    [
      'puts a field beside what is left of a group',
      { ...good, fields: [size], groups: { title: 'G', size, items: [{ fields: [open(), open()] }] } },
      /fields with a place, or one that takes what is left/,
    ],
  ])('is refused: %s', (_, decoder, message) => {
    const registry = new Registry();
    expect(() => registry.add(definePlugin({ name: 'mine', options: [decoder] }))).toThrow(message);
  });

  it('is refused where another is, and both are named', () => {
    const other = defineOption({ ...good, name: 'z.z' });
    const registry = new Registry().add({ name: 'one', options: [good] });
    expect(() => registry.add({ name: 'two', options: [other] })).toThrow(
      'geneve.option class 0xff00 type 0x01 length 4 is claimed by x.y (one) and by z.z (two)',
    );
    registry.add({ name: 'two', options: [{ ...other, length: 8 }] });
    registry.add({ name: 'three', options: [{ ...other, rest: open() }] });
    const nameAt = (length: number) => registry.option('geneve.option', 0xff00, 1, length)?.name;
    expect([nameAt(0), nameAt(4), nameAt(8), nameAt(12)]).toEqual([undefined, 'x.y', 'z.z', 'z.z']);
  });
});

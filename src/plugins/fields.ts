/** Fields as a plug-in document describes them. */
import {
  bytes,
  characters,
  computed,
  ether,
  type Field,
  type FieldOptions,
  flag,
  i32,
  ipv4,
  ipv6,
  u8,
  u16,
  u24,
  u32,
  u48,
  u64,
} from '../core/field.ts';
import { type Item, listText } from './item.ts';

/** How values are read and shown. */
export const FORMATS = [
  'dec',
  'hex',
  'dechex',
  'signed',
  'boolean',
  'mac',
  'ipv4',
  'ipv6',
  'bytes',
  'text',
] as const;

const WIDTHS = [1, 2, 3, 4, 6, 8] as const;
const INTEGERS = { 1: u8, 2: u16, 3: u24, 4: u32, 6: u48 };
/** With the bytes they take. */
const ADDRESSES = { mac: [ether, 6], ipv4: [ipv4, 4], ipv6: [ipv6, 16] } as const;

/** Bytes of a header, or of an option's data. */
export const LONGEST_HEADER = 1024;
const MAXIMUM_VALUES = 4096;

/** One field; with `list` it is one of which there are several. */
export function readField(item: Item, list = false): Field {
  const given = item.object(
    ['name', 'title', 'offset'],
    ['width', 'format', 'mask', 'scale', 'unit', 'enum'],
  );
  const name = given.name.name();
  const title = given.title.text();
  const at = given.offset.integer(0, LONGEST_HEADER);
  const format = given.format.given ? given.format.oneOf(FORMATS) : 'dec';
  const refuse = (...keys: ('mask' | 'scale' | 'unit' | 'enum')[]) => {
    for (const key of keys)
      if (given[key].given) given[key].wrong(`a field of format ${format} has no ${key}`);
  };
  if (format === 'mac' || format === 'ipv4' || format === 'ipv6') {
    const [address, width] = ADDRESSES[format];
    refuse('mask', 'scale', 'unit', 'enum');
    if (given.width.given) given.width.oneOf([width]);
    return address(name, title, at, { list });
  }
  if (!given.width.given) item.wrong("'width' is missing: bytes that the value is read from");
  switch (format) {
    case 'bytes':
    case 'text': {
      refuse('mask', 'scale', 'unit', 'enum');
      const width = given.width.integer(1, LONGEST_HEADER);
      const field = format === 'bytes' ? bytes(name, title, at, width) : characters(name, title, at, width);
      return { ...field, list };
    }
    case 'boolean': {
      refuse('scale', 'unit');
      const width = given.width.oneOf([1, 2, 4]);
      const mask = given.mask.given ? readMask(given.mask, width) : 2 ** (8 * width) - 1;
      const values = given.enum.given ? readValues(given.enum, 0, 1) : undefined;
      const names = [values?.get(1) ?? 'Set', values?.get(0) ?? 'Not set'] as const;
      return { ...flag(name, title, at, mask, width, names), list };
    }
    case 'signed': {
      refuse('mask', 'scale');
      given.width.oneOf([4]);
      return i32(name, title, at, { list, ...numberDisplay(given, -0x80000000, 0x7fffffff) });
    }
    default: {
      const width = given.width.oneOf(WIDTHS);
      if (width === 8) {
        refuse('mask', 'scale', 'unit', 'enum');
        return u64(name, title, at, { base: format, list });
      }
      const all = 2 ** (8 * width) - 1;
      const options: FieldOptions = {
        base: format,
        list,
        ...numberDisplay(given, 0, Number.MAX_SAFE_INTEGER),
        ...(given.mask.given ? { mask: readMask(given.mask, width) } : {}),
        ...(given.scale.given ? { scale: given.scale.integer(1, 0xffff) } : {}),
      };
      if (width === 6) refuseWide(given.mask, given.scale);
      if (given.mask.given && options.mask === all) given.mask.wrong('leaves nothing out');
      return INTEGERS[width](name, title, at, options);
    }
  }
}

function refuseWide(...items: Item[]): void {
  for (const item of items)
    if (item.given) item.wrong('fields of 6 bytes have none: describe the 4 or fewer bytes that it is for');
}

function readMask(item: Item, width: number): number {
  if (width > 4) refuseWide(item);
  return item.integer(1, 2 ** (8 * width) - 1);
}

function numberDisplay(
  given: Record<'unit' | 'enum', Item>,
  minimum: number,
  maximum: number,
): Pick<FieldOptions, 'unit' | 'values'> {
  const values = given.enum.given ? readValues(given.enum, minimum, maximum) : undefined;
  return {
    ...(given.unit.given ? { unit: ` ${given.unit.text()}` } : {}),
    ...(values ? { values: (value: number) => values.get(value) } : {}),
  };
}

/** Names of values: the keys of objects are text in JSON, and numbers in YAML. */
function readValues(item: Item, minimum: number, maximum: number): Map<number, string> {
  const values = new Map<number, string>();
  for (const [key, child] of item.properties(MAXIMUM_VALUES)) {
    const value = /^(-?\d+|0x[0-9a-f]+)$/i.test(key) ? Number(key) : Number.NaN;
    if (!(value >= minimum && value <= maximum))
      child.wrong(
        maximum === 1
          ? `expected ${listText(['0', '1'])} before a name`
          : 'expected a number before a name, like 3 or 0x03',
      );
    values.set(value, child.text());
  }
  return values;
}

/** The field that takes what is left. */
export function readRest(item: Item, list = false): Field<string> {
  const given = item.object(['name', 'title'], ['format']);
  const format = given.format.given ? given.format.oneOf(['bytes', 'text']) : 'bytes';
  return computed<string>(given.name.name(), given.title.text(), format === 'text' ? 'string' : 'bytes', {
    list,
  });
}

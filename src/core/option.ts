/** Reading the data of a TLV option by its description: the one place that knows where an option's fields are. */
import type { Field } from './field.ts';
import type { Details, OptionDecoder, OptionGroups, OptionItem } from './protocol.ts';
import { asciiText, hexText } from './text.ts';

/** Receives the fields of an option in wire order. */
export type OptionSink = Pick<Details, 'field' | 'computed' | 'open' | 'close'>;

/** All fields that an option's data may have, those of groups and of the rest too. */
export function optionFields({ fields, groups, rest }: OptionDecoder): Field[] {
  return [...fields, ...(groups?.items ?? []).flatMap((item) => item.fields), ...(rest ? [rest] : [])];
}

/** Whether data of `length` bytes are what the decoder describes. */
export function fitsOption(decoder: OptionDecoder, length: number): boolean {
  return isVariable(decoder) ? length >= decoder.length : length === decoder.length;
}

/** Whether data may be longer than the decoder's `length`. */
export function isVariable({ groups, rest }: OptionDecoder): boolean {
  return groups !== undefined || rest !== undefined;
}

/** Hands the fields of the data at [from, to) of `view` to `out`. Their length must be one that fits the decoder. */
export function readOption(
  decoder: OptionDecoder,
  view: DataView,
  from: number,
  to: number,
  out: OptionSink,
): void {
  for (const field of decoder.fields) out.field(field, from);
  const { groups, rest } = decoder;
  let at = from + decoder.length;
  if (groups) at = readGroups(groups, view, from, at, to, out);
  if (rest && at < to) readRest(rest, view, at, to, out);
}

/** Bytes of an item; 0 for the one that takes what others leave. */
export function itemSize(item: OptionItem): number {
  return item.fields.reduce((size, field) => Math.max(size, field.size === 0 ? 0 : field.at + field.size), 0);
}

/** Where the first group begins that is not whole. */
function readGroups(
  { title, size, present, items }: OptionGroups,
  view: DataView,
  from: number,
  first: number,
  to: number,
  out: OptionSink,
): number {
  const bits = present?.read(view, from) ?? 0;
  const there = items.filter(({ bit }) => bit === undefined || (bits & bit) !== 0);
  const taken = there.reduce((sum, item) => sum + itemSize(item), 0);
  const length = size?.read(view, from) ?? taken;
  // No groups, or such as contradict what they are said to hold.
  if (length === 0 || taken > length) return first;
  let at = first;
  for (let number = 1; at + length <= to; number++) {
    out.open(`${title} ${number}`, at, length);
    let place = at;
    for (const item of there) {
      const reach = itemSize(item);
      if (reach > 0) for (const field of item.fields) out.field(field, place);
      else if (taken < length)
        readRest(item.fields[0] as Field<string>, view, place, place + length - taken, out);
      place += reach > 0 ? reach : length - taken;
    }
    out.close();
    at += length;
  }
  return at;
}

function readRest(field: Field<string>, view: DataView, from: number, to: number, out: OptionSink): void {
  const text = field.type === 'string' ? asciiText : hexText;
  out.computed(field, text(view, from, to), from, to - from);
}

/** What is registered, as tables and CSV. */
import type { FieldNameRecord, OptionDecoderRecord, ProtocolRecord } from '../core/registered.ts';
import type { ProtocolKey } from '../core/registry.ts';
import { hexNumber } from '../core/text.ts';
import type { CsvColumn } from './csv.ts';
import type { Column } from './table.ts';
import { optionKeyText } from './units.ts';

/** Tables whose specifications write numbers in hexadecimal. */
const HEXADECIMAL = new Set(['ethertype', 'gre.proto', 'ppp.protocol']);

function keyText({ table, key }: ProtocolKey): string {
  if (key === null) return 'by its shape';
  return HEXADECIMAL.has(table) ? hexNumber(key, 4) : String(key);
}

/** "udp.port 4789 8472", one table a line; what does not fit on one goes on in the next. */
function foundText(keys: readonly ProtocolKey[], width: number): string {
  const lines: string[] = [];
  let last = '';
  for (const key of keys) {
    const line = `${lines.at(-1)} ${keyText(key)}`;
    if (key.table === last && line.length <= width) lines[lines.length - 1] = line;
    else lines.push(`${key.table} ${keyText(key)}`);
    last = key.table;
  }
  return lines.join('\n');
}

function clipped(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 3)}...`;
}

/** Words on as many lines as they need; a word too long for one is cut. */
function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && line.length <= width) lines[lines.length - 1] = line;
    else lines.push(clipped(word, width));
  }
  return lines.join('\n');
}

const GAP = 2;
/** In a narrower column titles are hard to read. */
const NARROWEST_TITLE = 14;

/** `columns`, and titles in what those leave of `width`. */
function withTitles<R extends { title: string }>(
  columns: readonly Column<R>[],
  records: readonly R[],
  width: number,
): Column<R>[] {
  let room = width;
  for (const { heading, cell } of columns) {
    const lengths = records.flatMap((record) =>
      cell(record)
        .split('\n')
        .map((line) => line.length),
    );
    room -= GAP + lengths.reduce((most, length) => Math.max(most, length), heading.length);
  }
  if (room < NARROWEST_TITLE) return [...columns];
  return [...columns, { heading: 'TITLE', rank: 0, cell: ({ title }) => wrapped(title, room) }];
}

export function protocolColumns(records: readonly ProtocolRecord[], width: number): Column<ProtocolRecord>[] {
  return withTitles(
    [
      { heading: 'NAME', rank: 0, cell: ({ name }) => clipped(name, 20) },
      { heading: 'FOUND IN', rank: 0, cell: ({ keys }) => foundText(keys, 22) },
      { heading: 'REFERENCE', rank: 0, cell: ({ reference }) => clipped(reference, 24) },
      { heading: 'FROM', rank: 1, cell: ({ origin }) => clipped(origin, 16) },
    ],
    records,
    width,
  );
}

export const PROTOCOL_CSV: readonly CsvColumn<ProtocolRecord>[] = [
  { name: 'name', value: ({ name }) => name },
  { name: 'title', value: ({ title }) => title },
  { name: 'reference', value: ({ reference }) => reference },
  { name: 'keys', value: ({ keys }) => keys.map(({ table, key }) => `${table}:${key ?? ''}`).join(' ') },
  { name: 'origin', value: ({ origin }) => origin },
];

const ownerOf = ({ protocol, option }: FieldNameRecord) => protocol ?? option ?? '';

export function fieldColumns(records: readonly FieldNameRecord[], width: number): Column<FieldNameRecord>[] {
  const columns: Column<FieldNameRecord>[] = [
    { heading: 'NAME', rank: 0, cell: ({ name }) => clipped(name, 44) },
    { heading: 'TYPE', rank: 0, cell: ({ valueType }) => valueType },
    { heading: 'OF', rank: 0, cell: (field) => clipped(ownerOf(field), width < 100 ? 12 : 24) },
  ];
  if (width >= 100) columns.push({ heading: 'FROM', rank: 1, cell: ({ origin }) => clipped(origin, 16) });
  return withTitles(columns, records, width);
}

export const FIELD_CSV: readonly CsvColumn<FieldNameRecord>[] = [
  { name: 'name', value: ({ name }) => name },
  { name: 'title', value: ({ title }) => title },
  { name: 'type', value: ({ valueType }) => valueType },
  { name: 'list', value: ({ list }) => list },
  { name: 'protocol', value: ({ protocol }) => protocol },
  { name: 'option', value: ({ option }) => option },
  { name: 'origin', value: ({ origin }) => origin },
];

export function optionColumns(
  records: readonly OptionDecoderRecord[],
  width: number,
): Column<OptionDecoderRecord>[] {
  return withTitles(
    [
      { heading: 'NAME', rank: 0, cell: ({ name }) => clipped(name, 24) },
      {
        heading: 'KEY',
        rank: 0,
        // The family is only worth a line where it is not the usual one.
        cell: ({ key }) =>
          `${optionKeyText(key.class, key.type)}${key.table === 'geneve.option' ? '' : `\n${clipped(key.table, 14)}`}`,
      },
      {
        heading: 'BYTES',
        right: true,
        rank: 0,
        cell: ({ length, variable }) => `${length}${variable ? '+' : ''}`,
      },
      { heading: 'REFERENCE', rank: 0, cell: ({ reference }) => clipped(reference, 26) },
      { heading: 'FROM', rank: 1, cell: ({ origin }) => clipped(origin, 16) },
    ],
    records,
    width,
  );
}

export const OPTION_CSV: readonly CsvColumn<OptionDecoderRecord>[] = [
  { name: 'name', value: ({ name }) => name },
  { name: 'title', value: ({ title }) => title },
  { name: 'reference', value: ({ reference }) => reference },
  { name: 'table', value: ({ key }) => key.table },
  { name: 'class', value: ({ key }) => key.class },
  { name: 'type', value: ({ key }) => key.type },
  { name: 'length', value: ({ length }) => length },
  { name: 'variable', value: ({ variable }) => variable },
  { name: 'fields', value: ({ fields }) => fields.join(' ') },
  { name: 'origin', value: ({ origin }) => origin },
];

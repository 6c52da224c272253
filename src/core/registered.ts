/** What a registry holds, as the objects that `protocols`, `fields` and `options` print. */
import type { Field, FieldType } from './field.ts';
import { isVariable, optionFields } from './option.ts';
import type { ProtocolKey, Registry } from './registry.ts';

export interface ProtocolRecord {
  type: 'protocol';
  schema: 1;
  name: string;
  title: string;
  reference: string;
  keys: ProtocolKey[];
  origin: string;
}

export interface FieldNameRecord {
  type: 'field';
  schema: 1;
  name: string;
  title: string;
  valueType: FieldType;
  list: boolean;
  protocol: string | null;
  option: string | null;
  origin: string;
}

export interface OptionDecoderRecord {
  type: 'option';
  schema: 1;
  name: string;
  title: string;
  reference: string;
  key: { table: string; class: number; type: number };
  length: number;
  variable: boolean;
  fields: string[];
  origin: string;
}

/** All protocols, by name. */
export function protocolRecords(registry: Registry): ProtocolRecord[] {
  const records = registry.protocols.map(
    ({ name, title, reference }, i): ProtocolRecord => ({
      type: 'protocol',
      schema: 1,
      name,
      title,
      reference,
      keys: registry.keysOf(i),
      origin: registry.originOf(i),
    }),
  );
  return records.sort((a, b) => compare(a.name, b.name));
}

/** All option decoders, by family, class, type and length. */
export function optionRecords(registry: Registry): OptionDecoderRecord[] {
  const records = registry.options.map(
    ({ decoder, origin }): OptionDecoderRecord => ({
      type: 'option',
      schema: 1,
      name: decoder.name,
      title: decoder.title,
      reference: decoder.reference,
      key: { table: decoder.table, class: decoder.class, type: decoder.type },
      length: decoder.length,
      variable: isVariable(decoder),
      fields: optionFields(decoder).map(({ name }) => name),
      origin,
    }),
  );
  return records.sort(
    ({ key: a, length: aLength }, { key: b, length: bLength }) =>
      compare(a.table, b.table) || a.class - b.class || a.type - b.type || aLength - bLength,
  );
}

/** All fields, by name; one that several protocols or options have is told for each of them, once. */
export function fieldRecords(registry: Registry): FieldNameRecord[] {
  const records = new Map<string, FieldNameRecord>();
  const add = (
    fields: readonly Field[],
    of: { protocol: string | null; option: string | null },
    origin: string,
  ) => {
    for (const { name, label, type, list } of fields) {
      const key = `${name} ${of.protocol ?? ''} ${of.option ?? ''}`;
      if (!records.has(key))
        records.set(key, {
          type: 'field',
          schema: 1,
          name,
          title: label,
          valueType: type,
          list,
          ...of,
          origin,
        });
    }
  };
  registry.protocols.forEach(({ name, fields, detailFields = [] }, i) => {
    add([...fields, ...detailFields], { protocol: name, option: null }, registry.originOf(i));
  });
  for (const { decoder, origin } of registry.options)
    add(optionFields(decoder), { protocol: null, option: decoder.name }, origin);
  return [...records.values()].sort((a, b) => compare(a.name, b.name));
}

/** By code point, which is the same in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

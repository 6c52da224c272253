/** `tunscope protocols`, `fields` and `options`: what is registered, built in or by plug-ins. */
import { fieldRecords, optionRecords, protocolRecords } from '../core/registered.ts';
import type { Registry } from '../core/registry.ts';
import { type RecordList, writeCsv, writeJson, writeNdjson, writeTable } from '../output/records.ts';
import {
  FIELD_CSV,
  fieldColumns,
  OPTION_CSV,
  optionColumns,
  PROTOCOL_CSV,
  protocolColumns,
} from '../output/registered-tables.ts';
import { TextWriter } from '../output/writer.ts';
import { buildRegistry } from '../registration.ts';
import { type Context, formatOf, type InputOptions, lineWidth, useColor } from './context.ts';
import { pluginsOf } from './plugins.ts';

export type ListOptions = Pick<InputOptions, 'plugin' | 'json' | 'ndjson' | 'csv' | 'color'>;

async function registryOf({ plugin = [] }: ListOptions): Promise<Registry> {
  return buildRegistry([], await pluginsOf(plugin));
}

export async function protocols(options: ListOptions, context: Context): Promise<number> {
  const records = protocolRecords(await registryOf(options));
  const columns = protocolColumns(records, lineWidth(context));
  return list({ name: 'protocols', columns, csv: PROTOCOL_CSV }, records, options, context);
}

export async function fields(options: ListOptions, context: Context): Promise<number> {
  const records = fieldRecords(await registryOf(options));
  const columns = fieldColumns(records, lineWidth(context));
  return list({ name: 'fields', columns, csv: FIELD_CSV }, records, options, context);
}

export async function optionDecoders(options: ListOptions, context: Context): Promise<number> {
  const records = optionRecords(await registryOf(options));
  const columns = optionColumns(records, lineWidth(context));
  return list({ name: 'options', columns, csv: OPTION_CSV }, records, options, context);
}

/** Prints a list that is no result of a capture. */
export async function list<R extends object>(
  shape: Pick<RecordList<R>, 'name' | 'columns' | 'csv'>,
  records: readonly R[],
  options: ListOptions,
  context: Context,
): Promise<number> {
  const whole: RecordList<R> = { ...shape, count: records.length, records: () => records };
  const writer = new TextWriter(context.stdout);
  const format = formatOf(options);
  if (format === 'json') await writeJson(whole, null, writer);
  else if (format === 'ndjson') await writeNdjson(whole, writer);
  else if (format === 'csv') await writeCsv(whole, writer);
  else
    await writeTable(
      whole,
      records.length,
      { width: lineWidth(context), color: useColor(context, options) },
      writer,
    );
  return 0;
}

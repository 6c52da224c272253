/** Configuration becomes what the command line would have said, which has the last word. */
import { type Command, InvalidArgumentError, type Option } from 'commander';
import { UsageError } from '../errors.ts';
import type { Item } from '../plugins/item.ts';
import type { Found } from './find.ts';
import { loadConfigs } from './load.ts';

/**
 * Options that can have a default: how results look and how they are made. None that names what is read or written, that
 * listens or that changes the format of the output: a file in some directory must not make a command do another thing.
 */
const PRESETS = ['limit', 'names', 'color', 'progress', 'vniKey', 'workers', 'sort', 'tree', 'hex'];

export async function applyConfigs(
  found: readonly Found[],
  program: Command,
  command: Command,
  warn: (text: string) => void,
): Promise<void> {
  const configs = await loadConfigs(found, warn);
  const prepend = (key: string, more: readonly string[]) => {
    if (more.length > 0 && command.options.some((option) => option.attributeName() === key))
      command.setOptionValueWithSource(key, [...more, ...(command.getOptionValue(key) ?? [])], 'config');
  };
  prepend(
    'plugin',
    configs.flatMap(({ plugins }) => plugins),
  );
  prepend(
    'decodeAs',
    configs.flatMap(({ decodeAs }) => decodeAs),
  );
  for (const { file, options } of configs) {
    for (const [name, values] of options) {
      const target = program.commands.find((each) => each.name() === name);
      if (!target) throw new UsageError(`${file}: options.${name}: no command is called so`);
      for (const [key, item] of values) {
        const option = target.options.find((each) => each.attributeName() === key);
        if (!option || !PRESETS.includes(key)) {
          const there = PRESETS.filter((preset) =>
            target.options.some((each) => each.attributeName() === preset),
          );
          throw new UsageError(
            `${file}: options.${name}.${key}: no default can be set for this; there are ${there.join(', ')}`,
          );
        }
        const value = readValue(file, option, item);
        if (
          target === command &&
          ['default', 'config', undefined].includes(command.getOptionValueSource(key))
        )
          command.setOptionValueWithSource(key, value, 'config');
      }
    }
  }
}

function readValue(file: string, option: Option, item: Item): unknown {
  const wrong = (text: string) => new UsageError(`${file}: ${item.path.join('.')}: ${text}`);
  const { value } = item;
  if (option.isBoolean()) {
    if (typeof value !== 'boolean') throw wrong('expected true or false');
    return value;
  }
  if (typeof value !== 'string' && typeof value !== 'number') throw wrong('expected text or a number');
  try {
    return option.parseArg ? option.parseArg(String(value), undefined) : String(value);
  } catch (error) {
    if (error instanceof InvalidArgumentError) throw wrong(error.message);
    throw error;
  }
}

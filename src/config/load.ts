/** What configuration files say, and whether they are to be trusted: docs/plugins.md has the rules and the reasons. */
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { DocumentError, Item } from '../plugins/item.ts';
import { isData, readData } from '../plugins/load.ts';
import type { Found } from './find.ts';

export interface Config {
  readonly file: string;
  /** Files of plug-ins, found from the directory of the configuration. */
  readonly plugins: readonly string[];
  readonly decodeAs: readonly string[];
  /** Defaults of options, by command and long name. */
  readonly options: ReadonlyMap<string, ReadonlyMap<string, Item>>;
}

const MAXIMUM = 1000;

/** Reads those that are trusted; of others `warn` is told why not. */
export async function loadConfigs(found: readonly Found[], warn: (text: string) => void): Promise<Config[]> {
  const configs: Config[] = [];
  for (const { file, by } of found) {
    const doubt = by === 'name' ? null : await doubtOf(file, by);
    if (doubt !== null) {
      warn(`${file} is not used: ${doubt} (--config ${file} uses it, --no-config passes over it)`);
      continue;
    }
    const config = await loadConfig(file);
    for (const plugin of by === 'name' ? [] : config.plugins) {
      const reason = await doubtOf(plugin, by);
      if (reason !== null)
        throw new UsageError(`${file}: plug-in ${plugin} is not loaded: ${reason}; name it with --plugin`);
    }
    configs.push(config);
  }
  return configs;
}

/**
 * Why a file that nobody named is not to be used, null where it is.
 *
 * Captures are often read in directories that others can write to, and as root.
 */
async function doubtOf(file: string, by: Found['by']): Promise<string | null> {
  if (by === 'directory' && !isData(file)) return 'code in the working directory is not run unasked';
  // Where there are no users, the directory's permissions have to do.
  if (process.getuid === undefined) return null;
  const { uid, mode } = await stat(file).catch(() => ({ uid: 0, mode: 0 }));
  if (uid !== process.getuid() && uid !== 0)
    return `it belongs to user ${uid}, neither to the one who runs this nor to root`;
  return (mode & 0o022) === 0 ? null : 'others than its owner can write to it';
}

async function loadConfig(file: string): Promise<Config> {
  if (isData(file)) return readData(file, (value) => readConfig(file, value ?? {}));
  const value = await (await import('../plugins/module.ts')).importDefault(file);
  try {
    return readConfig(file, value);
  } catch (error) {
    throw error instanceof DocumentError
      ? new UsageError(`${file}: default export: ${error.message}`)
      : error;
  }
}

function readConfig(file: string, value: unknown): Config {
  const given = new Item(value).object([], ['$schema', 'plugins', 'decodeAs', 'options']);
  const texts = (item: Item) => (item.given ? item.list(MAXIMUM).map((child) => child.text()) : []);
  return {
    file,
    plugins: texts(given.plugins).map((name) => resolved(name, path.dirname(file))),
    decodeAs: texts(given.decodeAs),
    options: new Map(
      given.options.given
        ? [...given.options.properties()].map(([command, child]) => [command, child.properties()])
        : [],
    ),
  };
}

function resolved(name: string, directory: string): string {
  return name.startsWith('~/') ? path.join(homedir(), name.slice(2)) : path.resolve(directory, name);
}

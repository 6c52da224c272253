/** From the files that the user names to plug-ins. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { builtins } from '../../dissectors/index.ts';
import { systemReason } from '../capture/source.ts';
import type { Plugin } from '../core/protocol.ts';
import { Registry } from '../core/registry.ts';
import { printable } from '../core/text.ts';
import { UsageError } from '../errors.ts';
import { type Known, readDocument } from './document.ts';
import { DocumentError, type Path } from './item.ts';

const DATA = ['.json', '.yaml', '.yml'];
const MODULES = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts'];

/** Bytes of a document. */
const LARGEST = 4 << 20;

export function isData(file: string): boolean {
  return DATA.includes(path.extname(file).toLowerCase());
}
export function isModule(file: string): boolean {
  return MODULES.includes(path.extname(file).toLowerCase());
}

/** The plug-ins of these files, in their order; they fit together. */
export async function loadPlugins(files: readonly string[]): Promise<Plugin[]> {
  const registry = new Registry().add(builtins);
  const plugins: Plugin[] = [];
  for (const file of files) {
    const plugin = await loadPlugin(file, registry);
    if ([builtins, ...plugins].some(({ name }) => name === plugin.name))
      throw new UsageError(`${file}: another plug-in is called '${plugin.name}', too`);
    try {
      registry.add(plugin);
    } catch (error) {
      throw error instanceof UsageError ? new UsageError(`${file}: ${error.message}`) : error;
    }
    plugins.push(plugin);
  }
  return plugins;
}

async function loadPlugin(file: string, registry: Registry): Promise<Plugin> {
  if (isData(file)) return readData(file, (value) => readDocument(value, knownOf(registry)));
  if (isModule(file)) return (await import('./module.ts')).loadModule(file);
  const endings = [...DATA, ...MODULES].join(', ');
  throw new UsageError(`${file}: not a plug-in, whose name ends with one of ${endings}`);
}

function knownOf({ tables, protocols, options }: Registry): Known {
  return {
    tables: new Set(tables),
    families: new Set([
      ...options.map(({ decoder }) => decoder.table),
      ...protocols.flatMap(({ flow }) => flow?.tunnel?.options?.table ?? []),
    ]),
  };
}

/** What `read` makes of the data file's document; its complaints with the file and the line. */
export async function readData<T>(file: string, read: (value: unknown) => T): Promise<T> {
  const text = await readText(file);
  // Loaded when it is needed. JSON is YAML, too, and only this parser knows the lines that values are in.
  const { isCollection, isNode, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const fail = (offset: number | undefined, message: string) =>
    new UsageError(
      `${file}${offset === undefined ? '' : `:${lines.linePos(offset).line}`}: ${printable(message)}`,
    );
  let document: ReturnType<typeof parseDocument>;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
  } catch (error) {
    throw fail(undefined, `cannot be read: ${(error as Error).message}`);
  }
  const [error] = document.errors;
  if (error) throw fail(error.pos[0], error.message);
  const offsetOf = (place: Path): number | undefined => {
    let offset = isNode(document.contents) ? document.contents.range?.[0] : undefined;
    let node: unknown = document.contents;
    for (const step of place) {
      if (!isCollection(node)) break;
      const pair = node.items.find((item) => keyText(item) === String(step));
      const key = (pair as { key?: { range?: [number] } } | undefined)?.key;
      node = pair === undefined ? node.get(step, true) : (pair as { value?: unknown }).value;
      offset = key?.range?.[0] ?? (isNode(node) ? node.range?.[0] : undefined) ?? offset;
    }
    return offset;
  };
  try {
    return read(document.toJS({ maxAliasCount: 100 }));
  } catch (error) {
    if (error instanceof DocumentError) throw fail(offsetOf(error.path), error.message);
    // A reference to what is not there, or too many of them.
    if (error instanceof ReferenceError || error instanceof RangeError) throw fail(undefined, error.message);
    throw error;
  }
}

/** The key of a pair as it is called in objects. */
function keyText(pair: unknown): string | undefined {
  const value = (pair as { key?: { value?: unknown } } | undefined)?.key?.value;
  return value === undefined ? undefined : String(value);
}

async function readText(file: string): Promise<string> {
  try {
    const status = await stat(file);
    if (!status.isFile()) throw new UsageError(`${file}: not a regular file`);
    if (status.size > LARGEST) throw new UsageError(`${file}: larger than ${LARGEST >> 20} MiB`);
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${file}: ${systemReason(error)}`);
  }
}

/** A plug-in as a module: its default export, checked and guarded. */
import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import nodeModule, { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemReason } from '../capture/source.ts';
import type { Plugin } from '../core/protocol.ts';
import { printable } from '../core/text.ts';
import { UsageError } from '../errors.ts';
import { guardPlugin } from './guard.ts';
import { DocumentError, Item } from './item.ts';
import { checkPlugin } from './shape.ts';

const TYPESCRIPT = ['.ts', '.mts', '.cts'];

export async function loadModule(file: string): Promise<Plugin> {
  const plugin = await importDefault(file);
  try {
    checkPlugin(new Item(plugin));
  } catch (error) {
    throw error instanceof DocumentError
      ? new UsageError(`${file}: default export: ${error.message}`)
      : error;
  }
  return guardPlugin(plugin as Plugin);
}

/** What the module exports by default. */
export async function importDefault(file: string): Promise<unknown> {
  const url = pathToFileURL(path.resolve(file)).href;
  // Node would name this program as the one that looks for it, and wait for the writer of a pipe, deaf to signals.
  try {
    if (!(await stat(file)).isFile()) throw new UsageError(`${file}: not a regular file`);
    await access(file, constants.R_OK);
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${file}: ${systemReason(error)}`);
  }
  if (
    TYPESCRIPT.includes(path.extname(file)) &&
    !('typescript' in process.features && process.features.typescript)
  )
    throw new UsageError(
      `${file}: Node ${process.version} does not run TypeScript: compile it (npx tsc), or use Node 22.18 or later`,
    );
  resolveOwnName();
  try {
    const { default: value } = (await import(/* @vite-ignore */ url)) as { default?: unknown };
    return value;
  } catch (error) {
    const line = lineIn(error, url) ?? (error instanceof SyntaxError ? await syntaxErrorLine(file) : null);
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    throw new UsageError(`${file}${line === null ? '' : `:${line}`}: ${printable(text.split('\n')[0])}`);
  }
}

/** Line of the file that an error came from. */
function lineIn(error: unknown, url: string): string | null {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const at = stack.indexOf(`${url}:`);
  return at < 0 ? null : (/^\d+/.exec(stack.slice(at + url.length + 1))?.[0] ?? null);
}

/** Node tells the line of a syntax error to nobody but the terminal. */
function syntaxErrorLine(file: string): Promise<string | null> {
  const found = path.resolve(file);
  return new Promise((resolve) => {
    execFile(process.execPath, ['--check', found], { timeout: 10_000 }, (_error, _stdout, stderr) => {
      resolve(/:(\d+)$/.exec(stderr.split('\n', 1)[0])?.[1] ?? null);
    });
  });
}

type Resolve = (specifier: string, context: unknown, next: Resolve) => unknown;

let resolved = false;

/**
 * `import 'tunscope'` in a plug-in is this very package, wherever the plug-in lies: another copy would have tables and
 * numbers of its own.
 */
function resolveOwnName(): void {
  if (resolved) return;
  resolved = true;
  const own = pathToFileURL(createRequire(import.meta.url).resolve('tunscope')).href;
  const { registerHooks } = nodeModule as { registerHooks?: (hooks: { resolve: Resolve }) => void };
  if (registerHooks) {
    registerHooks({
      resolve: (specifier, context, next) =>
        specifier === 'tunscope' ? { url: own, shortCircuit: true } : next(specifier, context, next),
    });
    return;
  }
  // Node before 22.15 runs hooks in a thread, which has to be given their source.
  const source = `
    let own;
    export function initialize(url) { own = url; }
    export function resolve(specifier, context, next) {
      return specifier === 'tunscope' ? { url: own, shortCircuit: true } : next(specifier, context);
    }`;
  nodeModule.register(`data:text/javascript,${encodeURIComponent(source)}`, { data: own });
}

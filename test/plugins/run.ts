/** The built command line, in a directory of its own far from any node_modules. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { samples } from '../samples.ts';

const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');

export const plugins = path.join(samples, 'plugins');
export const capture = path.join(plugins, 'acme.pcapng');

export const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-plugins-'));
afterAll(() => rmSync(scratch, { recursive: true }));

export function file(name: string, text: string): string {
  writeFileSync(path.join(scratch, name), text);
  return name;
}

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function tunscope(
  args: readonly string[],
  { cwd = scratch, env = {} }: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Result> {
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    env: { HOME: scratch, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  const [status] = await once(child, 'close');
  return { status, ...text };
}

/** What a command that must succeed prints as lines of JSON. */
export async function records<T>(args: readonly string[]): Promise<T[]> {
  const { status, stdout, stderr } = await tunscope([...args, '--ndjson']);
  if (status !== 0 || stderr !== '') throw new Error(`status ${status}: ${stderr}`);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as T);
}

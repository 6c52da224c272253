/** Runs commands inside the test's process: real output without the cost of a process each. */
import { Writable } from 'node:stream';
import type { Context, InputOptions } from '../src/commands/context.ts';
import { type FlowsOptions, flows } from '../src/commands/flows.ts';
import { type PacketsOptions, packets } from '../src/commands/packets.ts';
import { vni } from '../src/commands/vni.ts';

export type CommandName = 'flows' | 'vni' | 'packets';

export interface Output {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      // Commands use the memory of what was written again.
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

/** Runs anything that prints into a context. */
export async function runWith(
  command: (context: Context) => Promise<number>,
  /** Makes standard output a terminal. */
  terminal?: { columns: number },
): Promise<Output> {
  const stdout = collector();
  const stderr = collector();
  const status = await command({
    stdout: terminal ? Object.assign(stdout.stream, { isTTY: true, ...terminal }) : stdout.stream,
    stderr: stderr.stream,
    env: {},
    signal: new AbortController().signal,
  });
  return { status, stdout: stdout.text(), stderr: stderr.text() };
}

export function runCommand(
  name: CommandName,
  files: string[],
  options: PacketsOptions & Partial<Pick<FlowsOptions, 'by' | 'sort'>> = {},
  terminal?: { columns: number },
): Promise<Output> {
  const commands = {
    flows: (context: Context) => flows(files, { vniKey: 'auto', ...options }, context),
    vni: (context: Context) => vni(files, { vniKey: 'auto', ...(options as InputOptions) }, context),
    packets: (context: Context) => packets(files, options, context),
  };
  return runWith(commands[name], terminal);
}

/** The lines of a text that ends with a line break. */
export function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

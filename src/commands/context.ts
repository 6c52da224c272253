/** What a command gets from the process around it, so that none of them touches `process`. */
import type { Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import type { BackendName } from '../live/names.ts';
import type { Decap } from './write.ts';

export interface Context {
  /** Keys, where it is a terminal. */
  readonly stdin?: ReadStream;
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly rows?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted by SIGINT and SIGTERM: results so far are printed. */
  readonly signal: AbortSignal;
  /** Takes what is to be done where the process ends before the command does: nobody reads its output any more. */
  readonly beforeExit?: (complete: () => Promise<void>) => void;
}

/** Options that every command reading captures has. */
export interface InputOptions {
  readonly decodeAs?: string[];
  /** Display filter. */
  readonly filter?: string;
  readonly espSa?: string[];
  readonly macsecKey?: string[];
  /** Of the commands that show what is inside TLS. */
  readonly tlsKeys?: string;
  /** File with the pods, services and nodes of a cluster, or 'cluster' for the one that kubectl knows. */
  readonly k8s?: string;
  /** Files of plug-ins. */
  readonly plugin?: string[];
  readonly count?: number;
  readonly duration?: number;
  /** File to write the packets to, '-' for standard output. */
  readonly write?: string;
  /** When it goes on in another file, and how many are kept. */
  readonly rotate?: string;
  readonly decap?: Decap;
  /** Counts a packet as often as it was captured, also where that was in several places. */
  readonly countCopies?: boolean;
  /** Threads that account flows. */
  readonly workers?: number;
  /** Seconds after which flows end: without a packet, and at all; and how many are kept. */
  readonly idle?: number;
  readonly active?: number;
  readonly maxFlows?: number;
  readonly json?: boolean;
  readonly ndjson?: boolean;
  readonly csv?: boolean;
  readonly limit?: number;
  /** False with -n. */
  readonly names?: boolean;
  readonly progress?: boolean;
  /** Devices to capture on, in place of files; the options from here to `wait` are theirs. */
  readonly interface?: string[];
  readonly captureFilter?: string;
  readonly snaplen?: number;
  /** False with -p. */
  readonly promiscuousMode?: boolean;
  readonly buffer?: number;
  readonly backend?: BackendName | 'auto';
  readonly netns?: string;
  readonly wait?: boolean;
  readonly color?: 'auto' | 'always' | 'never';
}

export type Format = 'table' | 'json' | 'ndjson' | 'csv';

export function formatOf(options: InputOptions): Format {
  return options.json ? 'json' : options.ndjson ? 'ndjson' : options.csv ? 'csv' : 'table';
}

/** Characters per line of the terminal; a pipe gets a width that most viewers have. */
export function lineWidth(context: Context): number {
  const { stdout, env } = context;
  const width = stdout.columns ?? Number(env.COLUMNS);
  return Number.isFinite(width) && width > 0 ? width : 120;
}

/** Rows a table may have where the user set no limit: a terminal's height, or enough to read in a file. */
export function tableRows(context: Context, options: InputOptions): number {
  if (options.limit !== undefined) return options.limit;
  const rows = context.stdout.isTTY ? (context.stdout.rows ?? 24) : 0;
  return rows > 0 ? Math.max(5, rows - 5) : 50;
}

export function useColor(context: Context, options: InputOptions): boolean {
  if (options.color === 'always') return true;
  if (options.color === 'never' || context.env.NO_COLOR) return false;
  return context.stdout.isTTY === true;
}

/** The built command as a process of its own, and what is put around it to fail. */
import { execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { join, pcapHeader, pcapRecord } from '../capture/bytes.ts';
import { eth, geneve, ip, tcp } from '../flow/frames.ts';

export const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');
export const root = process.getuid?.() === 0;

/** Private mounts need rights that containers may lack even for root. */
export const mounts =
  root &&
  spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' }).status === 0;

export interface Result {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function start(args: readonly string[], options: Pick<SpawnOptions, 'cwd' | 'stdio'> = {}) {
  return spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: {}, ...options });
}

async function textOf(stream: Readable | null): Promise<string> {
  let text = '';
  if (stream !== null) for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}

export async function finish(child: ReturnType<typeof start>): Promise<Result> {
  const [stdout, stderr, [status, signal]] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, 'close'),
  ]);
  return { status, signal, stdout, stderr };
}

export function tunscope(
  args: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'stdio'> = {},
): Promise<Result> {
  return finish(start(args, options));
}

/** Runs a script of the shell in which "$@" is the command with `args`. */
export function inShell(script: string, args: readonly string[], cwd?: string): Result {
  const { status, signal, stdout, stderr } = spawnSync(
    'sh',
    ['-c', script, 'sh', process.execPath, main, ...args],
    {
      cwd,
      env: { PATH: process.env.PATH },
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    },
  );
  return { status, signal, stdout, stderr };
}

/** Plain text on top of TCP, in Geneve: `flows` conversations that take turns. */
export function tunnelled(packet: number, flows = 100): Uint8Array {
  const ends = { src: `10.0.${(packet % flows) >> 8}.${(packet % flows) & 255}`, dst: '10.1.0.1' };
  return geneve({ vni: packet % 7 }, eth(0x0800, ip(6, ends, tcp(40000, 80, { seq: packet }))));
}

/** A pcap file of so many packets, one per millisecond. */
export function writeCapture(file: string, packets: number, flows?: number): string {
  const records = Array.from({ length: packets }, (_, i) =>
    pcapRecord(Math.floor(i / 1000), (i % 1000) * 1000, tunnelled(i, flows)),
  );
  writeFileSync(file, join(pcapHeader(), ...records));
  return file;
}

export function makeFifo(file: string): string {
  execFileSync('mkfifo', [file]);
  return file;
}

/** What a child says on a stream: all of it, and a promise of the moment when it has said `pattern`. */
export function follow(stream: Readable) {
  let text = '';
  let look = () => {};
  const all = new Promise<string>((resolve) => stream.on('end', () => resolve(text)));
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    look();
  });
  return {
    all,
    until: (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        look = () => {
          if (pattern.test(text)) resolve();
        };
        stream.on('end', () => reject(new Error(`ended without ${pattern}: ${text}`)));
        look();
      }),
  };
}

/** One run of a command as a whole process: wall seconds, processor seconds and peak resident memory. */
import { spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, readSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const build = join(import.meta.dirname, 'build');
/** Where commands that write files put them; empty before every run. */
export const output = join(build, 'output');

export const isInstalled = (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

// The kernel tells a child's peak only to who waits for it: Node has no call for that, GNU time is one.
const timer = isInstalled('/usr/bin/time');

/** Brings files into the page cache: what was read some jobs ago is not always there any more. */
function warm(files) {
  const block = Buffer.alloc(1 << 20);
  for (const file of files) {
    const descriptor = openSync(file);
    while (readSync(descriptor, block) > 0);
    closeSync(descriptor);
  }
}

/** Standard output goes to a file on the disk that has the captures: what is thrown away costs nothing to write. */
export function measure([program, ...args]) {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  warm(args.filter((arg) => arg.endsWith('.pcap') && statSync(arg).isFile()));
  const usage = join(output, 'usage');
  const stdout = openSync(join(output, 'stdout'), 'w');
  const stderr = openSync(join(output, 'stderr'), 'w');
  const timed = timer ? ['/usr/bin/time', '-q', '-f', '%U %S %M', '-o', usage] : [];
  const [command, ...rest] = [...timed, program, ...args];
  const began = process.hrtime.bigint();
  const { status, error } = spawnSync(command, rest, { stdio: ['ignore', stdout, stderr] });
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  closeSync(stdout);
  closeSync(stderr);
  if (error) throw error;
  if (status !== 0) {
    const said = readFileSync(join(output, 'stderr'), 'utf8').slice(-500);
    throw new Error(`${[program, ...args].join(' ')} ended with ${status}: ${said}`);
  }
  const [user, system, kilobytes] = timer ? readFileSync(usage, 'utf8').split(' ').map(Number) : [];
  rmSync(output, { recursive: true });
  return { seconds, processor: timer ? user + system : null, bytes: timer ? kilobytes * 1024 : null };
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

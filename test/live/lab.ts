/** Two network namespaces with a veth pair between them, and the command line run as a process on it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';

export const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');

/** What is missing for captures in namespaces, null where nothing is. */
export const missing: string | null = (() => {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'root on Linux';
  for (const program of ['ip', 'tcpdump', 'nsenter', 'setpriv'])
    if (spawnSync('which', [program]).status !== 0) return program;
  const name = `tunscope-probe-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', name]).status !== 0) return 'network namespaces';
  execFileSync('ip', ['netns', 'del', name]);
  return null;
})();

/** Where captures make their pipes: a place of our own, for any user. */
const temporary = mkdtempSync(path.join(tmpdir(), 'tunscope-lab-'));
chmodSync(temporary, 0o1777);
process.on('exit', () => rmSync(temporary, { recursive: true, force: true }));

export const hasProgram = (name: string) => spawnSync('which', [name]).status === 0;

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Text of a stream as it comes. */
class Follower {
  text = '';
  private ended = false;
  private look = () => {};

  constructor(stream: Readable) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk;
      this.look();
    });
    stream.on('end', () => {
      this.ended = true;
      this.look();
    });
  }

  until(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      this.look = () => {
        if (pattern.test(this.text)) resolve(this.text);
        else if (this.ended) reject(new Error(`ended without ${pattern}: ${this.text}`));
      };
      this.look();
    });
  }
}

/** A running process whose output is followed. */
export class Run {
  readonly child: ChildProcess;
  readonly stdout: Follower;
  readonly stderr: Follower;
  readonly done: Promise<Result>;

  constructor(command: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const [program, ...args] = command;
    this.child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, TMPDIR: temporary, ...env },
    });
    this.stdout = new Follower(this.child.stdout!);
    this.stderr = new Follower(this.child.stderr!);
    this.done = new Promise((resolve) => {
      this.child.on('close', (status) =>
        resolve({ status, stdout: this.stdout.text, stderr: this.stderr.text }),
      );
    });
  }

  kill(signal: NodeJS.Signals): Promise<Result> {
    this.child.kill(signal);
    return this.done;
  }

  /** Numbers of the processes under this one that run `name`. */
  descendants(name: string): number[] {
    const found: number[] = [];
    const visit = (pid: number) => {
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ');
      for (const child of children.filter((text) => text !== '').map(Number)) {
        if (readFileSync(`/proc/${child}/comm`, 'latin1').trim() === name) found.push(child);
        visit(child);
      }
    };
    visit(this.child.pid!);
    return found;
  }
}

/** The command line as a process. */
export function tunscope(args: readonly string[], env?: Readonly<Record<string, string>>): Run {
  return new Run([process.execPath, main, ...args], env);
}

/** The command line, when it says that it captures. */
export async function capturing(
  args: readonly string[],
  env?: Readonly<Record<string, string>>,
): Promise<Run> {
  const run = tunscope(args, env);
  await run.stderr.until(/capturing on .*\n/);
  return run;
}

let labs = 0;

export class Lab {
  /** Sends. */
  readonly near: string;
  /** Receives. */
  readonly far: string;
  readonly scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-lab-'));

  constructor() {
    const name = `tunscope-${process.pid}-${labs++}`;
    this.near = `${name}-near`;
    this.far = `${name}-far`;
    process.on('exit', () => this.remove());
    for (const namespace of [this.near, this.far]) {
      ip('netns', 'add', namespace);
      // No packets but ours.
      execFileSync('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1']);
      execFileSync('ip', [
        'netns',
        'exec',
        namespace,
        'sysctl',
        '-qw',
        'net.ipv6.conf.default.disable_ipv6=1',
      ]);
      ip('-n', namespace, 'link', 'set', 'lo', 'up');
    }
    this.connect('v0', 1);
  }

  /** A veth pair of that name in both namespaces; frames to 172.31.NET.2 go to nobody on the far side. */
  connect(device: string, net: number): void {
    ip('link', 'add', device, 'netns', this.near, 'type', 'veth', 'peer', 'name', device, 'netns', this.far);
    ip('-n', this.near, 'addr', 'add', `172.31.${net}.1/24`, 'dev', device);
    for (const namespace of [this.near, this.far]) ip('-n', namespace, 'link', 'set', device, 'up');
    const neighbour = [`172.31.${net}.2`, 'lladdr', '02:00:00:00:00:99', 'dev', device];
    ip('-n', this.near, 'neigh', 'replace', ...neighbour);
  }

  disconnect(device: string): void {
    ip('-n', this.far, 'link', 'del', device);
  }

  /** Sends Geneve packets through the devices in turn; resolves when all have arrived. */
  async send(
    count: number,
    { nets = [1], size = 100, version = 0 }: { nets?: number[]; size?: number; version?: number } = {},
  ): Promise<void> {
    const script = path.join(import.meta.dirname, 'send.mjs');
    const args = ['netns', 'exec', this.near, process.execPath, script, `${count}`, `${size}`, `${version}`];
    const { status, stderr } = await new Run(['ip', ...args, ...nets.map(String)]).done;
    if (status !== 0) throw new Error(stderr);
  }

  /** A program in the far namespace. */
  run(...command: string[]): Run {
    return new Run(['ip', 'netns', 'exec', this.far, ...command]);
  }

  /** Ends what still runs, so that a test that failed does not make others fail. */
  clear(): void {
    for (const pid of processesIn(this.far)) process.kill(pid, 'SIGKILL');
  }

  remove(): void {
    for (const name of [this.near, this.far])
      if (existsSync(`/run/netns/${name}`)) spawnSync('ip', ['netns', 'del', name]);
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

export function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Numbers of processes in the namespace. */
export function processesIn(namespace: string): number[] {
  const found = execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
  return found
    .split('\n')
    .filter((text) => text !== '')
    .map(Number);
}

/** The named pipes that captures left behind. */
export function leftPipes(): string[] {
  return readdirSync(temporary);
}

export const namespaceOf = (pid: number) => readlinkSync(`/proc/${pid}/ns/net`);

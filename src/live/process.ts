/** A capture program as a child process: its packets through a pipe, its words as events. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Backend, type Counters, noCounters } from './backend.ts';
import type { User } from './privileges.ts';

/**
 * A named pipe costs both ends half of what the socket pair does that Node makes for a child: 0.23 against 0.36 us per
 * packet for node and tcpdump together without their real work, 800 000 packets of 100 bytes. See docs/decisions/0011.
 */
export class NamedPipe {
  readonly path: string;
  private readonly folder: string;

  /** @param owner Who opens the pipe, where that is not the user of this process. */
  constructor(owner: User | null) {
    this.folder = mkdtempSync(path.join(tmpdir(), 'tunscope-'));
    // AppArmor's profile of tcpdump (Debian, Ubuntu) allows files of this name.
    this.path = path.join(this.folder, 'packets.pcap');
    execFileSync('mkfifo', ['-m', '600', this.path]);
    chmodSync(this.folder, 0o700);
    if (owner === null) return;
    chownSync(this.path, owner.uid, owner.gid);
    chownSync(this.folder, owner.uid, owner.gid);
  }

  /** The reading end, which ends when the writer that opened the pipe is gone. */
  open(buffered: number): Readable {
    const fd = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    // The types know no highWaterMark of sockets, which they take as the streams they are.
    const options = { fd, readable: true, writable: false, readableHighWaterMark: buffered };
    return new Socket(options);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/**
 * Runs the program given as arguments, once or for ever, with its output to the pipe $0. The shell outlives the program,
 * so that what becomes of it is told in order behind its last words. It is the leader of a process group: signals to
 * the group reach both, and a Ctrl-C of the terminal reaches neither.
 */
const ONCE = 'trap : USR1 TERM; "$@" >"$0"; echo "ended $?" >&2';
const AGAIN =
  'trap : USR1; trap stop=1 TERM; while [ -z "$stop" ]; do "$@" >"$0"; echo "ended $?" >&2; sleep 1; done';

export interface ProcessEvents {
  /** The device is open. */
  ready(): void;
  /** What the kernel counted so far in this run. */
  counters(counters: Readonly<Counters>): void;
  /** A run of the program is over, the last one where `final`. */
  ended(reason: string, final: boolean): void;
}

export class CaptureProcess {
  private readonly child: ChildProcess;
  private readonly backend: Backend;
  private readonly events: ProcessEvents;
  /** What the program complained of in this run. */
  private problem: string | null = null;
  private counters = noCounters();
  private running = true;
  private readonly repeat: boolean;

  /**
   * @param prefix Programs that run their arguments: to enter a namespace, to become another user.
   * @param repeat Runs the program again a second after it ended, until told to stop.
   */
  constructor(
    backend: Backend,
    prefix: readonly string[],
    args: readonly string[],
    pipe: NamedPipe,
    repeat: boolean,
    events: ProcessEvents,
  ) {
    this.backend = backend;
    this.repeat = repeat;
    this.events = events;
    const [program, ...rest] = [...prefix, '/bin/sh', '-c', repeat ? AGAIN : ONCE, pipe.path];
    this.child = spawn(program, [...rest, ...backend.command, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
      // The messages are read by a program.
      env: { ...process.env, LC_ALL: 'C' },
    });
    this.child.on('error', (error) => {
      this.problem = error.message;
    });
    // Comes when nobody is left who could write messages.
    this.child.on('close', () => {
      this.running = false;
      events.ended(this.problem ?? 'the capture program is gone', true);
    });
    createInterface({ input: this.child.stderr! }).on('line', (line) => this.line(line));
  }

  /** Sends the signal to the program and its shell. */
  signal(signal: 'SIGTERM' | 'SIGKILL' | 'SIGUSR1'): void {
    const { pid } = this.child;
    if (pid === undefined || !this.running) return;
    try {
      process.kill(-pid, signal);
    } catch {} // gone in between
  }

  private line(line: string): void {
    const { backend, events } = this;
    const ended = /^ended (\d+)$/.exec(line);
    if (ended) {
      this.problem ??= endText(backend.name, Number(ended[1]));
      if (!this.repeat) return; // the shell goes, and 'close' comes
      events.ended(this.problem, false);
      this.problem = null;
      this.counters = noCounters();
    } else if (backend.ready.test(line)) {
      events.ready();
    } else if (backend.count(line, this.counters)) {
      events.counters(this.counters);
    } else if (line !== '' && !backend.chatter.test(line)) {
      this.problem ??= line
        .replace(/^[/\w]+: (pcap_loop: )?/, '')
        .replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());
    }
  }
}

/** A program's end by the status that the shell tells: 128 and above for signals. */
function endText(name: string, status: number): string {
  if (status > 128) return `${name} was killed by signal ${status - 128}`;
  return status === 0 ? `${name} ended` : `${name} ended with status ${status}`;
}

/** The programs that capture for us: how each is called, and what it says on standard error. */
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { UsageError } from '../errors.ts';
import { BACKENDS, type BackendName } from './names.ts';

/**
 * How soon packets must arrive. `batch`: when 4 KiB have come together, at the least cost per packet. `prompt`: within
 * a second, the time after which the kernel hands over a block that is not full. `immediate`: one by one.
 */
export type Latency = 'batch' | 'prompt' | 'immediate';

/** What is asked of every device alike. */
export interface DeviceOptions {
  /** Capture filter in the language of libpcap. */
  readonly filter?: string | undefined;
  /** Bytes of each packet to keep; the backend's default keeps whole packets. */
  readonly snapLength?: number | undefined;
  readonly promiscuous: boolean;
  /** Kernel buffer per device. */
  readonly bufferMiB: number;
  /** Packets after which the backend may stop. */
  readonly count?: number | undefined;
  readonly latency: Latency;
  /** Who a backend started as root is to become by itself. */
  readonly becomes?: string | undefined;
}

/** Totals of one capture as the kernel and the driver count them. */
export interface Counters {
  /** What the program took out of the kernel's buffer. */
  captured: number;
  received: number;
  dropped: number;
  interfaceDropped: number;
}

export function noCounters(): Counters {
  return { captured: 0, received: 0, dropped: 0, interfaceDropped: 0 };
}

export interface Backend {
  readonly name: BackendName;
  /** The program by its path, and what is the same for every call. */
  readonly command: readonly string[];
  arguments(device: string, options: DeviceOptions): string[];
  /** A line that says the device is open. */
  readonly ready: RegExp;
  /** True if the program tells its counters on SIGUSR1. */
  readonly reports: boolean;
  /**
   * Milliseconds that packets may wait in the kernel for their block to be full. A program that is told to end leaves
   * them there.
   */
  readonly blockTime: number;
  /** Enters what the line tells into `counters`; false if it is no such line. */
  count(line: string, counters: Counters): boolean;
  /** Lines that mean nothing to the user. */
  readonly chatter: RegExp;
  /** What the packets lack, for the user to read. */
  readonly limits: string | null;
}

const COUNTED = /(\d+) packets? (captured|received by filter|dropped by kernel|dropped by interface)/g;
const TCPDUMP_COUNTERS: Record<string, keyof Counters> = {
  captured: 'captured',
  'received by filter': 'received',
  'dropped by kernel': 'dropped',
  'dropped by interface': 'interfaceDropped',
};

/**
 * SIGUSR2 (flush) is never sent: it corrupts the output of tcpdump 4.99.3, and with -U ends in a deadlock
 * (tcpdump issue 1231).
 */
function tcpdump(program: string): Backend {
  return {
    name: 'tcpdump',
    command: [program],
    arguments: (device, { filter, snapLength, promiscuous, bufferMiB, count, latency, becomes }) => [
      '-n',
      ...(becomes === undefined ? [] : ['-Z', becomes]),
      ...['-i', device],
      ...(snapLength === undefined ? [] : ['-s', String(snapLength)]),
      ...(promiscuous ? [] : ['-p']),
      ...['-B', String(bufferMiB * 1024)],
      ...(count === undefined ? [] : ['-c', String(count)]),
      ...(latency === 'batch' ? [] : ['-U']),
      ...(latency === 'immediate' ? ['--immediate-mode'] : []),
      '--time-stamp-precision=nano',
      ...['-w', '-'],
      ...(filter === undefined ? [] : ['--', filter]),
    ],
    ready: /^tcpdump: listening on /,
    reports: true,
    blockTime: 1000,
    count(line, counters) {
      let found = false;
      for (const [, number, what] of line.matchAll(COUNTED)) {
        counters[TCPDUMP_COUNTERS[what]] = Number(number);
        found = true;
      }
      return found;
    },
    chatter: /^(tcpdump: data link type|dropped privs|NOTE: )/,
    limits: null,
  };
}

function dumpcap(program: string): Backend {
  return {
    name: 'dumpcap',
    command: [program],
    arguments: (device, { filter, snapLength, promiscuous, bufferMiB, count }) => [
      '-q', // and not -P: as pcap it writes microseconds, as pcapng nanoseconds
      ...['-i', device],
      ...(snapLength === undefined ? [] : ['-s', String(snapLength)]),
      ...(promiscuous ? [] : ['-p']),
      ...['-B', String(bufferMiB)],
      ...(count === undefined ? [] : ['-c', String(count)]),
      ...(filter === undefined ? [] : ['-f', filter]),
      ...['-w', '-'],
    ],
    ready: /^File: /,
    reports: false,
    blockTime: 250,
    count(line, counters) {
      const match =
        /^Packets received\/dropped on interface .*: (\d+)\/(\d+) .*?(?:ps_ifdrop:(\d+))?\) /.exec(line);
      if (match === null) return /^Packets captured: /.test(line);
      const [, kept, dropped, interfaceDropped] = match;
      counters.received = Number(kept) + Number(dropped); // it leaves the dropped ones out, tcpdump does not
      counters.dropped = Number(dropped);
      counters.interfaceDropped = Number(interfaceDropped ?? 0);
      return true;
    },
    chatter: /^(Capturing on |dumpcap: cap_set_proc)/,
    limits: null,
  };
}

function cap(): Backend {
  return {
    name: 'cap',
    command: [process.execPath, fileURLToPath(new URL('./cap-child.js', import.meta.url))],
    arguments: (device, { filter, snapLength, promiscuous, bufferMiB }) => {
      if (!promiscuous) throw new UsageError('-p: the backend cap is always promiscuous');
      return [device, String(bufferMiB), String(snapLength ?? 262_144), filter ?? ''];
    },
    ready: /^listening on /,
    reports: false,
    blockTime: 0,
    count: () => false,
    // Warnings of the library, and what the process says when it is aborted.
    chatter: /^(?!cap: )/,
    limits: 'times are those of arrival in the process, cut packets and drops are not known',
  };
}

/** Where capture programs live that are not in every user's PATH. */
const SYSTEM_PATH = ['/usr/sbin', '/sbin', '/usr/local/sbin'];

/** Path of a program, null where there is none. */
export function findProgram(name: string, searchPath: string | undefined): string | null {
  for (const folder of [...(searchPath ?? '').split(path.delimiter), ...SYSTEM_PATH]) {
    if (!path.isAbsolute(folder)) continue;
    const program = path.join(folder, name);
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {}
  }
  return null;
}

function capIsInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('cap');
    return true;
  } catch {
    return false;
  }
}

const INSTALL = 'install tcpdump (apt install tcpdump, dnf install tcpdump, apk add tcpdump; macOS has it)';
const INSTALL_ONE: Record<BackendName, string> = {
  tcpdump: INSTALL,
  dumpcap:
    'install it (apt install wireshark-common, dnf install wireshark-cli, apk add wireshark-common, brew install wireshark)',
  cap: 'npm builds it where it finds a compiler and libpcap (apt install libpcap-dev g++ make, dnf install libpcap-devel gcc-c++ make, apk add libpcap-dev g++ make); then npm install cap',
};

/**
 * The backend of that name, or for `auto` the first that is there: in the order of how exact they are.
 *
 * @throws {UsageError} It is not installed.
 */
export function chooseBackend(name: BackendName | 'auto', searchPath: string | undefined): Backend {
  for (const candidate of name === 'auto' ? BACKENDS : [name]) {
    if (candidate === 'cap') {
      if (capIsInstalled()) return cap();
    } else {
      const program = findProgram(candidate, searchPath);
      if (program !== null) return candidate === 'tcpdump' ? tcpdump(program) : dumpcap(program);
    }
  }
  if (name === 'auto') throw new UsageError(`there is no program to capture with: ${INSTALL}`);
  throw new UsageError(`--backend ${name}: not found: ${INSTALL_ONE[name]}`);
}

/**
 * The npm package `cap` as a capture program, in a process of its own: it aborts when an interface goes down (its
 * issue 82), and while packets come faster than they are taken, nothing else in the process runs. It tells neither
 * times nor original lengths nor drops (its issue 85): times here are those of arrival.
 *
 *     node cap-child.js DEVICE MIB SNAPLEN FILTER      pcap to standard output
 */
import { writeSync } from 'node:fs';

interface Cap {
  /** Returns the name of the link type. */
  open(device: string, filter: string, bufferSize: number, buffer: Buffer): string;
  on(event: 'packet', listener: (bytes: number, truncated: boolean) => void): void;
  close(): void;
}

/** LINKTYPE_ values by cap's names; others it calls "Unknown linktype NUMBER". */
const LINK_TYPES: Record<string, number> = {
  NULL: 0,
  ETHERNET: 1,
  RAW: 101,
  IEEE802_11_RADIO: 127,
  LINKTYPE_LINUX_SLL: 113,
};

const PACKET_LIMIT = 65535;
const RECORD_HEADER = 16;
const GATHER = 1 << 16;
/** Milliseconds that packets are held back to write several at once. */
const HOLD = 50;

const [device, mebibytes, snapLength, filter] = process.argv.slice(2);
const keep = Math.min(PACKET_LIMIT, Number(snapLength));
const output = Buffer.alloc(GATHER + RECORD_HEADER + PACKET_LIMIT);
let used = 0;
let flushed = performance.now();

function flush(): void {
  flushed = performance.now();
  let written = 0;
  try {
    while (written < used) written += writeSync(1, output, written, used - written);
  } catch {
    process.exit(0); // nobody reads any more
  }
  used = 0;
}

function fail(error: unknown): never {
  process.stderr.write(`cap: ${(error as Error).message}\n`);
  process.exit(1);
}

/** cap keeps nothing but a pointer to it: collected, it would be overwritten in use. */
const buffer = Buffer.alloc(PACKET_LIMIT);

function take(bytes: number): void {
  const now = performance.timeOrigin + performance.now();
  const captured = Math.min(bytes, keep);
  const microseconds = Math.floor((now % 1000) * 1000);
  used = output.writeUInt32LE(Math.floor(now / 1000), used);
  used = output.writeUInt32LE(microseconds, used);
  used = output.writeUInt32LE(captured, used);
  used = output.writeUInt32LE(bytes, used);
  used += buffer.copy(output, used, 0, captured);
  if (used >= GATHER || performance.now() - flushed >= HOLD) flush();
}

// The name is kept from the compiler, which would want types for what may not be installed.
const name: string = 'cap';
const library = (await import(name)).default as { Cap: new () => Cap };
const cap = new library.Cap();
try {
  const linkType = cap.open(device, filter, Number(mebibytes) << 20, buffer);
  const number = LINK_TYPES[linkType] ?? Number(/^Unknown linktype (\d+)$/.exec(linkType)?.[1] ?? Number.NaN);
  if (Number.isNaN(number)) throw new Error(`link type ${linkType} is not known`);
  used = output.writeUInt32LE(0xa1b2c3d4, used);
  used = output.writeUInt16LE(2, used);
  used = output.writeUInt16LE(4, used);
  used = output.writeBigUInt64LE(0n, used);
  used = output.writeUInt32LE(keep, used);
  used = output.writeUInt32LE(number, used);
} catch (error) {
  fail(error);
}
flush();
cap.on('packet', take);
process.stderr.write(`listening on ${device}\n`);
setInterval(() => {
  if (used > 0) flush();
}, HOLD);
process.on('SIGTERM', () => {
  cap.close();
  flush();
  process.exit(0);
});

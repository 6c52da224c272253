/** A written capture as a row of files, each complete in itself, of which only the last may be kept. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { UsageError } from '../errors.ts';
import { type Destination, openGrowing } from './destination.ts';

export interface Rotation {
  /** Bytes after which the next file begins. */
  readonly size: number;
  /** Milliseconds after which it does. */
  readonly time: number;
  /** Files that are kept. */
  readonly files: number;
}

const SIZES: Record<string, number> = { '': 1, k: 1e3, M: 1e6, G: 1e9 };
const TIMES: Record<string, number> = { '': 1e3, s: 1e3, m: 60e3, h: 3600e3 };

const RULE = /^(?:(size):(\d+)([kMG]?)|(time):(\d+)([smh]?)|(files):(\d+))$/;

/**
 * Reads what `--rotate` says: `size:100M`, `time:60s`, `files:10`, separated by commas.
 *
 * @throws {UsageError} It says something else, or never to begin another file.
 */
export function parseRotation(text: string): Rotation {
  const rotation = {
    size: Number.POSITIVE_INFINITY,
    time: Number.POSITIVE_INFINITY,
    files: Number.POSITIVE_INFINITY,
  };
  for (const rule of text.split(',')) {
    const [, size, bytes, sizeUnit, time, duration, timeUnit, files, count] = RULE.exec(rule) ?? [];
    if (size) rotation.size = Number(bytes) * SIZES[sizeUnit];
    else if (time) rotation.time = Number(duration) * TIMES[timeUnit];
    else if (files) rotation.files = Number(count);
    else
      throw new UsageError(`--rotate ${rule}: expected size:100M, time:60s or files:10, separated by commas`);
  }
  if (Math.min(rotation.size, rotation.time, rotation.files) === 0)
    throw new UsageError(`--rotate ${text}: expected numbers above 0`);
  if (rotation.size === Number.POSITIVE_INFINITY && rotation.time === Number.POSITIVE_INFINITY)
    throw new UsageError(`--rotate ${text}: say when the next file begins: size:100M, time:60s`);
  return rotation;
}

export class RotatedFiles {
  private readonly path: path.ParsedPath;
  private readonly rotation: Rotation;
  private readonly kept: string[] = [];
  private made = 0;
  private opened = 0;

  /** @param file name that numbers and times are put into: a.pcapng becomes a_00001_20261123005922.pcapng */
  constructor(file: string, rotation: Rotation) {
    this.path = path.parse(file);
    this.rotation = rotation;
  }

  /** True where the current file, of so many bytes, has had its time. */
  isDue(size: number): boolean {
    return size >= this.rotation.size || performance.now() - this.opened >= this.rotation.time;
  }

  /** The next file; the oldest one goes where there are too many. */
  async open(): Promise<Destination> {
    const { dir, name, ext } = this.path;
    const number = String(++this.made).padStart(5, '0');
    const time = new Date().toISOString().replace(/\D/g, '').slice(0, 14);
    const file = path.join(dir, `${name}_${number}_${time}${ext}`);
    const destination = await openGrowing(file);
    this.opened = performance.now();
    this.kept.push(file);
    if (this.kept.length > this.rotation.files) await rm(this.kept.shift()!, { force: true });
    return destination;
  }
}

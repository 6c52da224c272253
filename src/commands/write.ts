/** `-w`: packets on their way to a command are written as well. */
import { fstat } from 'node:fs';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { PacketBatch } from '../capture/batch.ts';
import type { Capture } from '../capture/capture.ts';
import { CaptureWriter } from '../capture/capture-writer.ts';
import { DecapWriter } from '../capture/decap-writer.ts';
import { type Destination, openDestination, StreamDestination } from '../capture/destination.ts';
import { parseRotation, RotatedFiles } from '../capture/rotation.ts';
import type { Dissector } from '../core/dissector.ts';
import { Layers } from '../core/layers.ts';
import { type FlowRoles, Outline } from '../core/outline.ts';
import { printable } from '../core/text.ts';
import { OutputError, UsageError } from '../errors.ts';
import { countText } from '../output/units.ts';
import type { PacketSink } from '../pipeline.ts';
import type { Context, InputOptions } from './context.ts';

/** What `--decap` says: how many tunnels deep, or the innermost frames. */
export type Decap = number | 'innermost';

/** Refuses what cannot be written together with what is read and printed. */
export async function checkWrite(
  files: readonly string[],
  { write, decap, rotate, interface: devices }: InputOptions,
  /** The command prints nothing of its own. */
  silent: boolean,
  { stdout }: Context,
): Promise<void> {
  if (rotate !== undefined) {
    if (write === undefined || write === '-')
      throw new UsageError('--rotate is for files that -w writes: name one with -w');
    if (devices === undefined) throw new UsageError('--rotate is for captures with -i');
    parseRotation(rotate);
  }
  if (write === undefined) {
    if (decap !== undefined) throw new UsageError('--decap says what -w writes: name a file with -w');
    return;
  }
  if (write === '-') {
    if (!silent)
      throw new UsageError(
        '-w -: results go to standard output already; write to a file, or use packets without other output',
      );
    if (stdout.isTTY) throw new UsageError('-w -: standard output is a terminal');
  }
  // Of `>> FILE`, each packet written would be one more to read.
  const target = await (write === '-' ? promisify(fstat)(1) : stat(write)).catch(() => null);
  if (!target?.isFile()) return;
  for (const file of files) {
    const source = await (file === '-' ? promisify(fstat)(0) : stat(file)).catch(() => null);
    if (source?.dev === target.dev && source.ino === target.ino)
      throw new UsageError(`-w ${write}: is the capture that is read`);
  }
}

/** Writes the packets that a command sees. Where writing fails, the user is told and the command goes on without. */
export class CaptureOutput {
  private readonly writer: CaptureWriter | DecapWriter;
  private readonly files: RotatedFiles | null;
  private readonly dissector: Dissector;
  private readonly roles: FlowRoles;
  private readonly context: Context;
  private readonly layers = new Layers();
  private readonly outline = new Outline();
  /** Nothing more is written: the file is complete, or writing it failed. */
  private ended = false;
  private failed = false;
  private pending: Promise<void> = Promise.resolve();

  private constructor(
    writer: CaptureWriter | DecapWriter,
    files: RotatedFiles | null,
    dissector: Dissector,
    roles: FlowRoles,
    context: Context,
  ) {
    this.writer = writer;
    this.files = files;
    this.dissector = dissector;
    this.roles = roles;
    this.context = context;
  }

  /** Opens what `-w` names, null where it is not given. */
  static async open(
    { write, decap, rotate }: InputOptions,
    capture: Capture,
    dissector: Dissector,
    roles: FlowRoles,
    context: Context,
  ): Promise<CaptureOutput | null> {
    if (write === undefined) return null;
    const files = rotate === undefined ? null : new RotatedFiles(write, parseRotation(rotate));
    let destination: Destination;
    if (files) destination = await files.open();
    else if (write === '-') destination = new StreamDestination(context.stdout);
    else destination = await openDestination(write, context.signal);
    const writer =
      decap === undefined
        ? new CaptureWriter(capture, destination)
        : new DecapWriter(capture, roles, destination, { depth: decap === 'innermost' ? undefined : decap });
    const output = new CaptureOutput(writer, files, dissector, roles, context);
    context.beforeExit?.(() => output.complete());
    return output;
  }

  /** A sink that writes what it hands on to `inner`. */
  before(inner: PacketSink): PacketSink {
    const { take } = inner;
    return {
      // What a sink takes without a walk is written without one, unless there is a frame to find in it.
      ...(take && {
        take: (batch, from, to, roots, stops) => {
          const next = take.call(inner, batch, from, to, roots, stops);
          this.taken(batch, from, next, roots);
          return next;
        },
      }),
      packet: (packet) => {
        inner.packet(packet);
        this.packet(packet.batch, packet.index, packet.layers, packet.outline);
      },
      flush: async () => {
        await inner.flush?.();
        await this.attempt(() => this.flush());
      },
      end: async (stops) => {
        await inner.end?.(stops);
        await this.complete();
      },
    };
  }

  private async flush(): Promise<void> {
    const { writer, files } = this;
    if (files?.isDue(writer.size)) await writer.next(await files.open());
    else await writer.flush();
  }

  private taken(batch: PacketBatch, from: number, to: number, roots: Int32Array): void {
    const { dissector, roles, layers, outline } = this;
    const walks = this.writer instanceof DecapWriter;
    const { view, offset, captured, length, interfaceIndex } = batch;
    for (let i = from; i < to; i++) {
      if (walks) {
        dissector.walk(view, offset[i], captured[i], length[i], roots[interfaceIndex[i]], layers);
        outline.read(layers, roles, offset[i]);
      }
      this.packet(batch, i, layers, outline);
    }
  }

  private packet(batch: PacketBatch, i: number, layers: Layers, outline: Outline): void {
    if (!this.ended) this.writer.packet(batch, i, layers, outline);
  }

  private complete(): Promise<void> {
    const completing = this.attempt(() => this.writer.complete());
    this.ended = true;
    return completing;
  }

  /** Writes after what is being written; says so where that fails. */
  private attempt(write: () => Promise<void>): Promise<void> {
    if (this.ended) return this.pending;
    this.pending = this.pending
      .then(() => (this.failed ? undefined : write()))
      .catch(async (error) => {
        if (!(error instanceof OutputError)) throw error;
        await this.fail(error.message);
      });
    return this.pending;
  }

  private async fail(reason: string): Promise<void> {
    this.ended = true;
    this.failed = true;
    const left = await this.writer.abandon();
    this.say(left === null ? reason : `${reason}; what was written before is in ${left}`);
  }

  /** Gives up where the run failed. */
  async abandon(): Promise<void> {
    if (!this.ended) await this.fail('the capture is not written to its end');
  }

  /** Says what is not as the user may think; false where the file is not what was asked for. */
  report(): boolean {
    if (this.failed) return false;
    const { writer } = this;
    if (writer.clampedTimes > 0)
      this.say(
        `-w: ${countText(writer.clampedTimes)} packets have times before 1970 or after 2554, which pcapng has not`,
      );
    if (writer instanceof DecapWriter) {
      const { untunnelled, fragments, frameless } = writer.leftOut;
      const shallow =
        (writer.depth ?? 1) === 1 ? 'without a tunnel' : `in fewer than ${writer.depth} tunnels`;
      const reasons = [
        untunnelled > 0 ? `${countText(untunnelled)} ${shallow}` : '',
        fragments > 0 ? `${countText(fragments)} later fragments` : '',
        frameless > 0 ? `${countText(frameless)} without a frame inside` : '',
      ].filter((text) => text !== '');
      if (reasons.length > 0) this.say(`--decap left out packets: ${reasons.join(', ')}`);
      if (writer.crowded > 0)
        this.say(
          `--decap: too many tunnels for an interface each: ${countText(writer.crowded)} packets say in their comments which`,
        );
    }
    return true;
  }

  private say(text: string): void {
    this.context.stderr.write(`tunscope: ${printable(text)}\n`);
  }
}

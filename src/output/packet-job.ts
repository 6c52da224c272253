/** A batch's packets as they go to another thread, and their records as they come back. */
import type { PacketBatch } from '../capture/batch.ts';
import type { CaptureInterface } from '../capture/capture.ts';
import type { Dissector } from '../core/dissector.ts';
import { Layers } from '../core/layers.ts';
import { type FlowRoles, Outline } from '../core/outline.ts';
import type { PacketSource } from '../core/record.ts';
import { PacketJson } from './packet-json.ts';

export type Origin = Pick<CaptureInterface, 'file' | 'name' | 'linkType'>;

export interface PacketJob {
  readonly bytes: Uint8Array;
  readonly offset: Int32Array;
  readonly captured: Int32Array;
  readonly length: Float64Array;
  readonly seconds: Float64Array;
  readonly nanoseconds: Int32Array;
  readonly interfaceIndex: Int32Array;
  readonly numbers: Float64Array | null;
  readonly firstNumber: number;
  readonly comments: ReadonlyMap<number, string> | null;
  /** By interface. */
  readonly roots: Int32Array;
  readonly origins: readonly Origin[];
  /** Commas before records; `first`: but not before the first. */
  readonly separate: boolean;
  readonly first: boolean;
  /** Memory for the records: fresh memory for each batch costs as much as what is put there. */
  readonly room: Uint8Array;
}

export interface PacketJobResult {
  readonly lines: Uint8Array;
  /** Those of the job, for the next. */
  readonly bytes: Uint8Array;
  /** Packets by `Stop`. */
  readonly stops: Float64Array;
}

/**
 * Copies packets [from, to) of a batch, which soon holds others.
 * @param memory for its bytes, if there is room
 */
export function packetJob(
  batch: PacketBatch,
  from: number,
  to: number,
  memory: Uint8Array,
  rest: Pick<PacketJob, 'roots' | 'origins' | 'separate' | 'first' | 'room'>,
): PacketJob {
  const start = batch.offset[from];
  const end = batch.offset[to - 1] + batch.captured[to - 1];
  const bytes = end - start <= memory.length ? memory : new Uint8Array(end - start);
  bytes.set(batch.bytes.subarray(start, end));
  const comments = batch.comments && new Map([...batch.comments].map(([i, text]) => [i - from, text]));
  return {
    bytes,
    offset: batch.offset.slice(from, to).map((offset) => offset - start),
    captured: batch.captured.slice(from, to),
    length: batch.length.slice(from, to),
    seconds: batch.seconds.slice(from, to),
    nanoseconds: batch.nanoseconds.slice(from, to),
    interfaceIndex: batch.interfaceIndex.slice(from, to),
    numbers: batch.numbers?.slice(from, to) ?? null,
    firstNumber: batch.firstNumber + from,
    comments,
    ...rest,
  };
}

const COMMA = 0x2c;
const NEWLINE = 0x0a;

/** Does jobs, one after the other. */
export class PacketJobs {
  private readonly json: PacketJson;
  private readonly dissector: Dissector;
  private readonly roles: FlowRoles;
  private readonly layers = new Layers();
  private readonly outline = new Outline();

  constructor(dissector: Dissector, roles: FlowRoles) {
    this.dissector = dissector;
    this.roles = roles;
    this.json = new PacketJson(dissector, roles);
  }

  do(job: PacketJob): PacketJobResult {
    const { json, dissector, roles, layers, outline } = this;
    const { out } = json;
    const { bytes, offset, captured, length, interfaceIndex, roots, separate } = job;
    out.begin(job.room);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const stops = new Float64Array(6);
    for (let i = 0; i < offset.length; i++) {
      dissector.walk(view, offset[i], captured[i], length[i], roots[interfaceIndex[i]], layers);
      outline.read(layers, roles, offset[i]);
      stops[layers.stop]++;
      if (separate && !(job.first && i === 0)) out.byte(COMMA);
      json.write(view, offset[i], layers, outline, sourceOf(job, i));
      out.byte(NEWLINE);
    }
    return { lines: out.bytes.subarray(0, out.length), bytes, stops };
  }
}

function sourceOf(job: PacketJob, i: number): PacketSource {
  const { file, name, linkType } = job.origins[job.interfaceIndex[i]];
  return {
    number: job.numbers === null ? job.firstNumber + i : job.numbers[i],
    seconds: job.seconds[i],
    nanoseconds: job.nanoseconds[i],
    file,
    interface: name,
    length: job.length[i],
    captured: job.captured[i],
    linkType,
    comment: job.comments?.get(i) ?? null,
  };
}

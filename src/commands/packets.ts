/** `tunscope packets`: one line per packet, with -V the field tree, with -x the bytes. */
import type { Dissector } from '../core/dissector.ts';
import type { DecryptedRecord, PacketSource } from '../core/record.ts';
import { printable } from '../core/text.ts';
import type { PacketHeaderReader } from '../decrypt/packet-headers.ts';
import { csvHeader, csvLine } from '../output/csv.ts';
import { hexdump } from '../output/hexdump.ts';
import { jsonText } from '../output/json.ts';
import { namedCsv } from '../output/named.ts';
import { PacketJson } from '../output/packet-json.ts';
import { PACKET_CSV, packetLine, packetLineText, packetTreeLines } from '../output/packet-lines.ts';
import { TextWriter } from '../output/writer.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import { type Context, formatOf, type InputOptions, lineWidth } from './context.ts';
import { packetHeaders } from './decryption.ts';
import { type Analysis, analyse, prepare, report, threadsFor } from './input.ts';

export interface PacketsOptions extends InputOptions {
  readonly tree?: boolean;
  readonly hex?: boolean;
  /** Headers drawn bit by bit. */
  readonly diagram?: boolean;
  /** Only the packet that has this number in its file. */
  readonly number?: number;
  /** A write for each packet. */
  readonly lineBuffered?: boolean;
}

export async function packets(files: string[], options: PacketsOptions, context: Context): Promise<number> {
  let limited =
    options.limit === undefined
      ? options
      : { ...options, count: Math.min(options.limit, options.count ?? options.limit) };
  // In one file, no other has its number.
  if (options.number !== undefined && files.length === 1) limited = { ...limited, count: 1 };
  const format = formatOf(options);
  const isText = !options.tree && !options.hex && !options.diagram;
  const silent = options.write === '-' && format === 'table' && isText;
  const walk = { application: !silent, silent, keyLog: !silent };
  const prepared = onlyNumber(
    await prepare(files, limited, walk, context, { latency: 'immediate' }),
    options.number,
  );
  if (silent) {
    const summary = await analyse(prepared, { take: (_, _from, to) => to, packet() {} }, limited, context);
    return report(prepared, summary, context, false);
  }
  const { filter } = prepared;
  const relativeTime = relativeClock();
  const headers = await packetHeaders(prepared);
  // Times count from the capture's first packet, whether it matches or not.
  const analysis: Analysis = filter
    ? {
        ...prepared,
        filter(packet) {
          relativeTime(packet);
          const matches = filter(packet);
          if (!matches) headers?.skip(packet);
          return matches;
        },
      }
    : prepared;
  const diagrams = options.diagram ? (await import('../output/packet-diagram.ts')).packetDiagrams : null;
  const writer = new TextWriter(context.stdout, options.lineBuffered ? 1 : undefined);
  const sink =
    format === 'json' || format === 'ndjson'
      ? await jsonSink(format, files, analysis, headers, options, writer)
      : {
          packet: printer(format, analysis, relativeTime, headers, diagrams, options, context, writer),
          flush: () => writer.flush(),
        };
  if (format === 'json') writer.line('{"schema":1,"packets":[');
  if (format === 'csv') writer.line(csvHeader(namedCsv(PACKET_CSV, prepared.names)));
  const summary = await analyse(analysis, sink, limited, context);
  if (format === 'json') writer.line(`],"summary":${jsonText(summary)}}`);
  await writer.flush();
  if (options.tlsKeys !== undefined)
    for (const remark of headers?.remarks() ?? []) context.stderr.write(`tunscope: ${remark}\n`);
  if (options.number !== undefined && summary.packets === 0)
    context.stderr.write(
      `tunscope: no packet ${options.number}${options.filter === undefined ? '' : ' that matches'}\n`,
    );
  return report(analysis, summary, context, false);
}

/** As if there were no other packets. */
function onlyNumber(analysis: Analysis, number: number | undefined): Analysis {
  if (number === undefined) return analysis;
  const { filter } = analysis;
  return {
    ...analysis,
    filter: (packet) => packet.batch.number(packet.index) === number && filter?.(packet) !== false,
  };
}

/** Seconds since the first packet that it was asked of. */
function relativeClock(): (packet: Packet) => number {
  let first = Number.NaN;
  return ({ batch, index }) => {
    const time = batch.seconds[index] + batch.nanoseconds[index] / 1e9;
    if (Number.isNaN(first)) first = time;
    return time - first;
  };
}

const COMMA = 0x2c;
const NEWLINE = 0x0a;
const NOTHING: readonly DecryptedRecord[] = [];

/** Bytes of capture from which on a second thread pays: half a second's work. */
const WORTH_THREADS = 16 << 20;

/** Prints records, a batch's at a time. */
async function jsonSink(
  format: 'json' | 'ndjson',
  files: readonly string[],
  { dissector, roles, capture, decryption, output, filter, names }: Analysis,
  headers: PacketHeaderReader | null,
  options: PacketsOptions,
  writer: TextWriter,
): Promise<PacketSink> {
  const { lineBuffered = false, plugin = [], decodeAs = [] } = options;
  // Other threads know what is built in, and see packets in no order; devices want theirs shown at once.
  const asked = filter || names || plugin.length > 0;
  const alone = headers || decryption || output || capture.live || lineBuffered || asked;
  const threads = alone ? 1 : await threadsFor(files, options, WORTH_THREADS);
  if (threads > 1) {
    const { ParallelPackets } = await import('../output/parallel-packets.ts');
    const { interfaces } = capture;
    return new ParallelPackets(dissector, roles, interfaces, threads, decodeAs, writer, format === 'json');
  }
  const json = new PacketJson(dissector, roles);
  const { out } = json;
  let separate = false;
  return {
    packet(packet) {
      if (separate) out.byte(COMMA);
      separate = format === 'json';
      const { batch, index, layers, outline } = packet;
      const from = out.length;
      json.write(batch.view, batch.offset[index], layers, outline, sourceOf(packet, headers));
      if (names) {
        const text = Buffer.from(out.bytes.subarray(from, out.length)).toString();
        out.length = from;
        out.text(jsonText(names.record(JSON.parse(text))));
      }
      out.byte(NEWLINE);
      if (lineBuffered) {
        writer.copy(out.bytes.subarray(0, out.length));
        out.length = 0;
      }
    },
    flush: () => writer.bytes(out.take()),
  };
}

function sourceOf(packet: Packet, headers: PacketHeaderReader | null): PacketSource {
  const { batch, index, interface: on } = packet;
  return {
    number: batch.number(index),
    seconds: batch.seconds[index],
    nanoseconds: batch.nanoseconds[index],
    file: on.file,
    interface: on.name,
    length: batch.length[index],
    captured: batch.captured[index],
    linkType: on.linkType,
    comment: batch.comments?.get(index) ?? null,
    decrypted: headers?.records(packet) ?? NOTHING,
  };
}

function printer(
  format: 'table' | 'csv',
  analysis: Analysis,
  relativeTime: (packet: Packet) => number,
  headers: PacketHeaderReader | null,
  diagrams: ((packet: Packet, dissector: Dissector) => string[]) | null,
  options: PacketsOptions,
  context: Context,
  writer: TextWriter,
): (packet: Packet) => void {
  const { dissector, roles, capture, names: kube } = analysis;
  const lineOf = (packet: Packet) => {
    const line = packetLine(packet, dissector, roles, relativeTime(packet));
    const decrypted = headers?.text(packet) ?? '';
    return decrypted === '' ? line : { ...line, protocol: 'http2', info: decrypted };
  };
  const csv = namedCsv(PACKET_CSV, kube);
  if (format === 'csv') return (packet) => writer.line(csvLine(csv, lineOf(packet)));
  const named = (text: string) => (kube === null ? text : kube.beside(text));
  const width = context.stdout.isTTY ? lineWidth(context) : 0;
  const names = options.names !== false && context.stdout.isTTY ? capture.names : undefined;
  return (packet) => {
    if (options.tree) {
      for (const line of packetTreeLines(packet, dissector)) writer.line(named(line));
      for (const line of headers?.lines(packet) ?? []) writer.line(named(`  ${printable(line)}`));
    } else {
      writer.line(named(packetLineText(lineOf(packet), width, names)));
    }
    if (diagrams) {
      writer.line('');
      for (const line of diagrams(packet, dissector)) writer.line(line);
    }
    if (options.hex) {
      const { batch, index } = packet;
      for (const line of hexdump(
        batch.bytes,
        batch.offset[index],
        batch.offset[index] + batch.captured[index],
      ))
        writer.line(`  ${line}`);
    }
    if (options.tree || options.hex) writer.line('');
  };
}

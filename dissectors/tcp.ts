/**
 * Transmission Control Protocol (RFC 9293 section 3.1).
 *
 *   0                   1                   2                   3
 *   |          source port          |       destination port        |
 *   |                        sequence number                        |
 *   |                     acknowledgment number                     |
 *   | offset| rsrv|A|C|E|U|A|P|R|S|F|            window             |
 *   |           checksum            |        urgent pointer         |
 *   |            options, padded to 4 * data offset                 |
 *
 * and each option but the two single bytes (0 ends the list, 1 pads):
 *
 *   | kind 8 | length 8, of the whole option | data |
 *
 * Sequence numbers are the raw ones everywhere, those of SACK blocks too: relative ones need the connection.
 */
import { bytes, computed, flag, u8, u16, u32 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { hexText } from '../src/core/text.ts';

const tcpPort = table('tcp.port');

export const sourcePort = u16('tcp.srcport', 'Source Port', 0);
export const destinationPort = u16('tcp.dstport', 'Destination Port', 2);
/** As on the wire, not counted from the connection's first. */
export const sequence = u32('tcp.seq_raw', 'Sequence Number (raw)', 4);
/** As on the wire, not counted from the connection's first. */
export const acknowledgment = u32('tcp.ack_raw', 'Acknowledgment number (raw)', 8);
export const headerLength = u8('tcp.hdr_len', 'Header Length', 12, { mask: 0xf0, scale: 4, unit: ' bytes' });
/** The twelve bits after the data offset; `TcpFlag` names them. */
export const flags = u16('tcp.flags', 'Flags', 12, { mask: 0x0fff, base: 'hex' });
/** Before scaling. */
export const window = u16('tcp.window_size_value', 'Window', 14);
export const checksum = u16('tcp.checksum', 'Checksum', 16, { base: 'hex' });
const urgentPointer = u16('tcp.urgent_pointer', 'Urgent Pointer', 18);

/** Bits of `flags`. */
export const TcpFlag = {
  fin: 0x001,
  syn: 0x002,
  reset: 0x004,
  push: 0x008,
  ack: 0x010,
  urgent: 0x020,
  ece: 0x040,
  cwr: 0x080,
  accurateEcn: 0x100,
} as const;

const FLAG_NAMES: readonly (readonly [bit: number, name: string])[] = [
  [TcpFlag.fin, 'FIN'],
  [TcpFlag.syn, 'SYN'],
  [TcpFlag.reset, 'RST'],
  [TcpFlag.push, 'PSH'],
  [TcpFlag.ack, 'ACK'],
  [TcpFlag.urgent, 'URG'],
  [TcpFlag.ece, 'ECE'],
  [TcpFlag.cwr, 'CWR'],
  [TcpFlag.accurateEcn, 'AE'],
];

const flagBit = (name: string, label: string, bit: number) => flag(`tcp.flags.${name}`, label, 12, bit, 2);

const payloadLength = computed<number>('tcp.len', 'TCP Segment Len', 'uint');

// Fields of options lie relative to the option's kind byte, those of SACK blocks relative to the block.
export const optionKind = u8('tcp.option_kind', 'Kind', 0, { list: true });
export const optionLength = u8('tcp.option_len', 'Length', 1, { list: true });
export const maximumSegmentSize = u16('tcp.options.mss_val', 'MSS Value', 2);
const windowScale = u8('tcp.options.wscale.shift', 'Shift count', 2);
const sackLeft = u32('tcp.options.sack_le', 'TCP SACK Left Edge', 0, { list: true });
const sackRight = u32('tcp.options.sack_re', 'TCP SACK Right Edge', 4, { list: true });
const timestampValue = u32('tcp.options.timestamp.tsval', 'Timestamp value', 2);
const timestampEcho = u32('tcp.options.timestamp.tsecr', 'Timestamp echo reply', 6);
const md5Digest = bytes('tcp.options.md5.digest', 'MD5 digest', 2, 16);
const userTimeoutMinutes = flag('tcp.options.user_to_granularity', 'Granularity', 2, 0x8000, 2);
const userTimeout = u16('tcp.options.user_to_val', 'User Timeout', 2, { mask: 0x7fff });
const aoKey = u8('tcp.options.ao.keyid', 'AO KeyID', 2);
const aoNextKey = u8('tcp.options.ao.rnextkeyid', 'AO RNextKeyID', 3);
const aoMac = computed<string>('tcp.options.ao.mac', 'AO MAC', 'bytes');
const multipathSubtype = u8('tcp.options.mptcp.subtype', 'Multipath TCP subtype', 2, {
  mask: 0xf0,
  list: true,
  values: {
    0: 'Multipath Capable',
    1: 'Join Connection',
    2: 'Data Sequence Signal',
    3: 'Add Address',
    4: 'Remove Address',
    5: 'Change Subflow Priority',
    6: 'TCP Fallback',
    7: 'Fast Close',
    8: 'TCP Reset',
  },
});
const fastOpenRequest = computed<boolean>('tcp.options.tfo.request', 'Fast Open Cookie Request', 'bool');
const fastOpenCookie = computed<string>('tcp.options.tfo.cookie', 'Fast Open Cookie', 'bytes');
const experiment = u16('tcp.options.experimental.exid', 'Experiment Identifier', 2, {
  base: 'hex',
  list: true,
});
const unknownData = computed<string>('tcp.options.unknown.payload', 'Payload', 'bytes', { list: true });

interface OptionShape {
  readonly name: string;
  /** The lengths that `show` can read. */
  readonly minimum: number;
  readonly maximum: number;
  readonly show: (out: Details, at: number, length: number) => void;
}

/** Adds the bytes from `from` to the end of the option as a value. */
function rest(out: Details, field: typeof aoMac, at: number, length: number, from: number): void {
  if (length > from) out.computed(field, hexText(out.view, at + from, at + length), at + from, length - from);
}

const OPTIONS: Readonly<Record<number, OptionShape>> = {
  2: {
    name: 'Maximum segment size',
    minimum: 4,
    maximum: 4,
    show: (out, at) => out.field(maximumSegmentSize, at),
  },
  3: { name: 'Window scale', minimum: 3, maximum: 3, show: (out, at) => out.field(windowScale, at) },
  4: { name: 'SACK permitted', minimum: 2, maximum: 2, show: () => {} },
  5: {
    name: 'SACK',
    minimum: 10,
    maximum: 34,
    show(out, at, length) {
      for (let block = at + 2; block + 8 <= at + length; block += 8) {
        out.field(sackLeft, block);
        out.field(sackRight, block);
      }
    },
  },
  8: {
    name: 'Timestamps',
    minimum: 10,
    maximum: 10,
    show(out, at) {
      out.field(timestampValue, at);
      out.field(timestampEcho, at);
    },
  },
  19: { name: 'TCP MD5 signature', minimum: 18, maximum: 18, show: (out, at) => out.field(md5Digest, at) },
  28: {
    name: 'User Timeout Option',
    minimum: 4,
    maximum: 4,
    show(out, at) {
      out.field(userTimeoutMinutes, at);
      out.field(userTimeout, at);
    },
  },
  29: {
    name: 'TCP Authentication Option',
    minimum: 4,
    maximum: 40,
    show(out, at, length) {
      out.field(aoKey, at);
      out.field(aoNextKey, at);
      rest(out, aoMac, at, length, 4);
    },
  },
  30: { name: 'Multipath TCP', minimum: 3, maximum: 40, show: (out, at) => out.field(multipathSubtype, at) },
  34: {
    name: 'TCP Fast Open Cookie',
    minimum: 2,
    maximum: 18,
    show(out, at, length) {
      if (length === 2) out.computed(fastOpenRequest, true, at, length);
      else rest(out, fastOpenCookie, at, length, 2);
    },
  },
  253: {
    name: 'RFC3692-style Experiment 1',
    minimum: 4,
    maximum: 40,
    show: (out, at) => out.field(experiment, at),
  },
  254: {
    name: 'RFC3692-style Experiment 2',
    minimum: 4,
    maximum: 40,
    show: (out, at) => out.field(experiment, at),
  },
};

export const HEADER = 20;
const END_OF_LIST = 0;
const NO_OPERATION = 1;

/** `claimed`: where the header says that it ends; the options there are end at the body. */
function options(out: Details, claimed: number): void {
  const { view, body } = out;
  let at = out.start + HEADER;
  if (at >= body) return;
  out.open(`Options: (${body - at} bytes)`, at, body - at);
  while (at < body) {
    const kind = optionKind.read(view, at);
    if (kind === END_OF_LIST || kind === NO_OPERATION) {
      out.open(
        `TCP Option - ${kind === NO_OPERATION ? 'No-Operation (NOP)' : 'End of Option List (EOL)'}`,
        at,
        1,
      );
      out.field(optionKind, at);
      out.close();
      if (kind === END_OF_LIST) break;
      at++;
      continue;
    }
    if (at + 1 === body && body < claimed) break; // cut by the capture
    const length = at + 1 < body ? optionLength.read(view, at) : 0;
    if (length < 2 || length > claimed - at) {
      out.remark(
        'tcp.option-length',
        'warning',
        at,
        body - at,
        `option ${kind} runs past the header or has no length`,
      );
      break;
    }
    if (length > body - at) break;
    const shape = OPTIONS[kind];
    out.open(`TCP Option - ${shape?.name ?? 'Unknown'} (${length} bytes)`, at, length);
    out.field(optionKind, at);
    out.field(optionLength, at);
    if (shape === undefined) {
      rest(out, unknownData, at, length, 2);
    } else if (length < shape.minimum || length > shape.maximum) {
      out.remark(
        'tcp.option-length',
        'warning',
        at,
        length,
        `${shape.name} option of ${length} bytes: no such length`,
      );
    } else {
      shape.show(out, at, length);
    }
    out.close();
    at += length;
  }
  out.close();
}

function flagNames(set: number): string {
  let names = '';
  for (const [bit, name] of FLAG_NAMES) {
    if ((set & bit) !== 0) names += names === '' ? name : `, ${name}`;
  }
  return names === '' ? '<None>' : names;
}

export const tcp = defineProtocol({
  name: 'tcp',
  title: 'Transmission Control Protocol',
  reference: 'RFC 9293',
  fields: [
    sourcePort,
    destinationPort,
    sequence,
    acknowledgment,
    headerLength,
    flags,
    flagBit('ae', 'Accurate ECN', TcpFlag.accurateEcn),
    flagBit('cwr', 'Congestion Window Reduced', TcpFlag.cwr),
    flagBit('ece', 'ECN-Echo', TcpFlag.ece),
    flagBit('urg', 'Urgent', TcpFlag.urgent),
    flagBit('ack', 'Acknowledgment', TcpFlag.ack),
    flagBit('push', 'Push', TcpFlag.push),
    flagBit('reset', 'Reset', TcpFlag.reset),
    flagBit('syn', 'Syn', TcpFlag.syn),
    flagBit('fin', 'Fin', TcpFlag.fin),
    window,
    checksum,
    urgentPointer,
  ],
  detailFields: [
    payloadLength,
    optionKind,
    optionLength,
    maximumSegmentSize,
    windowScale,
    sackLeft,
    sackRight,
    timestampValue,
    timestampEcho,
    md5Digest,
    userTimeoutMinutes,
    userTimeout,
    aoKey,
    aoNextKey,
    aoMac,
    multipathSubtype,
    fastOpenRequest,
    fastOpenCookie,
    experiment,
    unknownData,
  ],
  minLength: HEADER,
  on: [['ip.proto', 6]],
  step(view, start, layers) {
    const header = headerLength.read(view, start);
    if (header < 20) {
      layers.stop = Stop.malformed;
      return;
    }
    layers.body = start + header;
    layers.next(tcpPort, destinationPort.read(view, start));
    layers.otherKey = sourcePort.read(view, start);
  },
  plain: { header: { field: headerLength }, next: { ports: tcpPort } },
  details(out) {
    const claimed = out.start + headerLength.read(out.view, out.start);
    if (claimed < out.start + HEADER || claimed > out.limit) {
      out.remark(
        'tcp.header-length',
        'error',
        out.start + 12,
        1,
        `a header of ${claimed - out.start} bytes, in ${out.limit - out.start}`,
      );
    } else if (!out.goesOn) {
      out.computed(payloadLength, out.limit - claimed, out.start + headerLength.at, 1);
    }
    options(out, claimed);
  },
  info(view, start, layer) {
    const set = flags.read(view, start);
    const ack = (set & TcpFlag.ack) !== 0 ? ` Ack=${acknowledgment.read(view, start)}` : '';
    // Not from `body`, which is not behind the header where the capture cuts that.
    const length = layer.limit - start - headerLength.read(view, start);
    const payload = layer.goesOn || length < 0 ? '' : ` Len=${length}`;
    return `[${flagNames(set)}] Seq=${sequence.read(view, start)}${ack} Win=${window.read(view, start)}${payload}`;
  },
  flow: { ports: [sourcePort, destinationPort] },
});

/** Flows of several captures, or of several machines, as one. */
import type { DirectionRecord, FlowRecord, OptionCountRecord, TcpCounts, TcpRecord } from './records.ts';

/**
 * Merges two lists of flows: those of one conversation become one. The order of the lists and of merges does not matter.
 *
 * Counts are added; times span both. Direction and tunnel endpoints are those of the earlier record; the TCP state is the
 * later one's; of round trips the smaller is kept, of mean acknowledgment times the larger, since what they are means of is
 * not in a record. A packet that both captures hold counts twice.
 */
export function mergeFlows(a: readonly FlowRecord[], b: readonly FlowRecord[]): FlowRecord[] {
  const merged = new Map<string, FlowRecord>();
  for (const flow of [...a, ...b]) {
    const key = conversationOf(flow);
    const other = merged.get(key);
    merged.set(key, other === undefined ? flow : mergeTwo(other, flow));
  }
  return [...merged.entries()]
    .sort(([x, one], [y, two]) => compare(one.first, two.first) || compare(x, y))
    .map(([, flow]) => flow);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What two records of one conversation have in common, whichever way each of them goes. */
function conversationOf(flow: FlowRecord): string {
  const ends = [`${flow.src} ${flow.srcPort}`, `${flow.dst} ${flow.dstPort}`].sort();
  const vnis = [flow.vni, flow.reverseVni ?? flow.vni].sort();
  const levels = flow.tunnels.map(({ protocol, vni }, i) => [
    protocol,
    i === flow.tunnels.length - 1 ? null : vni,
  ]);
  return JSON.stringify([levels, vnis, flow.protocol, flow.icmp, ends]);
}

/** The flow seen from its other end. */
function turned(flow: FlowRecord): FlowRecord {
  const { tcp } = flow;
  return {
    ...flow,
    vni: flow.reverseVni ?? flow.vni,
    reverseVni: flow.reverseVni === null ? null : flow.vni,
    src: flow.dst,
    srcPort: flow.dstPort,
    dst: flow.src,
    dstPort: flow.srcPort,
    forward: flow.reverse,
    reverse: flow.forward,
    ...(tcp && { tcp: { ...tcp, forward: tcp.reverse, reverse: tcp.forward } }),
  };
}

function mergeTwo(a: FlowRecord, b: FlowRecord): FlowRecord {
  // Of records that begin at the same time either may come first, but always the same one.
  const place = (flow: FlowRecord) =>
    JSON.stringify([flow.first, flow.src, flow.srcPort, flow.vni, flow.tunnels]);
  const [early, late] = compare(place(a), place(b)) <= 0 ? [a, b] : [b, a];
  const same = early.src === late.src && early.srcPort === late.srcPort && early.vni === late.vni;
  const other = same ? late : turned(late);
  const last = early.last > other.last ? early.last : other.last;
  return {
    ...early,
    packets: early.packets + other.packets,
    bytes: early.bytes + other.bytes,
    forward: add(early.forward, other.forward),
    reverse: add(early.reverse, other.reverse),
    outerBytes: early.outerBytes + other.outerBytes,
    last,
    duration: secondsBetween(early.first, last),
    options: mergeOptions(early.options, other.options),
    ...(early.tcp && other.tcp && { tcp: mergeTcp(early.tcp, other.tcp, early.last, other.last) }),
    ...(!early.tcp && other.tcp && { tcp: other.tcp }),
  };
}

function add(a: DirectionRecord, b: DirectionRecord): DirectionRecord {
  return { packets: a.packets + b.packets, bytes: a.bytes + b.bytes };
}

/** Seconds and nanoseconds of a time as records have it. */
function timeOf(text: string): [seconds: number, nanoseconds: number] {
  const point = text.lastIndexOf('.');
  return [Date.parse(`${text.slice(0, point)}Z`) / 1000, Number(text.slice(point + 1, -1))];
}

function secondsBetween(first: string, last: string): number {
  const [a, b] = [timeOf(first), timeOf(last)];
  return Math.round((b[0] - a[0]) * 1e9 + b[1] - a[1]) / 1e9;
}

function mergeOptions(a: readonly OptionCountRecord[], b: readonly OptionCountRecord[]): OptionCountRecord[] {
  const merged = new Map<number, OptionCountRecord>();
  for (const option of [...a, ...b]) {
    const key = option.class * 256 + option.type;
    merged.set(key, { ...option, packets: option.packets + (merged.get(key)?.packets ?? 0) });
  }
  return [...merged.keys()].sort((x, y) => x - y).map((key) => merged.get(key)!);
}

const COUNTS = [
  'retransmissions',
  'outOfOrder',
  'duplicateAcks',
  'lostSegments',
  'keepAlives',
  'zeroWindows',
  'resets',
] as const satisfies readonly (keyof TcpCounts)[];

function mergeCounts<C extends TcpCounts>(a: C, b: C): C {
  const merged = { ...a };
  for (const count of COUNTS) merged[count] = a[count] + b[count];
  return merged;
}

/** The smaller or larger of two numbers, either of which may be missing. */
function choose(a: number | null, b: number | null, of: (a: number, b: number) => number): number | null {
  return a === null ? b : b === null ? a : of(a, b);
}

function mergeSide(a: TcpRecord['forward'], b: TcpRecord['forward']): TcpRecord['forward'] {
  return { ...mergeCounts(a, b), ackTime: choose(a.ackTime, b.ackTime, Math.max) };
}

function mergeTcp(a: TcpRecord, b: TcpRecord, lastOfA: string, lastOfB: string): TcpRecord {
  const order = compare(lastOfA, lastOfB) || compare(a.state, b.state);
  return {
    ...mergeCounts(a, b),
    state: order > 0 ? a.state : b.state,
    connections: a.connections + b.connections,
    rtt: choose(a.rtt, b.rtt, Math.min),
    forward: mergeSide(a.forward, b.forward),
    reverse: mergeSide(a.reverse, b.reverse),
  };
}

/** Flows and VNIs as tables and CSV. */
import type { FlowRecord } from '../flow/records.ts';
import type { VniRecord } from '../flow/vni.ts';
import type { CsvColumn } from './csv.ts';
import type { Column } from './table.ts';
import { bytesText, countText, durationText, optionKeyText, percentText } from './units.ts';

/** An end of a conversation, e.g. "10.0.0.1:443", "[fd00::1]:443", or a name in place of the address. */
export function endText(
  address: string | null,
  port: number | null,
  names?: ReadonlyMap<string, string>,
): string {
  if (address === null) return '-';
  const name = names?.get(address);
  if (port === null) return name ?? address;
  return name === undefined && address.includes(':') ? `[${address}]:${port}` : `${name ?? address}:${port}`;
}

const dash = (text: string | number | null | undefined) =>
  text === null || text === undefined ? '-' : String(text);

function vniText(flow: FlowRecord): string {
  return flow.reverseVni === null ? dash(flow.vni) : `${dash(flow.vni)}/${flow.reverseVni}`;
}

/** Tunnel protocols of a flow from the outside in, VNIs where there are several. */
function tunnelText(flow: FlowRecord): string {
  return flow.tunnels.length === 0
    ? '-'
    : flow.tunnels.map(({ protocol, src, dst }) => `${protocol} ${dash(src)} > ${dash(dst)}`).join('\n');
}

function troubleText(flow: FlowRecord): string {
  const { tcp } = flow;
  if (!tcp) return '';
  const parts = [
    [tcp.retransmissions, 'retr'],
    [tcp.outOfOrder, 'ooo'],
    [tcp.duplicateAcks, 'dup'],
    [tcp.lostSegments, 'lost'],
    [tcp.zeroWindows, 'zwin'],
    [tcp.resets, 'rst'],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, name]) => `${countText(count)} ${name}`)
    .join(' ');
}

function protocolText(flow: FlowRecord): string {
  if (!flow.icmp) return dash(flow.protocol);
  return flow.icmp.id === null ? `${flow.protocol} ${flow.icmp.type}` : `${flow.protocol}`;
}

/** Columns for a table `width` characters wide: below 100, conversations of long addresses take two lines. */
export function flowColumns(width: number, names?: ReadonlyMap<string, string>): Column<FlowRecord>[] {
  const room = width < 100 ? 37 : Number.POSITIVE_INFINITY;
  return [
    { heading: 'VNI', right: true, rank: 0, cell: vniText },
    { heading: 'PROTO', rank: 0, cell: protocolText },
    {
      heading: 'CONVERSATION',
      rank: 0,
      cell: (flow) => {
        const from = endText(flow.src, flow.srcPort, names);
        const to = endText(flow.dst, flow.dstPort, names);
        return from.length + to.length + 3 <= room ? `${from} > ${to}` : `${from}\n> ${to}`;
      },
    },
    { heading: 'PACKETS', right: true, rank: 1, cell: (flow) => countText(flow.packets) },
    { heading: 'BYTES', right: true, rank: 0, cell: (flow) => bytesText(flow.bytes) },
    {
      heading: 'THERE / BACK',
      right: true,
      rank: 6,
      cell: ({ forward, reverse }) => `${bytesText(forward.bytes)} / ${bytesText(reverse.bytes)}`,
    },
    { heading: 'TCP', rank: 1, cell: (flow) => flow.tcp?.state ?? '' },
    {
      heading: 'RTT',
      right: true,
      rank: 3,
      cell: (flow) => (flow.tcp?.rtt == null ? '' : durationText(flow.tcp.rtt)),
    },
    { heading: 'TROUBLE', rank: 2, cell: troubleText },
    { heading: 'LASTED', right: true, rank: 4, cell: (flow) => durationText(flow.duration) },
    { heading: 'TUNNEL', rank: 5, cell: tunnelText },
    { heading: 'FIRST', rank: 7, cell: (flow) => flow.first.slice(11, 23) },
  ];
}

export const FLOW_CSV: readonly CsvColumn<FlowRecord>[] = [
  { name: 'vni', value: (flow) => flow.vni },
  { name: 'reverse_vni', value: (flow) => flow.reverseVni },
  {
    name: 'tunnels',
    value: (flow) => flow.tunnels.map(({ protocol, vni }) => `${protocol}:${vni ?? ''}`).join(' '),
  },
  { name: 'tunnel_src', value: (flow) => flow.tunnels.at(-1)?.src },
  { name: 'tunnel_dst', value: (flow) => flow.tunnels.at(-1)?.dst },
  { name: 'tunnel_dst_port', value: (flow) => flow.tunnels.at(-1)?.dstPort },
  { name: 'protocol', value: (flow) => flow.protocol },
  { name: 'src', value: (flow) => flow.src },
  { name: 'src_port', value: (flow) => flow.srcPort },
  { name: 'dst', value: (flow) => flow.dst },
  { name: 'dst_port', value: (flow) => flow.dstPort },
  { name: 'packets', value: (flow) => flow.packets },
  { name: 'bytes', value: (flow) => flow.bytes },
  { name: 'forward_packets', value: (flow) => flow.forward.packets },
  { name: 'forward_bytes', value: (flow) => flow.forward.bytes },
  { name: 'reverse_packets', value: (flow) => flow.reverse.packets },
  { name: 'reverse_bytes', value: (flow) => flow.reverse.bytes },
  { name: 'outer_bytes', value: (flow) => flow.outerBytes },
  { name: 'first', value: (flow) => flow.first },
  { name: 'last', value: (flow) => flow.last },
  { name: 'duration', value: (flow) => flow.duration },
  { name: 'tcp_state', value: (flow) => flow.tcp?.state },
  { name: 'tcp_rtt', value: (flow) => flow.tcp?.rtt },
  { name: 'tcp_retransmissions', value: (flow) => flow.tcp?.retransmissions },
  { name: 'tcp_out_of_order', value: (flow) => flow.tcp?.outOfOrder },
  { name: 'tcp_duplicate_acks', value: (flow) => flow.tcp?.duplicateAcks },
  { name: 'tcp_lost_segments', value: (flow) => flow.tcp?.lostSegments },
  { name: 'tcp_zero_windows', value: (flow) => flow.tcp?.zeroWindows },
  { name: 'tcp_resets', value: (flow) => flow.tcp?.resets },
  { name: 'icmp_type', value: (flow) => flow.icmp?.type },
  { name: 'icmp_id', value: (flow) => flow.icmp?.id },
];

function sharesText(vni: VniRecord): string {
  const shares = Object.entries(vni.protocols).sort(([, a], [, b]) => b.bytes - a.bytes);
  const shown = shares
    .slice(0, 3)
    .map(([name, { bytes }]) => `${name} ${Math.round((100 * bytes) / (vni.bytes || 1))}%`);
  return shown.join(' ') + (shares.length > 3 ? ` +${shares.length - 3}` : '');
}

function endpointsText(vni: VniRecord): string {
  const [first] = vni.tunnelEndpoints;
  if (first === undefined) return '';
  const more = vni.tunnelEndpoints.length - 1;
  return `${dash(first[0])} - ${dash(first[1])}${more > 0 ? ` +${countText(more)}` : ''}`;
}

function optionsText(vni: VniRecord): string {
  const names = vni.options.map((option) => option.name ?? optionKeyText(option.class, option.type));
  return names.slice(0, 3).join(' ') + (names.length > 3 ? ` +${names.length - 3}` : '');
}

export function vniColumns(): Column<VniRecord>[] {
  return [
    { heading: 'VNI', right: true, rank: 0, cell: (vni) => dash(vni.vni) },
    { heading: 'TUNNEL', rank: 0, cell: (vni) => vni.protocol ?? 'none' },
    { heading: 'PACKETS', right: true, rank: 0, cell: (vni) => countText(vni.packets) },
    { heading: 'BYTES', right: true, rank: 0, cell: (vni) => bytesText(vni.bytes) },
    {
      heading: 'OVERHEAD',
      right: true,
      rank: 1,
      cell: (vni) => (vni.protocol === null ? '' : percentText(vni.overhead)),
    },
    { heading: 'FLOWS', right: true, rank: 0, cell: (vni) => countText(vni.flows) },
    { heading: 'ENDPOINTS', right: true, rank: 2, cell: (vni) => countText(vni.endpoints) },
    {
      heading: 'MEANING',
      rank: 3,
      cell: ({ meaning, meaningIsGuess }) =>
        meaning === null ? '' : `${meaning}${meaningIsGuess ? '?' : ''}`,
    },
    { heading: 'INSIDE', rank: 4, cell: sharesText },
    { heading: 'BETWEEN', rank: 5, cell: endpointsText },
    { heading: 'OPTIONS', rank: 6, cell: optionsText },
    { heading: 'FIRST', rank: 7, cell: (vni) => vni.first.slice(11, 23) },
    { heading: 'LAST', rank: 8, cell: (vni) => vni.last.slice(11, 23) },
  ];
}

export const VNI_CSV: readonly CsvColumn<VniRecord>[] = [
  { name: 'protocol', value: (vni) => vni.protocol },
  { name: 'vni', value: (vni) => vni.vni },
  { name: 'packets', value: (vni) => vni.packets },
  { name: 'bytes', value: (vni) => vni.bytes },
  { name: 'outer_bytes', value: (vni) => vni.outerBytes },
  { name: 'overhead', value: (vni) => vni.overhead },
  { name: 'flows', value: (vni) => vni.flows },
  { name: 'endpoints', value: (vni) => vni.endpoints },
  {
    name: 'tunnel_endpoints',
    value: (vni) => vni.tunnelEndpoints.map(([a, b]) => `${a ?? ''}-${b ?? ''}`).join(' '),
  },
  {
    name: 'protocols',
    value: (vni) =>
      Object.entries(vni.protocols)
        .map(([name, { packets }]) => `${name}:${packets}`)
        .join(' '),
  },
  { name: 'first', value: (vni) => vni.first },
  { name: 'last', value: (vni) => vni.last },
  { name: 'meaning', value: (vni) => vni.meaning },
  { name: 'meaning_is_guess', value: (vni) => (vni.meaning === null ? null : vni.meaningIsGuess) },
];

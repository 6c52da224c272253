/** What `tunscope mesh` prints for people. */
import type { FindingRecord } from '../check/findings.ts';
import { wrapped } from '../check/rule-text.ts';
import { printable } from '../core/text.ts';
import { IstioVni } from '../mesh/istio.ts';
import type { HopRecord, JourneyRecord, LegRecord } from '../mesh/journeys.ts';
import type { MeshRecord, MeshTunnelRecord } from '../mesh/record.ts';
import { type Column, renderTable, type TableStyle } from './table.ts';
import { countText, percentText } from './units.ts';

const tunnelColumns: readonly Column<MeshTunnelRecord>[] = [
  { heading: 'DEVICE', rank: 0, cell: ({ device, istio }) => (istio ? device : `${device}?`) },
  { heading: 'VNI', rank: 1, right: true, cell: ({ vni }) => String(vni) },
  { heading: 'NODE', rank: 0, cell: ({ hostIp }) => hostIp },
  { heading: 'ZTUNNEL', rank: 0, cell: ({ ztunnelIp, udpPort }) => `${ztunnelIp}:${udpPort}` },
  { heading: 'PACKETS', rank: 4, right: true, cell: ({ packets }) => countText(packets) },
  { heading: 'SYN', rank: 3, right: true, cell: ({ syn }) => countText(syn) },
  { heading: 'TCP ELSE', rank: 5, right: true, cell: ({ synAck, otherTcp }) => countText(synAck + otherTcp) },
  { heading: 'ARP', rank: 2, cell: ({ arp }) => arp.health },
  {
    heading: 'MTU',
    rank: 6,
    right: true,
    cell: ({ mtuEstimate }) => (mtuEstimate === null ? '' : String(mtuEstimate)),
  },
  {
    heading: 'PROTECTION',
    rank: 7,
    cell: ({ protection }) =>
      [...(protection?.around ?? []), ...(protection?.inside ?? []).map((name) => `${name} inside`)].join(
        ', ',
      ) || 'none seen',
  },
];

const journeyColumns: readonly Column<JourneyRecord>[] = [
  { heading: 'CLIENT', rank: 0, cell: ({ app, client }) => app?.connection.split(' > ')[0] ?? client },
  { heading: 'WANTS', rank: 0, cell: ({ destination }) => destination ?? '' },
  { heading: 'HBONE TO', rank: 1, cell: ({ hbone }) => hbone?.connection.split(' > ')[1] ?? '' },
  {
    heading: 'CONNECT',
    rank: 2,
    cell: ({ connect, destination }) =>
      connect === null
        ? ''
        : `${connect.authority === destination ? '' : `${connect.authority} `}${connect.status ?? 'unanswered'}`,
  },
  { heading: 'DELIVERED TO', rank: 3, cell: ({ delivery }) => delivery?.connection.split(' > ')[1] ?? '' },
  {
    heading: 'SURE',
    rank: 4,
    right: true,
    cell: ({ confidence }) => (confidence === null ? '' : percentText(confidence)),
  },
];

/** Evidence as 'file.pcap 3, 7'. */
function packetsText(packets: readonly { readonly file: string | null; readonly packet: number }[]): string {
  const byFile = new Map<string, number[]>();
  for (const { file, packet } of packets) {
    const name = file === null ? 'packet' : file.slice(file.lastIndexOf('/') + 1);
    byFile.set(name, [...(byFile.get(name) ?? []), packet]);
  }
  return [...byFile].map(([file, numbers]) => `${file} ${numbers.join(', ')}`).join('; ');
}

export function meshLines(
  mesh: MeshRecord,
  findings: readonly FindingRecord[],
  style: TableStyle,
  rows: number,
): string[] {
  const profile = mesh.profile === null ? '' : ` (${mesh.profile})`;
  const lines = [`${mesh.mode}${profile}, confidence ${percentText(mesh.confidence)}`];
  for (const { text, packets } of mesh.evidence) {
    const where = packets.length === 0 ? '' : ` [${packetsText(packets)}]`;
    lines.push(...hanging(printable(`- ${text}${where}`), style.width));
  }
  const more = (all: number, what: string) =>
    all > rows ? [`... and ${countText(all - rows)} more ${what} (--limit N, --json)`] : [];
  if (mesh.tunnels.length > 0)
    lines.push(
      '',
      renderTable(mesh.tunnels.slice(0, rows), tunnelColumns, style),
      ...more(mesh.tunnels.length, 'tunnels'),
    );
  for (const { hostIp, from, to, time } of mesh.changes)
    lines.push(`node ${hostIp}: ztunnel ${to} in place of ${from} since ${time}`);
  if (mesh.pods.length > 0) {
    const text = mesh.pods
      .slice(0, rows)
      .map(({ ip, seenIn }) => `${ip} (${seenIn.map(direction).join(', ')})`);
    lines.push('', ...hanging(`pods: ${text.join(', ')}`, style.width), ...more(mesh.pods.length, 'pods'));
  }
  const { connections, hello } = mesh.hbone;
  if (connections > 0)
    lines.push(
      '',
      `HBONE: ${countText(connections)} connections, ${countText(hello)} with the hello of a ztunnel`,
    );
  if (mesh.journeys.length > 0)
    lines.push(
      '',
      renderTable(mesh.journeys.slice(0, rows), journeyColumns, style),
      ...more(mesh.journeys.length, 'journeys'),
    );
  for (const { rule, severity, count, text } of findings.slice(0, rows))
    lines.push('', ...hanging(`${rule} ${severity}, ${countText(count)}: ${text}`, style.width));
  lines.push(...more(findings.length, 'findings'));
  return lines;
}

const direction = (vni: number) => (vni === IstioVni.istioin ? 'in' : 'out');

function hanging(text: string, width: number): string[] {
  return wrapped(text, width - 2).map((line, i) => (i === 0 ? line : `  ${line}`));
}

export function pathLines(
  mesh: MeshRecord,
  journeys: readonly JourneyRecord[],
  wanted: string,
  width: number,
): string[] {
  if (journeys.length === 0)
    return [
      printable(`no journey through ${wanted} among ${countText(mesh.journeys.length)} (mode: ${mesh.mode})`),
    ];
  return journeys.flatMap((journey, i) => [...(i > 0 ? [''] : []), ...journeyLines(mesh, journey, width)]);
}

/** A place on the way, and which hops of a connection show it. */
interface Place {
  readonly name: string;
  readonly shows: (hop: HopRecord) => boolean;
}

const named = (name: string): Place => ({ name, shows: ({ place }) => place === name });
const inside = (vni: number, name: string): Place => ({ name, shows: (hop) => hop.vni === vni });

/** The Geneve tunnels of 1.18 to 1.20; in-pod and eBPF redirection have none. */
const OUT: readonly Place[] = [
  named('istioout'),
  inside(IstioVni.istioout, 'Geneve 1001'),
  named('pistioout'),
];
const IN: readonly Place[] = [named('istioin'), inside(IstioVni.istioin, 'Geneve 1000'), named('pistioin')];

function journeyLines(mesh: MeshRecord, journey: JourneyRecord, width: number): string[] {
  const isGeneve = mesh.mode === 'iptables+geneve';
  const { app, hbone, delivery, connect } = journey;
  const lines = [`pod ${journey.client}`];
  lines.push(...legLines('app', app, isGeneve ? OUT : [], width));
  lines.push('ztunnel');
  lines.push(...legLines('HBONE', hbone, isGeneve ? IN : [], width));
  if (connect !== null)
    for (const [name, value] of [
      ['CONNECT', `${connect.authority ?? 'not seen'}, status ${connect.status ?? 'not seen'}`],
      ['baggage', connect.baggage],
      ['forwarded', connect.forwarded],
      ['traceparent', connect.traceparent],
      [
        'inside',
        [connect.innerRequest, connect.innerResponse].filter((text) => text !== null).join(' / ') || null,
      ],
    ] as const)
      if (value !== null)
        lines.push(...wrapped(printable(`${name} ${value}`), width - 6).map((text) => `  |   ${text}`));
  lines.push('ztunnel');
  lines.push(...legLines('app', delivery, [], width));
  lines.push(delivery ? `pod ${delivery.connection.split(' > ')[1]}` : 'pod not seen');
  return lines;
}

function legLines(name: string, leg: LegRecord | null, places: readonly Place[], width: number): string[] {
  if (leg === null) return [`  |  ${name}: not seen in this capture`, '  v'];
  const sure = leg.confidence === 1 ? '' : `, ${percentText(leg.confidence)} sure`;
  const lines = [
    `  |  ${name} ${leg.connection}${leg.answered ? '' : ', no answer seen'}${sure}`,
    ...(leg.confidence === 1
      ? []
      : wrapped(printable(`(${leg.because})`), width - 6).map((text) => `  |   ${text}`)),
  ];
  const left = [...leg.hops];
  const rows: (readonly [string, HopRecord | null])[] = [];
  for (const place of places) {
    const shown = left.filter(place.shows);
    if (shown.length === 0) rows.push([place.name, null]);
  }
  for (const hop of left) rows.push([places.find((place) => place.shows(hop))?.name ?? 'bare', hop]);
  for (const [place, hop] of rows.sort((a, b) => order(a) - order(b))) {
    const text =
      hop === null
        ? `${place.padEnd(12)} not seen`
        : `${place.padEnd(12)} ${deviceText(hop).padEnd(10)} ${sinceText(hop).padStart(11)}  ${printable(packetsText([hop.evidence]))}`;
    lines.push(`  |   ${text.length > width - 6 ? `${text.slice(0, width - 7)}~` : text}`);
  }
  return [...lines, '  v'];
}

/** What was seen in the order of its time, what was not behind it. */
function order([, hop]: readonly [string, HopRecord | null]): number {
  return hop === null ? 1 : 0;
}

/** The device alone: the packet's file is named beside it. */
function deviceText({ place, evidence: { file } }: HopRecord): string {
  const name = file?.slice(file.lastIndexOf('/') + 1);
  const device = name !== undefined && place.startsWith(name) ? place.slice(name.length).trim() : place;
  return printable(device);
}

function sinceText({ sinceBefore }: HopRecord): string {
  return sinceBefore === null ? '' : `+${countText(sinceBefore)} us`;
}

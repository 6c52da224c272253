/** Packets as one line each, and as a tree. */
import type { Dissector } from '../core/dissector.ts';
import { type Layers, stopName } from '../core/layers.ts';
import type { FlowRoles, Outline } from '../core/outline.ts';
import { layerAddress, layerPort } from '../core/record.ts';
import { printable, timeText } from '../core/text.ts';
import { packetTree } from '../core/tree.ts';
import type { Packet } from '../pipeline.ts';
import type { CsvColumn } from './csv.ts';
import { endText } from './flow-table.ts';

/** What one line says of a packet. */
export interface PacketLine {
  readonly number: number;
  /** Seconds since the capture's first packet. */
  readonly relative: number;
  readonly time: string;
  readonly file: string | null;
  readonly interface: string | null;
  readonly length: number;
  readonly captured: number;
  /** Tunnels from the outside in: "vxlan 100 > geneve 7". */
  readonly tunnels: string;
  readonly vni: number | null;
  readonly src: string | null;
  readonly srcPort: number | null;
  readonly dst: string | null;
  readonly dstPort: number | null;
  readonly protocol: string;
  readonly stop: string | null;
  readonly info: string;
}

function outermostFirst(
  view: DataView,
  layers: Layers,
  outline: Outline,
  roles: FlowRoles,
): { text: string; vni: number | null } {
  const names: string[] = [];
  let innermost: number | null = null;
  for (let i = 0; i < outline.tunnelCount; i++) {
    const layer = outline.tunnelLayer(i);
    const protocol = layers.protocol(layer);
    const vni = roles.tunnelVni(view, protocol, layers.start(layer));
    const name = roles.tunnelName(view, protocol, layers.start(layer));
    names.push(vni < 0 ? name : `${name} ${vni}`);
    if (vni >= 0) innermost = vni;
  }
  return { text: names.join(' > '), vni: innermost };
}

/** Reads what the line needs of the packet, and no more. */
export function packetLine(
  packet: Packet,
  dissector: Dissector,
  roles: FlowRoles,
  relative: number,
): PacketLine {
  const { batch, index, layers, outline } = packet;
  const { view } = batch;
  const { protocols } = dissector.registry;
  const own = layers.ownCount;
  let info = '';
  const whole = layers.partial ? Math.min(own, layers.count - 1) : own;
  for (let i = whole - 1; i >= 0 && info === ''; i--) {
    const definition = protocols[layers.protocol(i)];
    if (definition.info === undefined || i > outline.last) continue;
    info = definition.info(view, layers.start(i), {
      body: layers.bodyOf(i),
      end: layers.endOf(i),
      limit: layers.limitOf(i),
      goesOn: layers.goesOn(i),
    });
  }
  const tunnels = outermostFirst(view, layers, outline, roles);
  return {
    number: batch.number(index),
    relative,
    time: timeText(batch.seconds[index], batch.nanoseconds[index]),
    file: packet.interface.file,
    interface: packet.interface.name,
    length: batch.length[index],
    captured: batch.captured[index],
    tunnels: tunnels.text,
    vni: tunnels.vni,
    src: layerAddress(roles, layers, view, outline.network, 0),
    srcPort: layerPort(roles, layers, view, outline.transport, 0),
    dst: layerAddress(roles, layers, view, outline.network, 1),
    dstPort: layerPort(roles, layers, view, outline.transport, 1),
    protocol: own === 0 ? '-' : protocols[layers.protocol(own - 1)].name,
    stop: stopName(layers.stop),
    info,
  };
}

/** The line as text, cut to `width` characters where that is not 0. */
export function packetLineText(line: PacketLine, width: number, names?: ReadonlyMap<string, string>): string {
  const tunnels = line.tunnels === '' ? '' : `${line.tunnels}  `;
  const ends =
    line.src === null
      ? ''
      : `${endText(line.src, line.srcPort, names)} > ${endText(line.dst, line.dstPort, names)}  `;
  const stop = line.stop === null ? '' : `  [${line.stop}]`;
  const text = printable(
    `${String(line.number).padStart(5)} ${line.relative.toFixed(6).padStart(10)}  ${tunnels}${ends}${line.protocol} ${line.length}  ${line.info}${stop}`,
  );
  return width > 0 && text.length > width ? `${text.slice(0, width - 3)}...` : text;
}

export const PACKET_CSV: readonly CsvColumn<PacketLine>[] = [
  { name: 'number', value: (line) => line.number },
  { name: 'time', value: (line) => line.time },
  { name: 'file', value: (line) => line.file },
  { name: 'interface', value: (line) => line.interface },
  { name: 'length', value: (line) => line.length },
  { name: 'captured', value: (line) => line.captured },
  { name: 'tunnels', value: (line) => line.tunnels },
  { name: 'vni', value: (line) => line.vni },
  { name: 'src', value: (line) => line.src },
  { name: 'src_port', value: (line) => line.srcPort },
  { name: 'dst', value: (line) => line.dst },
  { name: 'dst_port', value: (line) => line.dstPort },
  { name: 'protocol', value: (line) => line.protocol },
  { name: 'stop', value: (line) => line.stop },
  { name: 'info', value: (line) => line.info },
];

/** The packet's field tree, headed by what is known of the frame. */
export function packetTreeLines(packet: Packet, dissector: Dissector): string[] {
  const { batch, index, layers } = packet;
  const cut = batch.captured[index] < batch.length[index] ? `, ${batch.captured[index]} captured` : '';
  const name = packet.interface.name === null ? '' : ` on ${packet.interface.name}`;
  const head = `Frame ${batch.number(index)}: ${batch.length[index]} bytes${cut}, ${timeText(batch.seconds[index], batch.nanoseconds[index])}${name}`;
  const comment = batch.comments?.get(index);
  const lines = [printable(head)];
  if (comment !== undefined) lines.push(`  [comment: ${printable(comment)}]`);
  for (const line of packetTree(dissector, batch.view, batch.offset[index], layers)) {
    lines.push(`${'  '.repeat(line.depth + 1)}${line.text}`);
  }
  return lines;
}

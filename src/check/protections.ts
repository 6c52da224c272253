/**
 * What protects the traffic of each tunnel: around it and inside, as far as a capture can tell. Nothing here says that
 * something is not protected: what protects it may lie below the place of the capture (MACsec), or above what is read.
 */
import { recordBegins } from '../../dissectors/tls.ts';
import type { Packet } from '../pipeline.ts';
import type { TunnelWay } from './overlay.ts';
import type { Scene } from './rule.ts';

export type Protection = 'macsec' | 'esp' | 'ah' | 'tls' | 'dtls';

/** Its shape is docs/schema's `tunnel`. One tunnel with both directions. */
export interface ProtectionRecord {
  type: 'tunnel';
  schema: 1;
  protocol: string;
  vni: number | null;
  /** In the order of their texts. */
  ends: [string, string];
  dstPort: number | null;
  packets: number;
  /** Bytes between an outer and an inner IP header: most seen; null where there is no IP inside. */
  overhead: number | null;
  /** Largest IP packet inside, and around it; null where none has a length. */
  largestInner: number | null;
  largestOuter: number | null;
  /** MTU inside that needs no more than the 1500 bytes of Ethernet outside. */
  innerMtu: number | null;
  protection: {
    /** Seen around the tunnel. Empty: not seen, which does not say that there is none. */
    around: Protection[];
    /** Seen inside the tunnel. */
    inside: Protection[];
    /** Packets with one of these around them. */
    protectedPackets: number;
  };
}

const ETHERNET_MTU = 1500;

interface Seen {
  readonly around: Set<Protection>;
  readonly inside: Set<Protection>;
  protectedPackets: number;
}

export class Protections {
  private readonly scene: Scene;
  private readonly names = new Map<number, Protection>();
  private readonly tcp: number;
  private readonly udp: number;
  private readonly seen = new Map<TunnelWay, Seen>();

  constructor(scene: Scene) {
    const { registry } = scene.dissector;
    this.scene = scene;
    for (const name of ['macsec', 'esp', 'ah'] as const) this.names.set(registry.indexOf(name), name);
    this.tcp = registry.indexOf('tcp');
    this.udp = registry.indexOf('udp');
  }

  packet(packet: Packet): void {
    const { layers, outline } = packet;
    if (outline.tunnelCount === 0) return;
    const last = outline.tunnelCount - 1;
    const way = this.scene.overlay.way(last);
    let seen = this.seen.get(way);
    if (seen === undefined) {
      // As many as there are tunnels remembered.
      if (!this.scene.overlay.has(way)) return;
      seen = { around: new Set(), inside: new Set(), protectedPackets: 0 };
      this.seen.set(way, seen);
    }
    const tunnel = outline.tunnelLayer(last);
    let isProtected = false;
    for (let i = 0; i < layers.ownCount; i++) {
      const name = this.names.get(layers.protocol(i));
      if (name === undefined) continue;
      if (i < tunnel) {
        isProtected = true;
        seen.around.add(name);
      } else if (i > tunnel) {
        seen.inside.add(name);
      }
    }
    const at = layers.bodyOf(tunnel) - packet.batch.offset[packet.index];
    for (const taken of this.scene.takenOff(packet.index)) {
      if (taken.at <= at) isProtected = true;
      (taken.at <= at ? seen.around : seen.inside).add(taken.name);
    }
    if (isProtected && !this.scene.overlay.isCopy) seen.protectedPackets++;
    this.application(packet, seen);
  }

  /** TLS and DTLS by the shape of their records. */
  private application({ batch, layers, outline }: Packet, seen: Seen): void {
    const { transport } = outline;
    if (transport < 0 || layers.fragment === 2) return;
    const { view } = batch;
    const protocol = layers.protocol(transport);
    const at = layers.bodyOf(transport);
    const end = layers.endOf(transport);
    if (protocol === this.tcp && end - at >= TLS_RECORD && recordBegins(view, at)) seen.inside.add('tls');
    else if (protocol === this.udp && isDtls(view, at, end)) seen.inside.add('dtls');
  }

  records(): ProtectionRecord[] {
    const records = new Map<string, ProtectionRecord>();
    for (const way of this.scene.overlay.ways.values()) {
      const ends = [way.src, way.dst].sort() as [string, string];
      const key = `${way.protocol} ${way.vni} ${way.dstPort} ${ends.join(' ')}`;
      let record = records.get(key);
      if (record === undefined) {
        record = {
          type: 'tunnel',
          schema: 1,
          protocol: way.protocol,
          vni: way.vni < 0 ? null : way.vni,
          ends,
          dstPort: way.dstPort,
          packets: 0,
          overhead: null,
          largestInner: null,
          largestOuter: null,
          innerMtu: null,
          protection: { around: [], inside: [], protectedPackets: 0 },
        };
        records.set(key, record);
      }
      record.packets += way.packets;
      if (way.mostOverhead > 0) {
        record.overhead = Math.max(record.overhead ?? 0, way.mostOverhead);
        record.innerMtu = ETHERNET_MTU - record.overhead;
      }
      record.largestInner = largest(record.largestInner, way.largestInner);
      record.largestOuter = largest(record.largestOuter, way.largestOuter);
      const seen = this.seen.get(way);
      if (seen === undefined) continue;
      const { protection } = record;
      protection.around = merged(protection.around, seen.around);
      protection.inside = merged(protection.inside, seen.inside);
      protection.protectedPackets += seen.protectedPackets;
    }
    return [...records.values()];
  }
}

function largest(a: number | null, b: number): number | null {
  return b === 0 ? a : Math.max(a ?? 0, b);
}

function merged(list: readonly Protection[], more: ReadonlySet<Protection>): Protection[] {
  return [...new Set([...list, ...more])].sort();
}

const TLS_RECORD = 5;
const DTLS_RECORD = 13;

/** A DTLS record of version 1.0 or 1.2 (RFC 6347 section 4.1) whose length the datagram holds. */
function isDtls(view: DataView, at: number, end: number): boolean {
  if (end - at < DTLS_RECORD) return false;
  const type = view.getUint8(at);
  const version = view.getUint16(at + 1);
  return (
    type >= 20 &&
    type <= 25 &&
    (version === 0xfefd || version === 0xfeff) &&
    at + DTLS_RECORD + view.getUint16(at + 11) <= end
  );
}

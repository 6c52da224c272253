/** How tunnels are used: ends, source ports, duplicates, nesting. */

import { ethernet, source as sourceMac } from '../../../dissectors/ethernet.ts';
import * as v4 from '../../../dissectors/ipv4.ts';
import { sourcePort, udp } from '../../../dissectors/udp.ts';
import { AddressKind } from '../../core/outline.ts';
import { layerAddress } from '../../core/record.ts';
import { hexText } from '../../core/text.ts';
import type { Packet } from '../../pipeline.ts';
import { isGlobal } from '../address-ranges.ts';
import { BoundedMap } from '../bounded-map.ts';
import { CopyDetector, Seen } from '../copies.ts';
import { evidenceOf, type PacketEvidence } from '../findings.ts';
import { options as optionBytes } from '../geneve-options.ts';
import { addressBytes, type Overlay, type TunnelWay } from '../overlay.ts';
import { defineRules, isWithinIpsec, type Observer, type Rule, type RuleSet, type Scene } from '../rule.ts';

const rules = defineRules({
  flowPorts: {
    id: 'OVL-08',
    severity: 'warning',
    title: 'One inner flow under several source ports',
    reference: 'RFC 8926 section 3.3, RFC 7348 section 5',
    evidence:
      'packets of one inner TCP or UDP flow, in one direction of one tunnel, from outer UDP ports that take turns; not from a new port that it keeps to',
    meaning: 'The network may send packets of the flow by different ways, which brings them out of order.',
    help: 'Let the source port be a hash of the inner flow.',
  },
  onePort: {
    id: 'OVL-09',
    severity: 'note',
    title: 'All inner flows under one source port',
    reference: 'RFC 8926 section 3.3, RFC 7348 section 5',
    evidence: 'eight or more inner flows in one direction of a tunnel, and a single outer UDP source port',
    meaning: 'Routers and network cards that spread load by ports take the whole tunnel for one flow.',
    help: 'Let the source port be a hash of the inner flow.',
  },
  nested: {
    id: 'OVL-10',
    severity: 'warning',
    title: 'Tunnel inside a tunnel',
    reference: 'RFC 8926 section 6.2',
    evidence: 'a Geneve, VXLAN or other tunnel with a VNI inside one',
    meaning:
      'Either overlays are stacked on purpose, or a tenant sends packets that look like those of the underlay.',
    help: 'Make sure that the inner packets end at an endpoint of their own; a tenant must not reach endpoints of the underlay.',
  },
  global: {
    id: 'OVL-11',
    severity: 'warning',
    title: 'Tunnel over the Internet without encryption in sight',
    reference: 'RFC 8926 section 6.1.1',
    evidence:
      'an outer address that is routable on the Internet, and neither ESP nor AH seen around the tunnel',
    meaning:
      'What leaves the data centre should be encrypted: unless something that this capture does not show protects the tunnel, it can be read and forged on the way.',
    help: 'Check whether packets between these addresses leave networks that you trust (inside a cloud they often do not, above all with IPv6); if so, run the tunnel inside IPsec.',
  },
  oneWay: {
    id: 'OVL-12',
    severity: 'note',
    title: 'Tunnel endpoint that only sends or only receives',
    reference: 'RFC 8926 section 4.4.4',
    evidence:
      'ten or more packets between two endpoints, all of one direction, and none the other way under any VNI',
    meaning: 'The answers are lost, take another way, or were not captured.',
    help: 'Expected of traffic mirroring; otherwise capture on the other end as well, and if it answers there, look at what lies between.',
  },
  duplicates: {
    id: 'OVL-13',
    severity: 'warning',
    title: 'Inner packets twice in the same place',
    reference: 'RFC 791 section 3.2 (identification)',
    evidence:
      'an inner IPv4 packet of the same addresses, identification, TCP sequence and content that one interface has twice within a second',
    meaning: 'The network doubles packets, or the capture was taken from a mirror port that has each twice.',
    help: 'Look for loops and for flooding to two endpoints; with a mirror port, mirror one direction only.',
  },
  twoEnds: {
    id: 'OVL-14',
    severity: 'warning',
    title: 'Inner IP address behind two tunnel endpoints',
    reference: 'RFC 8926 section 4.4.4, RFC 7348 section 4.1',
    evidence:
      'packets from one inner IP address, in one VNI, from two outer source addresses in turn: from the first again after the second; not from addresses of the Internet, which enter by several gateways',
    meaning: 'The address is used twice, or its packets enter the overlay in two places.',
    help: 'If the address belongs to a pod, one of the two endpoints has an impostor or a stale copy of it.',
  },
  twoEndsMac: {
    id: 'OVL-15',
    severity: 'note',
    title: 'Inner MAC address behind two tunnel endpoints',
    reference: 'RFC 7348 section 4.1',
    evidence:
      'frames from one inner MAC address, in one VNI, from two outer source addresses in turn: from the first again after the second',
    meaning:
      'Endpoints that learn where a MAC address is will follow the last packet; virtual routers share one on purpose.',
    help: 'If the address is not that of a virtual router (OVN, Antrea), look for a copied machine or a loop.',
  },
  optionsChanged: {
    id: 'OVL-16',
    severity: 'error',
    title: 'Geneve options changed on the way',
    reference: 'RFC 8926 section 3.5.1',
    evidence: 'one packet in two places, between the same endpoints in the same VNI, with different options',
    meaning: 'Transit devices must not modify options: what the receiving end acts on is not what was sent.',
    help: 'Find the device between the two places of the capture that rewrites options.',
  },
});

const MAX_FLOWS = 65_536;
const MAX_INNER = 65_536;
/** Flows, and packets, from which on a pattern means something. */
const FLOWS_FOR_ENTROPY = 8;
const PACKETS_FOR_ONE_WAY = 10;

/** Outer source ports of one inner flow. */
interface FlowPorts {
  port: number;
  before: number;
  changes: number;
}
/** Changes that are no longer those of a sender that looks for a better way now and then, as Linux after time-outs. */
const CHANGES = 8;

/** Where an inner address is, and where it was before that. */
interface Place {
  now: string;
  before: string | null;
}

/** What source ports tell of one direction of a tunnel. */
interface Ports {
  readonly way: TunnelWay;
  readonly evidence: PacketEvidence;
  readonly port: number;
  several: boolean;
  flows: number;
}

class OverlayObserver implements Observer {
  private readonly scene: Scene;
  private readonly udp: number;
  private readonly ipv4: number;
  private readonly ethernet: number;
  private readonly flows = new BoundedMap<string, FlowPorts>(MAX_FLOWS);
  private readonly ports = new Map<TunnelWay, Ports>();
  private readonly places = new BoundedMap<string, Place>(MAX_INNER);
  /** Per entry of the copy detector: hash of the options that the packet had. */
  private readonly optionHashes = new Int32Array(CopyDetector.slots);

  constructor(scene: Scene) {
    const { registry } = scene.dissector;
    this.scene = scene;
    this.udp = registry.indexOf(udp.name);
    this.ipv4 = registry.indexOf(v4.ipv4.name);
    this.ethernet = registry.indexOf(ethernet.name);
  }

  packet(packet: Packet, seen: Seen): void {
    const { outline } = packet;
    if (outline.tunnelCount === 0) return;
    const way = this.scene.overlay.way(outline.tunnelCount - 1);
    this.global(packet);
    if (isMirrored(this.scene.overlay, outline.tunnelCount)) return;
    this.nested(packet);
    if (way.vni >= 0) {
      this.sourcePorts(packet, way);
      this.location(packet, way);
    }
    this.twice(packet, way, seen);
    this.options(packet, way);
  }

  private nested(packet: Packet): void {
    const { overlay, findings } = this.scene;
    for (let i = 1; i < packet.outline.tunnelCount; i++) {
      const outer = overlay.way(i - 1);
      const inner = overlay.way(i);
      if (outer.vni < 0 || inner.vni < 0) continue;
      findings.report(
        rules.nested,
        `${outer.vniText} ${inner.vniText}`,
        packet,
        () => `${inner.vniText} from ${inner.src} to ${inner.dst} inside ${outer.vniText}`,
      );
    }
  }

  private global(packet: Packet): void {
    const { layers, outline, batch } = packet;
    const { overlay, roles, findings } = this.scene;
    const way = overlay.way(0);
    const network = outline.tunnelNetwork(0);
    if (way.vni < 0 || network < 0) return;
    const protocol = layers.protocol(network);
    const at = layers.start(network);
    const addresses = roles.protocols[protocol].flow!.addresses!;
    const kind = roles.addressKind[protocol];
    if (!addresses.some((field) => isGlobal(batch.view, at + field.at, kind))) return;
    if (isWithinIpsec(this.scene, packet, outline.tunnelLayer(0))) return;
    findings.report(rules.global, way.text, packet, () => `${way.text}: an address of the Internet`);
  }

  /** Whether the inner flows' packets tell themselves apart by source port. */
  private sourcePorts(packet: Packet, way: TunnelWay): void {
    const { layers, outline, batch } = packet;
    const { view } = batch;
    const { roles, findings } = this.scene;
    const last = outline.tunnelCount - 1;
    const outer = outline.tunnelTransport(last);
    const { transport, network } = outline;
    // Fragments are hashed without ports, so their source port differs from that of the flow.
    if (outer < 0 || layers.protocol(outer) !== this.udp || transport < 0 || layers.fragment !== 0) return;
    const { ports } = roles.protocols[layers.protocol(transport)].flow ?? {};
    if (!ports) return;
    const port = sourcePort.read(view, layers.start(outer));
    const at = layers.start(transport);
    const key = `${way.protocol} ${way.vni} ${way.src} ${way.dst} ${addressBytes(roles, layers, view, network)} ${hexText(view, at + ports[0].at, at + ports[1].at + ports[1].size)}`;
    const known = this.flows.get(key);
    let state = this.ports.get(way);
    if (state === undefined) {
      state = { way, evidence: evidenceOf(packet), port, several: false, flows: 0 };
      if (this.ports.size < MAX_FLOWS) this.ports.set(way, state);
    }
    if (port !== state.port) state.several = true;
    if (known === undefined) {
      this.flows.set(key, { port, before: port, changes: 0 });
      state.flows++;
    } else if (known.port !== port) {
      const { port: last, before } = known;
      known.changes++;
      known.before = last;
      known.port = port;
      if (port === before || known.changes > CHANGES)
        findings.report(
          rules.flowPorts,
          way.text,
          packet,
          () => `${way.text}: source ports ${last} and ${port} in turn for one flow`,
        );
    }
  }

  /** Where inner addresses are. */
  private location(packet: Packet, way: TunnelWay): void {
    const { layers, outline, batch } = packet;
    const { view } = batch;
    const { roles } = this.scene;
    const { network } = outline;
    const inner = outline.tunnelLayer(outline.tunnelCount - 1) + 1;
    if (inner < layers.ownCount && layers.protocol(inner) === this.ethernet && !layers.partial) {
      const at = layers.start(inner) + sourceMac.at;
      // Group addresses send nothing, and a zero address is nobody's.
      if ((view.getUint8(at) & 1) === 0 && view.getUint32(at) !== 0)
        this.locate(packet, way, rules.twoEndsMac, hexText(view, at, at + 6), () =>
          sourceMac.read(view, layers.start(inner)),
        );
    }
    if (network < 0) return;
    const kind = roles.addressKind[layers.protocol(network)];
    if (kind !== AddressKind.ipv4 && kind !== AddressKind.ipv6) return;
    const field = roles.protocols[layers.protocol(network)].flow!.addresses![0];
    const at = layers.start(network) + field.at;
    if (isUnspecific(view, at, kind) || isGlobal(view, at, kind)) return;
    this.locate(
      packet,
      way,
      rules.twoEnds,
      hexText(view, at, at + field.size),
      () => layerAddress(roles, layers, view, network, 0)!,
    );
  }

  private locate(packet: Packet, way: TunnelWay, rule: Rule, address: string, text: () => string): void {
    // Of packets to one end: that the same address is elsewhere in another cluster of tunnels means nothing.
    const key = `${way.protocol} ${way.vni} ${way.dst} ${address}`;
    const place = this.places.get(key);
    if (place === undefined) {
      this.places.set(key, { now: way.src, before: null });
      return;
    }
    const { now, before } = place;
    if (now === way.src) return;
    place.before = now;
    place.now = way.src;
    // Once, and for good: it moved.
    if (before !== way.src) return;
    this.scene.findings.report(
      rule,
      key,
      packet,
      () => `${way.vniText}: ${text()} is behind ${now} and behind ${way.src} in turn`,
    );
  }

  private twice(packet: Packet, way: TunnelWay, seen: Seen): void {
    if (seen !== Seen.again) return;
    const { layers, outline, batch } = packet;
    const { network } = outline;
    // Without an identification, packets that differ in nothing may be two.
    if (
      layers.protocol(network) !== this.ipv4 ||
      v4.identification.read(batch.view, layers.start(network)) === 0
    )
      return;
    this.scene.findings.report(
      rules.duplicates,
      way.text,
      packet,
      () => `${way.text}: inner packets come twice`,
    );
  }

  private options(packet: Packet, way: TunnelWay): void {
    const { slot } = this.scene.copies;
    if (slot < 0 || way.protocol !== 'geneve') return;
    const { layers, outline, batch } = packet;
    const hash = optionBytes(batch.view, layers, outline.tunnelLayer(outline.tunnelCount - 1));
    if (this.scene.overlay.isCopy && hash !== this.optionHashes[slot])
      this.scene.findings.report(
        rules.optionsChanged,
        way.text,
        packet,
        () => `${way.text}: a packet has other options than where it was seen before`,
      );
    this.optionHashes[slot] = hash;
  }

  end(): void {
    const { findings, overlay } = this.scene;
    for (const { way, port, flows, several, evidence } of this.ports.values())
      if (!several && flows >= FLOWS_FOR_ENTROPY)
        findings.report(
          rules.onePort,
          way.text,
          [evidence],
          () => `${way.text}: all ${flows} inner flows come from port ${port}`,
        );
    const pairs = new Map<string, { way: TunnelWay; packets: number }>();
    for (const way of overlay.ways.values()) {
      if (way.isMirror) continue;
      const key = `${way.src} ${way.dst}`;
      const pair = pairs.get(key);
      if (pair === undefined) pairs.set(key, { way, packets: way.packets });
      else pair.packets += way.packets;
    }
    for (const { way, packets } of pairs.values())
      if (
        way.vni >= 0 &&
        packets >= PACKETS_FOR_ONE_WAY &&
        !isGroup(way.dst) &&
        !pairs.has(`${way.dst} ${way.src}`)
      )
        findings.report(
          rules.oneWay,
          `${way.src} ${way.dst}`,
          [way.first],
          () => `${packets} tunnel packets from ${way.src} to ${way.dst}, none back`,
        );
  }
}

function isMirrored(overlay: Overlay, tunnelCount: number): boolean {
  for (let i = 0; i < tunnelCount; i++) if (overlay.way(i).isMirror) return true;
  return false;
}

/** Multicast groups never answer. */
function isGroup(address: string): boolean {
  return /^(22[4-9]|23\d)\.|^ff/.test(address);
}

/** Addresses that many hosts have: unspecified, link-local. */
function isUnspecific(view: DataView, at: number, kind: number): boolean {
  if (kind === AddressKind.ipv4)
    return view.getUint32(at) === 0 || view.getUint16(at) === 0xa9fe || view.getUint8(at) === 127;
  return (
    (view.getUint16(at) & 0xffc0) === 0xfe80 || (view.getUint32(at) === 0 && view.getUint32(at + 4) === 0)
  );
}

export const overlayRules: RuleSet = {
  rules: Object.values(rules),
  observe: (scene) => new OverlayObserver(scene),
};

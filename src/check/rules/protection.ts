/** Sequence numbers of ESP, AH and MACsec, and tunnels in the clear beside protected ones. */
import * as ahHeader from '../../../dissectors/ah.ts';
import * as espHeader from '../../../dissectors/esp.ts';
import { source as sourceMac } from '../../../dissectors/ethernet.ts';
import * as tag from '../../../dissectors/macsec.ts';
import { layerAddress } from '../../core/record.ts';
import { hexNumber, hexText } from '../../core/text.ts';
import type { Packet } from '../../pipeline.ts';
import { BoundedMap } from '../bounded-map.ts';
import { Seen } from '../copies.ts';
import { evidenceOf, type PacketEvidence } from '../findings.ts';
import { addressBytes } from '../overlay.ts';
import { defineRules, isWithinIpsec, type Observer, type RuleSet, type Scene } from '../rule.ts';

const rules = defineRules({
  gap: {
    id: 'SEC-01',
    severity: 'warning',
    title: 'Protected packets are missing',
    reference: 'RFC 4303 section 2.2, RFC 4302 section 2.5, IEEE 802.1AE clause 9.8',
    evidence: 'sequence numbers of one security association that were passed over and did not come later',
    meaning: 'Packets were lost before the place of the capture, went another way, or the capture lost them.',
    help: 'See whether the capture dropped packets, and whether the association takes several paths, before looking for loss.',
  },
  repeated: {
    id: 'SEC-02',
    severity: 'warning',
    title: 'Sequence number of a protected packet repeated',
    reference: 'RFC 4303 section 3.4.3, RFC 4302 section 3.4.3, IEEE 802.1AE clause 10.6',
    evidence:
      'a sequence number that one security association has had in the same place of the capture, among its latest 64; not in packets that a router sends on',
    meaning: 'A packet was replayed or doubled on the way; with anti-replay on, the receiver drops it.',
    help: 'Find out who sends it a second time; a mirror port that copies both directions does it too.',
  },
  clear: {
    id: 'SEC-03',
    severity: 'warning',
    title: 'Tunnel in the clear beside a protected one',
    reference: 'RFC 8926 section 6.1.1',
    evidence:
      'tunnel packets without ESP or AH around them between two addresses that exchange ESP or AH as well',
    meaning: 'Traffic that was meant to be protected may be passing beside the protection.',
    help: 'Compare the selectors of the IPsec policy with the port and the addresses of this tunnel.',
  },
});

/** Packets late by no more are told from repeated ones. */
const MEMORY = 64;
const MAX_ASSOCIATIONS = 8192;

/** One security association in one direction. Sequence numbers as RFC 4303 appendix A2 remembers them. */
class Association {
  readonly name: string;
  private highest: number;
  /** Bit n of the two words: highest - n was seen. */
  private near = 1;
  private far = 0;
  /** Where the latest numbers were seen: once more elsewhere, a packet is a copy, however late. */
  private readonly places = new Int32Array(MEMORY);
  missing = 0;
  readonly gaps: PacketEvidence[] = [];

  constructor(name: string, first: number, place: number) {
    this.name = name;
    this.highest = first;
    this.places[first % MEMORY] = place;
  }

  /** Takes a number in; true where it was had before in this place. */
  take(sequence: number, place: number, packet: Packet): boolean {
    const slot = sequence % MEMORY;
    const ahead = sequence - this.highest;
    if (ahead > 0) {
      if (ahead > 1) {
        this.missing += ahead - 1;
        this.gaps.push(evidenceOf(packet));
        if (this.gaps.length > 8) this.gaps.pop();
      }
      this.shift(ahead);
      this.highest = sequence;
      this.places[slot] = place;
      return false;
    }
    const back = -ahead;
    if (back >= MEMORY) {
      // Too long ago to tell, unless it begins anew: the same association after a restart, with what it had forgotten.
      if (sequence > 1) return false;
      this.highest = sequence;
      this.places[slot] = place;
      this.near = 1;
      this.far = 0;
      return false;
    }
    const bit = 1 << (back & 31);
    const had = ((back < 32 ? this.near : this.far) & bit) !== 0;
    if (had) return this.places[slot] === place;
    this.places[slot] = place;
    if (back < 32) this.near |= bit;
    else this.far |= bit;
    if (this.missing > 0) this.missing--;
    return false;
  }

  private shift(by: number): void {
    if (by >= MEMORY) {
      this.far = 0;
      this.near = 0;
    } else if (by >= 32) {
      this.far = by === 32 ? this.near : this.near << (by - 32);
      this.near = 0;
    } else {
      this.far = (this.far << by) | (this.near >>> (32 - by));
      this.near <<= by;
    }
    this.near |= 1;
  }
}

interface ClearPair {
  /** Addresses as in `protectedPairs`, both directions. */
  readonly pair: string;
  readonly text: string;
  packets: number;
  readonly first: PacketEvidence;
}

class ProtectionObserver implements Observer {
  private readonly scene: Scene;
  private readonly esp: number;
  private readonly ah: number;
  private readonly macsec: number;
  private readonly ethernet: number;
  private readonly associations = new BoundedMap<string, Association>(MAX_ASSOCIATIONS);
  /** Pairs of addresses with ESP or AH between them. */
  private readonly protectedPairs = new BoundedMap<string, true>(MAX_ASSOCIATIONS);
  private readonly clearPairs = new BoundedMap<string, ClearPair>(MAX_ASSOCIATIONS);

  constructor(scene: Scene) {
    const { registry } = scene.dissector;
    this.scene = scene;
    this.esp = registry.indexOf('esp');
    this.ah = registry.indexOf('ah');
    this.macsec = registry.indexOf('macsec');
    this.ethernet = registry.indexOf('eth');
  }

  packet(packet: Packet, seen: Seen): void {
    const { layers, outline } = packet;
    const whole = layers.partial ? Math.min(layers.ownCount, layers.count - 1) : layers.ownCount;
    for (let i = 0; i < whole; i++) {
      const protocol = layers.protocol(i);
      if (protocol === this.esp || protocol === this.ah) {
        // A router on a stick has each packet twice, with another TTL.
        if (seen !== Seen.copy && seen !== Seen.passing) this.ipsec(packet, i, protocol === this.esp);
      } else if (protocol === this.macsec) {
        this.tagged(packet, i);
      }
    }
    if (outline.tunnelCount > 0 && !isWithinIpsec(this.scene, packet, outline.tunnelLayer(0)))
      this.clear(packet);
  }

  private ipsec(packet: Packet, layer: number, isEsp: boolean): void {
    const { layers, batch } = packet;
    const { roles } = this.scene;
    const { view } = batch;
    let network = layer - 1;
    while (network >= 0 && !roles.protocols[layers.protocol(network)].flow?.addresses) network--;
    if (network < 0) return;
    const start = layers.start(layer);
    const header = isEsp ? espHeader : ahHeader;
    const spi = header.spi.read(view, start);
    const pair = addressBytes(roles, layers, view, network);
    const src = () => layerAddress(roles, layers, view, network, 0);
    const dst = () => layerAddress(roles, layers, view, network, 1);
    this.protectedPairs.set(unordered(pair), true);
    const name = isEsp ? 'ESP' : 'AH';
    this.sequence(packet, `${name} ${spi} ${pair}`, header.sequence.read(view, start), () => {
      return `${name} from ${src()} to ${dst()}, SPI ${hexNumber(spi, 8)}`;
    });
  }

  private tagged(packet: Packet, layer: number): void {
    const { layers, batch } = packet;
    const { view } = batch;
    const start = layers.start(layer);
    const hasChannel = tag.secureChannel.read(view, start);
    // Without the identifier in the tag, the channel is the sender's (802.1AE clause 9.5).
    const below = layer - 1;
    if (!hasChannel && (below < 0 || layers.protocol(below) !== this.ethernet)) return;
    if (hasChannel && start + tag.tagBytes(view, start) > layers.endOf(layer)) return;
    const at = hasChannel ? start + tag.system.at : layers.start(below) + sourceMac.at;
    const channel = hexText(view, at, at + (hasChannel ? 8 : 6));
    const number = tag.association.read(view, start);
    // From hop to hop: the same packet in another place has another tag.
    const place = this.scene.copies.taps.of(packet);
    this.sequence(
      packet,
      `MACsec ${place} ${channel} ${number}`,
      tag.packetNumber.read(view, start),
      () => `MACsec channel ${channel}, AN ${number}`,
    );
  }

  private sequence(packet: Packet, key: string, sequence: number, name: () => string): void {
    const known = this.associations.get(key);
    const place = this.scene.copies.taps.of(packet);
    if (known === undefined) {
      this.associations.set(key, new Association(name(), sequence, place));
    } else if (known.take(sequence, place, packet)) {
      this.scene.findings.report(
        rules.repeated,
        key,
        packet,
        () => `${known.name}: sequence number ${sequence} comes again`,
      );
    }
  }

  private clear(packet: Packet): void {
    const { layers, outline, batch } = packet;
    const { overlay, roles } = this.scene;
    const way = overlay.way(0);
    if (way.vni < 0) return;
    const pair = unordered(addressBytes(roles, layers, batch.view, outline.tunnelNetwork(0)));
    const known = this.clearPairs.get(pair);
    if (known) known.packets++;
    else this.clearPairs.set(pair, { pair, text: way.text, packets: 1, first: evidenceOf(packet) });
  }

  end(): void {
    const { findings } = this.scene;
    for (const { name, missing, gaps } of this.associations.values())
      if (missing > 0)
        findings.report(rules.gap, name, gaps, () => `${name}: ${missing} missing in the sequence`, missing);
    for (const { pair, text, packets, first } of this.clearPairs.values()) {
      if (!this.protectedPairs.get(pair)) continue;
      findings.report(
        rules.clear,
        pair,
        [first],
        () => `${text}: in the clear, while its ends also exchange ESP or AH`,
        packets,
      );
    }
  }
}

function unordered(pair: string): string {
  return pair.split(' ').sort().join(' ');
}

export const protectionRules: RuleSet = {
  rules: Object.values(rules),
  observe: (scene) => new ProtectionObserver(scene),
};

/** A capture whose ESP and MACsec packets are replaced by what is inside, as far as keys are given. */
import { esp, spi as spiField } from '../../dissectors/esp.ts';
import * as v4 from '../../dissectors/ipv4.ts';
import * as v6 from '../../dissectors/ipv6.ts';
import { isOpaque, macsec } from '../../dissectors/macsec.ts';
import type { PacketBatch } from '../capture/batch.ts';
import type { Capture, CaptureFile, CaptureInterface, LiveControl } from '../capture/capture.ts';
import { Dissector } from '../core/dissector.ts';
import { Layers, Stop } from '../core/layers.ts';
import type { Registry } from '../core/registry.ts';
import { hexNumber } from '../core/text.ts';
import type { EspContent, SecurityAssociation } from './esp.ts';
import type { MacsecKey } from './macsec.ts';

/** Protections inside each other that are taken off one packet: MACsec, ESP, ESP in a tunnel inside. */
const MAX_DEPTH = 8;
/** Bytes of an EtherType. */
const ETHER_TYPE = 2;
/** SPIs without a given SA that are named. */
const MAX_NAMED = 4;

/** A protection that a packet had, and the byte of its frame where what was inside begins now. */
export interface TakenOff {
  readonly name: 'esp' | 'macsec';
  readonly at: number;
}
const NOTHING: readonly TakenOff[] = [];

/** Packets of one kind of protection, by what became of them. */
class Outcome {
  opened = 0;
  /** A key was given for them, but they did not authenticate. */
  refused = 0;
  /** Not all there: cut by the capture, or fragments of a datagram. */
  incomplete = 0;
  /** No key was given for them. */
  unknown = 0;
}

/**
 * Packets are rewritten where they lie in the batch: what is inside is shorter than what it was in. The header of the
 * IP packet around ESP gets the type, length and checksum that it would have had without, and the packet has the
 * length that it would have had: what protection adds is not traffic of the flows inside.
 */
export class DecryptingCapture implements Capture {
  readonly esp = new Outcome();
  readonly macsec = new Outcome();
  private readonly capture: Capture;
  private readonly associations = new Map<number, SecurityAssociation[]>();
  private readonly macsecKeys: readonly MacsecKey[];
  private readonly unknownSpis = new Set<number>();
  private readonly dissector: Dissector;
  private readonly espIndex: number;
  private readonly macsecIndex: number;
  private readonly ethernet: number;
  private readonly ipv4: number;
  private readonly ipv6: number;
  private readonly udp: number;
  private readonly layers = new Layers();
  private readonly roots: number[] = [];
  /** By index in the current batch. */
  private readonly opened = new Map<number, TakenOff[]>();

  constructor(
    capture: Capture,
    registry: Registry,
    keys: { readonly esp: readonly SecurityAssociation[]; readonly macsec: readonly MacsecKey[] },
  ) {
    this.capture = capture;
    this.dissector = new Dissector(registry, { application: false });
    this.espIndex = registry.indexOf(esp.name);
    this.macsecIndex = registry.indexOf(macsec.name);
    this.ethernet = registry.indexOf('eth');
    this.ipv4 = registry.indexOf(v4.ipv4.name);
    this.ipv6 = registry.indexOf(v6.ipv6.name);
    this.udp = registry.indexOf('udp');
    this.macsecKeys = keys.macsec;
    for (const association of keys.esp) {
      const same = this.associations.get(association.spi);
      if (same === undefined) this.associations.set(association.spi, [association]);
      else same.push(association);
    }
  }

  get interfaces(): readonly CaptureInterface[] {
    return this.capture.interfaces;
  }
  get names(): ReadonlyMap<string, string> {
    return this.capture.names;
  }
  get secrets(): readonly string[] {
    return this.capture.secrets;
  }
  get files(): readonly CaptureFile[] {
    return this.capture.files;
  }

  get live(): LiveControl | undefined {
    return this.capture.live;
  }

  async next(): Promise<PacketBatch | null> {
    const batch = await this.capture.next();
    if (batch !== null) this.decrypt(batch);
    return batch;
  }

  close(): Promise<void> {
    return this.capture.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<PacketBatch> {
    try {
      for (let batch = await this.next(); batch !== null; batch = await this.next()) yield batch;
    } finally {
      await this.close();
    }
  }

  /** What packet `i` of the current batch was protected by, as far as it was opened; outermost first. */
  takenOff(i: number): readonly TakenOff[] {
    return this.opened.get(i) ?? NOTHING;
  }

  private note(i: number, name: TakenOff['name'], at: number): void {
    const known = this.opened.get(i);
    if (known) known.push({ name, at });
    else this.opened.set(i, [{ name, at }]);
  }

  /** What the user should know: keys that do not fit, packets that stayed closed. One sentence each. */
  remarks(): string[] {
    const remarks: string[] = [];
    const add = (count: number, singular: string, plural: string) => {
      if (count > 0) remarks.push(`${count} ${count === 1 ? singular : plural}`);
    };
    const { esp, macsec } = this;
    if (this.associations.size > 0) {
      if (esp.opened + esp.refused + esp.incomplete + esp.unknown === 0)
        remarks.push('no ESP packet was seen');
      add(
        esp.refused,
        'ESP packet does not authenticate with the SA given for it',
        'ESP packets do not authenticate with the SA given for them',
      );
      add(
        esp.incomplete,
        'ESP packet is a fragment or cut, and stays encrypted',
        'ESP packets are fragments or cut, and stay encrypted',
      );
      if (esp.unknown > 0)
        remarks.push(
          `for ${esp.unknown} ESP ${esp.unknown === 1 ? 'packet' : 'packets'} no SA was given: SPI ${this.spisText()}`,
        );
    }
    if (this.macsecKeys.length > 0) {
      if (macsec.opened + macsec.refused + macsec.incomplete === 0)
        remarks.push('no encrypted MACsec packet was seen');
      add(
        macsec.refused,
        'MACsec packet does not authenticate with the keys given',
        'MACsec packets do not authenticate with the keys given',
      );
      add(
        macsec.incomplete,
        'MACsec packet is cut, and stays encrypted',
        'MACsec packets are cut, and stay encrypted',
      );
    }
    return remarks;
  }

  private spisText(): string {
    const spis = [...this.unknownSpis].map((spi) => hexNumber(spi, 8)).join(', ');
    return this.unknownSpis.size === MAX_NAMED ? `${spis}, ...` : spis;
  }

  private decrypt(batch: PacketBatch): void {
    const { dissector, layers, roots, espIndex, macsecIndex } = this;
    const { interfaces } = this.capture;
    this.opened.clear();
    while (roots.length < interfaces.length) roots.push(dissector.root(interfaces[roots.length].linkType));
    for (let i = 0; i < batch.count; i++) {
      for (let depth = 0; depth < MAX_DEPTH; depth++) {
        const { view, offset, captured, length, interfaceIndex } = batch;
        dissector.walk(view, offset[i], captured[i], length[i], roots[interfaceIndex[i]], layers);
        // Neither says what comes next: where there is one, it is the last layer.
        const last = layers.count - 1;
        if (last < 0 || layers.quoted >= 0 || layers.partial || layers.stop !== Stop.none) break;
        const protocol = layers.protocol(last);
        if (protocol === espIndex && this.associations.size > 0) {
          if (!this.openEsp(batch, i, last)) break;
        } else if (protocol === macsecIndex && this.macsecKeys.length > 0) {
          if (!this.openMacsec(batch, i, last)) break;
        } else break;
      }
    }
  }

  private openEsp(batch: PacketBatch, i: number, last: number): boolean {
    const { layers, esp: outcome } = this;
    const { view, bytes } = batch;
    const start = layers.start(last);
    const number = spiField.read(view, start);
    const network = this.networkBefore(last);
    const candidates = network < 0 ? [] : this.associationsOf(view, number, network);
    if (candidates.length === 0) {
      outcome.unknown++;
      if (this.unknownSpis.size < MAX_NAMED) this.unknownSpis.add(number);
      return false;
    }
    if (layers.fragment !== 0 || layers.endOf(last) < layers.limitOf(last)) {
      outcome.incomplete++;
      return false;
    }
    const packet = bytes.subarray(start, layers.endOf(last));
    for (const association of candidates) {
      const content = association.open(packet);
      if (content === null) continue;
      outcome.opened++;
      this.replaceEsp(batch, i, last, network, content);
      return true;
    }
    outcome.refused++;
    return false;
  }

  /** Those for an SPI and the address that the packet goes to. */
  private associationsOf(view: DataView, number: number, network: number): SecurityAssociation[] {
    const { destination: field } = this.layers.protocol(network) === this.ipv4 ? v4 : v6;
    const address = field.read(view, this.layers.start(network));
    const sameNumber = this.associations.get(number) ?? [];
    return sameNumber.filter(({ destination }) => destination === null || destination === address);
  }

  private replaceEsp(
    batch: PacketBatch,
    i: number,
    last: number,
    network: number,
    { nextHeader, payload }: EspContent,
  ): void {
    const { layers } = this;
    const { view } = batch;
    const isV4 = layers.protocol(network) === this.ipv4;
    const header = layers.start(network);
    // Inside UDP (RFC 3948) its header goes too.
    let replaced = last;
    for (let layer = last - 1; layer > network; layer--)
      if (layers.protocol(layer) === this.udp) replaced = layer;
    const at = layers.start(replaced);
    this.note(i, 'esp', at - batch.offset[i]);
    replace(batch, i, at, payload);
    // Every header between IP and ESP begins with the type of the next one (RFC 8200 section 4, RFC 4302 section 2.1).
    const typed = replaced - 1;
    const type = typed > network ? layers.start(typed) : header + (isV4 ? v4.protocol : v6.next).at;
    view.setUint8(type, nextHeader);
    const length = at + payload.length - header;
    if (isV4) {
      view.setUint16(header + v4.totalLength.at, length);
      writeChecksum(view, header);
    } else {
      view.setUint16(header + v6.payloadLength.at, length - v6.ipv6.minLength);
    }
  }

  /** Layer of the IP header before layer `i`, -1 where there is none. */
  private networkBefore(i: number): number {
    for (let layer = i - 1; layer >= 0; layer--) {
      const protocol = this.layers.protocol(layer);
      if (protocol === this.ipv4 || protocol === this.ipv6) return layer;
    }
    return -1;
  }

  private openMacsec(batch: PacketBatch, i: number, last: number): boolean {
    const { layers, macsec: outcome } = this;
    const { view, bytes } = batch;
    const tag = layers.start(last);
    // Signed frames are read as they are. Addresses are authenticated too, and only Ethernet has both.
    if (!isOpaque(view, tag) || last === 0 || layers.protocol(last - 1) !== this.ethernet) return false;
    if (layers.endOf(last) < layers.limitOf(last)) {
      outcome.incomplete++;
      return false;
    }
    const frame = layers.start(last - 1);
    for (const key of this.macsecKeys) {
      const plain = key.open(bytes, view, frame, tag, layers.endOf(last));
      if (plain === null) continue;
      outcome.opened++;
      // What was encrypted begins with an EtherType, which takes the place of MACsec's own.
      const at = tag - ETHER_TYPE;
      this.note(i, 'macsec', at - batch.offset[i]);
      replace(batch, i, at, plain);
      return true;
    }
    outcome.refused++;
    return false;
  }
}

/** Packet `i` goes on with `bytes` at `at`, and ends with them. */
function replace(batch: PacketBatch, i: number, at: number, bytes: Uint8Array): void {
  batch.bytes.set(bytes, at);
  batch.captured[i] = at + bytes.length - batch.offset[i];
  batch.length[i] = batch.captured[i];
}

/** RFC 791 section 3.1: the ones' complement of the header's sum. */
function writeChecksum(view: DataView, header: number): void {
  view.setUint16(header + v4.checksum.at, 0);
  let sum = 0;
  for (let at = header; at < header + v4.headerLength.read(view, header); at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(header + v4.checksum.at, ~sum & 0xffff);
}

/** Packets written as commented hex, dissected for tests. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { builtins } from '../../dissectors/index.ts';
import { Dissector } from '../../src/core/dissector.ts';
import { Layers } from '../../src/core/layers.ts';
import { FlowRoles, Outline } from '../../src/core/outline.ts';
import type { PacketRecord } from '../../src/core/record.ts';
import { Registry } from '../../src/core/registry.ts';
import { packetTree, type TreeLine } from '../../src/core/tree.ts';
import { packetRecord } from '../../src/output/packet-json.ts';

const registry = new Registry().add(builtins);
const dissector = new Dissector(registry);
const roles = new FlowRoles(registry);
const layers = new Layers();
const outline = new Outline();

/** Bytes of hex digits; white space and what follows a # on its line are for readers. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/#.*$/gm, '').replace(/\s+/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`not hex: ${digits}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

/** An IPv4 packet from 192.0.2.1 to 192.0.2.2. */
export function inIpv4(protocol: number, payload: Uint8Array): Uint8Array {
  return join(
    hex('45 00'),
    uint16(20 + payload.length),
    hex('0001 4000 40'),
    Uint8Array.of(protocol),
    hex('0000 c0000201 c0000202'),
    payload,
  );
}

/** An IPv6 packet from 2001:db8::1 to 2001:db8::2. */
export function inIpv6(nextHeader: number, payload: Uint8Array): Uint8Array {
  return join(
    hex('60000000'),
    uint16(payload.length),
    Uint8Array.of(nextHeader, 64),
    hex('20010db8000000000000000000000001 20010db8000000000000000000000002'),
    payload,
  );
}

export function inUdp(source: number, destination: number, payload: Uint8Array): Uint8Array {
  return inIpv4(
    17,
    join(uint16(source), uint16(destination), uint16(8 + payload.length), hex('0000'), payload),
  );
}

/** A segment with PSH and ACK. */
export function inTcp(source: number, destination: number, payload: Uint8Array): Uint8Array {
  return inIpv4(
    6,
    join(uint16(source), uint16(destination), hex('00000001 00000002 5018 0400 0000 0000'), payload),
  );
}

export interface Dissected extends PacketRecord {
  /** One line per layer, '' for those that have nothing to say. */
  readonly infos: string[];
  readonly tree: TreeLine[];
}

/** Link type of a packet that begins with its IP header. */
function rawIp(bytes: Uint8Array): number {
  return bytes[0] >>> 4 === 6 ? 229 : 228;
}

interface Options {
  /** Bytes on the wire, where the capture has fewer. */
  readonly length?: number;
  /** Protocol to start with, where that is not IP. */
  readonly root?: string;
  /** What lies around the packet in memory. */
  readonly around?: number;
}

/** Walks and describes a packet in every way there is. */
export function dissect(
  bytes: Uint8Array,
  { length = bytes.length, root, around = 0xaa }: Options = {},
): Dissected {
  const memory = new Uint8Array(bytes.length + 64).fill(around);
  const start = 32;
  memory.set(bytes, start);
  const view = new DataView(memory.buffer);
  const linkType = bytes.length === 0 ? 228 : rawIp(bytes);
  const first = root === undefined ? dissector.root(linkType) : registry.indexOf(root);
  if (root !== undefined && first < 0) throw new Error(`no protocol ${root}`);
  dissector.walk(view, start, bytes.length, length, first, layers);
  outline.read(layers, roles, start);
  const record = packetRecord(dissector, roles, view, start, layers, outline, {
    number: 1,
    seconds: 0,
    nanoseconds: 0,
    file: null,
    interface: null,
    length,
    captured: bytes.length,
    linkType,
    comment: null,
  });
  const infos: string[] = [];
  for (let i = 0; i < layers.count; i++) {
    const whole = !(layers.partial && i === layers.count - 1);
    const layer = {
      body: layers.bodyOf(i),
      end: layers.endOf(i),
      limit: layers.limitOf(i),
      goesOn: layers.goesOn(i),
    };
    const { info } = registry.protocols[layers.protocol(i)];
    infos.push((whole && info?.(view, layers.start(i), layer)) || '');
  }
  return { ...record, infos, tree: packetTree(dissector, view, start, layers) };
}

/** Fields of the last layer of a protocol. */
export function fieldsOf(packet: Dissected, protocol: string): Record<string, unknown> {
  const layer = packet.layers.findLast((layer) => layer.protocol === protocol);
  if (layer === undefined) throw new Error(`no ${protocol} in ${packet.protocols.join(':')}`);
  return layer.fields;
}

export function codesOf(packet: Dissected): string[] {
  return packet.remarks.map(({ code }) => code);
}

/** What must hold for any bytes whatever. */
function expectSane(bytes: Uint8Array, options: Options): Dissected {
  const packet = dissect(bytes, options);
  // Nothing outside the packet has a say.
  expect(dissect(bytes, { ...options, around: 0x55 })).toEqual(packet);
  for (const line of packet.tree) {
    expect(line.depth).toBeGreaterThanOrEqual(0);
    expect(line.offset).toBeGreaterThanOrEqual(32);
    expect(line.length).toBeGreaterThanOrEqual(0);
    expect(line.offset + line.length).toBeLessThanOrEqual(32 + bytes.length);
  }
  for (const remark of packet.remarks) {
    expect(remark.offset).toBeGreaterThanOrEqual(0);
    expect(remark.offset + remark.length).toBeLessThanOrEqual(bytes.length);
  }
  return packet;
}

/** Cuts a packet at every byte: the layers that are whole stay, and nothing is blamed on the sender. */
export function expectTruncationsKeepLayers(bytes: Uint8Array, options: Options = {}): void {
  const whole = dissect(bytes, options);
  for (let captured = 1; captured < bytes.length; captured++) {
    const cut = expectSane(bytes.subarray(0, captured), { ...options, length: bytes.length });
    expect(cut.protocols).toEqual(whole.protocols.slice(0, cut.protocols.length));
    const complete = whole.layers.filter(
      (layer) => layer.offset + Math.max(layer.length, 1) <= captured,
    ).length;
    expect(cut.protocols.length).toBeGreaterThanOrEqual(Math.min(complete, whole.layers.length - 1));
    expect(cut.stop === null || cut.stop === 'truncated').toBe(true);
    expect(cut.remarks.filter(({ severity }) => severity === 'error')).toEqual([]);
  }
}

/** Random bytes, and `samples` with random bytes changed, taken for a protocol. */
export function expectSurvivesAnything(root: string, samples: readonly Uint8Array[]): void {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(100), (bytes, more) => {
      expectSane(bytes, { root, length: bytes.length + more });
    }),
    { numRuns: 200 },
  );
  const change = fc.tuple(fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(
      fc.constantFrom(...samples),
      fc.array(change, { maxLength: 4 }),
      fc.nat(),
      (sample, changes, cut) => {
        const bytes = sample.slice(0, sample.length - (cut % 3 === 0 ? cut % sample.length : 0));
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        expectSane(bytes, { root, length: sample.length });
      },
    ),
    { numRuns: 200 },
  );
}

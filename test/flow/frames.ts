/** Frames built from layers, and what flow accounting makes of them. Checksums are left zero: nothing here reads them. */
import { expect } from 'vitest';
import { builtins } from '../../dissectors/index.ts';
import { PacketBatch } from '../../src/capture/batch.ts';
import { Dissector } from '../../src/core/dissector.ts';
import { Layers } from '../../src/core/layers.ts';
import { FlowRoles, Outline } from '../../src/core/outline.ts';
import { Registry } from '../../src/core/registry.ts';
import { FlowAccounting, type VniKey } from '../../src/flow/accounting.ts';
import { type FlowRecord, FlowRecords } from '../../src/flow/records.ts';
import { type VniRecord, vniRecords } from '../../src/flow/vni.ts';

export function bytes(...parts: readonly (Uint8Array | number)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'number' ? Uint8Array.of(part) : part)));
}
export function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value);
}
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}
export function zeros(length: number): Uint8Array {
  return new Uint8Array(length);
}

/** Four bytes of "10.0.0.1", or sixteen of "fd00::1" (with one "::"). */
export function address(text: string): Uint8Array {
  if (!text.includes(':')) return Uint8Array.from(text.split('.'), Number);
  const [head, tail] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups = [...head, ...new Array(8 - head.length - tail.length).fill('0'), ...tail];
  return bytes(...groups.map((group) => u16(Number.parseInt(group, 16))));
}
const mac = (text: string) => Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));

export interface Ends {
  readonly src: string;
  readonly dst: string;
}
export function turned<E extends Ends>(ends: E): E {
  return { ...ends, src: ends.dst, dst: ends.src };
}

export function eth(
  type: number,
  payload: Uint8Array,
  { src = '02:00:00:00:00:01', dst = '02:00:00:00:00:02' } = {},
) {
  return bytes(mac(dst), mac(src), u16(type), payload);
}

export interface FragmentFields {
  readonly id?: number;
  /** In bytes. */
  readonly offset?: number;
  readonly more?: boolean;
}

export function ip4(
  protocol: number,
  { src, dst, id = 0, offset = 0, more = false }: Ends & FragmentFields,
  payload: Uint8Array,
) {
  const fragment = (more ? 0x2000 : 0) | (offset / 8);
  const header = bytes(0x45, 0, u16(20 + payload.length), u16(id), u16(fragment), 64, protocol, u16(0));
  return bytes(header, address(src), address(dst), payload);
}

export function ip6(next: number, { src, dst }: Ends, payload: Uint8Array) {
  return bytes(u32(0x60000000), u16(payload.length), next, 64, address(src), address(dst), payload);
}

/** IPv6 with a fragment header. */
export function ip6Fragment(
  next: number,
  { src, dst, id = 0, offset = 0, more = false }: Ends & FragmentFields,
  payload: Uint8Array,
) {
  return ip6(44, { src, dst }, bytes(next, 0, u16(offset | (more ? 1 : 0)), u32(id), payload));
}

/** IP of the family that the addresses have. */
export function ip(protocol: number, ends: Ends, payload: Uint8Array) {
  return (ends.src.includes(':') ? ip6 : ip4)(protocol, ends, payload);
}
/** Ethernet and IP. */
export function frame(protocol: number, ends: Ends, payload: Uint8Array) {
  return eth(ends.src.includes(':') ? 0x86dd : 0x0800, ip(protocol, ends, payload));
}

export function udp(source: number, destination: number, payload: Uint8Array = zeros(0)) {
  return bytes(u16(source), u16(destination), u16(8 + payload.length), u16(0), payload);
}

const FLAGS: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, A: 16 };
export interface TcpFields {
  readonly seq?: number;
  readonly ack?: number;
  /** Letters of FSRPA. */
  readonly flags?: string;
  readonly window?: number;
}
export function tcp(
  source: number,
  destination: number,
  { seq = 0, ack = 0, flags = 'A', window = 1000 }: TcpFields = {},
  payload: Uint8Array = zeros(0),
) {
  const bits = [...flags].reduce((all, letter) => all | FLAGS[letter], 0);
  const ports = bytes(u16(source), u16(destination));
  return bytes(ports, u32(seq), u32(ack), 0x50, bits, u16(window), u32(0), payload);
}

export function icmp(type: number, rest: number, payload: Uint8Array = zeros(16)) {
  return bytes(type, 0, u16(0), u32(rest), payload);
}

export function arp(operation: number, { src, dst }: Ends) {
  const form = bytes(u16(1), u16(0x0800), 6, 4, u16(operation));
  return eth(0x0806, bytes(form, zeros(6), address(src), zeros(6), address(dst)));
}

/** A Geneve option: class, type, data in whole words. */
export function option(optionClass: number, type: number, data: Uint8Array = zeros(4)) {
  return bytes(u16(optionClass), type, data.length / 4, data);
}

export const NODES: Ends = { src: '192.0.2.1', dst: '192.0.2.2' };

export interface TunnelFields {
  readonly vni: number;
  readonly nodes?: Ends;
  readonly options?: Uint8Array;
  /** UDP source port. */
  readonly entropy?: number;
}
/** UDP, Geneve, an Ethernet frame. */
export function genevePayload({ vni, options = zeros(0), entropy = 50000 }: TunnelFields, inner: Uint8Array) {
  const header = bytes(options.length / 4, 0, u16(0x6558), u32(vni * 256), options);
  return udp(entropy, 6081, bytes(header, inner));
}
export function geneve(tunnel: TunnelFields, inner: Uint8Array) {
  return frame(17, tunnel.nodes ?? NODES, genevePayload(tunnel, inner));
}
export function vxlan({ vni, nodes = NODES, entropy = 50000 }: TunnelFields, inner: Uint8Array) {
  return frame(17, nodes, udp(entropy, 4789, bytes(u32(0x08000000), u32(vni * 256), inner)));
}

/** An IP payload in fragments of at most `size` bytes of it (a multiple of eight). */
export function fragments(
  protocol: number,
  ends: Ends & { readonly id: number },
  payload: Uint8Array,
  size: number,
): Buffer[] {
  const list: Buffer[] = [];
  for (let offset = 0; offset < payload.length; offset += size) {
    const fields = { ...ends, offset, more: offset + size < payload.length };
    const part = payload.subarray(offset, offset + size);
    list.push(
      ends.src.includes(':')
        ? eth(0x86dd, ip6Fragment(protocol, fields, part))
        : eth(0x0800, ip4(protocol, fields, part)),
    );
  }
  return list;
}

/** A frame, or one with its time (packet i is at i milliseconds) and its length on the wire. */
export type Captured =
  | Uint8Array
  | {
      readonly data: Uint8Array;
      readonly seconds?: number;
      readonly nanoseconds?: number;
      readonly length?: number;
    };

const registry = new Registry().add(builtins);
export const dissector = new Dissector(registry, { application: false });
export const roles = new FlowRoles(registry);
const ETHERNET = dissector.root(1);

export interface Accounted {
  readonly accounting: FlowAccounting;
  readonly flows: FlowRecord[];
  readonly vnis: VniRecord[];
  /** Of all frames, on the wire. */
  readonly wire: number;
}

interface Timed {
  readonly data: Uint8Array;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly length: number;
}

/** Walks and accounts frames one by one, none of them in the kernel. */
function accountSlowly(frames: readonly Timed[], vniKey: VniKey): FlowAccounting {
  const accounting = new FlowAccounting(dissector, roles, vniKey);
  const layers = new Layers();
  const outline = new Outline();
  for (const { data, length, seconds, nanoseconds } of frames) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    dissector.walk(view, 0, data.length, length, ETHERNET, layers);
    outline.read(layers, roles, 0);
    accounting.account(view, 0, length, seconds, nanoseconds, layers, outline);
  }
  return accounting;
}

/** Accounts frames as the pipeline does: in the kernel, but for those that it leaves. */
function accountBatch(frames: readonly Timed[], vniKey: VniKey): FlowAccounting {
  const accounting = new FlowAccounting(dissector, roles, vniKey);
  const batch = new PacketBatch(Buffer.concat(frames.map(({ data }) => data)), frames.length);
  let offset = 0;
  frames.forEach(({ data, length, seconds, nanoseconds }, i) => {
    batch.offset[i] = offset;
    batch.captured[i] = data.length;
    batch.length[i] = length;
    batch.seconds[i] = seconds;
    batch.nanoseconds[i] = nanoseconds;
    offset += data.length;
  });
  batch.count = frames.length;
  const layers = new Layers();
  const outline = new Outline();
  const stops = new Float64Array(5);
  for (let i = 0; ; i++) {
    i = accounting.take(batch, i, batch.count, Int32Array.of(ETHERNET), stops);
    if (i >= batch.count) return accounting;
    dissector.walk(batch.view, batch.offset[i], batch.captured[i], batch.length[i], ETHERNET, layers);
    outline.read(layers, roles, batch.offset[i]);
    const start = batch.offset[i];
    accounting.account(
      batch.view,
      start,
      batch.length[i],
      batch.seconds[i],
      batch.nanoseconds[i],
      layers,
      outline,
    );
  }
}

/** Accounts frames in both ways, which must agree. */
export function account(frames: readonly Captured[], vniKey: VniKey = 'auto'): Accounted {
  const timed = frames.map((captured, i): Timed => {
    const packet = captured instanceof Uint8Array ? { data: captured } : captured;
    const { data, length = data.length, seconds = Math.floor(i / 1000) } = packet;
    const { nanoseconds = (i % 1000) * 1e6 } = packet;
    return { data, length, seconds, nanoseconds };
  });
  const [expected] = [accountSlowly(timed, vniKey)].map(results);
  const accounting = accountBatch(timed, vniKey);
  const { flows, vnis } = results(accounting);
  expect({ flows, vnis }).toEqual(expected);
  return { accounting, flows, vnis, wire: sum(timed, ({ length }) => length) };
}

function results(accounting: FlowAccounting): { flows: FlowRecord[]; vnis: VniRecord[] } {
  const records = new FlowRecords(accounting);
  return { flows: records.ids().map((id) => records.record(id)), vnis: vniRecords(accounting) };
}

export function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

/** Which packets the kernel walks by itself: any other takes ten times as long, and is accounted just the same. */
import { describe, expect, it } from 'vitest';
import { PacketBatch } from '../../src/capture/batch.ts';
import { FlowAccounting } from '../../src/flow/accounting.ts';
import {
  arp,
  bytes,
  dissector,
  eth,
  frame,
  geneve,
  icmp,
  ip,
  ip4,
  option,
  roles,
  tcp,
  u16,
  u32,
  udp,
  vxlan,
  zeros,
} from './frames.ts';

const [ETHERNET, RAW, SLL, SLL2, IPV4] = [1, 101, 113, 276, 228];
const FOUR = { src: '10.0.0.1', dst: '10.0.0.2' };
const SIX = { src: 'fd00::1', dst: 'fd00::2' };
const inner = frame(6, FOUR, tcp(40000, 80));
const sll = (payload: Uint8Array) => bytes(u16(0), u16(1), u16(6), zeros(8), u16(0x0800), payload);
const sll2 = (payload: Uint8Array) => bytes(u16(0x0800), u16(0), u32(1), u16(1), 0, 6, zeros(8), payload);

function isTaken(linkType: number, data: Uint8Array): boolean {
  const batch = new PacketBatch(data, 1);
  batch.captured[0] = data.length;
  batch.length[0] = data.length;
  batch.count = 1;
  const accounting = new FlowAccounting(dissector, roles);
  return accounting.take(batch, 0, 1, Int32Array.of(dissector.root(linkType)), new Float64Array(5)) === 1;
}

describe('the kernel walks', () => {
  it.each([
    ['UDP in IPv4', ETHERNET, frame(17, FOUR, udp(40000, 40001))],
    ['TCP in IPv6', ETHERNET, frame(6, SIX, tcp(40000, 80))],
    ['IPv4 without Ethernet', IPV4, ip(6, FOUR, tcp(40000, 80))],
    ['raw IPv4', RAW, ip(6, FOUR, tcp(40000, 80))],
    ['raw IPv6', RAW, ip(6, SIX, tcp(40000, 80))],
    ['a VLAN tag', ETHERNET, eth(0x8100, bytes(u16(5), u16(0x0800), ip(17, FOUR, udp(40000, 40001))))],
    ['an echo request', ETHERNET, frame(1, FOUR, icmp(8, 1))],
    ['an echo reply', ETHERNET, frame(1, FOUR, icmp(0, 1))],
    ['an echo request in IPv6', ETHERNET, frame(58, SIX, icmp(128, 1))],
    ['Geneve', ETHERNET, geneve({ vni: 1 }, inner)],
    ['Geneve with an option', ETHERNET, geneve({ vni: 1, options: option(0x0102, 0x80) }, inner)],
    ['Geneve over IPv6', ETHERNET, geneve({ vni: 1, nodes: SIX }, inner)],
    ['VXLAN', ETHERNET, vxlan({ vni: 1 }, inner)],
    ['cooked captures', SLL, sll(ip(17, FOUR, udp(40000, 40001)))],
    ['cooked captures, version 2', SLL2, sll2(ip(17, FOUR, udp(40000, 40001)))],
  ])('%s', (_, linkType, data) => {
    expect(isTaken(linkType, data)).toBe(true);
  });
});

describe('the kernel leaves to its host', () => {
  it.each([
    ['a fragment', eth(0x0800, ip4(17, { ...FOUR, more: true }, udp(40000, 40001)))],
    ['an ICMP error', frame(1, FOUR, icmp(3, 0, ip4(17, FOUR, udp(40000, 40001))))],
    ['ARP', arp(1, FOUR)],
    ['a tunnel in a tunnel', geneve({ vni: 1 }, vxlan({ vni: 2 }, inner))],
    ['IP in IP', frame(4, FOUR, ip(17, FOUR, udp(40000, 40001)))],
    ['a header cut in its middle', frame(17, FOUR, udp(40000, 40001)).subarray(0, 38)],
    ['a frame without a byte', zeros(0)],
    ['an echo in IPv6 that lacks its sequence number', frame(58, SIX, icmp(128, 1).subarray(0, 6))],
  ])('%s', (_, data) => {
    expect(isTaken(ETHERNET, data)).toBe(false);
  });

  it.each([
    ['raw IP without a byte', zeros(0)],
    ['raw packets of another version', bytes(0x50, zeros(19))],
  ])('%s', (_, data) => {
    expect(isTaken(RAW, data)).toBe(false);
  });
});

// VXLAN with its relatives, and the tunnels that are neither VXLAN nor Geneve.
import { bytes, inetSum, ipv4, patch, ramp, u8, u16, u32, zeros } from '../lib/bytes.mjs';
import { pcapng, rows } from '../lib/capture.mjs';
import { ip4, ip6 } from '../lib/ip.mjs';
import { eth, mpls, nsh, nshTlv } from '../lib/link.mjs';
import {
  erspan1,
  erspan2,
  gbp,
  gpe,
  gre,
  nodes4,
  nodes6,
  nvgre,
  over,
  overVxlan,
  sttFrame,
  vxlan,
} from '../lib/tunnel.mjs';
import { arpFrame, inner, ping4, ping6, pingFrame, podTunnel, restart, syn4, synFrame } from './parts.mjs';

const at4789 = { dport: 4789 };
const at4790 = { dport: 4790 };

const plain = () => [
  ['VXLAN VNI 42, ICMP echo', overVxlan({ vni: 42 }, pingFrame())],
  ['VXLAN VNI 42, ARP request', overVxlan({ vni: 42 }, arpFrame())],
  ['VXLAN VNI 0xffffff, TCP SYN', overVxlan({ vni: 0xffffff }, synFrame())],
  ['VXLAN over IPv6, UDP checksum zero', overVxlan({ vni: 42 }, pingFrame(), { nodes: nodes6, sum: 0 })],
  ['VXLAN over IPv6, UDP checksum good', overVxlan({ vni: 42 }, pingFrame(), { nodes: nodes6 })],
  ['Port 8472: Linux default, flannel (VNI 1)', overVxlan({ vni: 1 }, pingFrame(), { dport: 8472 })],
  [
    'Port 8472: Cilium, VNI = security identity 12345',
    overVxlan({ vni: 12345 }, synFrame(), { dport: 8472 }),
  ],
  [
    'Only the source port is 4789: not VXLAN by RFC 7348',
    overVxlan({ vni: 42 }, pingFrame(), { sport: 4789, dport: 33333 }),
  ],
  ['I bit clear: the VNI is not valid', overVxlan({ vni: 42, flags: 0 }, pingFrame())],
  [
    'Every reserved bit set except G: byte 0, byte 1, bytes 2-3, last byte',
    overVxlan({ vni: 42, flags: 0x7f, byte1: 0xb7, word: 0xabcd, last: 0x77 }, pingFrame()),
  ],
  [
    'BAD UDP payload of 5 bytes: no room for a VXLAN header',
    over(bytes(vxlan({ vni: 42 })).subarray(0, 5), at4789),
  ],
  [
    'BAD Inner Ethernet header cut by the sender after 9 bytes',
    overVxlan({ vni: 42 }, bytes(pingFrame()).subarray(0, 9)),
  ],
];

const policy = () => [
  ['GBP: G bit, group 0x0123', over(gbp({ vni: 45, group: 0x0123 }, pingFrame()), at4789)],
  [
    'GBP: G, A (policy applied), group 100',
    over(gbp({ vni: 45, group: 100, applied: 1 }, pingFrame()), at4789),
  ],
  [
    'GBP: G, D (do not learn), group 200',
    over(gbp({ vni: 45, group: 200, dontLearn: 1 }, pingFrame()), at4789),
  ],
  [
    'GBP: G, D, A, group 0xffff',
    over(gbp({ vni: 45, group: 0xffff, dontLearn: 1, applied: 1 }, synFrame()), at4789),
  ],
];

const generic = () => [
  ['GPE next protocol 1, IPv4', over(gpe({ vni: 77 }, ping4()), at4790)],
  ['GPE next protocol 2, IPv6', over(gpe({ vni: 77 }, ping6()), at4790)],
  ['GPE next protocol 3, Ethernet', over(gpe({ vni: 77 }, pingFrame()), at4790)],
  [
    'GPE next protocol 4, NSH type 1, IPv4 below',
    over(gpe({ vni: 77 }, nsh({ spi: 5, si: 254 }, ping4())), at4790),
  ],
  [
    'GPE next protocol 4, NSH type 2 with one context TLV, Ethernet below',
    over(gpe({ vni: 77 }, nsh({ spi: 6, context: nshTlv(0x0100, 1, ramp(4)) }, pingFrame())), at4790),
  ],
  ['GPE next protocol 5, MPLS label 3000, IPv4 below', over(gpe({ vni: 77 }, mpls([3000], ping4())), at4790)],
  ['GPE P bit clear: Ethernet follows', over(gpe({ vni: 77, p: 0, next: 0 }, pingFrame()), at4790)],
  ['GPE O bit: OAM', over(gpe({ vni: 77, oam: 1 }, pingFrame()), at4790)],
  ['GPE next protocol 0x7f, unknown', over(gpe({ vni: 77, next: 0x7f }, 'opaque payload'), at4790)],
  ['BAD GPE version 1: must be dropped', over(gpe({ vni: 77, version: 1 }, ping4()), at4790)],
];

/** `depth` VXLAN headers inside one another; the deepest VNI is 1. */
const nest = (depth) => {
  let frame = pingFrame();
  for (let vni = 1; vni <= depth; vni++) frame = inner(podTunnel(vxlan({ vni }, frame), 4789));
  return frame;
};
const nested = () => [
  ['VXLAN three deep, VNI 3, 2, 1', nest(3)],
  ['VXLAN 70 deep: every decoder has to stop somewhere', nest(70)],
];

const outer4 = (payload) => eth({}, ip4(nodes4, payload));
const greTunnels = () => [
  ['GRE, Ethernet inside', outer4(gre({}, pingFrame()))],
  ['GRE, IPv4 inside', outer4(gre({}, ping4()))],
  ['GRE, IPv6 inside', outer4(gre({}, ping6()))],
  ['GRE with key 4711, checksum and sequence 9', outer4(gre({ key: 4711, checksum: true, seq: 9 }, ping4()))],
  ['GRE over IPv6, key 4711', eth({}, ip6(nodes6, gre({ key: 4711 }, ping4())))],
  ['NVGRE: subnet 0x123456, flow 7', outer4(nvgre({ vsid: 0x123456, flow: 7 }, pingFrame()))],
  ['ERSPAN type I', outer4(erspan1(pingFrame()))],
  [
    'ERSPAN type II: session 100, VLAN 5, index 3',
    outer4(erspan2({ session: 100, vlan: 5, index: 3, seq: 1 }, pingFrame())),
  ],
  [
    'VXLAN VNI 42 inside GRE',
    outer4(gre({ key: 1 }, inner(podTunnel(vxlan({ vni: 42 }, pingFrame()), 4789)))),
  ],
];

const ipTunnels = () => [
  ['IP in IP (protocol 4)', outer4(ping4())],
  ['6in4 (protocol 41)', outer4(ping6())],
  ['IPv4 in IPv6', eth({}, ip6(nodes6, syn4()))],
  ['IPv6 in IPv6', eth({}, ip6(nodes6, ping6()))],
];

/**
 * STT looks like TCP to port 7471, but sequence and acknowledgement carry length, offset and id. The checksum is
 * TCP's, over the whole segment.
 */
const stt = (frame, { id }) => {
  const body = sttFrame({ context: 0x2a, flags: 0x04 }, frame);
  const head = bytes([
    u16(50000),
    u16(7471),
    u16(body.length),
    u16(0),
    u32(id),
    u16(0x5018),
    u16(0xffff),
    zeros(4),
  ]);
  const segment = bytes([head, body]);
  const pseudo = bytes([ipv4(nodes4.src), ipv4(nodes4.dst), u8(0), u8(6), u16(segment.length)]);
  return outer4({ ip: 6, render: () => patch(segment, 16, u16(inetSum(pseudo, segment))) });
};

const sttTunnels = () => [['STT: context id 42, IPv4 flag, one segment', stt(pingFrame(), { id: 1 })]];

export default () => {
  restart();
  const table = [plain, policy, generic, nested, greTunnels, ipTunnels, sttTunnels].flatMap((part) => part());
  return { 'vxlan-edge.pcapng': pcapng(rows(table)) };
};

// Geneve options of every vendor whose formats are known, at every length they have, and at lengths they do not have.
import { bytes, cat, hex, ipv4, ipv6, ramp, u8, u16, u24, u32, u64 } from '../lib/bytes.mjs';
import { pcapng, rows } from '../lib/capture.mjs';
import { ip4, udp } from '../lib/ip.mjs';
import { option, overGeneve } from '../lib/tunnel.mjs';
import { a4, addressPort, inner, pingFrame, restart, syn4, syn6, synFrame } from './parts.mjs';

const OVN = 0x0102;
const LINUX = 0x0100;
const INT = 0x0103;
const AWS = 0x0108;
const OXIDE = 0x0129;
const GOOGLE = 0x0132;
const CILIUM = 0x014b;
const CPACKET = 0x0164;
const TENCENT = 0x0167;

const carried = (comment, options, payload = pingFrame(), fields = {}) => [
  comment,
  overGeneve({ vni: 7, options, ...fields }, payload),
];

const ports = (ingress, egress) => u32(ingress * 0x10000 + egress);

const clouds = () => [
  carried('OVN: ingress port 3, egress port 5', [option(OVN, 0x80, ports(3, 5))]),
  carried('OVN: the reserved bit set, ingress port 32767, egress port 32768', [
    option(OVN, 0x80, hex('ffff 8000')),
  ]),
  carried('OVN as in 2014, class 0: ingress port 0, egress port 12', [option(0x0000, 0x80, ports(0, 12))]),
  carried(
    'Cilium DSR: service 10.96.0.10:80; from eBPF, hence C clear',
    [option(CILIUM, 0x81, addressPort(ipv4('10.96.0.10'), 80))],
    synFrame(),
    { vni: 2, critical: 0 },
  ),
  carried(
    'Cilium DSR: service [fd00:10:96::a]:443, C clear',
    [option(CILIUM, 0x81, addressPort(ipv6('fd00:10:96::a'), 443))],
    inner(syn6()),
    { vni: 2, critical: 0 },
  ),
  carried(
    'AWS GWLB: endpoint 0x0123456789abcdef, attachment 0, cookie 0xdeadbeef',
    [
      option(AWS, 0x01, u64(0x0123456789abcdefn)),
      option(AWS, 0x02, u64(0)),
      option(AWS, 0x03, u32(0xdeadbeef)),
    ],
    syn4(),
    { vni: 0 },
  ),
  carried(
    'Tencent GWLB: endpoint "example0", attachment 7, direction 1, cookie 0x1a2b3c4d',
    [
      option(TENCENT, 0x01, bytes('example0')),
      option(TENCENT, 0x02, u64(7)),
      option(TENCENT, 0x03, u32(0x3a2b3c4d)),
    ],
    syn4(),
    { vni: 0 },
  ),
  carried(
    'Tencent GWLB: an endpoint that would colour a terminal',
    [option(TENCENT, 0x01, bytes('\x1b[31mred'))],
    syn4(),
    { vni: 0 },
  ),
  carried(
    'Google: network 0x123456, ingress, profile 42, no endpoint',
    [option(GOOGLE, 0x01, u32(0x01234560)), option(GOOGLE, 0x03, u64(42))],
    syn4(),
    { vni: 0 },
  ),
  carried(
    'Google: network 0xfffffff, reserved bits, egress; endpoint of 16 bytes; profile above 2^53',
    [
      option(GOOGLE, 0x01, u32(0xffffffff)),
      option(GOOGLE, 0x02, hex('0800000d 0a000001 00000000 00000000')),
      option(GOOGLE, 0x03, u64(0xffffffffffffffffn)),
    ],
    syn4(),
    { vni: 0 },
  ),
  carried(
    'Google: endpoints of 4 and of 0 bytes',
    [option(GOOGLE, 0x02, hex('0a000001')), option(GOOGLE, 0x02)],
    syn4(),
    { vni: 0 },
  ),
  carried('Oxide: external, replication 2 (all), MSS 1448', [
    option(OXIDE, 0x00),
    option(OXIDE, 0x01, u32(0x80000000)),
    option(OXIDE, 0x02, u32(1448)),
  ]),
  carried('cPacket: packet 1001, 1500 bytes, version 1, at 1704067200.123456789 s, device 3, port 4', [
    option(
      CPACKET,
      0x00,
      cat(
        u32(1001),
        u16(1500),
        u8(0),
        u8(1),
        u16(0),
        u32(1704067200),
        u32(123456789),
        u16(0x8000),
        u16(3),
        u16(4),
      ),
    ),
  ]),
  carried('Linux GRO hint: Ethernet, headers at 14 and 34, 54 bytes', [option(LINUX, 0x01, hex('000e2236'))]),
  carried('Linux GRO hint: IPv4 inside, IPv6 nested, headers at 0 and 40, 60 bytes', [
    option(LINUX, 0x01, hex('0600283c')),
  ]),
];

/** INT-MD header, P4 INT 2.1: flags D, E, M; words per hop; the bitmap's highest bit is bit 0. */
const md = ({ flags = 0, words, left = 5, instructions, domain = [0, 0, 0] }, ...hops) =>
  option(
    INT,
    0x01,
    cat(u8(0x20 | flags), u8(0), u8(words), u8(left), u16(instructions), domain.map(u16), hops),
  );
const mx = (flags, instructions, domain, ...metadata) =>
  option(INT, 0x03, cat(u8(0x20 | flags), u24(0), u16(instructions), domain.map(u16), metadata));
const hop = (node, queue, occupancy) => cat(u32(node), u8(queue), u24(occupancy));

const everything = cat(
  u32(0x0a), // node
  cat(u16(1), u16(2)), // level 1 interfaces
  u32(850), // latency
  cat(u8(3), u24(4096)), // queue
  u64(1704067200000000000n), // timestamps
  u64(1704067200000000850n),
  cat(u32(0x10001), u32(0x10002)), // level 2 interfaces
  u32(73), // utilization
  cat(u8(5), u24(8192)), // buffer
  hex('ffffffff'), // bit 9, reserved
  hex('cafe0001'), // two words of the domain
  hex('cafe0002'),
  u32(0x12345678), // checksum complement
);

const telemetry = () => [
  carried('INT-MD: node and queue of three hops', [
    md({ words: 2, instructions: 0x9000 }, hop(3, 1, 300), hop(2, 1, 200), hop(1, 0, 100)),
  ]),
  carried('INT-MD: all metadata there are, one reserved, two words of a domain; one hop', [
    md({ words: 16, left: 0, flags: 0x0e, instructions: 0xffc1, domain: [0x5453, 0xc000, 1] }, everything),
  ]),
  carried('INT-MD: the first of two hops knows nothing of what is asked', [
    md(
      { words: 4, instructions: 0xa800 },
      hex('00000002 ffffffff ffffffffffffffff'),
      cat(u32(1), u32(700), u64(9)),
    ),
  ]),
  carried('INT-MD: no hops yet', [md({ words: 2, instructions: 0x9000 })]),
  carried('INT-MD: two hops, four bytes of the source behind them', [
    md(
      { words: 2, instructions: 0x9000, domain: [0x5453, 0x8000, 0] },
      hop(2, 1, 200),
      hop(1, 0, 100),
      hex('a61af6b1'),
    ),
  ]),
  carried('INT-MX: node and queue, to be reported', [mx(0, 0x9000, [0, 0, 0])]),
  carried('INT-MX: a sequence number and a flow number of the source', [
    mx(0x08, 0x9000, [0xabcd, 0xc000, 0], u32(15), hex('12345678')),
  ]),
  carried('BAD INT-MD: one word per hop, where two are asked for', [
    md({ words: 1, instructions: 0x9000 }, u32(2), u32(1)),
  ]),
  carried('BAD INT-MD: no words per hop, yet there are some', [md({ words: 0, instructions: 0 }, u32(2))]),
  carried('BAD INT-MD: eight bytes, its header takes twelve', [option(INT, 0x01, ramp(8))]),
];

/** Each option of fixed length, four bytes longer than it is. */
const lengths = () =>
  [
    ['OVN', OVN, 0x80, 8],
    ['OVN as in 2014, the longest there can be', 0x0000, 0x80, 124],
    ['Cilium DSR', CILIUM, 0x81, 12],
    ['AWS GWLB endpoint', AWS, 0x01, 12],
    ['Tencent GWLB cookie', TENCENT, 0x03, 8],
    ['Google profile', GOOGLE, 0x03, 12],
    ['Oxide external', OXIDE, 0x00, 4],
    ['cPacket', CPACKET, 0x00, 28],
    ['Linux GRO hint', LINUX, 0x01, 16],
  ].map(([name, cls, type, length]) =>
    carried(`BAD ${name} with ${length} bytes`, [option(cls, type, ramp(length))]),
  );

const unknown = () => [
  carried('Classes with an owner, types nobody knows: VMware, INT destination, Amazon type 0', [
    option(0x0104, 0x01, ramp(8)),
    option(INT, 0x02, ramp(12)),
    option(AWS, 0x00, hex('11111111')),
  ]),
  carried('A class nobody has, the last unassigned one, and both ends of the experimental ones', [
    option(0x0171, 0x01, ramp(4)),
    option(0xfeff, 0x01, ramp(4)),
    option(0xff00, 0x01, ramp(4)),
    option(0xffff, 0x01, ramp(4)),
  ]),
  carried('Critical and unknown', [option(0x0104, 0x81, ramp(4))]),
  carried(
    'Two known ones around an unknown one, in one flow',
    [
      option(OVN, 0x80, ports(1, 2)),
      option(0xff72, 0x7f, bytes('some text here..')),
      option(OXIDE, 0x02, u32(9000)),
    ],
    inner(ip4(a4, udp({ sport: 40100, dport: 40200 }, 'payload'))),
  ),
];

export default () => {
  restart();
  const table = [clouds, telemetry, lengths, unknown].flatMap((part) => part());
  return { 'option-decoders.pcapng': pcapng(rows(table)) };
};

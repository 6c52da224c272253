// What lies below and beside the tunnels: tags and labels, IP with everything it can carry, IPsec, offload oddities.
import { address, bytes, cat, hex, mac, patch, ramp, u8, u16, u32, zeros } from '../lib/bytes.mjs';
import { pcapng, rows } from '../lib/capture.mjs';
import * as ip from '../lib/ip.mjs';
import {
  arp,
  broadcast,
  controlWord,
  dot3,
  eth,
  llc,
  mac1,
  mac2,
  macsec,
  mpls,
  ppp,
  pppoe,
  pppoeTag,
  snap,
  svlan,
  vlan,
} from '../lib/link.mjs';
import { geneve, nodes4, vxlan } from '../lib/tunnel.mjs';
import { inner, ping4, ping6, restart, syn, syn4, synFrame, udp4 } from './parts.mjs';

const { ip4, ip6, tcp, udp, icmp, icmp6 } = ip;
const hosts = { src: '10.1.0.1', dst: '10.1.0.2' };
const hosts6 = { src: 'fd00:1::1', dst: 'fd00:1::2' };
const over4 = (fields, payload) => eth({}, ip4({ ...hosts, ...fields }, payload));
const over6 = (fields, payload) => eth({}, ip6({ ...hosts6, ...fields }, payload));

const bridge = cat(u16(0x8000), mac(mac1));
const bpdu = cat(hex('0000 00 00 00'), bridge, u32(0), bridge, hex('8001 0000 1400 0200 0f00'));
const dot1 = () => [
  [
    '802.3 with LLC: spanning tree configuration, padded to 60 bytes',
    cat(dot3({ dst: '01:80:c2:00:00:00' }, llc({ dsap: 0x42 }, bpdu)), zeros(8)),
  ],
  [
    '802.3 with LLC and SNAP: ARP request',
    cat(dot3({ dst: broadcast }, snap({}, arp({ spa: hosts.src, tpa: hosts.dst }))), zeros(10)),
  ],
  ['802.1Q, VLAN 100, priority 5', eth({}, vlan({ id: 100, pcp: 5 }, ping4()))],
  ['802.1Q, VLAN 0: priority only', eth({}, vlan({ id: 0, pcp: 6 }, ping4()))],
  ['802.1ad: service VLAN 200, customer VLAN 100', eth({}, svlan({ id: 200 }, vlan({ id: 100 }, ping4())))],
  ['802.1Q twice, VLAN 300 and 301', eth({}, vlan({ id: 300 }, vlan({ id: 301 }, ping6())))],
  ['ARP request', eth({ dst: broadcast }, arp({ spa: hosts.src, tpa: hosts.dst }))],
  [
    'ARP reply',
    eth({ src: mac2, dst: mac1 }, arp({ op: 2, sha: mac2, spa: hosts.dst, tha: mac1, tpa: hosts.src })),
  ],
  ['ARP, gratuitous', eth({ dst: broadcast }, arp({ spa: hosts.src, tpa: hosts.src }))],
  ['MPLS, two labels, IPv4', eth({}, mpls([100, 200], ping4()))],
  ['MPLS, two labels, IPv6', eth({}, mpls([100, 2], ping6()))],
  [
    'MPLS, one label, pseudowire with control word, Ethernet',
    eth({}, mpls([300], controlWord(1, eth({}, ping4())))),
  ],
  [
    'PPPoE discovery: PADI',
    cat(eth({ dst: broadcast }, pppoe({ code: 9 }, cat(pppoeTag(0x0101), pppoeTag(0x0103, 'host'))))),
  ],
  [
    'PPPoE discovery: PADO from "ac1"',
    eth(
      { src: mac2, dst: mac1 },
      pppoe({ code: 7 }, cat(pppoeTag(0x0101), pppoeTag(0x0102, 'ac1'), pppoeTag(0x0103, 'host'))),
    ),
  ],
  ['PPPoE session 17, IPv4', eth({}, pppoe({ session: 17 }, ppp(ping4())))],
  ['PPPoE session 17, IPv6', eth({}, pppoe({ session: 17 }, ppp(ping6())))],
  [
    'MACsec, integrity only: the packet stays readable',
    eth({}, macsec({ pn: 1, icv: ramp(16, 0xe0) }, cat(u16(0x0800), ping4()))),
  ],
  ['MACsec, encrypted', eth({}, macsec({ pn: 2, encrypted: true, icv: ramp(16, 0xe0) }, ramp(60, 0x11)))],
  ['EtherType 0x88b5, local experimental', eth({ type: 0x88b5 }, 'opaque payload')],
];

/** Cuts the payload of an IPv4 packet into fragments of `size` bytes (a multiple of 8). */
const fragments4 = (fields, payload, size) => {
  const body = bytes(ip4(fields, payload)).subarray(20);
  const starts = Array.from({ length: Math.ceil(body.length / size) }, (_, i) => i * size);
  return starts.map((offset) => {
    const mf = offset + size < body.length ? 1 : 0;
    return eth({}, ip4({ ...fields, proto: payload.ip, offset, mf }, body.subarray(offset, offset + size)));
  });
};
const fragments6 = (fields, payload, size, id) => {
  const body = bytes(ip6(fields, payload)).subarray(40);
  const starts = Array.from({ length: Math.ceil(body.length / size) }, (_, i) => i * size);
  return starts.map((offset) => {
    const more = offset + size < body.length;
    return eth(
      {},
      ip6(fields, ip.fragment6({ next: payload.ip, offset, more, id }, body.subarray(offset, offset + size))),
    );
  });
};
const named = (what, frames) => frames.map((f, i) => [`${what}, ${i + 1} of ${frames.length}`, f]);
const genevePacket = () => udp({ sport: 50000, dport: 6081, sum: 0 }, geneve({ vni: 7 }, synFrame()));

const ipv4 = () => [
  ['IPv4 option router alert: IGMPv2 report for 239.1.1.1', igmpReport()],
  [
    'IPv4 option record route, two slots, one filled',
    over4({ options: cat(hex('07 0b 08'), address('10.1.0.254'), zeros(4)) }, ip.ping(2, 1)),
  ],
  ...named(
    'IPv4 fragments in order, UDP',
    fragments4({ ...hosts, id: 0x1001 }, udp({ sport: 41000, dport: 41001 }, ramp(64)), 32),
  ),
  ...named(
    'IPv4 fragments last first, UDP',
    fragments4({ ...hosts, id: 0x1002 }, udp({ sport: 41000, dport: 41001 }, ramp(64)), 32).reverse(),
  ),
  ...named('Geneve in IPv4 fragments, in order', fragments4({ ...nodes4, id: 0x1003 }, genevePacket(), 48)),
  ...named(
    'Geneve in IPv4 fragments, last first',
    fragments4({ ...nodes4, id: 0x1004 }, genevePacket(), 48).reverse(),
  ),
  [
    'IPv4 fragment alone: the others never come',
    fragments4({ ...nodes4, id: 0x1005 }, genevePacket(), 48)[0],
  ],
  ['ICMP echo request', over4({}, ip.ping(3, 1))],
  [
    'ICMP echo reply',
    eth({ src: mac2, dst: mac1 }, ip4({ src: hosts.dst, dst: hosts.src }, ip.ping(3, 1, true))),
  ],
  ['ICMP port unreachable, quoting a TCP SYN', over4({}, icmp({ type: 3, code: 3 }, syn4()))],
  [
    'ICMP fragmentation needed, MTU 1400, quoting a VXLAN packet',
    over4({}, icmp({ type: 3, code: 4, rest: 1400 }, quoted(1450))),
  ],
  [
    'ICMP time exceeded, quoting 8 bytes of UDP',
    over4({}, icmp({ type: 11 }, bytes(udp4('x')).subarray(0, 28))),
  ],
  [
    'ICMP redirect to 10.1.0.253',
    over4({}, icmp({ type: 5, code: 1, rest: 0x0a0100fd }, bytes(syn4()).subarray(0, 28))),
  ],
];
const igmpReport = () => {
  const group = address('239.1.1.1');
  const report = cat(hex('1600 f9fc'), group); // RFC 2236: type 0x16; checksum of 1600 + ef01 + 0101
  return eth(
    { dst: '01:00:5e:01:01:01' },
    ip4({ ...hosts, dst: '239.1.1.1', ttl: 1, proto: 2, options: hex('94040000') }, report),
  );
};
/** The first bytes of a VXLAN packet whose lengths say `size`, as a router would quote it. */
const quoted = (size) => {
  const whole = ip4(
    { ...nodes4, df: 1 },
    udp(
      { sport: 50000, dport: 4789, sum: 0 },
      vxlan({ vni: 42 }, inner(ip4(hosts, udp({ sport: 7, dport: 9 }, zeros(size))))),
    ),
  );
  return bytes(whole).subarray(0, 78);
};

const routerAlert6 = hex('05 02 0000 01 00');
const padding6 = hex('01 04 00000000');
const nd = (fields, message) => over6({ hops: 255, ...fields }, message);
const mld = (payload) => (fields) => over6({ hops: 1, ...fields }, ip.hopByHop(routerAlert6, payload));
const group6 = 'ff02::1:ff00:2';
const allRouters = 'ff02::2';
const link = { src: 'fe80::1', dst: 'ff02::1' };

const ipv6 = () => [
  [
    'IPv6 hop-by-hop options (padding), UDP',
    over6({}, ip.hopByHop(padding6, udp({ sport: 41002, dport: 41003 }, 'hop by hop'))),
  ],
  [
    'IPv6 destination options, UDP',
    over6({}, ip.destOptions(padding6, udp({ sport: 41004, dport: 41005 }, 'destination'))),
  ],
  [
    'IPv6 segment routing header, two segments, none left, UDP',
    over6(
      {},
      ip.routing(
        { type: 4, left: 0, data: cat(hex('01 00 0000'), address(hosts6.dst), address('fd00:1::ff')) },
        udp({ sport: 41006, dport: 41007 }, 'routed'),
      ),
    ),
  ],
  ...named(
    'IPv6 fragments in order, UDP',
    fragments6(hosts6, udp({ sport: 41008, dport: 41009 }, ramp(64)), 40, 0x2001),
  ),
  ...named(
    'IPv6 fragments last first, UDP',
    fragments6(hosts6, udp({ sport: 41008, dport: 41009 }, ramp(64)), 40, 0x2002).reverse(),
  ),
  [
    'IPv6 atomic fragment (offset 0, no more), UDP',
    fragments6(hosts6, udp({ sport: 41010, dport: 41011 }, 'atomic'), 64, 0x2003)[0],
  ],
  ['IPv6 no next header', over6({ next: 59 }, null)],
  [
    'ICMPv6 neighbour solicitation',
    nd({ dst: group6 }, icmp6({ type: 135 }, cat(address(hosts6.dst), ip.ndOption(1, mac(mac1))))),
  ],
  [
    'ICMPv6 neighbour advertisement, solicited and override',
    nd(
      { src: hosts6.dst, dst: hosts6.src },
      icmp6({ type: 136, rest: 0x60000000 }, cat(address(hosts6.dst), ip.ndOption(2, mac(mac2)))),
    ),
  ],
  [
    'ICMPv6 router solicitation',
    nd({ src: 'fe80::1', dst: allRouters }, icmp6({ type: 133 }, ip.ndOption(1, mac(mac1)))),
  ],
  [
    'ICMPv6 router advertisement: lifetime 1800, MTU 1450, prefix fd00:1::/64',
    nd(
      link,
      icmp6(
        { type: 134, rest: 0x40000708 },
        cat(zeros(8), ip.ndOption(5, cat(u16(0), u32(1450))), prefixOption()),
      ),
    ),
  ],
  ['MLDv1 report', mld(icmp6({ type: 131 }, address(group6)))({ src: 'fe80::1', dst: group6 })],
  [
    'MLDv2 report: one record, change to exclude',
    mld(icmp6({ type: 143, rest: 1 }, cat(hex('04 00 0000'), address(group6))))({
      src: 'fe80::1',
      dst: 'ff02::16',
    }),
  ],
  [
    'ICMPv6 packet too big, MTU 1280, quoting a TCP SYN',
    over6({}, icmp6({ type: 2, rest: 1280 }, ip6(hosts6, syn()))),
  ],
  [
    'ICMPv6 port unreachable, quoting UDP',
    over6({}, icmp6({ type: 1, code: 4 }, ip6(hosts6, udp({ sport: 41012, dport: 41013 }, 'x')))),
  ],
];
const prefixOption = () =>
  ip.ndOption(3, cat(u8(64), u8(0xc0), u32(86400), u32(14400), u32(0), address('fd00:1::')));

// MPTCP DSS, RFC 8684 section 3.3: data ack, data sequence, subflow sequence, length; no checksum
const dss = ip.tcpOption(30, cat(u8(0x20), u8(0x05), u32(1), u32(1), u32(1), u16(4)));
const segment = (flags, options, fields) =>
  tcp({ sport: 45000, dport: 80, seq: 5000, flags, options, ...fields });
const transport = () => [
  [
    'TCP SYN: MSS, SACK permitted, timestamps, window scale',
    over4({}, segment('S', [ip.mss(1460), ip.sackPermitted, ip.timestamps(1000), ip.nop, ip.windowScale(7)])),
  ],
  [
    'TCP SYN: MSS, Fast Open cookie request, MP_CAPABLE version 1',
    over4(
      {},
      segment('S', [ip.mss(1460), ip.tcpOption(34), ip.nop, ip.nop, ip.tcpOption(30, hex('0101'))], {
        sport: 45001,
      }),
    ),
  ],
  ['TCP SYN with data and a Fast Open cookie', over4({}, tcpFastOpen())],
  [
    'TCP ACK with two SACK blocks',
    over4({}, segment('A', [ip.nop, ip.nop, ip.sack(9100, 9200, 9300, 9400)], { sport: 45003, ack: 9000 })),
  ],
  [
    'TCP data with MPTCP DSS (data ack and mapping, 4 bytes each)',
    over4({}, tcp({ sport: 45004, dport: 80, seq: 5000, ack: 9000, flags: 'PA', options: dss }, 'data')),
  ],
  [
    'TCP with MD5 signature',
    over4(
      {},
      segment('A', [ip.nop, ip.nop, ip.tcpOption(19, ramp(16))], { sport: 45005, dport: 179, ack: 9000 }),
    ),
  ],
  [
    'TCP with authentication option (key 1)',
    over4(
      {},
      segment('A', [ip.tcpOption(29, cat(u8(1), u8(1), ramp(12)))], { sport: 45006, dport: 179, ack: 9000 }),
    ),
  ],
  [
    'TCP with all ECN and control flags, urgent pointer 1',
    over4({}, tcp({ sport: 45007, dport: 80, seq: 1, ack: 1, flags: 'CEUAP', urgent: 1 }, '!')),
  ],
  ['BAD TCP option length 0', over4({}, segment('S', hex('0200 0000'), { sport: 45008 }))],
  [
    'BAD TCP header length 4 words',
    patch(over4({}, segment('S', null, { sport: 45009 })), 14 + 20 + 12, hex('40')),
  ],
  [
    'SCTP INIT',
    over4(
      {},
      ip.sctp({ sport: 40100, dport: 40100, tag: 0 }, [
        ip.sctpChunk(1, 0, cat(u32(0x11223344), u32(65536), u16(10), u16(10), u32(1))),
      ]),
    ),
  ],
  [
    'SCTP DATA, stream 1, "hello"',
    over4(
      {},
      ip.sctp({ sport: 40100, dport: 40100, tag: 0x55667788 }, [
        ip.sctpChunk(0, 3, cat(u32(1), u16(1), u16(0), u32(0), 'hello')),
      ]),
    ),
  ],
  ['UDP without checksum', over4({}, udp({ sport: 41014, dport: 41015, sum: 0 }, 'no checksum'))],
];
const tcpFastOpen = () =>
  tcp(
    {
      sport: 45002,
      dport: 80,
      seq: 5000,
      flags: 'S',
      options: [ip.mss(1460), ip.tcpOption(34, ramp(8, 0xa0)), ip.nop, ip.nop],
    },
    'GET /',
  );

const natT = (payload) => over4({}, udp({ sport: 4500, dport: 4500, sum: 0 }, payload));
const ike = cat(ramp(8, 0x10), zeros(8), u8(0), u8(0x20), u8(34), u8(0x08), u32(0), u32(28));
const ipsec = () => [
  ['ESP: SPI 0x1001, sequence 1', over4({}, ip.esp({ spi: 0x1001, seq: 1 }, ramp(40, 0x80)))],
  ['AH around ICMP: readable', over4({}, ip.ah({ spi: 0x1002, seq: 1, icv: ramp(12, 0xe0) }, ip.ping(4, 1)))],
  [
    'AH around Geneve: readable',
    over4({}, ip.ah({ spi: 0x1002, seq: 2, icv: ramp(12, 0xe0) }, genevePacket())),
  ],
  ['UDP 4500: keepalive', natT(u8(0xff))],
  ['UDP 4500: IKE_SA_INIT behind the non-ESP marker', natT(cat(u32(0), ike))],
  ['UDP 4500: ESP', natT(cat(u32(0x1003), u32(1), ramp(40, 0x80)))],
];

/** Segmentation offload hands packets to the capture before they are cut up: lengths over 65535 are written as 0. */
const offload = () => {
  const size = 66000;
  const data = (n, sport) => tcp({ sport, dport: 80, seq: 1, ack: 1, flags: 'PA' }, ramp(n));
  const jumbo = cat(hex('c2 04'), u32(8 + 20 + size));
  return [
    [
      'GSO: VXLAN with outer and inner IPv4 total length 0 and UDP length 0, 66 kB, cut by the capture',
      superPacket(data(size, 45010)),
      { cut: 160 },
    ],
    ['GSO: the same shape with 200 bytes, not cut', superPacket(data(200, 45011))],
    [
      'BIG TCP: IPv6 payload length 0, 66 kB, cut by the capture',
      over6({ length: 0 }, data(size, 45012)),
      { cut: 120 },
    ],
    [
      'BIG TCP: IPv6 jumbogram with its hop-by-hop option, 66 kB, cut by the capture',
      over6({ length: 0 }, ip.hopByHop(jumbo, data(size, 45013))),
      { cut: 120 },
    ],
  ];
};
const superPacket = (segments) => overGso(inner(ip4({ ...hosts, length: 0 }, segments)));
const overGso = (frame) =>
  eth(
    {},
    ip4(
      { ...nodes4, length: 0 },
      udp({ sport: 50000, dport: 4789, sum: 0, length: 0 }, vxlan({ vni: 42 }, frame)),
    ),
  );

export default () => {
  restart();
  const table = [dot1, ipv4, ipv6, transport, ipsec, offload].flatMap((part) => part());
  return { 'l2-l3.pcapng': pcapng(rows(table)) };
};

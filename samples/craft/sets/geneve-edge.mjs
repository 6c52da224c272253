// Geneve: what the header allows, what it forbids, and what vendors put into its options.
import { bytes, hex, ipv4, ipv6, patch, ramp, u32, u64, zeros } from '../lib/bytes.mjs';
import { pcapng, rows } from '../lib/capture.mjs';
import { ip4, udp } from '../lib/ip.mjs';
import { arp, eth, mpls, nsh, vlan } from '../lib/link.mjs';
import { geneve, nodes4, nodes6, option, over, overGeneve, vxlan } from '../lib/tunnel.mjs';
import {
  a4,
  addressPort,
  arpFrame,
  inner,
  ping4,
  ping6,
  pingFrame,
  podA,
  podTunnel,
  restart,
  syn4,
  syn6,
  synFrame,
} from './parts.mjs';

const ovn = (ingress, egress) => option(0x0102, 0x80, u32(ingress * 0x10000 + egress));
const overV6 = { nodes: nodes6 };

const plain = () => [
  ['Geneve VNI 7, Ethernet, ICMP echo', overGeneve({ vni: 7 }, pingFrame())],
  ['Geneve VNI 7, Ethernet, ARP request', overGeneve({ vni: 7 }, arpFrame())],
  ['Geneve VNI 0xffffff, the largest', overGeneve({ vni: 0xffffff }, pingFrame())],
  ['Inner 802.1Q tag, VLAN 100', overGeneve({ vni: 7 }, inner(vlan({ id: 100, pcp: 3 }, ping4())))],
];

const payloads = () => [
  ['Protocol type 0x0800: IPv4 without Ethernet', overGeneve({ vni: 8 }, ping4())],
  ['Protocol type 0x86dd: IPv6 without Ethernet', overGeneve({ vni: 8 }, ping6())],
  [
    'Protocol type 0x0806: ARP without Ethernet',
    overGeneve({ vni: 8 }, arp({ sha: podA, spa: a4.src, tpa: a4.dst })),
  ],
  ['Protocol type 0x8847: MPLS label 16001, IPv4 below', overGeneve({ vni: 8 }, mpls([16001], ping4()))],
  ['Protocol type 0x894f: NSH path 100, IPv4 below', overGeneve({ vni: 8 }, nsh({ spi: 100 }, ping4()))],
  [
    'Protocol type 0x894f: NSH path 101, Ethernet below',
    overGeneve({ vni: 8 }, nsh({ spi: 101 }, pingFrame())),
  ],
  [
    'Protocol type 0x88b5 (local experimental): opaque payload',
    overGeneve({ vni: 8, proto: 0x88b5 }, 'opaque payload'),
  ],
];

const vendors = () => [
  [
    'OVN 0x0102/0x80: ingress port 3, egress port 5',
    overGeneve({ vni: 7, options: [ovn(3, 5)] }, pingFrame()),
  ],
  [
    'OVN: ingress port 0x7fff, egress 0x8000 = multicast group (flood)',
    overGeneve({ vni: 7, options: [ovn(0x7fff, 0x8000)] }, arpFrame()),
  ],
  [
    'AWS Gateway Load Balancer: endpoint, attachment, flow cookie; VNI 0, IPv4 payload',
    overGeneve(
      {
        vni: 0,
        options: [
          option(0x0108, 0x01, u64(0x0123456789abcdefn)),
          option(0x0108, 0x02, u64(0)),
          option(0x0108, 0x03, u32(0xdeadbeef)),
        ],
      },
      syn4(),
    ),
  ],
  [
    'Cilium DSR, IPv4 service 10.96.0.10:80; sent from eBPF, hence base C clear',
    overGeneve(
      { vni: 2, critical: 0, options: [option(0x014b, 0x81, addressPort(ipv4('10.96.0.10'), 80))] },
      synFrame(),
    ),
  ],
  [
    'Cilium DSR, IPv6 service [fd00:10:96::a]:80; base C clear',
    overGeneve(
      { vni: 2, critical: 0, options: [option(0x014b, 0x81, addressPort(ipv6('fd00:10:96::a'), 80))] },
      inner(syn6()),
    ),
  ],
  [
    'Google 0x0132: network id 0x123456, direction ingress; profile id 42',
    overGeneve(
      { vni: 0, options: [option(0x0132, 0x01, u32(0x1234560)), option(0x0132, 0x03, u64(42))] },
      syn4(),
    ),
  ],
  [
    'Google 0x0132: network id 0x800000d, direction egress; endpoint id 16 bytes; profile id 42',
    overGeneve(
      {
        vni: 0,
        options: [
          option(0x0132, 0x01, u32(0x800000d1)),
          option(0x0132, 0x02, hex('0800000d 0a000001 00000000 00000000')),
          option(0x0132, 0x03, u64(42)),
        ],
      },
      syn4(),
    ),
  ],
  [
    'Oxide 0x0129: external packet, replication 2 (all), MSS 1448',
    overGeneve(
      {
        vni: 99,
        options: [option(0x0129, 0), option(0x0129, 1, u32(0x80000000)), option(0x0129, 2, u32(1448))],
      },
      pingFrame(),
    ),
  ],
  [
    'Tencent 0x0167: endpoint "endpoint", attachment 0, direction 1 and cookie',
    overGeneve(
      {
        vni: 0,
        options: [
          option(0x0167, 0x01, bytes('endpoint')),
          option(0x0167, 0x02, u64(0)),
          option(0x0167, 0x03, u32(0x20000001)),
        ],
      },
      syn4(),
    ),
  ],
  [
    'Linux GRO hint 0x0100/0x01: inner Ethernet, network header at 14, transport at 34, 54 bytes of headers',
    overGeneve({ vni: 7, options: [option(0x0100, 0x01, hex('000e2236'))] }, synFrame()),
  ],
  [
    'Istio ambient as on the wire: VNI 1001 (istioout), no options, DF clear, source port below 1024',
    overGeneve({ vni: 1001 }, synFrame(), { sport: 683 }),
  ],
];

const optionLists = () => [
  [
    'Three options: known 0x0102/0x80, then 0xffff/0x01 (8 bytes), 0xffff/0x02 (16 bytes)',
    overGeneve(
      { vni: 7, options: [ovn(1, 2), option(0xffff, 1, ramp(8)), option(0xffff, 2, ramp(16, 0x20))] },
      pingFrame(),
    ),
  ],
  [
    'Three options without data',
    overGeneve({ vni: 7, options: [option(0xff00, 1), option(0xff00, 1), option(0xff00, 1)] }, pingFrame()),
  ],
  [
    'Largest header: 260 bytes, options of 124 and 120 data bytes',
    overGeneve(
      { vni: 7, options: [option(0xff00, 1, ramp(124)), option(0xff00, 2, ramp(120))] },
      pingFrame(),
    ),
  ],
  [
    'The same option twice',
    overGeneve(
      { vni: 7, options: [option(0xff00, 7, hex('00000001')), option(0xff00, 7, hex('00000002'))] },
      pingFrame(),
    ),
  ],
  [
    'Known option with an unexpected length: 0x0108/0x03 with 8 bytes instead of 4',
    overGeneve({ vni: 0, options: [option(0x0108, 0x03, ramp(8))] }, syn4()),
  ],
];

const oddities = () => [
  [
    'Critical option nobody knows: 0xfffe/0x81',
    overGeneve({ vni: 7, options: [option(0xfffe, 0x81, hex('01000000'))] }, pingFrame()),
  ],
  [
    'Critical option, base C bit clear (RFC 8926 section 3.5 asks for it)',
    overGeneve({ vni: 7, critical: 0, options: [ovn(3, 5)] }, pingFrame()),
  ],
  [
    'Base C bit set, no critical option',
    overGeneve({ vni: 7, critical: 1, options: [option(0x0108, 0x03, hex('deadbeef'))] }, syn4()),
  ],
  ['O bit (control message), no payload at all', overGeneve({ vni: 7, oam: 1, proto: 0x6558 }, null)],
  ['O bit with a payload', overGeneve({ vni: 7, oam: 1 }, pingFrame())],
  [
    'All reserved bits of the base header set',
    overGeneve({ vni: 7, reserved: 0x3f, reserved2: 0xff }, pingFrame()),
  ],
  [
    'Reserved bits of an option set',
    overGeneve({ vni: 7, options: [option(0xffff, 1, ramp(4), { reserved: 7 })] }, pingFrame()),
  ],
];

const wrong = () => [
  ['BAD Version 1', overGeneve({ vni: 7, version: 1 }, pingFrame())],
  [
    'BAD Option longer than the option area: says 20 bytes of data, 0 are left',
    overGeneve({ vni: 7, options: [option(0x0102, 0x80, zeros(0), { words: 5 })] }, pingFrame()),
  ],
  ['BAD OptLen 63 words, the datagram has 14 more bytes', overGeneve({ vni: 7, words: 63 }, zeros(14))],
  [
    'BAD UDP payload of 7 bytes: no room for a Geneve header',
    over(bytes(geneve({ vni: 7 })).subarray(0, 7), { dport: 6081 }),
  ],
  [
    'BAD Inner Ethernet header cut by the sender after 10 bytes',
    overGeneve({ vni: 7 }, bytes(pingFrame()).subarray(0, 10)),
  ],
  ['BAD Inner IPv4 header length 4 words', overGeneve({ vni: 7 }, patch(pingFrame(), 14, hex('44')))],
  ['BAD Outer UDP checksum present and wrong', overGeneve({ vni: 7 }, pingFrame(), { sum: 0xbad0 })],
  [
    'BAD Inner IPv4 checksum wrong',
    overGeneve({ vni: 7 }, inner(ip4({ ...a4, sum: 0xbad0 }, udp({ sport: 1024, dport: 9 }, 'discard')))),
  ],
];

const outside = () => [
  ['Outer UDP checksum present and good', overGeneve({ vni: 7 }, pingFrame(), { sum: 'good' })],
  ['Outer IPv6, UDP checksum good', overGeneve({ vni: 7 }, pingFrame(), overV6)],
  [
    'Outer IPv6, UDP checksum zero (RFC 6935 allows it to tunnels)',
    overGeneve({ vni: 7 }, pingFrame(), { ...overV6, sum: 0 }),
  ],
  ['Outer ECN CE over inner Not-ECT: RFC 6040 says drop', overGeneve({ vni: 7 }, pingFrame(), { tos: 3 })],
  ['Outer ECN ECT(0) over inner Not-ECT', overGeneve({ vni: 7 }, pingFrame(), { tos: 2 })],
  [
    'Outer ECN CE over inner ECT(0): congestion, as designed',
    overGeneve({ vni: 7 }, pingFrame({ tos: 2 }), { tos: 3 }),
  ],
  [
    'Geneve in Geneve: VNI 7 outside, VNI 9 inside',
    overGeneve({ vni: 7 }, inner(podTunnel(geneve({ vni: 9 }, pingFrame()), 6081))),
  ],
  [
    'VXLAN in Geneve: VNI 42 inside VNI 7',
    overGeneve({ vni: 7 }, inner(podTunnel(vxlan({ vni: 42 }, pingFrame()), 4789))),
  ],
  [
    'Outer 802.1Q tag, VLAN 10',
    eth(
      {},
      vlan(
        { id: 10 },
        ip4(nodes4, udp({ sport: 50000, dport: 6081, sum: 0 }, geneve({ vni: 7 }, pingFrame()))),
      ),
    ),
  ],
  [
    'Not Geneve: 6081 is only the source port',
    overGeneve({ vni: 7 }, pingFrame(), { sport: 6081, dport: 33333 }),
  ],
  ['Both ports 6081', overGeneve({ vni: 7 }, pingFrame(), { sport: 6081 })],
  [
    'Ten bytes of Ethernet padding behind the outer IPv4 datagram',
    [overGeneve({ vni: 7, oam: 1, proto: 0x6558 }, null), zeros(10)],
  ],
  [
    'Eighteen bytes of padding behind the inner IPv4 packet',
    overGeneve({ vni: 7 }, [inner(ip4(a4, udp({ sport: 40001, dport: 40002 }, ''))), zeros(18)]),
  ],
];

// The same good frame, captured with ever smaller snap lengths.
const cuts = () => {
  const frame = bytes(overGeneve({ vni: 7, options: [ovn(3, 5)] }, synFrame()));
  const places = [
    [100, 'in the inner TCP header'],
    [80, 'in the inner IPv4 header'],
    [66, 'in the inner Ethernet header'],
    [58, 'right behind the option'],
    [55, 'in the option data'],
    [52, 'in the option header'],
    [46, 'in the Geneve base header'],
    [40, 'in the outer UDP header'],
    [25, 'in the outer IPv4 header'],
    [10, 'in the outer Ethernet header'],
  ];
  return places.map(([cut, where]) => [
    `CUT by the capture ${where}: ${cut} of ${frame.length} bytes`,
    frame,
    { cut },
  ]);
};

export default () => {
  restart();
  const table = [plain, payloads, vendors, optionLists, oddities, wrong, outside, cuts].flatMap((part) =>
    part(),
  );
  return { 'geneve-edge.pcapng': pcapng(rows(table)) };
};

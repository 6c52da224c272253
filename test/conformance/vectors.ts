/** What is known of single packets: their layers, ends, options and what is odd about them. */
import type { OptionRecord } from '../../src/core/record.ts';

const PING = 'eth:ip:udp:geneve:eth:ip:icmp';
const SYN = 'eth:ip:udp:geneve:eth:ip:tcp';
const BARE_SYN = 'eth:ip:udp:geneve:ip:tcp';
const pods = { src: '10.0.0.1', dst: '10.0.0.2' };
const raw = (optionClass: number, type: number, data: string): Partial<OptionRecord> => ({
  class: optionClass,
  type,
  length: data.length / 2,
  name: null,
  data,
});

export interface Expectation {
  readonly protocols: string;
  readonly vni: number | null;
  readonly src: string | null;
  readonly dst: string | null;
  /** Outer source and destination. */
  readonly tunnel?: readonly [src: string | null, srcPort: number, dst: string | null];
  readonly options?: readonly Partial<OptionRecord>[];
  readonly remarks?: readonly string[];
  readonly stop?: string;
  readonly ports?: readonly [number, number];
}

const ovn = (optionClass: number, ingress: number, egress: number) => ({
  class: optionClass,
  type: 0x80,
  critical: true,
  length: 4,
  name: 'ovn.ports',
  fields: { 'ovn.ingress_port': ingress, 'ovn.egress_port': egress },
});
const gwlb = (vendor: string, type: number, kind: string, fields: Record<string, string | number>) => ({
  class: vendor === 'aws' ? 0x0108 : 0x0167,
  type,
  critical: false,
  name: `${vendor}.gwlb.${kind}`,
  fields: Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [`${vendor}.gwlb.${name}`, value]),
  ),
});
const google = (type: number, name: string, fields: Record<string, string | number | boolean>) => ({
  class: 0x0132,
  type,
  name: `gcp.${name}`,
  fields: Object.fromEntries(
    Object.entries(fields).map(([field, value]) => [`geneve.option.gcp.${field}`, value]),
  ),
});
const awsCookie = gwlb('aws', 3, 'cookie', { flow_cookie: 0xdeadbeef });
const nodes = ['192.0.2.1', 50000, '192.0.2.2'] as const;

/** By name: V are public, C constructed. */
export const EXPECTED: Readonly<Record<string, Expectation>> = {
  V1: {
    protocols: PING,
    vni: 0x0a,
    src: '30.0.0.1',
    dst: '30.0.0.2',
    tunnel: ['20.0.0.1', 12618, '20.0.0.2'],
    options: [ovn(0x0000, 0, 12)],
  },
  V2: {
    protocols: BARE_SYN,
    vni: 0,
    src: '192.168.100.2',
    dst: '192.168.100.1',
    ports: [2905, 8080],
    tunnel: ['192.168.100.254', 62974, '192.168.100.3'],
    options: [
      google(1, 'network', { vnid: 134217741, reserved: false, direction: true }),
      google(2, 'endpoint', { endpoint: '0800000dc0a864020000000000000000' }),
      google(3, 'profile', { profile: '4660' }),
    ],
  },
  V3: {
    protocols: BARE_SYN,
    vni: 0,
    src: '87.121.84.243',
    dst: '1.14.100.233',
    ports: [8324, 37004],
    tunnel: ['10.16.1.16', 33375, '10.16.1.6'],
    options: [
      gwlb('tencent', 1, 'endpoint', { endpoint_id: 'big0vj0j' }),
      gwlb('tencent', 2, 'attachment', { attachment_id: '0x0000000000000000' }),
      gwlb('tencent', 3, 'cookie', { flow_direction: 1, flow_cookie: 0x1a970c9e }),
    ],
  },
  V4: {
    protocols: 'eth:ip:udp:geneve:eth:arp',
    vni: 0x7b,
    src: '10.0.0.1',
    dst: '10.0.0.2',
    tunnel: ['192.168.56.11', 16613, '192.168.56.12'],
    options: [],
  },
  V5: {
    protocols: SYN,
    vni: 0xc012e,
    src: '10.0.0.226',
    dst: '95.217.228.176',
    ports: [39088, 80],
    tunnel: ['192.168.33.179', 6667, '192.168.179.33'],
    options: [
      raw(0x0100, 1, Buffer.from('1234567890abcde\0').toString('hex')),
      { class: 0x0100, type: 2, length: 36, name: null },
      { class: 0x0100, type: 3, length: 12, name: null },
    ],
    remarks: ['geneve.option-length'],
  },
  V6: {
    protocols: 'eth:ip:udp:geneve:ipv6:udp',
    vni: 0x123456,
    src: 'fd00::1',
    dst: 'fd00::2',
    ports: [40000, 40001],
    options: [],
  },
  V7: { protocols: 'eth:ip:udp:geneve:arp', vni: 1, src: '10.0.0.1', dst: '10.0.0.2', options: [] },
  V8: {
    protocols: 'eth:ip:udp:geneve:eth:ip:udp',
    vni: 0x64,
    src: '127.0.0.1',
    dst: '127.0.0.1',
    ports: [12345, 31337],
    tunnel: ['172.17.0.1', 35226, '172.17.0.2'],
    options: [{ class: 0xff72, type: 0x7f, critical: false, length: 56, name: null, vendor: 'Experimental' }],
  },
  V9: {
    protocols: 'eth:ip:udp:geneve:ip:udp:vxlan:eth:ip:udp:dns',
    vni: 4242,
    src: '172.16.11.201',
    dst: '1.1.1.1',
    ports: [36872, 53],
    stop: 'truncated',
    remarks: ['dns.truncated'],
  },
  V10: {
    protocols: 'eth:vlan:ip:udp:geneve:eth:ip:icmp',
    vni: 0,
    src: '127.0.0.1',
    dst: '127.0.0.1',
    tunnel: ['127.0.0.1', 57025, '127.0.0.1'],
    options: [ovn(0x0102, 1, 2)],
    remarks: ['geneve.critical-without-c'],
  },
  V11: {
    protocols: 'sll:ip:udp:geneve:eth:ip:icmp',
    vni: 0,
    src: '192.168.0.1',
    dst: '192.168.0.2',
    tunnel: ['192.168.0.83', 12631, '192.168.0.85'],
    options: [],
  },
  V12: {
    protocols: PING,
    vni: 0x0a,
    src: '30.0.0.1',
    dst: '30.0.0.2',
    options: [raw(0x0000, 0x80, Buffer.from(Array.from({ length: 124 }, (_, i) => i)).toString('hex'))],
    remarks: ['geneve.option-length'],
  },
  V13: {
    protocols: 'udp:geneve:eth:ipv6:udp',
    vni: 0x25,
    src: 'fe80::a00:27ff:fefe:8f95',
    dst: 'ff02::1:2',
    ports: [546, 547],
    tunnel: [null, 12816, null],
    options: [raw(0x0108, 0, '11111111'), raw(0x0108, 0, '11111111')],
  },
  V14: {
    protocols: 'udp:geneve:eth:ip:udp',
    vni: 0x25,
    src: '10.96.0.10',
    dst: '185.27.115.6',
    options: [],
    remarks: ['geneve.option-overrun'],
  },
  V15: {
    protocols: 'eth:ip:udp:vxlan:eth:arp',
    vni: 100,
    src: '192.168.203.5',
    dst: '192.168.203.3',
    tunnel: ['192.168.202.1', 42710, '192.168.203.1'],
  },
  V16: {
    protocols: 'eth:ip:udp:vxlan:eth:ip:tcp',
    vni: 11,
    src: '218.94.93.34',
    dst: '192.168.1.134',
    tunnel: ['192.168.1.134', 49152, '192.168.1.52'],
    remarks: ['vxlan.reserved'],
  },
  V17: {
    protocols: 'eth:ip:udp:vxlan:eth:ip:udp:vxlan:eth:ip:udp:vxlan:eth:ip:udp:dns',
    vni: 3,
    src: '4.4.4.4',
    dst: '4.4.4.9',
    tunnel: ['1.1.1.1', 4789, '1.1.1.9'],
    // Bytes 2 and 3 are 3 in each layer, the reserved flag 0x04 is set.
    remarks: [1, 2, 3].flatMap(() => ['vxlan.gbp-without-g', 'vxlan.reserved']),
  },
  V18: { protocols: 'eth:macsec:ip:icmp', vni: null, src: '192.168.113.1', dst: '192.168.113.2' },
  V19: {
    protocols: 'eth:ip:udp:vxlan_gpe:nsh:ip:udp',
    vni: 0xffffff,
    src: '192.168.0.1',
    dst: '192.168.0.2',
    ports: [10000, 20000],
  },
  V20: {
    protocols: 'eth:ip:udp:udpencap:esp',
    vni: null,
    src: '192.1.2.23',
    dst: '192.1.2.45',
    ports: [4500, 4500],
  },
  V21: { protocols: 'nflog:ip:udp:dns', vni: null, src: '74.82.42.42', dst: '10.0.0.20' },
  V22: { protocols: 'sll2:ip:tcp', vni: null, src: '192.168.1.253', dst: '192.168.1.21' },

  C1: {
    protocols: BARE_SYN,
    vni: 0,
    ...pods,
    ports: [40000, 80],
    tunnel: nodes,
    options: [
      gwlb('aws', 1, 'endpoint', { endpoint_id: '0x0123456789abcdef' }),
      gwlb('aws', 2, 'attachment', { attachment_id: '0x0000000000000000' }),
      awsCookie,
    ],
  },
  C2: {
    protocols: SYN,
    vni: 2,
    ...pods,
    options: [
      {
        class: 0x014b,
        type: 0x81,
        critical: true,
        name: 'cilium.dsr',
        fields: { 'cilium.dsr.ip': '10.96.0.10', 'cilium.dsr.port': 80 },
      },
    ],
    remarks: ['geneve.critical-without-c'],
  },
  C3: {
    protocols: 'eth:ip:udp:geneve:eth:ipv6:tcp',
    vni: 2,
    src: 'fd00::1',
    dst: 'fd00::2',
    options: [{ name: 'cilium.dsr', fields: { 'cilium.dsr.ipv6': 'fd00:10:96::a', 'cilium.dsr.port': 80 } }],
    remarks: ['geneve.critical-without-c'],
  },
  C4: { protocols: PING, vni: 7, ...pods, options: [ovn(0x0102, 3, 5)] },
  C5: { protocols: PING, vni: 7, ...pods, options: [ovn(0x0102, 0x7fff, 32768)] },
  C6: {
    protocols: 'eth:ip:udp:geneve',
    vni: null,
    src: '192.0.2.1',
    dst: '192.0.2.2',
    stop: 'unknown',
    remarks: ['geneve.version', 'geneve.unknown'],
  },
  C7: { protocols: PING, vni: 7, ...pods, options: [], remarks: ['geneve.option-overrun'] },
  C8: {
    protocols: 'eth:ip:udp:geneve',
    vni: 7,
    src: null,
    dst: null,
    options: [],
    stop: 'malformed',
    remarks: ['geneve.malformed'],
  },
  C9: {
    protocols: PING,
    vni: 7,
    ...pods,
    options: [{ ...raw(0xfffe, 0x81, '00000001'), critical: true, vendor: 'Experimental' }],
    remarks: ['geneve.critical-unknown'],
  },
  C10: {
    protocols: PING,
    vni: 7,
    ...pods,
    options: [ovn(0x0102, 3, 5)],
    remarks: ['geneve.critical-without-c'],
  },
  C11: { protocols: BARE_SYN, vni: 0, ...pods, options: [awsCookie], remarks: ['geneve.c-without-critical'] },
  C12: { protocols: 'eth:ip:udp:geneve', vni: 7, src: null, dst: null, options: [], remarks: ['geneve.oam'] },
  C13: { protocols: PING, vni: 7, ...pods, options: [], remarks: ['geneve.reserved'] },
  C14: {
    protocols: 'eth:ipv6:udp:geneve:eth:ip:icmp',
    vni: 7,
    ...pods,
    tunnel: ['2001:db8::1', 50000, '2001:db8::2'],
  },
  C15: {
    protocols: 'eth:ipv6:udp:geneve:eth:ip:icmp',
    vni: 7,
    ...pods,
    tunnel: ['2001:db8::1', 50000, '2001:db8::2'],
  },
  C16: {
    protocols: 'eth:ip:udp:geneve:eth:ip:udp:geneve:eth:ip:icmp',
    vni: 9,
    ...pods,
    tunnel: nodes,
    options: [],
  },
  C17: { protocols: PING, vni: 7, ...pods, options: [] },
  C18: {
    protocols: PING,
    vni: 7,
    ...pods,
    options: [raw(0xff00, 1, '00'.repeat(124)), raw(0xff00, 2, '00'.repeat(120))],
  },
  C19: {
    protocols: PING,
    vni: 7,
    ...pods,
    options: [raw(0xff00, 1, ''), raw(0xff00, 1, ''), raw(0xff00, 1, '')],
  },
  C20: {
    protocols: PING,
    vni: 99,
    ...pods,
    options: [
      { class: 0x0129, type: 0, length: 0, name: 'oxide.external', fields: {} },
      { class: 0x0129, type: 1, name: 'oxide.multicast', fields: { 'oxide.multicast.replication': 2 } },
      { class: 0x0129, type: 2, name: 'oxide.mss', fields: { 'oxide.mss': 1448 } },
    ],
  },
  C21: {
    protocols: BARE_SYN,
    vni: 0,
    ...pods,
    options: [
      google(1, 'network', { vnid: 0x123456, reserved: false, direction: false }),
      google(3, 'profile', { profile: '42' }),
    ],
  },
};

/** What else is said of some, by protocol. */
export const FIELDS: readonly [vector: string, protocol: string, fields: Record<string, unknown>][] = [
  [
    'V1',
    'geneve',
    { 'geneve.options_length': 8, 'geneve.flags.critical': true, 'geneve.proto_type': 0x6558 },
  ],
  ['V1', 'icmp', { 'icmp.ident': 10578, 'icmp.seq': 23 }],
  ['V2', 'geneve', { 'geneve.options_length': 40, 'geneve.proto_type': 0x0800 }],
  ['V9', 'dns', { 'dns.qry.name': ['corelight.com'] }],
  ['V16', 'vxlan', { 'vxlan.flag_g': true, 'vxlan.gbp': 53753, 'vxlan.flags_reserved': 0x7701 }],
  ['V17', 'dns', { 'dns.qry.name': ['www.bbc.com'] }],
  ['V18', 'macsec', { 'macsec.AN': 0, 'macsec.SL': 0, 'macsec.PN': 68, 'macsec.SCI.port_identifier': 1 }],
  [
    'V19',
    'nsh',
    {
      'nsh.Obit': 1,
      'nsh.length': 6,
      'nsh.mdtype': 2,
      'nsh.spi': 0xffffff,
      'nsh.si': 255,
      'nsh.metadatatype': [2, 3],
    },
  ],
  ['V20', 'esp', { 'esp.spi': 0x12345678, 'esp.sequence': 1 }],
  ['V21', 'nflog', { 'nflog.family': 2, 'nflog.res_id': 20, 'nflog.hook': 1, 'nflog.ifindex_indev': 2 }],
  ['V21', 'dns', { 'dns.resp.name': ['example.com'] }],
  ['V22', 'sll2', { 'sll.ifindex': 2, 'sll.pkttype': 4, 'sll.src.eth': 'aa:76:30:71:b0:e7' }],
  ['C18', 'geneve', { 'geneve.options_length': 252 }],
];

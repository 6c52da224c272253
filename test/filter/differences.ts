/**
 * Packets that a filter matches here and not in tshark 4.0.17, or the other way round, by reason. A difference that is
 * not here fails the test, and so does an entry that no difference needs.
 */

export interface Difference {
  readonly reason: string;
  /** Path from the corpus' root; `*` stands for anything. */
  readonly captures: string;
  /** Frame numbers and ranges, "1-3,7"; all where absent. */
  readonly frames?: string;
  /** All where absent. */
  readonly filters?: readonly string[];
}

const GENEVE = 'third-party/overlay/geneve';
const VXLAN = 'third-party/overlay/vxlan';

/** Names of the protocol alone: fields of VXLAN-GPE are vxlan.* here too. */
const VXLAN_ALONE = ['vxlan', '((((geneve))) and ((((ip))))) or ((vxlan))'];

export const DIFFERENCES: readonly Difference[] = [
  ...[
    'lab/craft_vxlan_edge.pcap',
    'lab/vxlan_kernel_*.pcap',
    'lab/vxlan_ovs_gpe.pcap',
    `${VXLAN}/tcpdump__nsh-over-vxlan-gpe.pcap`,
  ].map((captures) => ({
    reason: 'VXLAN-GPE is a protocol of its own, vxlan_gpe; tshark counts it as vxlan',
    captures,
    filters: VXLAN_ALONE,
  })),
  ...[
    { captures: 'lab/ambient_z2_eth0_snap96.pcap', filters: ['tcp.seq_raw > 0x80000000'] },
    { captures: 'lab/craft_geneve_edge.pcap', frames: '25-27,29' },
    { captures: 'lab/craft_vxlan_edge.pcap', frames: '14', filters: ['eth#2'] },
    { captures: 'lab/geneve_rich_snap64.pcap' },
    { captures: `${VXLAN}/pcpp__Fuzzers__*.pcap`, filters: ['eth#2'] },
    { captures: `${GENEVE}/arkime__arkime_synthetic.pcap`, frames: '818', filters: ['udp.checksum'] },
  ].map((entry) => ({
    reason:
      'fields that are there of a header that is cut, or that contradicts itself; tshark has none of them',
    ...entry,
  })),
  {
    reason: 'an unknown Geneve version ends the walk (RFC 8926 section 3.4); tshark reads on as if it were 0',
    captures: 'lab/craft_geneve_edge.pcap',
    frames: '18-19',
  },
  ...[
    { captures: 'lab/craft_geneve_edge.pcap', frames: '39' },
    { captures: `${GENEVE}/arkime__arkime_synthetic.pcap`, frames: '623', filters: ['dns'] },
    { captures: `${VXLAN}/arkime__gre-erspan-vxlan.pcap` },
  ].map((entry) => ({
    reason:
      'the UDP destination port names the protocol; tshark takes the lower of the two ports, and both for dns',
    ...entry,
  })),
  {
    reason:
      'the P bit of VXLAN-GPE is clear, so that the payload is Ethernet; tshark goes by the next protocol',
    captures: `${GENEVE}/arkime__arkime_synthetic.pcap`,
    frames: '618',
  },
  {
    reason: 'the source port alone names a tunnel only where the header can be one; tshark takes any',
    captures: `${GENEVE}/arkime__arkime_synthetic.pcap`,
    frames: '619',
  },
  {
    reason: 'inside GTP and Cisco MetaData, which are not dissected',
    captures: `${GENEVE}/arkime__arkime_synthetic.pcap`,
    frames: '305,315',
  },
  {
    reason: 'TCP in a packet that an ICMP error quotes has a length; in tshark it has none',
    captures: 'third-party/overlay/other/peafowl__6in4tunnel.pcap',
    frames: '3,45',
    filters: ['tcp.len > 0'],
  },
];

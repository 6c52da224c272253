// biome-ignore-all lint/complexity/useSimpleNumberKeys: EtherTypes are written in hexadecimal everywhere
/** EtherTypes worth a name (IEEE registration authority; tcpdump ethertype.h lists the same values). */
const ETHERTYPES: Readonly<Record<number, string>> = {
  0x0800: 'IPv4',
  0x0806: 'ARP',
  0x0842: 'Wake-on-LAN',
  0x22eb: 'ERSPAN Type III',
  0x6558: 'Transparent Ethernet Bridging',
  0x8035: 'RARP',
  0x8100: '802.1Q Virtual LAN',
  0x86dd: 'IPv6',
  0x8808: 'Ethernet flow control',
  0x8809: 'Slow protocols',
  0x880b: 'PPP',
  0x8847: 'MPLS label switched packet',
  0x8848: 'MPLS multicast',
  0x8863: 'PPPoE Discovery',
  0x8864: 'PPPoE Session',
  0x8870: 'Jumbo frame',
  0x888e: '802.1X Authentication',
  0x88a8: '802.1ad Provider Bridge',
  0x88be: 'ERSPAN Type II',
  0x88cc: 'LLDP',
  0x88e5: 'MACsec',
  0x88f7: 'PTP',
  0x894f: 'NSH',
  0x9100: 'QinQ',
  0x9200: 'QinQ',
};

export function etherTypeName(value: number): string | undefined {
  return ETHERTYPES[value];
}

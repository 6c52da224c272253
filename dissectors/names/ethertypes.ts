/** EtherTypes worth a name (IEEE registration authority; tcpdump ethertype.h lists the same values). */
const ETHERTYPES: Readonly<Record<number, string>> = {
  2048: 'IPv4',
  2054: 'ARP',
  2114: 'Wake-on-LAN',
  8939: 'ERSPAN Type III',
  25944: 'Transparent Ethernet Bridging',
  32821: 'RARP',
  33024: '802.1Q Virtual LAN',
  34525: 'IPv6',
  34824: 'Ethernet flow control',
  34825: 'Slow protocols',
  34827: 'PPP',
  34887: 'MPLS label switched packet',
  34888: 'MPLS multicast',
  34915: 'PPPoE Discovery',
  34916: 'PPPoE Session',
  34928: 'Jumbo frame',
  34958: '802.1X Authentication',
  34984: '802.1ad Provider Bridge',
  35006: 'ERSPAN Type II',
  35020: 'LLDP',
  35045: 'MACsec',
  35063: 'PTP',
  35151: 'NSH',
  37120: 'QinQ',
  37376: 'QinQ',
};

export function etherTypeName(value: number): string | undefined {
  return ETHERTYPES[value];
}

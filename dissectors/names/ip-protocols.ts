/** IP protocol numbers worth a name (IANA "Assigned Internet Protocol Numbers"). */
const IP_PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'IPv6 Hop-by-Hop Option',
  1: 'ICMP',
  2: 'IGMP',
  4: 'IPv4',
  6: 'TCP',
  17: 'UDP',
  41: 'IPv6',
  43: 'IPv6 Routing',
  44: 'IPv6 Fragment',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  58: 'ICMPv6',
  59: 'IPv6 No Next Header',
  60: 'IPv6 Destination Options',
  88: 'EIGRP',
  89: 'OSPF',
  97: 'ETHERIP',
  103: 'PIM',
  112: 'VRRP',
  115: 'L2TP',
  132: 'SCTP',
  135: 'Mobility Header',
  136: 'UDP-Lite',
  137: 'MPLS-in-IP',
  143: 'Ethernet',
};

export function ipProtocolName(value: number): string | undefined {
  return IP_PROTOCOLS[value];
}

/**
 * Every difference from tshark 4.0.17 that is right as it is, by reason. A difference that is not here fails the test, and
 * so does an entry that no difference needs.
 */
import { isBeginning, type Mismatch } from './compare.ts';

/** Why a difference is right: tshark is wrong, both can be defended, or nobody claims to read it. */
export const KINDS = ['tshark is wrong', 'by design', 'out of scope'] as const;
export type Kind = (typeof KINDS)[number];

/** What of the comparison a reason covers; every condition that is given must hold. */
export interface Entry {
  /** Path from the corpus' root; `*` stands for anything. */
  readonly captures?: string;
  /** Frame numbers and ranges as tshark counts, "1-3,7"; 0 is the capture as a whole. */
  readonly frames?: string;
  /** Where absent, all but those that are said of a frame whatever is in it (`FRAME_FIELDS`). */
  readonly fields?: readonly string[];
  /** LINKTYPE_ value that nothing is registered for. */
  readonly linkType?: number;
  /** tshark's name of the protocol at which it goes on alone. All before it must agree. */
  readonly beyond?: string;
  readonly when?: (mismatch: Mismatch) => boolean;
  /** Needed only by captures without goldens, which an installed tshark is asked about. */
  readonly asked?: true;
}

export interface Difference {
  readonly kind: Kind;
  readonly reason: string;
  readonly entries: readonly Entry[];
}

/** Link types that captures of the corpus have and nothing is registered for, by LINKTYPE_ value. */
const OTHER_LINK_TYPES: Readonly<Record<number, string>> = {
  10: 'FDDI',
  104: 'Cisco HDLC',
  105: 'IEEE 802.11',
  107: 'Frame Relay',
  127: 'IEEE 802.11 with radiotap',
  129: 'ARCNET',
  140: 'SS7 MTP2',
  149: 'user-defined (PKTAP before it had a number)',
  160: 'user-defined',
  165: 'BACnet MS/TP',
  192: 'Per-Packet Information',
  195: 'IEEE 802.15.4',
  226: 'Solaris IPNET',
  227: 'SocketCAN',
  230: 'IEEE 802.15.4 without FCS',
  231: 'D-Bus',
  242: 'IP over InfiniBand',
  253: 'Netlink',
  258: 'Apple PKTAP',
  271: 'vsock',
};

const linkTypes = (numbers: readonly string[]): Entry[] =>
  numbers.map((number) => ({ linkType: Number(number) }));
const protocols = (...names: string[]): Entry[] => names.map((beyond) => ({ beyond }));
const captures = (names: readonly string[], rest: Omit<Entry, 'captures'> = {}): Entry[] =>
  names.map((name) => ({ captures: name, ...rest }));

/** tshark's libc writes addresses of ::/96 with a dotted tail. */
function hasDottedTail({ ours, theirs }: Mismatch): boolean {
  const hex = (address: string) =>
    address.replace(/^::(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
      const [a, b, c, d] = parts.slice(0, 4).map(Number);
      return `::${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
    });
  return theirs.length === ours.length && theirs.every((address, i) => hex(address) === ours[i]);
}

/** Ours goes on where tshark's ends. */
const oursGoesOn = ({ ours, theirs }: Mismatch) => isBeginning(theirs, ours);
const theirsGoesOn = ({ ours, theirs }: Mismatch) => isBeginning(ours, theirs);

/** Captures below it have goldens. */
const GOLDENS = 'third-party/';
const OVERLAY = `${GOLDENS}overlay`;
const FORMATS = `${GOLDENS}formats`;
const GENEVE_EDGE = 'lab/craft_geneve_edge.pcap*';

export const DIFFERENCES: readonly Difference[] = [
  {
    kind: 'out of scope',
    reason: 'a link type that nothing is registered for: time and lengths are compared, nothing inside is',
    entries: linkTypes(Object.keys(OTHER_LINK_TYPES)),
  },
  {
    kind: 'out of scope',
    reason: 'a tunnel of mobile or wireless access networks, or a tag of one vendor, that is not dissected',
    entries: protocols('gtp', 'gtpprime', 'teredo', 'capwap.data', 'wlan', 'cmd', 'vntag', 'nhrp'),
  },
  {
    kind: 'out of scope',
    reason: 'a WCCP redirect header in GRE, which is not dissected (and has no name in frame.protocols)',
    entries: [{ captures: `${OVERLAY}/other/tcpdump__wccp_redirect_gre.pcap`, beyond: 'ip' }],
  },
  {
    kind: 'out of scope',
    reason: 'a control or routing protocol, or another network layer, beside the transports: not dissected',
    entries: [
      ...protocols(
        'can',
        'canfd',
        'ccp',
        'cdp',
        'dtp',
        'eigrp',
        'ipcp',
        'lcp',
        'lldp',
        'loop',
        'msnlb',
        'ndp',
      ),
      ...protocols('osi', 'ospf', 'pap', 'pim', 'slow', 'stp'),
    ],
  },
  {
    kind: 'out of scope',
    reason: 'another file format: refused',
    entries: captures(
      ['derived__geneve-erf.erf', 'derived__geneve-k12text.txt', '*.snoop'].map(
        (n) => `${FORMATS}/notcap/${n}`,
      ),
      { fields: ['frames'], when: ({ ours }) => ours[0] === '0' },
    ),
  },
  {
    kind: 'out of scope',
    reason: 'longer record headers behind the magic number of plain pcap, which only guessing could tell',
    entries: ['rh6_1', 'suse6_3'].flatMap((name) => {
      const capture = `${FORMATS}/derived/derived__geneve-${name}pcap.pcap`;
      return [{ captures: capture, fields: ['frames'] }, { captures: capture }];
    }),
  },
  {
    kind: 'tshark is wrong',
    reason: 'custom and systemd journal blocks are numbered among the frames',
    entries: captures(
      [
        `${FORMATS}/derived/derived__geneve-kitchen-sink-le.pcapng`,
        `${FORMATS}/pcapng/ngtestgen__*__test102.pcapng`,
        `${FORMATS}/pcapng/ngtestgen__*__test202.pcapng`,
        `${FORMATS}/pcapng/ngtestgen__*__test017.pcapng`,
        `${FORMATS}/pcapng/ngtestgen__*__test018.pcapng`,
        'lab/craft_fmt_blocks.pcapng',
      ],
      {
        fields: ['frames', 'number'],
        when: ({ field, ours, theirs }) => field === 'number' || theirs[0] === `${ours[0]} and other blocks`,
      },
    ),
  },
  {
    kind: 'tshark is wrong',
    reason: 'the link type is newer than tshark 4.0 (281, 282, 284, 285): it reads no frame',
    entries: captures(
      [
        `${FORMATS}/linktype/libpcap__filter__brcm-tag.pcap`,
        `${FORMATS}/linktype/tcpdump__brcm-tag-prepend.pcap`,
        `${FORMATS}/linktype/tcpdump__brcm-tag.pcap`,
        `${FORMATS}/linktype/tcpdump__dsa.pcap`,
        `${FORMATS}/linktype/tcpdump__edsa-high-vid.pcap`,
        `${FORMATS}/pcap/libpcap__filter__brcm-tag-stp.pcap`,
      ],
      { fields: ['frames'], when: ({ theirs }) => theirs[0] === '0' },
    ),
  },
  {
    kind: 'tshark is wrong',
    reason: 'a resolution of 10^-12 s overflows its 64 bits',
    entries: [{ captures: `${FORMATS}/derived/derived__geneve-tsresol-ps-off-be.pcapng`, fields: ['time'] }],
  },
  {
    kind: 'tshark is wrong',
    reason: 'a second or more of microseconds is not carried into the seconds, or overflows 32 bits',
    entries: [
      {
        captures: `${FORMATS}/derived/derived__geneve-ts-epoch0-and-max.pcap`,
        frames: '5-6',
        fields: ['time'],
      },
    ],
  },
  {
    kind: 'by design',
    reason: 'simple packet blocks have no time; records have that of the packet before, or 1970 at first',
    entries: [{ fields: ['time'], when: ({ theirs }) => theirs[0] === '' }],
  },
  {
    kind: 'tshark is wrong',
    reason: 'IP or UDP length 0 (segmentation offload, BIG TCP): it shows a made-up length and stops at UDP',
    entries: [
      ...captures([`${OVERLAY}/*/tcpdump__bigtcp-ipv*.pcap`], { when: oursGoesOn }),
      ...captures([`${OVERLAY}/*/tcpdump__bigtcp-ipv4-*.pcap`], {
        fields: ['ip.len'],
        when: ({ ours }) => ours[0] === '0',
      }),
    ],
  },
  {
    kind: 'tshark is wrong',
    reason: 'the P bit of VXLAN-GPE is clear, so that the payload is Ethernet; it goes by the next protocol',
    entries: [{ captures: `${OVERLAY}/geneve/arkime__arkime_synthetic.pcap`, frames: '618' }],
  },
  {
    kind: 'by design',
    reason: 'the UDP destination port names a tunnel; tshark takes the lower of the two ports',
    entries: [
      { captures: `${OVERLAY}/vxlan/arkime__gre-erspan-vxlan.pcap` },
      { captures: GENEVE_EDGE, frames: '39', when: oursGoesOn },
    ],
  },
  {
    kind: 'by design',
    reason: 'the source port alone names a tunnel only where the header can be one; tshark takes any',
    entries: [
      { captures: `${OVERLAY}/geneve/arkime__arkime_synthetic.pcap`, frames: '619', when: theirsGoesOn },
    ],
  },
  {
    kind: 'by design',
    reason: 'an unknown Geneve version ends the walk (RFC 8926 section 3.4); tshark reads on as if it were 0',
    entries: [
      { captures: GENEVE_EDGE, frames: '18-19', when: theirsGoesOn },
      { captures: 'vni-collision/options_and_edge_cases.pcap', frames: '6', when: theirsGoesOn },
      { captures: 'vectors/constructed.pcap', frames: '6', when: theirsGoesOn },
    ],
  },
  {
    kind: 'tshark is wrong',
    reason: 'geneve.flags.reserved has six bits, and tshark shows whether any is set',
    entries: [
      ...captures([GENEVE_EDGE, 'vectors/constructed.pcap'], {
        fields: ['geneve.flags.reserved'],
        when: ({ ours, theirs }) => Number(ours[0]) > 1 && theirs[0] === '1',
      }),
    ],
  },
  {
    kind: 'by design',
    reason: 'a header of which nothing is there is no layer; tshark names it',
    entries: captures(
      [`${OVERLAY}/geneve/zeek__tunnels__geneve-truncated.pcapng`, GENEVE_EDGE, 'vectors/constructed.pcap'],
      { fields: ['protocols'], when: ({ beyond }) => beyond === 'eth' },
    ),
  },
  {
    kind: 'by design',
    reason: 'fields that are there of a header that is cut, or that contradicts itself; tshark shows none',
    entries: [
      ...captures(
        [
          'lab/craft_fmt_snap60.pcap',
          'lab/craft_vxlan_edge.pcap*',
          'lab/geneve_rich_snap64.pcap',
          GENEVE_EDGE,
        ],
        { fields: ['eth.dst'], when: oursGoesOn },
      ),
      { captures: GENEVE_EDGE, frames: '27', when: oursGoesOn },
      {
        captures: `${FORMATS}/derived/derived__geneve-spb-snap96-be.pcapng`,
        fields: ['icmp.type'],
        when: oursGoesOn,
      },
      {
        captures: `${FORMATS}/pcapng/tcpdump__icmpv6-length-zero.pcapng`,
        fields: ['icmpv6.type'],
        when: oursGoesOn,
      },
    ],
  },
  {
    kind: 'by design',
    reason: 'a VXLAN header with a clear I bit has no VNI: its bytes are in the layer, the tunnel has null',
    entries: [
      {
        fields: ['tunnels[].vni (vxlan)'],
        when: ({ ours, row }) => ours[0] === 'null' && row?.get('vxlan.flag_i') === '0',
      },
    ],
  },
  {
    kind: 'by design',
    reason:
      'a tunnel in a packet that an ICMP error quotes, or whose header is cut, is no tunnel of this packet',
    entries: [
      {
        asked: true,
        fields: ['tunnels[].vni (geneve)'],
        when: ({ ours, packet }) =>
          ours.length === 0 && packet!.layers.some(({ protocol, quoted }) => quoted && protocol === 'geneve'),
      },
      { captures: GENEVE_EDGE, frames: '23', fields: ['tunnels[].vni (geneve)'] },
    ],
  },
  {
    kind: 'by design',
    reason:
      'IPv6 payload length 0 without a Jumbo Payload option: read on; tshark gives up at the first option',
    entries: [
      {
        captures: `${FORMATS}/l2l3/tcpdump__ipv6_missing_jumbo_payload_option.pcap`,
        fields: ['protocols'],
        when: oursGoesOn,
      },
    ],
  },
  {
    kind: 'by design',
    reason: 'more than 64 layers (a hundred IPv6 extension headers): the walk ends there',
    entries: [{ captures: `${FORMATS}/l2l3/libpcap__filter__ipv6_ext_headers.pcap`, when: theirsGoesOn }],
  },
  {
    kind: 'by design',
    reason: 'only ::ffff:0:0/96 is written with a dotted tail (RFC 5952 section 5), not all of ::/96',
    entries: [{ fields: ['ipv6.src', 'ipv6.dst'], when: hasDottedTail }],
  },
];

function inRange(frames: string, frame: number): boolean {
  return frames.split(',').some((part) => {
    const [first, last = first] = part.split('-').map(Number);
    return frame >= first && frame <= last;
  });
}

function globbed(pattern: string, name: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

/** What a capture's bytes are, whatever they mean, is to be read the same in any link type and any tunnel. */
const FRAME_FIELDS: ReadonlySet<string> = new Set(['frames', 'number', 'time', 'length', 'captured']);

function covers(entry: Entry, mismatch: Mismatch): boolean {
  const { capture, frame, field, ours, theirs, packet, beyond } = mismatch;
  if (entry.captures !== undefined && !globbed(entry.captures, capture)) return false;
  if (entry.frames !== undefined && !inRange(entry.frames, frame)) return false;
  if (!(entry.fields ? entry.fields.includes(field) : !FRAME_FIELDS.has(field))) return false;
  if (entry.linkType !== undefined) {
    if (packet?.linkType !== entry.linkType || ours.length > 0) return false;
  }
  if (entry.beyond !== undefined) {
    if (beyond !== entry.beyond || !isBeginning(ours, theirs)) return false;
  }
  return entry.when?.(mismatch) ?? true;
}

/** The list at work: finds the entry for a difference, and knows which entries were needed. */
export class Differences {
  private readonly used = new Map<Entry, number>();

  /** The reason that covers the difference, null where none does. */
  explain(mismatch: Mismatch): Difference | null {
    for (const difference of DIFFERENCES) {
      const entry = difference.entries.find((candidate) => covers(candidate, mismatch));
      if (entry) {
        this.used.set(entry, (this.used.get(entry) ?? 0) + 1);
        return difference;
      }
    }
    return null;
  }

  /** Differences that each reason covered, in the order of the list. */
  counts(): { difference: Difference; count: number }[] {
    return DIFFERENCES.map((difference) => ({
      difference,
      count: difference.entries.reduce((sum, entry) => sum + (this.used.get(entry) ?? 0), 0),
    }));
  }

  /** Entries that no difference needed, without those for captures that only an installed tshark is asked about. */
  unused(asked: boolean): Entry[] {
    const entries = DIFFERENCES.flatMap((difference) => difference.entries);
    return entries.filter(
      (entry) =>
        !this.used.has(entry) && (asked || (!entry.asked && (entry.captures?.startsWith(GOLDENS) ?? true))),
    );
  }
}

/**
 * Encapsulated Remote Switch Packet ANalysis (draft-foschiano-erspan-03), types II and III, inside GRE. Type I has no
 * header: see gre.ts.
 *
 *    0                   1                   2                   3
 *   |  Ver  |         VLAN          | COS |En/BSO|T|  Session ID    |
 *   |      Reserved 12      |               Index 20                |   type II
 *   |                          Timestamp                            |   type III
 *   |             SGT               |P|    FT   |   Hw ID   |D|Gra|O|
 *   ~          Platform-specific subheader, 8 bytes, if O           ~
 */
import { flag, u8, u16, u32 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const etherType = table('ethertype');
const frameTypes = table('erspan.ft');

const ETHERNET = 0x6558;
const HEADER_II = 8;
const HEADER_III = 12;
const SUBHEADER = 8;

const TYPE_II = 1;
const TYPE_III = 2;

const version = u16('erspan.version', 'Version', 0, {
  mask: 0xf000,
  values: { 1: 'Type II', 2: 'Type III' },
});
const vlan = u16('erspan.vlan', 'Vlan', 0, { mask: 0x0fff });
const classOfService = u16('erspan.cos', 'COS', 2, { mask: 0xe000 });
const truncated = flag('erspan.truncated', 'Truncated', 2, 0x0400, 2);
const session = u16('erspan.spanid', 'SpanID', 2, { mask: 0x03ff });

const encapsulation = u16('erspan.encap', 'Encap', 2, {
  mask: 0x1800,
  values: {
    0: 'Originally without VLAN tag',
    1: 'Originally ISL',
    2: 'Originally 802.1Q',
    3: 'VLAN tag preserved',
  },
});
const index = u32('erspan.index', 'Index', 4, { mask: 0x000fffff });

const quality = u16('erspan.bso', 'Bad/Short/Oversized', 2, {
  mask: 0x1800,
  values: { 0: 'Good or unknown', 1: 'Short', 2: 'Oversized', 3: 'CRC or alignment error' },
});
const timestamp = u32('erspan.timestamp', 'Timestamp', 4);
const groupTag = u16('erspan.sgt', 'Security Group Tag', 8);
const hasFrame = flag('erspan.p', 'Has Ethernet PDU', 10, 0x8000, 2);
const frameType = u16('erspan.ft', 'Frame Type', 10, { mask: 0x7c00, values: { 0: 'Ethernet', 2: 'IP' } });
const hardware = u16('erspan.hw', 'Hardware ID', 10, { mask: 0x03f0 });
const egress = flag('erspan.direction', 'Direction', 10, 0x0008, 2);
const granularity = u16('erspan.gra', 'Timestamp granularity', 10, {
  mask: 0x0006,
  values: { 0: '100 microseconds', 1: '100 nanoseconds', 2: 'IEEE 1588', 3: 'Implementation specific' },
});
const subheader = flag('erspan.o', 'Optional Sub headers', 10, 0x0001, 2);
/** Relative to the subheader. */
const platform = u8('erspan.platid', 'Platform ID', 0, { mask: 0xfc });

const FIELDS_II = [encapsulation, index];
const FIELDS_III = [
  quality,
  timestamp,
  groupTag,
  hasFrame,
  frameType,
  hardware,
  egress,
  granularity,
  subheader,
];

export const erspan = defineProtocol({
  name: 'erspan',
  title: 'Encapsulated Remote Switch Packet ANalysis',
  reference: 'draft-foschiano-erspan-03',
  fields: [version, vlan, classOfService, truncated, session],
  detailFields: [...FIELDS_II, ...FIELDS_III, platform],
  minLength: HEADER_II,
  on: [
    ['gre.proto', 0x88be],
    ['gre.proto', 0x22eb],
  ],
  step(view, start, layers) {
    const type = version.read(view, start);
    if (type === TYPE_II) {
      layers.next(etherType, ETHERNET);
    } else if (type === TYPE_III) {
      layers.body = start + HEADER_III;
      if (layers.body > layers.end) return;
      if (subheader.read(view, start)) layers.body += SUBHEADER;
      const content = frameType.read(view, start);
      if (content === 0) layers.next(etherType, ETHERNET);
      else if (content === 2) layers.next(etherType, 0x0800);
      else layers.next(frameTypes, content);
    } else {
      layers.stop = Stop.unknown;
    }
  },
  details(out) {
    const { view, start, body } = out;
    const type = version.read(view, start);
    if (type === TYPE_II) for (const field of FIELDS_II) out.field(field, start);
    if (type !== TYPE_III || body < start + HEADER_III) return;
    for (const field of FIELDS_III) out.field(field, start);
    if (body >= start + HEADER_III + SUBHEADER) out.field(platform, start + HEADER_III);
  },
  info: (view, start) => `Session ${session.read(view, start)}`,
  flow: { tunnel: { name: 'erspan', vni: session.read } },
});

/**
 * IPv6 extension headers: hop-by-hop and destination options, routing, fragment (RFC 8200 section 4), mobility
 * (RFC 6275 section 6.1), HIP (RFC 7401 section 5.1) and Shim6 (RFC 5533 section 5).
 *
 *   |  next header  |    length     |   of the header's own kind    |
 *   ~                                                               ~
 *
 * The length counts eight-byte words after the first one. The fragment header has a fixed length instead:
 *
 *   |  next header  |   reserved    |     offset 13     | res 2 | M |
 *   |                        identification                         |
 */
import { type Field, flag, ipv6, u8, u16, u32 } from '../src/core/field.ts';
import { type Details, defineProtocol, type Protocol } from '../src/core/protocol.ts';
import { nextHeader } from './ipv6.ts';
import { ipProtocolName } from './names/ip-protocols.ts';

const MINIMUM = 8;

const nextField = (name: string, label = 'Next Header') => u8(name, label, 0, { values: ipProtocolName });
const lengthField = (name: string, label = 'Length') =>
  u8(name, label, 1, { show: (words) => `${words} (${MINIMUM + words * 8} bytes)` });

/** What headers with a length in words have in common. */
function extension(
  protocol: Pick<Protocol, 'name' | 'title' | 'reference' | 'on' | 'detailFields' | 'details' | 'info'> & {
    next: Field<number>;
    length: Field<number>;
    fields: readonly Field[];
  },
): Protocol {
  const { next, length, fields, ...rest } = protocol;
  return {
    ...rest,
    fields: [next, length, ...fields],
    minLength: MINIMUM,
    step(view, start, layers) {
      layers.body = start + MINIMUM + length.read(view, start) * 8;
      nextHeader(layers, next.read(view, start));
    },
  };
}

const optionType = u8('ipv6.opt.type', 'Type', 0, { base: 'hex', list: true });
const optionLength = u8('ipv6.opt.length', 'Length', 1, { list: true });
const jumboLength = u32('ipv6.opt.jumbo', 'Payload Length', 2);
const routerAlert = u16('ipv6.opt.router_alert', 'Router Alert', 2, {
  values: { 0: 'MLD', 1: 'RSVP', 2: 'Active Networks' },
});
const tunnelLimit = u8('ipv6.opt.tel', 'Tunnel Encapsulation Limit', 2);
const homeAddress = ipv6('ipv6.opt.mipv6.home_address', 'MIPv6 Home Address', 2);

const PAD1 = 0x00;

/** Options by type: name, and the field of those whose data are one (RFC 2675, 2711, 2473, 6275). */
const OPTIONS: Readonly<Record<number, { name: string; field?: Field }>> = {
  0: { name: 'Pad1' },
  1: { name: 'PadN' },
  4: { name: 'Tunnel Encapsulation Limit', field: tunnelLimit },
  5: { name: 'Router Alert', field: routerAlert },
  7: { name: 'CALIPSO' },
  8: { name: 'SMF_DPD' },
  15: { name: 'Performance and Diagnostic Metrics' },
  48: { name: 'Path MTU Record' },
  99: { name: 'RPL Option' },
  194: { name: 'Jumbo', field: jumboLength },
  201: { name: 'Home Address', field: homeAddress },
};

/** RFC 8200 section 4.2: type, length of the data, data; type 0 is a single byte. */
function options(out: Details): void {
  const { view, body } = out;
  for (let at = out.start + 2; at < body; ) {
    const type = optionType.read(view, at);
    const size = type === PAD1 ? 1 : at + 2 <= body ? 2 + optionLength.read(view, at) : 2;
    if (at + size > body) {
      out.remark(
        'ipv6.option-length',
        'warning',
        at,
        body - at,
        `option 0x${type.toString(16)} runs past the header`,
      );
      return;
    }
    const known = OPTIONS[type];
    out.open(known?.name ?? 'Unknown IPv6 Option', at, size);
    out.field(optionType, at);
    if (type !== PAD1) out.field(optionLength, at);
    if (known?.field && size === 2 + known.field.size) out.field(known.field, at);
    out.close();
    at += size;
  }
}

const optionFields = [optionType, optionLength, tunnelLimit, routerAlert, jumboLength, homeAddress];

export const hopByHop = defineProtocol(
  extension({
    name: 'ipv6.hopopts',
    title: 'IPv6 Hop-by-Hop Option',
    reference: 'RFC 8200 section 4.3',
    next: nextField('ipv6.hopopts.nxt'),
    length: lengthField('ipv6.hopopts.len'),
    fields: [],
    detailFields: optionFields,
    on: [['ip.proto', 0]],
    details: options,
  }),
);

export const destinationOptions = defineProtocol(
  extension({
    name: 'ipv6.dstopts',
    title: 'Destination Options for IPv6',
    reference: 'RFC 8200 section 4.6',
    next: nextField('ipv6.dstopts.nxt'),
    length: lengthField('ipv6.dstopts.len'),
    fields: [],
    detailFields: optionFields,
    on: [['ip.proto', 60]],
    details: options,
  }),
);

const routingType = u8('ipv6.routing.type', 'Type', 2, {
  values: {
    0: 'Source Route',
    2: 'Type 2',
    3: 'RPL Source Route',
    4: 'Segment Routing',
    5: 'CRH-16',
    6: 'CRH-32',
  },
});
export const segmentsLeft = u8('ipv6.routing.segleft', 'Segments Left', 3);
const sourceRoute = ipv6('ipv6.routing.src.addr', 'Address', 0, { list: true });
const mobileHome = ipv6('ipv6.routing.mipv6.home_address', 'Home Address', 0);
const lastEntry = u8('ipv6.routing.srh.last_entry', 'Last Entry', 4);
const segmentFlags = u8('ipv6.routing.srh.flags', 'Flags', 5, { base: 'hex' });
const segmentTag = u16('ipv6.routing.srh.tag', 'Tag', 6, { base: 'hex' });
const segment = ipv6('ipv6.routing.srh.addr', 'Address', 0, { list: true });

/** As many addresses as `count` says and the header holds. */
function addresses(out: Details, field: Field, count: number): void {
  const last = Math.min(out.body, out.start + MINIMUM + count * 16);
  for (let at = out.start + MINIMUM; at + 16 <= last; at += 16) out.field(field, at);
}

function routingDetails(out: Details): void {
  const { view, start } = out;
  switch (routingType.read(view, start)) {
    case 0:
      addresses(out, sourceRoute, 255);
      out.remark(
        'ipv6.routing-deprecated',
        'note',
        start + 2,
        1,
        'routing header type 0 is deprecated (RFC 5095)',
      );
      break;
    case 2:
      addresses(out, mobileHome, 1);
      break;
    case 4:
      for (const field of [lastEntry, segmentFlags, segmentTag]) out.field(field, start);
      addresses(out, segment, lastEntry.read(view, start) + 1);
      break;
  }
}

export const routing = defineProtocol(
  extension({
    name: 'ipv6.routing',
    title: 'Routing Header for IPv6',
    reference: 'RFC 8200 section 4.4',
    next: nextField('ipv6.routing.nxt'),
    length: lengthField('ipv6.routing.len'),
    fields: [routingType, segmentsLeft],
    detailFields: [sourceRoute, mobileHome, lastEntry, segmentFlags, segmentTag, segment],
    on: [['ip.proto', 43]],
    details: routingDetails,
  }),
);

const fragmentNext = nextField('ipv6.fraghdr.nxt', 'Next header');
const fragmentReserved = u8('ipv6.fraghdr.reserved_octet', 'Reserved octet', 1, { base: 'hex' });
/** In units of eight bytes, as on the wire. */
const fragmentOffset = u16('ipv6.fraghdr.offset', 'Offset', 2, {
  mask: 0xfff8,
  show: (units) => `${units * 8} bytes (${units})`,
});
const fragmentReservedBits = u16('ipv6.fraghdr.reserved_bits', 'Reserved bits', 2, { mask: 0x0006 });
const moreFragments = flag('ipv6.fraghdr.more', 'More Fragments', 2, 0x0001, 2);
const fragmentIdentification = u32('ipv6.fraghdr.ident', 'Identification', 4, { base: 'hex' });

export const fragment = defineProtocol({
  name: 'ipv6.fraghdr',
  title: 'Fragment Header for IPv6',
  reference: 'RFC 8200 section 4.5',
  fields: [
    fragmentNext,
    fragmentReserved,
    fragmentOffset,
    fragmentReservedBits,
    moreFragments,
    fragmentIdentification,
  ],
  minLength: MINIMUM,
  on: [['ip.proto', 44]],
  step(view, start, layers) {
    if (fragmentOffset.read(view, start) !== 0) {
      layers.fragment = 2;
    } else if (moreFragments.read(view, start)) {
      layers.beginFragment(start + 0xffff);
    }
    nextHeader(layers, fragmentNext.read(view, start));
  },
  info: (view, start) => {
    const first = fragmentOffset.read(view, start) * 8;
    return `Fragment at ${first}${moreFragments.read(view, start) ? ', more follow' : ', the last'}`;
  },
  flow: {
    fragment: {
      part: (view, start) =>
        fragmentOffset.read(view, start) !== 0 ? 2 : moreFragments.read(view, start) ? 1 : 0,
      identification: fragmentIdentification.read,
    },
  },
});

const mobilityType = u8('mip6.mhtype', 'Mobility Header Type', 2, {
  values: {
    0: 'Binding Refresh Request',
    1: 'Home Test Init',
    2: 'Care-of Test Init',
    3: 'Home Test',
    4: 'Care-of Test',
    5: 'Binding Update',
    6: 'Binding Acknowledgement',
    7: 'Binding Error',
  },
});

export const mobility = defineProtocol(
  extension({
    name: 'mipv6',
    title: 'Mobile IPv6',
    reference: 'RFC 6275 section 6.1',
    next: nextField('mip6.proto', 'Payload protocol'),
    length: lengthField('mip6.hlen', 'Header length'),
    fields: [
      mobilityType,
      u8('mip6.reserved', 'Reserved', 3, { base: 'hex' }),
      u16('mip6.csum', 'Checksum', 4, { base: 'hex' }),
    ],
    on: [['ip.proto', 135]],
  }),
);

export const hostIdentity = defineProtocol(
  extension({
    name: 'hip',
    title: 'Host Identity Protocol',
    reference: 'RFC 7401 section 5.1',
    next: nextField('hip.proto', 'Payload Protocol'),
    length: lengthField('hip.hdr_len', 'Header Length'),
    fields: [
      u8('hip.packet_type', 'Packet Type', 2, { mask: 0x7f }),
      u8('hip.version', 'Version', 3, { mask: 0xf0 }),
      u16('hip.checksum', 'Checksum', 4, { base: 'hex' }),
      u16('hip.controls', 'HIP Controls', 6, { base: 'hex' }),
    ],
    on: [['ip.proto', 139]],
  }),
);

export const shim6 = defineProtocol(
  extension({
    name: 'shim6',
    title: 'Shim6 Protocol',
    reference: 'RFC 5533 section 5',
    next: nextField('shim6.nxt'),
    length: lengthField('shim6.len'),
    fields: [flag('shim6.p', 'P Bit', 2, 0x80)],
    on: [['ip.proto', 140]],
  }),
);

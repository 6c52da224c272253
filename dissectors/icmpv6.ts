/**
 * Internet Control Message Protocol for IPv6 (RFC 4443 section 2.1).
 *
 *   |     type      |     code      |           checksum            |
 *   ~                         message body                          ~
 *
 * Errors (types below 128) have four bytes and then quote the packet they are about. Neighbor discovery (RFC 4861) has
 * options, whose length counts units of eight bytes:
 *
 *   |     type      |    length     |              data             |
 *
 * Multicast listener discovery is RFC 2710 and RFC 3810.
 */
import { bytes, computed, ether, flag, ipv6, u8, u16, u32 } from '../src/core/field.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { hexNumber, hexText } from '../src/core/text.ts';

const etherType = table('ethertype');
const IPV6 = 0x86dd;

export const Type = {
  unreachable: 1,
  packetTooBig: 2,
  timeExceeded: 3,
  parameterProblem: 4,
  echoRequest: 128,
  echoReply: 129,
  listenerQuery: 130,
  listenerReport: 131,
  listenerDone: 132,
  routerSolicitation: 133,
  routerAdvertisement: 134,
  neighborSolicitation: 135,
  neighborAdvertisement: 136,
  redirect: 137,
  listenerReport2: 143,
} as const;

/** Code of "destination unreachable". */
export const PORT_UNREACHABLE = 4;

const TYPES: Readonly<Record<number, string>> = {
  1: 'Destination Unreachable',
  2: 'Packet Too Big',
  3: 'Time Exceeded',
  4: 'Parameter Problem',
  128: 'Echo (ping) request',
  129: 'Echo (ping) reply',
  130: 'Multicast Listener Query',
  131: 'Multicast Listener Report',
  132: 'Multicast Listener Done',
  133: 'Router Solicitation',
  134: 'Router Advertisement',
  135: 'Neighbor Solicitation',
  136: 'Neighbor Advertisement',
  137: 'Redirect',
  138: 'Router Renumbering',
  139: 'Node Information Query',
  140: 'Node Information Reply',
  141: 'Inverse Neighbor Discovery Solicitation',
  142: 'Inverse Neighbor Discovery Advertisement',
  143: 'Multicast Listener Report Message v2',
  144: 'Home Agent Address Discovery Request',
  145: 'Home Agent Address Discovery Reply',
  146: 'Mobile Prefix Solicitation',
  147: 'Mobile Prefix Advertisement',
  148: 'Certification Path Solicitation',
  149: 'Certification Path Advertisement',
  151: 'Multicast Router Advertisement',
  152: 'Multicast Router Solicitation',
  153: 'Multicast Router Termination',
  155: 'RPL Control',
  157: 'Duplicate Address Request',
  158: 'Duplicate Address Confirmation',
  160: 'Extended Echo request',
  161: 'Extended Echo reply',
};

const CODES: Readonly<Record<number, readonly string[]>> = {
  1: [
    'no route to destination',
    'Administratively prohibited',
    'Beyond scope of source address',
    'Address unreachable',
    'Port unreachable',
    'Source address failed ingress/egress policy',
    'Reject route to destination',
    'Error in Source Routing Header',
    'Headers too long',
  ],
  3: ['hop limit exceeded in transit', 'fragment reassembly time exceeded'],
  4: [
    'erroneous header field encountered',
    'unrecognized Next Header type encountered',
    'unrecognized IPv6 option encountered',
    'IPv6 First Fragment has incomplete IPv6 Header Chain',
  ],
};

const OPTIONS: Readonly<Record<number, string>> = {
  1: 'Source link-layer address',
  2: 'Target link-layer address',
  3: 'Prefix information',
  4: 'Redirected header',
  5: 'MTU',
  7: 'Advertisement Interval',
  8: 'Home Agent Information',
  14: 'Nonce',
  24: 'Route Information',
  25: 'Recursive DNS Server',
  26: 'RA Flags Extension',
  31: 'DNS Search List Option',
  33: 'Address Registration Option',
  37: 'DHCP Captive-Portal',
  38: 'PREF64 Option',
};

export const type = u8('icmpv6.type', 'Type', 0, { values: TYPES });
export const code = u8('icmpv6.code', 'Code', 1);
const checksum = u16('icmpv6.checksum', 'Checksum', 2, { base: 'hex' });

const identifier = u16('icmpv6.echo.identifier', 'Identifier', 4, { base: 'hex' });
const sequence = u16('icmpv6.echo.sequence_number', 'Sequence', 6);
const quoteLength = u8('icmpv6.length', 'Length of original datagram', 4, {
  show: (units) => `${units * 8} bytes (${units})`,
});
export const mtu = u32('icmpv6.mtu', 'MTU', 4);
const pointer = u32('icmpv6.pointer', 'Pointer', 4);

const hopLimit = u8('icmpv6.nd.ra.cur_hop_limit', 'Cur hop limit', 4);
const managed = flag('icmpv6.nd.ra.flag.m', 'Managed address configuration', 5, 0x80);
const otherConfiguration = flag('icmpv6.nd.ra.flag.o', 'Other configuration', 5, 0x40);
const homeAgent = flag('icmpv6.nd.ra.flag.h', 'Home Agent', 5, 0x20);
const routerPreference = u8('icmpv6.nd.ra.flag.prf', 'Prf (Default Router Preference)', 5, {
  mask: 0x18,
  values: { 0: 'Medium', 1: 'High', 2: 'Reserved', 3: 'Low' },
});
const proxy = flag('icmpv6.nd.ra.flag.p', 'Proxy', 5, 0x04);
const routerLifetime = u16('icmpv6.nd.ra.router_lifetime', 'Router lifetime (s)', 6);
const reachableTime = u32('icmpv6.nd.ra.reachable_time', 'Reachable time (ms)', 8);
const retransTimer = u32('icmpv6.nd.ra.retrans_timer', 'Retrans timer (ms)', 12);

const router = flag('icmpv6.nd.na.flag.r', 'Router', 4, 0x80);
const solicited = flag('icmpv6.nd.na.flag.s', 'Solicited', 4, 0x40);
const override = flag('icmpv6.nd.na.flag.o', 'Override', 4, 0x20);
const solicitedTarget = ipv6('icmpv6.nd.ns.target_address', 'Target Address', 8);
const advertisedTarget = ipv6('icmpv6.nd.na.target_address', 'Target Address', 8);
const redirectTarget = ipv6('icmpv6.nd.rd.target_address', 'Target Address', 8);
const redirectDestination = ipv6('icmpv6.rd.na.destination_address', 'Destination Address', 24);

// Relative to the option.
const optionType = u8('icmpv6.opt.type', 'Type', 0, { values: OPTIONS, list: true });
const optionLength = u8('icmpv6.opt.length', 'Length', 1, {
  list: true,
  show: (units) => `${units} (${units * 8} bytes)`,
});
const sourceLinkAddress = ether('icmpv6.opt.src_linkaddr', 'Source Link-layer address', 2);
const targetLinkAddress = ether('icmpv6.opt.target_linkaddr', 'Target Link-layer address', 2);
const prefixLength = u8('icmpv6.opt.prefix.length', 'Prefix Length', 2, { list: true });
const onLink = flag('icmpv6.opt.prefix.flag.l', 'On-link flag(L)', 3, 0x80);
const autonomous = flag('icmpv6.opt.prefix.flag.a', 'Autonomous address-configuration flag(A)', 3, 0x40);
const validLifetime = u32('icmpv6.opt.prefix.valid_lifetime', 'Valid Lifetime', 4, { list: true });
const preferredLifetime = u32('icmpv6.opt.prefix.preferred_lifetime', 'Preferred Lifetime', 8, {
  list: true,
});
const prefix = ipv6('icmpv6.opt.prefix', 'Prefix', 16, { list: true });
const linkMtu = u32('icmpv6.opt.mtu', 'MTU', 4);
const nonce = bytes('icmpv6.opt.nonce', 'Nonce', 2, 6);
const serverLifetime = u32('icmpv6.opt.rdnss.lifetime', 'Lifetime', 4, { list: true });
/** Relative to the address itself. */
const nameServer = ipv6('icmpv6.opt.rdnss', 'Recursive DNS Servers', 0, { list: true });
const otherOption = computed<string>('icmpv6.unknown_data', 'Unknown Data', 'bytes', { list: true });

const responseDelay = u16('icmpv6.mld.maximum_response_delay', 'Maximum Response Delay [ms]', 4);
const responseCode = u16('icmpv6.mld.maximum_response_code', 'Maximum Response Code', 4);
const group = ipv6('icmpv6.mld.multicast_address', 'Multicast Address', 8);
const suppress = flag('icmpv6.mld.flag.s', 'Suppress Router-Side Processing', 24, 0x08);
const robustness = u8('icmpv6.mld.flag.qrv', "QRV (Querier's Robustness Variable)", 24, { mask: 0x07 });
const queryInterval = u8('icmpv6.mld.qqi', "QQIC (Querier's Query Interval Code)", 25);
const querySources = u16('icmpv6.mld.nb_sources', 'Number of Sources', 26);
const querySource = ipv6('icmpv6.mld.source_address', 'Source Address', 0, { list: true });
const recordCount = u16('icmpv6.mldr.nb_mcast_records', 'Number of Multicast Address Records', 6);

// Relative to the multicast address record.
const recordType = u8('icmpv6.mldr.mar.record_type', 'Record Type', 0, {
  list: true,
  values: {
    1: 'Include',
    2: 'Exclude',
    3: 'Changed to include',
    4: 'Changed to exclude',
    5: 'Allow new sources',
    6: 'Block old sources',
  },
});
const auxiliaryLength = u8('icmpv6.mldr.mar.aux_data_len', 'Aux Data Len', 1, { list: true });
const recordSources = u16('icmpv6.mldr.mar.nb_sources', 'Number of Sources', 2, { list: true });
const recordGroup = ipv6('icmpv6.mldr.mar.multicast_address', 'Multicast Address', 4, { list: true });
const recordSource = ipv6('icmpv6.mldr.mar.source_address', 'Source Address', 0, { list: true });

const HEADER = 4;
const ERROR_HEADER = 8;
const OPTION_UNIT = 8;
const ADDRESS = 16;
/** RFC 3810 section 8.1: a query this long is of version 2. */
const QUERY2 = 28;
const RECORD = 20;
/** Units that a quote has at least where extensions follow it (RFC 4884 section 3); less is no such length. */
const EXTENDED_QUOTE = 16;

/** Bytes of the header in front of an error's quote, neighbor discovery's options or an echo's data; -1: all of it. */
function headerBytes(messageType: number): number {
  if (messageType < 128) return ERROR_HEADER;
  switch (messageType) {
    case Type.echoRequest:
    case Type.echoReply:
      return 8;
    case Type.listenerQuery:
    case Type.listenerReport:
    case Type.listenerDone:
    case Type.routerSolicitation:
    case Type.routerAdvertisement:
    case Type.neighborSolicitation:
    case Type.neighborAdvertisement:
    case Type.redirect:
    case Type.listenerReport2:
      return -1;
    default:
      return HEADER;
  }
}

function addresses(out: Details, field: typeof nameServer, from: number, to: number): void {
  for (let at = from; at + ADDRESS <= to; at += ADDRESS) out.field(field, at);
}

function option(out: Details, at: number, length: number): void {
  const kind = optionType.read(out.view, at);
  if (kind === 1) {
    out.field(sourceLinkAddress, at);
  } else if (kind === 2) {
    out.field(targetLinkAddress, at);
  } else if (kind === 3 && length >= 32) {
    for (const field of [prefixLength, onLink, autonomous, validLifetime, preferredLifetime, prefix])
      out.field(field, at);
  } else if (kind === 5) {
    out.field(linkMtu, at);
  } else if (kind === 14) {
    out.field(nonce, at);
  } else if (kind === 25) {
    out.field(serverLifetime, at);
    addresses(out, nameServer, at + 8, at + length);
  } else {
    out.computed(otherOption, hexText(out.view, at + 2, at + length), at + 2, length - 2);
  }
}

/** Options of neighbor discovery (RFC 4861 section 4.6). */
function options(out: Details, from: number): void {
  const { view, end, limit } = out;
  for (let at = from; at + 2 <= end; ) {
    const length = optionLength.read(view, at) * OPTION_UNIT;
    if (length === 0 || length > limit - at) {
      out.remark(
        'icmpv6.option-length',
        'warning',
        at,
        end - at,
        length === 0 ? 'an option of length 0' : `an option of ${length} bytes, ${limit - at} are left`,
      );
      return;
    }
    if (length > end - at) return; // cut by the capture
    out.open(`ICMPv6 Option (${OPTIONS[optionType.read(view, at)] ?? 'Unknown'})`, at, length);
    out.field(optionType, at);
    out.field(optionLength, at);
    option(out, at, length);
    out.close();
    at += length;
  }
}

/** Multicast address records of a report (RFC 3810 section 5.2). */
function records(out: Details): void {
  const { view, start, end, limit } = out;
  let at = start + 8;
  for (let left = recordCount.read(view, start); left > 0 && at + RECORD <= end; left--) {
    const sources = at + RECORD;
    const auxiliary = sources + recordSources.read(view, at) * ADDRESS;
    const next = auxiliary + auxiliaryLength.read(view, at) * 4;
    out.open('Multicast Address Record', at, Math.min(next, end) - at);
    for (const field of [recordType, auxiliaryLength, recordSources, recordGroup]) out.field(field, at);
    addresses(out, recordSource, sources, Math.min(auxiliary, end));
    out.close();
    if (next > limit) {
      out.remark(
        'icmpv6.record-length',
        'warning',
        at,
        end - at,
        `a record of ${next - at} bytes, ${limit - at} are left`,
      );
      return;
    }
    at = next;
  }
}

function details(out: Details): void {
  const { view, start, end } = out;
  const value = type.read(view, start);
  /** The fields of these that are there. */
  const show = (...fields: Parameters<Details['field']>[0][]) => {
    for (const field of fields) if (start + field.at + field.size <= end) out.field(field, start);
  };
  switch (value) {
    case Type.unreachable:
    case Type.timeExceeded:
      // Where it is 0, as in most, there are no extensions and the byte is unused.
      if (start + ERROR_HEADER <= end && quoteLength.read(view, start) !== 0) out.field(quoteLength, start);
      break;
    case Type.packetTooBig:
      show(mtu);
      break;
    case Type.parameterProblem:
      show(pointer);
      break;
    case Type.echoRequest:
    case Type.echoReply:
      show(identifier, sequence);
      break;
    case Type.listenerQuery:
      // Version 2 by the message's length (RFC 3810 section 8.1), not by what was captured of it.
      if (out.limit - start < QUERY2) {
        show(responseDelay, group);
      } else {
        show(responseCode, group, suppress, robustness, queryInterval, querySources);
        addresses(
          out,
          querySource,
          start + QUERY2,
          Math.min(end, start + QUERY2 + querySources.read(view, start) * ADDRESS),
        );
      }
      break;
    case Type.listenerReport:
    case Type.listenerDone:
      show(responseDelay, group);
      break;
    case Type.listenerReport2:
      show(recordCount);
      if (start + 8 <= end) records(out);
      break;
    case Type.routerSolicitation:
      options(out, start + 8);
      break;
    case Type.routerAdvertisement:
      show(
        hopLimit,
        managed,
        otherConfiguration,
        homeAgent,
        routerPreference,
        proxy,
        routerLifetime,
        reachableTime,
        retransTimer,
      );
      options(out, start + 16);
      break;
    case Type.neighborSolicitation:
      show(solicitedTarget);
      options(out, start + 24);
      break;
    case Type.neighborAdvertisement:
      show(router, solicited, override, advertisedTarget);
      options(out, start + 24);
      break;
    case Type.redirect:
      show(redirectTarget, redirectDestination);
      options(out, start + 40);
      break;
  }
}

/** Link-layer address in the first option, as most neighbor discovery has it; '' where it is not. */
function firstLinkAddress(view: DataView, at: number, end: number, kind: number, words: string): string {
  if (at + OPTION_UNIT > end || optionType.read(view, at) !== kind) return '';
  return words + sourceLinkAddress.read(view, at);
}

function advertised(view: DataView, start: number): string {
  const bits = [
    router.read(view, start) ? 'rtr' : '',
    solicited.read(view, start) ? 'sol' : '',
    override.read(view, start) ? 'ovr' : '',
  ].filter((bit) => bit !== '');
  return bits.length === 0 ? '' : ` (${bits.join(', ')})`;
}

/** An echo's reply (129) counts as its request (128). */
function conversation(view: DataView, start: number, end: number): number {
  const value = type.read(view, start);
  // Echo, and extended echo (RFC 8335 section 2).
  const isQuery = (value >= 128 && value <= 129) || (value >= 160 && value <= 161);
  return isQuery && end - start >= 8
    ? (((value & 0xfe) | 0x100) << 16) | identifier.read(view, start)
    : value << 16;
}

export const icmpv6 = defineProtocol({
  name: 'icmpv6',
  title: 'Internet Control Message Protocol v6',
  reference: 'RFC 4443',
  fields: [type, code, checksum],
  detailFields: [
    identifier,
    sequence,
    quoteLength,
    mtu,
    pointer,
    hopLimit,
    managed,
    otherConfiguration,
    homeAgent,
    routerPreference,
    proxy,
    routerLifetime,
    reachableTime,
    retransTimer,
    router,
    solicited,
    override,
    solicitedTarget,
    advertisedTarget,
    redirectTarget,
    redirectDestination,
    optionType,
    optionLength,
    sourceLinkAddress,
    targetLinkAddress,
    prefixLength,
    onLink,
    autonomous,
    validLifetime,
    preferredLifetime,
    prefix,
    linkMtu,
    nonce,
    serverLifetime,
    nameServer,
    otherOption,
    responseDelay,
    responseCode,
    group,
    suppress,
    robustness,
    queryInterval,
    querySources,
    querySource,
    recordCount,
    recordType,
    auxiliaryLength,
    recordSources,
    recordGroup,
    recordSource,
  ],
  minLength: HEADER,
  on: [['ip.proto', 58]],
  step(view, start, layers) {
    const value = type.read(view, start);
    const header = headerBytes(value);
    layers.body = header < 0 ? layers.limit : start + header;
    if (value >= 128 || layers.body > layers.end) return;
    const units =
      value === Type.unreachable || value === Type.timeExceeded ? quoteLength.read(view, start) : 0;
    if (units >= EXTENDED_QUOTE) layers.trim(layers.body + units * 8);
    layers.quote();
    layers.next(etherType, IPV6);
  },
  plain: { next: { type, request: 128, reply: 129, identifier } },
  details,
  info(view, start, layer) {
    const value = type.read(view, start);
    const name = TYPES[value] ?? `Type ${value}`;
    const there = layer.end - start;
    if (value === Type.packetTooBig && there >= 8) return `${name} MTU=${mtu.read(view, start)}`;
    if (value < 128) {
      const detail = code.read(view, start);
      return `${name} (${CODES[value]?.[detail] ?? `code ${detail}`})`;
    }
    if ((value === Type.echoRequest || value === Type.echoReply) && there >= 8) {
      return `${name} id=${hexNumber(identifier.read(view, start), 4)}, seq=${sequence.read(view, start)}`;
    }
    if (value === Type.neighborSolicitation && there >= 24) {
      return `${name} for ${solicitedTarget.read(view, start)}${firstLinkAddress(view, start + 24, layer.end, 1, ' from ')}`;
    }
    if (value === Type.neighborAdvertisement && there >= 24) {
      const link = firstLinkAddress(view, start + 24, layer.end, 2, ' is at ');
      return `${name} ${advertisedTarget.read(view, start)}${advertised(view, start)}${link}`;
    }
    if (value === Type.routerSolicitation)
      return name + firstLinkAddress(view, start + 8, layer.end, 1, ' from ');
    if (value === Type.routerAdvertisement)
      return name + firstLinkAddress(view, start + 16, layer.end, 1, ' from ');
    if (value === Type.redirect && there >= 40) {
      return `${name} of ${redirectDestination.read(view, start)} to ${redirectTarget.read(view, start)}`;
    }
    return name;
  },
  flow: { conversation },
});

/**
 * Internet Protocol version 4 (RFC 791).
 *
 *   0                   1                   2                   3
 *   |version|  IHL  |      DS       |         total length          |
 *   |        identification         |flags|     fragment offset     |
 *   |      TTL      |   protocol    |        header checksum        |
 *   |                        source address                         |
 *   |                      destination address                      |
 *   |                     options, padded to 4 * IHL                |
 */
import { computed, flag, ipv4 as ipv4Field, u8, u16 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { ipProtocolName } from './names/ip-protocols.ts';

const ipProtocol = table('ip.proto');

const version = u8('ip.version', 'Version', 0, { mask: 0xf0 });
export const headerLength = u8('ip.hdr_len', 'Header Length', 0, { mask: 0x0f, scale: 4, unit: ' bytes' });
const dscp = u8('ip.dsfield.dscp', 'Differentiated Services Codepoint', 1, { mask: 0xfc });
export const ecn = u8('ip.dsfield.ecn', 'Explicit Congestion Notification', 1, {
  mask: 0x03,
  values: { 0: 'Not-ECT', 1: 'ECT(1)', 2: 'ECT(0)', 3: 'CE' },
});
export const totalLength = u16('ip.len', 'Total Length', 2);
export const identification = u16('ip.id', 'Identification', 4, { base: 'hex' });
const reservedBit = flag('ip.flags.rb', 'Reserved bit', 6, 0x8000, 2);
export const dontFragment = flag('ip.flags.df', "Don't fragment", 6, 0x4000, 2);
export const moreFragments = flag('ip.flags.mf', 'More fragments', 6, 0x2000, 2);
/** In units of eight bytes, as on the wire. */
export const fragmentOffset = u16('ip.frag_offset', 'Fragment Offset', 6, {
  mask: 0x1fff,
  show: (units) => `${units * 8} bytes (${units})`,
});
export const timeToLive = u8('ip.ttl', 'Time to Live', 8);
export const protocol = u8('ip.proto', 'Protocol', 9, { values: ipProtocolName });
export const checksum = u16('ip.checksum', 'Header Checksum', 10, { base: 'hex' });
export const source = ipv4Field('ip.src', 'Source Address', 12);
export const destination = ipv4Field('ip.dst', 'Destination Address', 16);

const optionType = computed<number>('ip.opt.type', 'Type', 'uint', { list: true });

const OPTION_NAMES: Readonly<Record<number, string>> = {
  0: 'End of Options List',
  1: 'No-Operation',
  7: 'Record Route',
  68: 'Time Stamp',
  130: 'Security',
  131: 'Loose Source Route',
  136: 'Stream Identifier',
  137: 'Strict Source Route',
  148: 'Router Alert',
};

function options(out: Details): void {
  let at = out.start + 20;
  if (at === out.body) return;
  out.open(`Options: (${out.body - at} bytes)`, at, out.body - at);
  while (at < out.body) {
    const type = out.view.getUint8(at);
    // RFC 791 section 3.1: types 0 and 1 are single bytes, every other option says its own length.
    const length = type < 2 ? 1 : at + 1 < out.body ? out.view.getUint8(at + 1) : 0;
    if (length === 0 || (type >= 2 && length < 2) || at + length > out.body) {
      out.remark(
        'ip.option-length',
        'warning',
        at,
        out.body - at,
        `option ${type} runs past the header or has no length`,
      );
      break;
    }
    out.open(`IP Option - ${OPTION_NAMES[type] ?? 'Unknown'} (${length} bytes)`, at, length);
    out.computed(optionType, type, at, 1);
    out.close();
    if (type === 0) break;
    at += length;
  }
  out.close();
}

export const ipv4 = defineProtocol({
  name: 'ip',
  title: 'Internet Protocol Version 4',
  reference: 'RFC 791',
  fields: [
    version,
    headerLength,
    dscp,
    ecn,
    totalLength,
    identification,
    reservedBit,
    dontFragment,
    moreFragments,
    fragmentOffset,
    timeToLive,
    protocol,
    checksum,
    source,
    destination,
  ],
  detailFields: [optionType],
  minLength: 20,
  on: [
    ['link', 228],
    ['ethertype', 0x0800],
    ['ip.proto', 4],
    ['vxlan.next_proto', 1],
    ['nsh.next_proto', 1],
    ['ppp.protocol', 0x0021],
  ],
  step(view, start, layers) {
    const header = headerLength.read(view, start);
    const total = totalLength.read(view, start);
    if (version.read(view, start) !== 4 || header < 20 || (total !== 0 && total < header)) {
      layers.stop = Stop.malformed;
      return;
    }
    layers.body = start + header;
    // A total length of 0 is a TSO or BIG TCP super-packet caught before segmentation: what is there counts.
    if (total !== 0) layers.trim(start + total);
    if (fragmentOffset.read(view, start) !== 0) {
      layers.fragment = 2;
    } else if (moreFragments.read(view, start)) {
      layers.beginFragment(start + 0xffff);
    }
    layers.next(ipProtocol, protocol.read(view, start));
  },
  plain: {
    is: [
      [version, 4],
      [moreFragments, 0],
      [fragmentOffset, 0],
    ],
    header: { field: headerLength },
    total: { field: totalLength },
    next: { table: ipProtocol, field: protocol },
  },
  details(out) {
    options(out);
    const total = totalLength.read(out.view, out.start);
    if (total === 0) {
      out.remark(
        'ip.length-zero',
        'note',
        out.start + 2,
        2,
        'total length 0: segmentation offload, the captured length is used',
      );
    } else if (total > out.limit - out.start) {
      out.remark(
        'ip.length-beyond',
        'warning',
        out.start + 2,
        2,
        `total length ${total} is more than the ${out.limit - out.start} bytes there are`,
      );
    }
  },
  // The line of a packet is about its innermost layer that has something to say: only fragments do.
  info: (view, start) => {
    const at = fragmentOffset.read(view, start) * 8;
    if (moreFragments.read(view, start)) return `Fragment at ${at}, more follow`;
    return at > 0 ? `Fragment at ${at}, the last` : '';
  },
  flow: {
    addresses: [source, destination],
    fragment: {
      part: (view, start) =>
        fragmentOffset.read(view, start) !== 0 ? 2 : moreFragments.read(view, start) ? 1 : 0,
      identification: (view, start) => identification.read(view, start) * 256 + protocol.read(view, start),
    },
  },
});

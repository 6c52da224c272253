/**
 * Linux netfilter log (LINKTYPE_NFLOG): attributes, one of which is the packet from its IP header on.
 *
 *   0        1         2             4
 *   | family | version | resource id | attributes ...
 *
 * and each attribute, padded to four bytes: | length 16, with this header | type 16 | value |
 *
 * Length and type are in the byte order of the host that captured, values in network order. Types are small numbers:
 * whichever order makes the first one small is the one.
 */
import { computed, u8, u16, u32 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { asciiText } from '../src/core/text.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');

const HEADER = 4;
const ATTRIBUTE_HEADER = 4;
/** Above every NFULA_ type of linux/netfilter/nfnetlink_log.h. */
const TYPE_MAXIMUM = 32;

const PACKET_HEADER = 1;
const MARK = 2;
const INPUT = 4;
const OUTPUT = 5;
const PAYLOAD = 9;
const PREFIX = 10;

const ATTRIBUTES: Readonly<Record<number, string>> = {
  1: 'Packet header',
  2: 'Mark',
  3: 'Timestamp',
  4: 'Input interface',
  5: 'Output interface',
  6: 'Physical input interface',
  7: 'Physical output interface',
  8: 'Hardware address',
  9: 'Payload',
  10: 'Prefix',
  11: 'User',
  12: 'Sequence number',
  13: 'Global sequence number',
  14: 'Group',
  15: 'Hardware type',
  16: 'Hardware header',
  17: 'Hardware header length',
};

const family = u8('nflog.family', 'Family', 0, { values: { 2: 'IPv4', 3: 'ARP', 7: 'Bridge', 10: 'IPv6' } });
const version = u8('nflog.version', 'Version', 1);
const resource = u16('nflog.res_id', 'Resource id', 2);

const attributeType = computed<number>('nflog.tlv_type', 'Type', 'uint', { values: ATTRIBUTES, list: true });
const attributeLength = computed<number>('nflog.tlv_length', 'Length', 'uint', { list: true });
// Relative to the attribute's value.
const hardwareProtocol = u16('nflog.protocol', 'HW protocol', 0, { base: 'hex', values: etherTypeName });
const hook = u8('nflog.hook', 'Netfilter hook', 2, {
  values: { 0: 'PREROUTING', 1: 'INPUT', 2: 'FORWARD', 3: 'OUTPUT', 4: 'POSTROUTING' },
});
const mark = u32('nflog.mark', 'Mark', 0, { base: 'hex' });
const inputInterface = u32('nflog.ifindex_indev', 'IFINDEX_INDEV', 0);
const outputInterface = u32('nflog.ifindex_outdev', 'IFINDEX_OUTDEV', 0);
const prefix = computed<string>('nflog.prefix', 'Prefix', 'string');

/** Asked of the first attribute, whose header is there. */
const isLittleEndian = (view: DataView, at: number) => view.getUint16(at + 2, true) <= TYPE_MAXIMUM;

/** EtherType of the payload: the family names it, or else the hardware header did (bridges). */
function payloadType(view: DataView, start: number, fromHardware: number): number {
  switch (family.read(view, start)) {
    case 2:
      return 0x0800;
    case 10:
      return 0x86dd;
    default:
      return fromHardware;
  }
}

function value(out: Details, type: number, at: number, size: number): void {
  if (type === PACKET_HEADER && size >= 3) {
    out.field(hardwareProtocol, at);
    out.field(hook, at);
  } else if (type === MARK && size === 4) {
    out.field(mark, at);
  } else if (type === INPUT && size === 4) {
    out.field(inputInterface, at);
  } else if (type === OUTPUT && size === 4) {
    out.field(outputInterface, at);
  } else if (type === PREFIX && size > 0) {
    out.computed(prefix, asciiText(out.view, at, at + size - 1), at, size);
  }
}

function details(out: Details): void {
  const { view, body } = out;
  let at = out.start + HEADER;
  if (at + ATTRIBUTE_HEADER > body) return;
  const little = isLittleEndian(view, at);
  while (at + ATTRIBUTE_HEADER <= body) {
    const length = view.getUint16(at, little);
    const type = view.getUint16(at + 2, little);
    if (length < ATTRIBUTE_HEADER) {
      out.remark(
        'nflog.attribute-length',
        'error',
        at,
        2,
        `attribute of ${length} bytes, its header takes ${ATTRIBUTE_HEADER}`,
      );
      return;
    }
    out.open(ATTRIBUTES[type] ?? 'Unknown attribute', at, Math.min(length, body - at));
    out.computed(attributeLength, length, at, 2);
    out.computed(attributeType, type, at + 2, 2);
    if (at + length <= body) value(out, type, at + ATTRIBUTE_HEADER, length - ATTRIBUTE_HEADER);
    out.close();
    at += Math.ceil(length / 4) * 4;
  }
}

export const nflog = defineProtocol({
  name: 'nflog',
  title: 'Linux Netfilter NFLOG',
  reference: 'LINKTYPE_NFLOG',
  fields: [family, version, resource],
  detailFields: [
    attributeType,
    attributeLength,
    hardwareProtocol,
    hook,
    mark,
    inputInterface,
    outputInterface,
    prefix,
  ],
  minLength: HEADER,
  on: [['link', 239]],
  step(view, start, layers) {
    let at = start + HEADER;
    let little: boolean | null = null;
    let fromHardware = 0;
    while (at + ATTRIBUTE_HEADER <= layers.end) {
      little ??= isLittleEndian(view, at);
      const length = view.getUint16(at, little);
      const type = view.getUint16(at + 2, little);
      if (length < ATTRIBUTE_HEADER || at + length > layers.limit) {
        layers.body = at;
        layers.stop = Stop.malformed;
        return;
      }
      if (type === PAYLOAD) {
        layers.body = at + ATTRIBUTE_HEADER;
        layers.trim(at + length);
        layers.next(etherType, payloadType(view, start, fromHardware));
        return;
      }
      if (type === PACKET_HEADER && at + 6 <= layers.end)
        fromHardware = view.getUint16(at + ATTRIBUTE_HEADER);
      at += Math.ceil(length / 4) * 4;
    }
    // All there: no payload was logged. Otherwise the capture, or an attribute's header, is cut.
    layers.body = at < layers.limit ? at + ATTRIBUTE_HEADER : layers.limit;
  },
  details,
});

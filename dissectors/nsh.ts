/**
 * Network Service Header (RFC 8300 section 2).
 *
 *    0                   1                   2                   3
 *   |Ver|O|U|    TTL    |   Length  |U|U|U|U|MD Type| Next Protocol |
 *   |          Service Path Identifier (SPI)        | Service Index |
 *   ~                       Context Headers                         ~
 *
 * The length counts words of four bytes, all of the header. Type 1 has four context headers of four bytes, type 2 a list:
 *
 *   |        Metadata Class         |      Type     |U|    Length   |
 *   ~                 Variable-Length Metadata                      ~
 *
 * whose lengths are in bytes, padded to words.
 */
import { bytes, computed, u8, u16, u24 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { type Details, defineProtocol, table } from '../src/core/protocol.ts';
import { hexText } from '../src/core/text.ts';

const nextTable = table('nsh.next_proto');

const HEADER = 8;
const METADATA_HEADER = 4;

const version = u16('nsh.version', 'Version', 0, { mask: 0xc000 });
const oam = u16('nsh.Obit', 'O Bit', 0, { mask: 0x2000 });
const timeToLive = u16('nsh.ttl', 'Time to live', 0, { mask: 0x0fc0 });
const length = u16('nsh.length', 'Length', 0, {
  mask: 0x003f,
  show: (words) => `${words * 4} bytes (${words})`,
});
const metadataType = u8('nsh.mdtype', 'MD Type', 2, { mask: 0x0f });
const nextProtocol = u8('nsh.nextproto', 'Next Protocol', 3, {
  values: {
    1: 'IPv4',
    2: 'IPv6',
    3: 'Ethernet',
    4: 'NSH',
    5: 'MPLS',
    254: 'Experiment 1',
    255: 'Experiment 2',
  },
});
const path = u24('nsh.spi', 'SPI', 4, { base: 'dechex' });
const index = u8('nsh.si', 'SI', 7);

const context = bytes('nsh.contextheader', 'Context Header', 0, 4, { list: true });
const itemClass = u16('nsh.metadataclass', 'TLV Class', 0, { base: 'dechex', list: true });
const itemType = u8('nsh.metadatatype', 'Type', 2, { base: 'dechex', list: true });
const itemLength = u8('nsh.metadatalen', 'Length', 3, { mask: 0x7f, list: true });
const itemData = computed<string>('nsh.metadata', 'Variable Metadata', 'bytes', { list: true });

const headerBytes = (view: DataView, start: number) => length.read(view, start) * 4;

function items(out: Details): void {
  const { view, body } = out;
  for (let at = out.start + HEADER; at < body; ) {
    const data = at + METADATA_HEADER <= body ? itemLength.read(view, at) : 0;
    const size = METADATA_HEADER + Math.ceil(data / 4) * 4;
    if (at + size > body) {
      out.remark('nsh.metadata-length', 'warning', at, body - at, 'metadata run past the header');
      return;
    }
    out.open('Variable Metadata', at, size);
    for (const field of [itemClass, itemType, itemLength]) out.field(field, at);
    const from = at + METADATA_HEADER;
    out.computed(itemData, hexText(view, from, from + data), from, data);
    out.close();
    at += size;
  }
}

function details(out: Details): void {
  const { view, start, body } = out;
  switch (metadataType.read(view, start)) {
    case 1:
      if (headerBytes(view, start) !== 24) {
        out.remark(
          'nsh.length',
          'warning',
          start,
          2,
          'MD type 1 takes a length of 24 bytes (RFC 8300 section 2.4)',
        );
      }
      for (let at = start + HEADER; at + 4 <= body && at < start + 24; at += 4) out.field(context, at);
      break;
    case 2:
      items(out);
      break;
  }
}

export const nsh = defineProtocol({
  name: 'nsh',
  title: 'Network Service Header',
  reference: 'RFC 8300',
  fields: [version, oam, timeToLive, length, metadataType, nextProtocol, path, index],
  detailFields: [context, itemClass, itemType, itemLength, itemData],
  minLength: HEADER,
  on: [
    ['ethertype', 0x894f],
    ['vxlan.next_proto', 4],
    ['nsh.next_proto', 4],
  ],
  step(view, start, layers) {
    if (version.read(view, start) !== 0) {
      layers.stop = Stop.unknown;
    } else if (headerBytes(view, start) < HEADER) {
      layers.stop = Stop.malformed;
    } else {
      layers.body = start + headerBytes(view, start);
      layers.next(nextTable, nextProtocol.read(view, start));
    }
  },
  details,
  info: (view, start) => `Path ${path.read(view, start)}, index ${index.read(view, start)}`,
});

/**
 * IP Authentication Header (RFC 4302 section 2).
 *
 *   |  next header  |    length     |           reserved            |
 *   |               Security Parameters Index (SPI)                 |
 *   |                       sequence number                         |
 *   ~                Integrity Check Value (ICV)                    ~
 *
 * The length counts words of four bytes, minus 2. What follows is readable.
 */
import { bytes, computed, u8, u32 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { hexNumber, hexText } from '../src/core/text.ts';
import { ipProtocolName } from './names/ip-protocols.ts';

const ipProtocol = table('ip.proto');

const nextHeader = u8('ah.next_header', 'Next header', 0, { values: ipProtocolName });
const length = u8('ah.length', 'Length', 1, { show: (words) => `${words} (${(words + 2) * 4} bytes)` });
const reserved = bytes('ah.reserved', 'Reserved', 2, 2);
export const spi = u32('ah.spi', 'AH SPI', 4, { base: 'hex' });
export const sequence = u32('ah.sequence', 'AH Sequence', 8);
const icv = computed<string>('ah.icv', 'AH ICV', 'bytes');

const HEADER = 12;

export const ah = defineProtocol({
  name: 'ah',
  title: 'Authentication Header',
  reference: 'RFC 4302',
  fields: [nextHeader, length, reserved, spi, sequence],
  detailFields: [icv],
  minLength: HEADER,
  on: [['ip.proto', 51]],
  step(view, start, layers) {
    const size = (length.read(view, start) + 2) * 4;
    if (size < HEADER) {
      layers.stop = Stop.malformed;
      return;
    }
    layers.body = start + size;
    layers.next(ipProtocol, nextHeader.read(view, start));
  },
  details(out) {
    const from = out.start + HEADER;
    if (out.body > from) out.computed(icv, hexText(out.view, from, out.body), from, out.body - from);
  },
  info: (view, start) => `AH (SPI=${hexNumber(spi.read(view, start), 8)}) Seq=${sequence.read(view, start)}`,
});

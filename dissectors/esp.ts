/**
 * IP Encapsulating Security Payload (RFC 4303 section 2).
 *
 *   |               Security Parameters Index (SPI)                 |
 *   |                       sequence number                         |
 *   ~   payload, padding, next header: encrypted; then the ICV      ~
 */
import { u32 } from '../src/core/field.ts';
import { defineProtocol } from '../src/core/protocol.ts';
import { hexNumber } from '../src/core/text.ts';

export const spi = u32('esp.spi', 'ESP SPI', 0, { base: 'hex' });
export const sequence = u32('esp.sequence', 'ESP Sequence', 4);

/** SPIs below it are reserved (section 2.1). */
export const FIRST_SPI = 256;

export const esp = defineProtocol({
  name: 'esp',
  title: 'Encapsulating Security Payload',
  reference: 'RFC 4303',
  fields: [spi, sequence],
  minLength: 8,
  on: [['ip.proto', 50]],
  step() {},
  details(out) {
    const value = spi.read(out.view, out.start);
    if (value < FIRST_SPI) {
      out.remark('esp.spi', 'warning', out.start, 4, `SPI ${value} is reserved and never on the wire`);
    }
  },
  info: (view, start) => `ESP (SPI=${hexNumber(spi.read(view, start), 8)}) Seq=${sequence.read(view, start)}`,
});

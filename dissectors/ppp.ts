/**
 * Point-to-Point Protocol (RFC 1661 section 2), with the address and control bytes of HDLC-like framing (RFC 1662)
 * where they are there.
 *
 *   | 0xff  0x03 |  protocol 16 | payload
 *
 * A protocol of one byte is compressed (RFC 1661 section 6.5): its first byte is odd, which no first of two is.
 */
import { u8, u16 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const pppProtocol = table('ppp.protocol');

const PROTOCOLS: Readonly<Record<number, string>> = {
  33: 'Internet Protocol version 4',
  87: 'Internet Protocol version 6',
  641: 'MPLS Unicast',
  643: 'MPLS Multicast',
  32801: 'Internet Protocol Control Protocol',
  32855: 'IPv6 Control Protocol',
  33021: 'Compression Control Protocol',
  49185: 'Link Control Protocol',
  49187: 'Password Authentication Protocol',
  49699: 'Challenge Handshake Authentication Protocol',
};

const address = u8('ppp.address', 'Address', 0, { base: 'hex' });
const control = u8('ppp.control', 'Control', 1, { base: 'hex' });
// Relative to the protocol field's own place.
const protocol = u16('ppp.protocol', 'Protocol', 0, { base: 'hex', values: PROTOCOLS });
const shortProtocol = u8('ppp.protocol', 'Protocol', 0, { base: 'hex', values: PROTOCOLS });

const hasAddress = (view: DataView, start: number) => view.getUint16(start) === 0xff03;
const isShort = (view: DataView, at: number) => view.getUint8(at) % 2 === 1;

export const ppp = defineProtocol({
  name: 'ppp',
  title: 'Point-to-Point Protocol',
  reference: 'RFC 1661',
  fields: [],
  detailFields: [address, control, protocol, shortProtocol],
  minLength: 2,
  on: [
    ['link', 9],
    ['link', 50], // HDLC-like framing, always with address and control
    ['ethertype', 0x880b],
    ['ppp', 0],
  ],
  step(view, start, layers) {
    const at = hasAddress(view, start) ? start + 2 : start;
    layers.body = at + 2;
    if (at >= layers.end) return;
    if (isShort(view, at)) {
      layers.body = at + 1;
      layers.next(pppProtocol, shortProtocol.read(view, at));
    } else if (layers.body <= layers.end) {
      layers.next(pppProtocol, protocol.read(view, at));
    }
  },
  details(out) {
    const { view, start, body } = out;
    let at = start;
    if (hasAddress(view, start)) {
      out.field(address, start);
      out.field(control, start);
      at += 2;
    }
    if (body - at === 2) out.field(protocol, at);
    else if (body - at === 1 && isShort(view, at)) out.field(shortProtocol, at);
  },
});

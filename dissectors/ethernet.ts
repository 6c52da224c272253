/**
 * Ethernet II and IEEE 802.3 (IEEE 802.3 clause 3; RFC 894, RFC 1042).
 *
 *   0        6        12     14
 *   | dst 6  | src 6  | type | payload, padding
 *
 * A type of at most 1500 is the length of an LLC payload.
 */
import { ether, u16 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
const llc = table('llc');

export const destination = ether('eth.dst', 'Destination', 0);
export const source = ether('eth.src', 'Source', 6);
const type = u16('eth.type', 'Type', 12, { base: 'hex', values: etherTypeName });
const length = u16('eth.len', 'Length', 12);

/** Longest 802.3 payload: up to here the field is a length, a type from 0x600 on (802.3 clause 3.2.6). */
export const MAX_LENGTH = 1500;

export const ethernet = defineProtocol({
  name: 'eth',
  title: 'Ethernet',
  reference: 'IEEE 802.3',
  fields: [destination, source],
  detailFields: [type, length],
  minLength: 14,
  on: [
    ['link', 1],
    ['ethertype', 0x6558], // Transparent Ethernet Bridging: Geneve, NVGRE
    ['vxlan.next_proto', 3],
    ['nsh.next_proto', 3],
  ],
  step(view, start, layers) {
    const value = type.read(view, start);
    if (value >= 0x600) {
      layers.next(etherType, value);
    } else if (value <= MAX_LENGTH) {
      layers.trim(start + 14 + value);
      layers.next(llc, 0);
    } else {
      layers.stop = Stop.unknown; // neither a length nor a type
    }
  },
  plain: { next: { table: etherType, field: type, least: 0x600 } },
  details(out) {
    const value = type.read(out.view, out.start);
    // As in Wireshark, 0 is no length: nobody sends an empty payload, but some send an empty type.
    out.field(value > 0 && value <= MAX_LENGTH ? length : type, out.start);
  },
  flow: { addresses: [source, destination] },
});

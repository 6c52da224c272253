/**
 * IEEE 802.2 Logical Link Control, with the Subnetwork Access Protocol (SNAP; RFC 1042).
 *
 *   0      1      2         3              6           8
 *   | DSAP | SSAP | control | SNAP OUI (3) | protocol | payload
 *
 * The control field has one byte in unnumbered frames, two in all others. SNAP is there where both SAPs are 0xaa.
 */
import { u8, u16, u24 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
const serviceAccessPoint = table('llc.dsap');
const snapProtocol = table('llc.pid');

const MINIMUM = 3;
const SNAP = 8;

const SAPS: Readonly<Record<number, string>> = {
  0: 'NULL LSAP',
  6: 'TCP/IP',
  66: 'Spanning Tree BPDU',
  170: 'SNAP',
  224: 'NetWare',
  240: 'NetBIOS',
  254: 'ISO Network Layer',
  255: 'Global LSAP',
};

const destination = u8('llc.dsap', 'DSAP', 0, { base: 'hex', values: SAPS });
const source = u8('llc.ssap', 'SSAP', 1, { base: 'hex', values: SAPS });
const control = u8('llc.control', 'Control', 2, { base: 'hex' });
const wideControl = u16('llc.control', 'Control', 2, { base: 'hex' });
const organisation = u24('llc.oui', 'Organization Code', 3, { base: 'hex' });
const type = u16('llc.type', 'Type', 6, { base: 'hex', values: etherTypeName });
const protocol = u16('llc.pid', 'Protocol ID', 6, { base: 'hex' });

const isUnnumbered = (view: DataView, start: number) => (control.read(view, start) & 3) === 3;
const isSnap = (view: DataView, start: number) =>
  destination.read(view, start) === 0xaa && source.read(view, start) === 0xaa && isUnnumbered(view, start);

export const llc = defineProtocol({
  name: 'llc',
  title: 'Logical-Link Control',
  reference: 'IEEE 802.2',
  fields: [destination, source],
  detailFields: [control, wideControl, organisation, type, protocol],
  minLength: MINIMUM,
  on: [
    ['llc', 0],
    ['sll.ltype', 4],
  ],
  step(view, start, layers) {
    if (!isSnap(view, start)) {
      layers.body = start + (isUnnumbered(view, start) ? MINIMUM : MINIMUM + 1);
      layers.next(serviceAccessPoint, destination.read(view, start));
      return;
    }
    layers.body = start + SNAP;
    if (layers.body > layers.end) return;
    const number = protocol.read(view, start);
    if (organisation.read(view, start) === 0) layers.next(etherType, number);
    else layers.next(snapProtocol, number);
  },
  details(out) {
    const { view, start, body } = out;
    if (isUnnumbered(view, start)) out.field(control, start);
    else if (body >= start + 4) out.field(wideControl, start);
    if (!isSnap(view, start) || body < start + SNAP) return;
    out.field(organisation, start);
    out.field(organisation.read(view, start) === 0 ? type : protocol, start);
  },
});

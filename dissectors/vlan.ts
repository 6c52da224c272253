/**
 * VLAN tags: IEEE 802.1Q, and the service tag that IEEE 802.1ad puts around them.
 *
 *   | PCP 3 | DEI 1 | VID 12 | EtherType 16 |   (the tag's own TPID is the EtherType before it)
 *
 * A type of at most 1500 is the length of an LLC payload.
 */
import { type Field, flag, u16 } from '../src/core/field.ts';
import { type Layers, Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { MAX_LENGTH } from './ethernet.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
const llc = table('llc');

const TAG = 4;

const priority = u16('vlan.priority', 'Priority', 0, { mask: 0xe000 });
const dropEligible = flag('vlan.dei', 'DEI', 0, 0x1000, 2);
const id = u16('vlan.id', 'ID', 0, { mask: 0x0fff });
const type = u16('vlan.etype', 'Type', 2, { base: 'hex', values: etherTypeName });

function tag(type: Field<number>) {
  return (view: DataView, start: number, layers: Layers) => {
    const value = type.read(view, start);
    if (value >= 0x600) {
      layers.next(etherType, value);
    } else if (value <= MAX_LENGTH) {
      layers.trim(start + TAG + value);
      layers.next(llc, 0);
    } else {
      layers.stop = Stop.unknown; // neither a length nor a type
    }
  };
}

export const vlan = defineProtocol({
  name: 'vlan',
  title: '802.1Q Virtual LAN',
  reference: 'IEEE 802.1Q',
  fields: [priority, dropEligible, id, type],
  minLength: TAG,
  on: [
    ['ethertype', 0x8100],
    ['ethertype', 0x9100],
    ['ethertype', 0x9200],
  ],
  step: tag(type),
  plain: { next: { table: etherType, field: type, least: 0x600 } },
  info: (view, start) => `VLAN ${id.read(view, start)}`,
});

const servicePriority = u16('ieee8021ad.priority', 'Priority', 0, { mask: 0xe000 });
const serviceDropEligible = flag('ieee8021ad.dei', 'DEI', 0, 0x1000, 2);
const serviceId = u16('ieee8021ad.id', 'ID', 0, { mask: 0x0fff });
/** Wireshark borrows this name from 802.1ah. */
const serviceType = u16('ieee8021ah.etype', 'Type', 2, { base: 'hex', values: etherTypeName });

export const serviceVlan = defineProtocol({
  name: 'ieee8021ad',
  title: 'IEEE 802.1ad',
  reference: 'IEEE 802.1ad',
  fields: [servicePriority, serviceDropEligible, serviceId, serviceType],
  minLength: TAG,
  on: [['ethertype', 0x88a8]],
  step: tag(serviceType),
  plain: { next: { table: etherType, field: serviceType, least: 0x600 } },
  info: (view, start) => `S-VLAN ${serviceId.read(view, start)}`,
});

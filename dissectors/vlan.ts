/**
 * VLAN tag: IEEE 802.1Q, and 802.1ad where tags are stacked.
 *
 *   | PCP 3 | DEI 1 | VID 12 | EtherType 16 |   (the tag's own TPID is the EtherType before it)
 */
import { flag, u16 } from '../src/core/field.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';
import { etherTypeName } from './names/ethertypes.ts';

const etherType = table('ethertype');
const llc = table('llc');

const priority = u16('vlan.priority', 'Priority', 0, { mask: 0xe000 });
const dropEligible = flag('vlan.dei', 'Drop Eligible Indicator', 0, 0x1000, 2);
const id = u16('vlan.id', 'ID', 0, { mask: 0x0fff });
const type = u16('vlan.etype', 'Type', 2, { base: 'hex', values: etherTypeName });

export const vlan = defineProtocol({
  name: 'vlan',
  title: '802.1Q Virtual LAN',
  reference: 'IEEE 802.1Q',
  fields: [priority, dropEligible, id, type],
  minLength: 4,
  on: [
    ['ethertype', 0x8100],
    ['ethertype', 0x9100],
    ['ethertype', 0x9200],
  ],
  step(view, start, layers) {
    const value = type.read(view, start);
    if (value >= 0x600) {
      layers.next(etherType, value);
    } else {
      layers.trim(start + 4 + value);
      layers.next(llc, 0);
    }
  },
});

/** Oxide rack network (oxidecomputer/opte, oxide-vpc/src/engine/geneve.rs). */
import { u32 } from '../../src/core/field.ts';
import { defineOption } from '../../src/core/protocol.ts';

const vpc = { reference: 'opte oxide-vpc geneve.rs', table: 'geneve.option', class: 0x0129 };

/** Without data: the packet came from outside the rack. */
export const oxideExternal = defineOption({
  ...vpc,
  name: 'oxide.external',
  title: 'Oxide external packet',
  type: 0x00,
  length: 0,
  fields: [],
});

const REPLICATION: Readonly<Record<number, string>> = {
  0: 'External',
  1: 'Underlay',
  2: 'All',
  3: 'Reserved',
};

export const oxideMulticast = defineOption({
  ...vpc,
  name: 'oxide.multicast',
  title: 'Oxide multicast replication',
  type: 0x01,
  length: 4,
  fields: [u32('oxide.multicast.replication', 'Replication', 0, { mask: 0xc0000000, values: REPLICATION })],
});

export const oxideMss = defineOption({
  ...vpc,
  name: 'oxide.mss',
  title: 'Oxide maximum segment size',
  type: 0x02,
  length: 4,
  fields: [u32('oxide.mss', 'Maximum segment size', 0)],
});

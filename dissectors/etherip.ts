/**
 * Ethernet in IP (RFC 3378 section 3).
 *
 *   | version 4 (3) | reserved 12 | Ethernet frame
 */
import { u16 } from '../src/core/field.ts';
import { Stop } from '../src/core/layers.ts';
import { defineProtocol, table } from '../src/core/protocol.ts';

const etherType = table('ethertype');

const version = u16('etherip.ver', 'Version', 0, { mask: 0xf000 });
const reserved = u16('etherip.reserved', 'Reserved', 0, { mask: 0x0fff, base: 'hex' });

export const etherip = defineProtocol({
  name: 'etherip',
  title: 'Ethernet over IP',
  reference: 'RFC 3378',
  fields: [version, reserved],
  minLength: 2,
  on: [['ip.proto', 97]],
  step(view, start, layers) {
    if (version.read(view, start) === 3) layers.next(etherType, 0x6558);
    else layers.stop = Stop.unknown;
  },
  flow: { tunnel: { name: 'etherip', vni: () => -1 } },
});

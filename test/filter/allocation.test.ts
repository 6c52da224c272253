/** Filters on fields with fixed places leave nothing on the heap. */
import { expect, it } from 'vitest';
import { compileFilter } from '../../src/filter/index.ts';
import type { Packet } from '../../src/pipeline.ts';
import { sample } from '../samples.ts';
import { catalog, dissector, eachPacket, roles } from './matching.ts';

const ROUNDS = 400;

it.each([
  'geneve.vni == 1000',
  'vni == 1000 or tunnel[0].udp.dstport == 1',
  'inner.ip.src == 10.128.0.0/24 && ip.dst#2 != 10.128.1.1 && !eth.src[0:3] == 00:16:3e',
  'tcp.port in {1, 5..9, 443} || all ip.ttl < 9 || ip.src == ip.dst',
  'ovn.egress_port == 77 or geneve.option.class == 0x0103 or frame.len > 9000',
])('%s', async (expression) => {
  const { matches } = compileFilter(expression, catalog, roles);
  const grown: number[] = [];
  await eachPacket(sample('geneve-ovn.pcap'), (packet: Packet) => {
    if (packet.index > 0) return;
    const { batch, layers, outline } = packet;
    const round = () => {
      for (let i = 0; i < batch.count; i++) {
        const root = dissector.root(packet.interface.linkType);
        dissector.walk(batch.view, batch.offset[i], batch.captured[i], batch.length[i], root, layers);
        outline.read(layers, roles, batch.offset[i]);
        packet.index = i;
        matches(packet);
      }
    };
    for (let i = 0; i < ROUNDS; i++) round(); // until the code is compiled
    for (let i = 0; i < ROUNDS; i++) {
      const before = process.memoryUsage().heapUsed;
      round();
      grown.push((process.memoryUsage().heapUsed - before) / batch.count);
    }
  });
  // The smallest object takes 12 bytes; asking for the size of the heap takes some too.
  expect(grown.sort((a, b) => a - b)[ROUNDS >> 1]).toBeLessThan(12);
});

/** The top of a list, which a heap finds, is the top of the sorted list. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FlowRecords } from '../../src/flow/records.ts';
import { FLOW_SORTS } from '../../src/sorts.ts';
import { account, frame, geneve, tcp, turned, zeros } from './frames.ts';

const ENDS = { src: '10.0.0.1', dst: '10.0.0.2' };

it('the first flows of a list, by whatever it is sorted', () => {
  // Few values, so that many flows are equal; packets of one flow are apart, and there are halves of conversations.
  const packet = fc.record({
    port: fc.integer({ min: 1, max: 90 }),
    back: fc.boolean(),
    vni: fc.integer({ min: 1, max: 3 }),
    size: fc.constantFrom(0, 0, 10),
  });
  fc.assert(
    fc.property(fc.array(packet, { minLength: 300, maxLength: 400 }), (packets) => {
      const { accounting } = account(
        packets.map(({ port, back, vni, size }) => {
          const [ends, from, to] = back ? [turned(ENDS), 80, port] : [ENDS, port, 80];
          const nodes = { src: '192.0.2.1', dst: '192.0.2.2' };
          const inner = frame(6, ends, tcp(from, to, {}, zeros(size)));
          return geneve({ vni, nodes: back ? turned(nodes) : nodes }, inner);
        }),
      );
      const records = new FlowRecords(accounting);
      for (const by of FLOW_SORTS) {
        const all = records.sorted(by);
        expect(all).toHaveLength(records.count);
        for (const limit of [0, 1, 2, 7, Math.floor(all.length / 8) - 1])
          expect(records.sorted(by, limit), `${limit} by ${by}`).toEqual(all.slice(0, limit));
      }
    }),
    { numRuns: 25 },
  );
});

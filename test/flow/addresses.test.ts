/** Addresses of flows and tunnels as the kernel keeps and writes them. */
import { describe, expect, it } from 'vitest';
import { tunnelTotals } from '../../src/flow/tunnel-totals.ts';
import { account, frame, geneve, turned, udp } from './frames.ts';

describe('IPv6 addresses of flows read in the canonical form of RFC 5952', () => {
  it.each([
    ['::1', '::1'],
    ['::a00:1', '::a00:1'],
    ['::ffff:a00:1', '::ffff:10.0.0.1'],
    ['::1:a00:1', '::1:a00:1'],
    ['::1:0:0:1', '::1:0:0:1'],
    ['1::', '1::'],
    ['fd00:0:0:1::1', 'fd00:0:0:1::1'],
    ['2001:db8:a:b::c:d:1', '2001:db8:a:b:0:c:d:1'],
  ])('%s', (address, text) => {
    const { flows } = account([frame(17, { src: address, dst: 'fd00::2' }, udp(1000, 53))]);
    expect(flows).toMatchObject([{ src: text, dst: 'fd00::2' }]);
  });
});

const ENDS = { src: '10.0.0.1', dst: '10.0.0.2' };
const NODES = { src: '2001:db8:a:b::c:d:1', dst: '2001:db8:e:f::1a:1b:2' };
const [SRC, DST] = ['2001:db8:a:b:0:c:d:1', '2001:db8:e:f:0:1a:1b:2'];
const there = geneve({ vni: 7, nodes: NODES }, frame(17, ENDS, udp(1000, 53)));
const back = geneve({ vni: 7, nodes: turned(NODES) }, frame(17, turned(ENDS), udp(53, 1000)));

it('tunnels over IPv6 have both addresses whole', () => {
  const { flows, vnis } = account([there, back]);
  expect(flows).toMatchObject([{ packets: 2, tunnels: [{ src: SRC, dst: DST }] }]);
  expect(vnis[0].tunnelEndpoints).toEqual([[SRC, DST]]);
});

it('tunnels count from their first packet on, each direction for itself', () => {
  const total = { protocol: 'geneve', packets: 1, outerBytes: there.length };
  expect(tunnelTotals(account([there]).accounting)).toEqual([{ ...total, src: SRC, dst: DST }]);
  expect(tunnelTotals(account([there, back]).accounting)).toEqual([
    { ...total, src: SRC, dst: DST },
    { ...total, src: DST, dst: SRC },
  ]);
});

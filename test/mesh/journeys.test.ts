/** The connections of one request put together, and drawn. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { linesOf } from '../command.ts';
import { sample } from '../samples.ts';
import { corpus, meshOf, meshOutput, shared } from './mesh.ts';

describe('journeys', () => {
  it('name what the CONNECT said where the capture brings its keys', async () => {
    const { mesh } = await meshOf([sample('hbone-tls.pcapng')]);
    const told = mesh.journeys.flatMap(({ connect }) => (connect ? [connect] : []));
    expect(told.length).toBeGreaterThan(1);
    expect(told[0]).toMatchObject({ status: 200 });
    expect(told[0].authority).toMatch(/:\d+$/);
    expect(told.some(({ baggage, traceparent, forwarded }) => baggage && traceparent && forwarded)).toBe(
      true,
    );
  });

  it('say nothing of a request where nobody has the keys', async () => {
    const { mesh } = await meshOf([sample('ambient-syn-only.pcapng')]);
    expect(mesh.journeys.length).toBeGreaterThan(0);
    for (const { connect, confidence } of mesh.journeys) {
      expect(connect).toBeNull();
      expect(confidence === null || confidence < 0.95).toBe(true);
    }
  });

  it('pass every place once, in the order of time', async () => {
    const { mesh } = await meshOf([sample('ambient-syn-only.pcapng')]);
    const { app } = mesh.journeys[0];
    const places = app!.hops.map(({ place, vni }) => `${place} ${vni}`);
    expect(places).toEqual(['vetha null', 'istioout null', 'vethz 1001']);
    const times = app!.hops.map(({ time }) => time);
    expect(times).toEqual([...times].sort());
  });

  it('are drawn in 80 columns, with what was not seen', async () => {
    const { stdout } = await meshOutput(
      [sample('ambient-syn-only.pcapng')],
      { path: '10.244.1.10:46952' },
      80,
    );
    const lines = linesOf(stdout);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    expect(stdout).toContain('istioout');
    expect(stdout).toContain('not seen');
  });

  it('that are not there are no error; what is no end is', async () => {
    const none = await meshOutput([sample('ambient-syn-only.pcapng')], { path: '192.0.2.77' });
    expect([none.status, none.stdout]).toEqual([0, expect.stringContaining('no journey through 192.0.2.77')]);
    await expect(meshOutput([sample('ambient-syn-only.pcapng')], { path: 'a b c' })).rejects.toThrow(
      /--path/,
    );
  });
});

describe.skipIf(shared === '' || !existsSync(corpus('lab')))('journeys of the lab', () => {
  const keys = { tlsKeys: corpus('lab', 'tls-keys.log') };

  it('show CONNECT for each HTTP request', async () => {
    const { mesh } = await meshOf([corpus('lab', 'ambient_n1_multi.pcapng')], keys);
    const told = mesh.journeys
      .filter(({ connect }) => connect !== null)
      .map(({ app, connect }) => [app?.hops.length, connect?.authority, connect?.status]);
    expect(told.map(([, authority, status]) => [authority, status])).toEqual([
      ['10.244.2.10:8080', 200],
      ['10.244.2.10:8080', 200],
      ['10.244.2.10:8443', 200],
    ]);
    for (const [hops] of told) expect(hops).toBeGreaterThan(4);
  });

  it.each(['ambient_n1_multi.pcapng', 'ambient_n2_any_sll.pcap', 'ambient_n2_any_sll2.pcap'])(
    'take the copies of %s for no retransmissions',
    async (file) => {
      const { mesh } = await meshOf([corpus('lab', file)]);
      expect(mesh.flows.length).toBeGreaterThan(2);
      for (const { syn, synRetransmissions } of mesh.flows) expect([syn, synRetransmissions]).toEqual([1, 0]);
    },
  );

  it('go from pod to pod over both nodes', async () => {
    const files = ['ambient_n1_multi.pcapng', 'ambient_n2_any_sll2.pcap'].map((name) => corpus('lab', name));
    const { mesh } = await meshOf(files, keys);
    const [{ app, hbone, delivery }] = mesh.journeys.filter(({ connect }) => connect !== null);
    expect(app?.hops.some(({ vni }) => vni === 1001)).toBe(true);
    expect(hbone?.hops.some(({ vni }) => vni === 1000)).toBe(true);
    expect(delivery?.connection).toMatch(/ > 10\.244\.2\.10:8080$/);
    // The same three connections on either node: copies, no retransmissions.
    for (const { synRetransmissions } of mesh.flows) expect(synRetransmissions).toBe(0);
  });
});

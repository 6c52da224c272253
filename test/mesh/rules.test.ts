/** Each rule has a capture in which it is all that fires, and one of the same mode in which nothing does. */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { istio } from '../../src/mesh/rules/istio.ts';
import { checked } from '../check/run.ts';
import { sample } from '../samples.ts';
import { meshOf } from './mesh.ts';

type Healthy = 'geneve' | 'in-pod' | 'ebpf';

/** Rule, the mode it is about, the packets that show it, and what is said. */
const RULES: readonly (readonly [id: string, of: Healthy, packets: readonly number[], text: RegExp])[] = [
  [
    'IST-01',
    'geneve',
    [1, 2, 3],
    /pistioout does not answer ARP in istioout \(VNI 1001\) of node 10\.244\.1\.1/,
  ],
  ['IST-02', 'geneve', [1, 12], /has 10\.244\.1\.1 and 10\.244\.1\.9 for the node/],
  ['IST-03', 'geneve', [2], /ztunnel 10\.244\.1\.2 has nobody at UDP port 6081/],
  ['IST-04', 'geneve', [12, 13, 14], /10\.244\.1\.4:40030 > 10\.96\.0\.10:81: 3 SYNs, no answer seen/],
  ['IST-05', 'geneve', [12, 13], /2 of 3 TCP packets .* are from the node/],
  ['IST-06', 'geneve', [1, 5], /UDP port 6082/],
  ['IST-07', 'geneve', [12], /VNI 5 on UDP port 6081/],
  ['IST-08', 'geneve', [12], /has options/],
  ['IST-09', 'geneve', [12], /is in fragments/],
  ['IST-10', 'geneve', [1, 5], /UDP checksums/],
  ['IST-11', 'geneve', [12], /10\.244\.3\.3 speaks plain text to port 8080 of 10\.244\.1\.4/],
  ['IST-12', 'geneve', [16, 17], /goes on as 10\.244\.1\.4:40037 > 10\.244\.1\.5:80 in plain text/],
  ['IST-13', 'geneve', [14], /with server name web\.example/],
  ['IST-14', 'geneve', [12, 13, 14], /3 SYNs, no answer seen/],
  ['IST-15', 'in-pod', [6, 7, 8], /169\.254\.7\.127:40040 > 10\.244\.1\.4:8081: 3 SYNs/],
  ['IST-16', 'geneve', [12], /redirects what the node itself sends/],
  ['IST-17', 'geneve', [12], /UDP of 10\.244\.1\.4 is not redirected/],
  ['IST-18', 'geneve', [12, 13], /10\.96\.0\.10:80 is redirected as one to 10\.244\.2\.5/],
  ['IST-19', 'geneve', [1, 12], /ztunnel 10\.244\.1\.7 in place of 10\.244\.1\.2 since 2024-01-01T00:00:05/],
  ['IST-20', 'geneve', [3], /TCP checksums .* from 10\.244\.1\.1 are left to the device/],
  ['IST-21', 'ebpf', [6, 7, 8], /10\.244\.1\.4:40045 > 10\.96\.0\.10:80: 3 SYNs at one device/],
];

describe('the rules about ambient', () => {
  it('all have captures', () => {
    expect(RULES.map(([id]) => id)).toEqual(Object.values(istio).map(({ id }) => id));
    const files = readdirSync(sample('mesh'));
    expect(files.filter((name) => name.startsWith('ist-'))).toHaveLength(RULES.length);
  });

  it.each(RULES)('%s is what its capture shows', async (id, _of, packets, text) => {
    const { findings } = await meshOf([sample(`mesh/${id.toLowerCase()}.pcap`)]);
    expect([...new Set(findings.map(({ rule }) => rule))]).toEqual([id]);
    expect(findings[0].text).toMatch(text);
    expect(findings[0].evidence.map(({ packet }) => packet)).toEqual(packets);
  });

  it.each(['geneve', 'in-pod', 'ebpf'] as const)('find nothing where nothing is wrong: %s', async (mode) => {
    expect((await meshOf([sample(`mesh/${mode}.pcap`)])).findings).toEqual([]);
  });

  it('are asked by check as well', async () => {
    const rules = (await checked([sample('mesh/ist-04.pcap')])).map(({ rule }) => rule);
    expect(rules).toContain('IST-04');
  });
});

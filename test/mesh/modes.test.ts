/** What mode captures show. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { captures, sample } from '../samples.ts';
import { corpus, meshOf, modeOf, shared } from './mesh.ts';

const UNKNOWN = 'ambient, mode unknown';

describe('the mode of a sample', () => {
  it.each([
    ['mesh/geneve.pcap', 'iptables+geneve/syn-only'],
    ['mesh/in-pod.pcap', 'in-pod'],
    ['mesh/ebpf.pcap', 'ebpf'],
    ['ambient-syn-only.pcapng', 'iptables+geneve/syn-only'],
    ['hbone-tls.pcapng', UNKNOWN],
    ['dns-tls.pcapng', UNKNOWN],
  ])('%s is %s', async (file, mode) => {
    expect(await modeOf([sample(file)])).toBe(mode);
  });

  it('is none where there is no HBONE and no tunnel of Istio', async () => {
    const others = captures.filter((file) => !/^(ambient|hbone|dns)-/.test(file));
    for (const file of others) expect(await modeOf([sample(file)]), file).toBe('not ambient');
  });

  it('is told from several captures together, and each piece of evidence names its packets', async () => {
    const files = ['mesh/in-pod.pcap', 'hbone-tls.pcapng'].map(sample);
    const { mesh } = await meshOf(files);
    expect(mesh.mode).toBe('in-pod');
    const named = mesh.evidence.flatMap(({ packets }) => packets.map(({ file }) => file));
    expect(new Set(named)).toEqual(new Set(files));
  });

  it('does not follow from the numbers 1000 and 1001 alone', async () => {
    const { mesh } = await meshOf([sample('geneve-edge.pcapng')]);
    expect(mesh.mode).toBe('not ambient');
    expect(mesh.evidence.map(({ what }) => what)).toEqual(['vni-1001-unproven']);
    expect(mesh.tunnels.map(({ vni, istio }) => [vni, istio])).toEqual([[1001, false]]);
  });

  it('names the ends of the tunnels, whichever of them asked first', async () => {
    const { mesh } = await meshOf([sample('ambient-syn-only.pcapng')]);
    for (const { device, vni, hostIp, ztunnelIp, arp } of mesh.tunnels) {
      expect({ vni, hostIp, ztunnelIp, health: arp.health }).toEqual({
        vni: device === 'istioin' ? 1000 : 1001,
        hostIp: '10.244.1.1',
        ztunnelIp: '10.244.1.2',
        health: 'answered',
      });
    }
    expect(mesh.tunnels).toHaveLength(2);
  });
});

describe.skipIf(shared === '' || !existsSync(corpus('ambient-emulated')))('the mode of the corpus', () => {
  it.each([
    ['geneve-1.20', 'iptables+geneve/syn-only'],
    ['geneve-preview-2022', 'iptables+geneve/full'],
    ['ebpf', 'ebpf'],
    ['in-pod', 'in-pod'],
  ])('emulated %s is %s', async (folder, mode) => {
    const files = readdirSync(corpus('ambient-emulated', folder)).map((name) =>
      corpus('ambient-emulated', folder, name),
    );
    expect(await modeOf(files)).toBe(mode);
    const underlay = files.find((file) => file.endsWith('node-eth0.pcap'));
    if (underlay) expect(await modeOf([underlay])).toBe(UNKNOWN);
  });

  it.each([
    ['ambient_n1_multi.pcapng', 'iptables+geneve/syn-only'],
    ['ambient_n1_vethz.pcap', 'iptables+geneve/syn-only'],
    ['ambient_n2_any_sll.pcap', 'iptables+geneve/syn-only'],
    ['ambient_n2_any_sll2.pcap', 'iptables+geneve/syn-only'],
    ['ambient_z1_eth0_nano.pcap', 'iptables+geneve/syn-only'],
    // The flags of TCP are cut off: what travels inside is not to be told.
    ['ambient_z2_eth0_snap96.pcap', 'iptables+geneve'],
    // Half connections, by a rule that neither release has.
    ['ambientall_n1_multi.pcapng', 'iptables+geneve'],
    ['ambientall_n1_vethz.pcap', 'iptables+geneve'],
    ['ambientall_z2_eth0.pcap', 'iptables+geneve'],
    ['ambient_underlay.pcap', UNKNOWN],
    ['ambient_z1_pistioout.pcap', UNKNOWN],
    // Nothing but a pod's own traffic, and SYNs without a tunnel around them.
    ['ambient_p1_eth0.pcap', 'not ambient'],
    ['ambient_n1_istioout.pcap', 'not ambient'],
  ])('%s is %s', async (file, mode) => {
    expect(await modeOf([corpus('lab', file)])).toBe(mode);
  });

  it('is none in overlays of others', async () => {
    const folders = ['geneve', 'vxlan', 'other'].map((name) => corpus('third-party/overlay', name));
    const files = [...folders, corpus('vectors'), corpus('vni-collision')].flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => /\.(pcap|pcapng|cap)$/.test(name))
        .map((name) => path.join(folder, name)),
    );
    expect(files.length).toBeGreaterThan(100);
    for (const file of files) {
      const { mode, evidence } = (await meshOf([file])).mesh;
      const is15008 = evidence.some(({ what }) => what === 'hbone-hello' || what === 'port-15008');
      expect(mode, file).toBe(is15008 ? UNKNOWN : 'not ambient');
    }
  }, 120_000);
});

/** Where each rule fires among the samples, and where it must not although the sample has what looks like it. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { FindingRecord } from '../../src/check/findings.ts';
import { allRules } from '../../src/check/rules/index.ts';
import { captures, sample } from '../samples.ts';
import { checked } from './run.ts';

/** Rule, sample and packet that show it, sample in which nothing breaks it. */
const TABLE: readonly (readonly [rule: string, fires: string, packet: number, silent: string])[] = [
  ['GNV-01', 'geneve-edge.pcapng', 35, 'geneve-options.pcap'],
  ['GNV-02', 'geneve-edge.pcapng', 37, 'option-decoders.pcapng'],
  ['GNV-03', 'geneve-edge.pcapng', 36, 'option-decoders.pcapng'],
  ['GNV-04', 'geneve-options.pcap', 17, 'geneve-ovn.pcap'],
  ['GNV-05', 'option-decoders.pcapng', 4, 'geneve-options.pcap'],
  ['GNV-06', 'geneve-edge.pcapng', 30, 'geneve-ovn.pcap'],
  ['GNV-07', 'geneve-edge.pcapng', 33, 'geneve-options.pcap'],
  ['GNV-08', 'geneve-options.pcap', 19, 'geneve-ovn.pcap'],
  ['GNV-09', 'option-decoders.pcapng', 25, 'geneve-ovn.pcap'],
  ['GNV-10', 'geneve-edge.pcapng', 24, 'geneve-options.pcap'],
  ['GNV-11', 'geneve-options.pcap', 1, 'geneve-ovn.pcap'],
  ['GNV-12', 'geneve-edge.pcapng', 11, 'geneve-options.pcap'],
  ['GNV-13', 'geneve-ovn.pcap', 1, 'ipv6-underlay.pcap'],
  ['GNV-14', 'geneve-edge.pcapng', 52, 'geneve-ovn.pcap'],
  ['VXL-01', 'vxlan-edge.pcapng', 9, 'vxlan-kernel.pcap'],
  ['VXL-02', 'vxlan-edge.pcapng', 10, 'vxlan-kernel.pcap'],
  ['VXL-03', 'vxlan-edge.pcapng', 10, 'vxlan-kernel.pcap'],
  ['VXL-04', 'vxlan-edge.pcapng', 26, 'vxlan-kernel.pcap'],
  ['VXL-05', 'overlay-health.pcapng', 21, 'vxlan-edge.pcapng'],
  ['VXL-06', 'vxlan-edge.pcapng', 11, 'damaged-cut.pcap'],
  ['OVL-01', 'geneve-edge.pcapng', 41, 'ipv6-underlay.pcap'],
  ['OVL-02', 'geneve-edge.pcapng', 45, 'ipv6-underlay.pcap'],
  ['OVL-03', 'fragments.pcap', 9, 'geneve-ovn.pcap'],
  ['OVL-04', 'geneve-edge.pcapng', 46, 'geneve-ovn.pcap'],
  ['OVL-05', 'l2-l3.pcapng', 36, 'fragments.pcap'],
  ['OVL-06', 'fragments.pcap', 11, 'l2-l3.pcapng'],
  ['OVL-07', 'overlay-health.pcapng', 24, 'geneve-ovn.pcap'],
  ['OVL-08', 'overlay-health.pcapng', 4, 'tcp-trouble.pcap'],
  ['OVL-09', 'dns-tls.pcapng', 1, 'geneve-ovn.pcap'],
  ['OVL-10', 'vxlan-edge.pcapng', 27, 'ipsec-macsec.pcapng'],
  ['OVL-11', 'overlay-health.pcapng', 22, 'ipv6-underlay.pcap'],
  ['OVL-12', 'damaged-cut.pcap', 1, 'any-sll2.pcap'],
  ['OVL-13', 'tcp-trouble.pcap', 40, 'any-sll2.pcap'],
  ['OVL-14', 'overlay-health.pcapng', 12, 'any-sll2.pcap'],
  ['OVL-15', 'overlay-health.pcapng', 12, 'any-sll2.pcap'],
  ['OVL-16', 'overlay-health.pcapng', 18, 'ambient-syn-only.pcapng'],
  ['SEC-01', 'overlay-health.pcapng', 33, 'ipsec-macsec.pcapng'],
  ['SEC-02', 'overlay-health.pcapng', 35, 'ipsec-macsec.pcapng'],
  ['SEC-03', 'overlay-health.pcapng', 1, 'ipsec-macsec.pcapng'],
];

const found = new Map<string, FindingRecord[]>();
beforeAll(async () => {
  for (const file of captures) found.set(file, await checked([sample(file)]));
});

const of = (file: string, rule: string) => found.get(file)!.filter((finding) => finding.rule === rule);

describe('rules', () => {
  it('are all in the table', () => {
    const listed = TABLE.map(([rule]) => rule);
    expect(allRules.map(({ id }) => id).filter((id) => !id.startsWith('IST'))).toEqual([...listed].sort());
  });

  it.each(TABLE)('%s fires in %s at packet %i, and not in %s', (rule, fires, packet, silent) => {
    expect(of(fires, rule).flatMap(({ evidence }) => evidence.map((one) => one.packet))).toContain(packet);
    expect(of(silent, rule)).toEqual([]);
  });

  // Beside each trouble, overlay-health.pcapng has what is like it and in order.
  it.each([
    ['OVL-16', 'VNI 24'],
    ['OVL-07', 'VNI 28'],
    ['OVL-14', 'VNI 22'],
    ['OVL-15', 'VNI 22'],
  ])('%s leaves %s alone', (rule, vni) => {
    const texts = of('overlay-health.pcapng', rule).map(({ text }) => text);
    expect(texts).toHaveLength(1);
    expect(texts[0]).not.toContain(vni);
  });

  it('take no source port that a flow moves to for a port in turn', () => {
    const [finding] = of('overlay-health.pcapng', 'OVL-08');
    expect(finding.evidence.map(({ packet }) => packet)).toEqual([4, 5]);
  });

  it('take a packet that is late for neither missing nor repeated, and a copy for no replay', () => {
    const [gap] = of('overlay-health.pcapng', 'SEC-01');
    expect(gap.count).toBe(1);
    const [again] = of('overlay-health.pcapng', 'SEC-02');
    expect(again.evidence.map(({ packet }) => packet)).toEqual([35]);
  });
});

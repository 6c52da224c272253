/** What VNIs stand for, and what is said to be a guess. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type VniFacts, vniMeaning } from '../../src/mesh/vni-meaning.ts';
import { linesOf, runCommand } from '../command.ts';
import { sample } from '../samples.ts';

const facts = (some: Partial<VniFacts>): VniFacts => ({
  protocol: 'geneve',
  vni: 7,
  options: [],
  tunnelEndpoints: [['10.0.0.1', '10.0.0.2']],
  protocols: { tcp: {} },
  ...some,
});
const option = (name: string | null, optionClass: number) => ({ name, class: optionClass });
const istioin = facts({ vni: 1000 });
const istioout = facts({ vni: 1001 });
const meaning = (one: VniFacts, ...others: VniFacts[]) => vniMeaning(one, [one, ...others], false);

describe('vniMeaning', () => {
  it.each<[string, VniFacts, string | null, boolean]>([
    ['nothing', facts({}), null, false],
    ['no tunnel', facts({ protocol: null, vni: null }), null, false],
    ['OVN', facts({ options: [option('ovn.ports', 0x0102)] }), 'OVN datapath 7', false],
    ['OVN of 2014', facts({ options: [option('ovn.ports', 0)] }), 'OVN datapath 7', true],
    [
      'Cilium',
      facts({ vni: 2, options: [option('cilium.dsr', 0x014b)] }),
      'Cilium identity 2 (world)',
      false,
    ],
    [
      'AWS',
      facts({ vni: 0, options: [option('aws.gwlb.cookie', 0x0108)] }),
      'AWS Gateway Load Balancer',
      false,
    ],
    ['an unknown option', facts({ options: [option(null, 0x0108)] }), null, false],
    ['VXLAN 1', facts({ protocol: 'vxlan', vni: 1 }), 'Flannel', true],
    ['VXLAN 4096', facts({ protocol: 'vxlan', vni: 4096 }), 'Calico', true],
    ['VXLAN 800', facts({ protocol: 'vxlan', vni: 800 }), 'Azure Gateway Load Balancer, internal', true],
    ['Geneve 4096', facts({ vni: 4096 }), null, false],
    ['VXLAN 1000', facts({ protocol: 'vxlan', vni: 1000 }), null, false],
    ['Geneve 1000 alone', istioin, 'istioin', true],
    ['Geneve 1001 with options', facts({ vni: 1001, options: [option(null, 0xff01)] }), null, false],
  ])('of %s', (_, one, text, guess) => {
    expect(meaning(one)).toEqual(text === null ? null : { text, guess });
  });

  it('takes a VNI of one direction for an identity of Cilium, as a guess', () => {
    const one = facts({ vni: 12345 });
    expect(vniMeaning(one, [one], true)).toEqual({ text: 'Cilium identity 12345', guess: true });
  });

  it('is sure of Istio with both VNIs between the same ends only, and nothing inside that is not its own', () => {
    expect(meaning(istioin, istioout)).toEqual({ text: 'istioin', guess: false });
    expect(meaning(istioout, istioin)).toEqual({ text: 'istioout', guess: false });
    const others: Partial<VniFacts>[] = [
      { tunnelEndpoints: [['10.0.0.1', '10.0.0.3']] },
      { options: [option('ovn.ports', 0x0102)] },
      { protocols: { tcp: {}, udp: {} } },
      { protocol: 'vxlan' },
    ];
    for (const other of others)
      expect(meaning(istioin, { ...istioout, ...other })).toEqual({ text: 'istioin', guess: true });
  });
});

/** 'geneve 1001 istioout?' of each VNI of a capture. */
async function meanings(file: string): Promise<string[]> {
  const { stdout } = await runCommand('vni', [file], { ndjson: true });
  return linesOf(stdout)
    .map(
      (line) =>
        JSON.parse(line) as { protocol: string; vni: number; meaning: string; meaningIsGuess: boolean },
    )
    .filter(({ meaning }) => meaning !== null)
    .map((vni) => `${vni.protocol} ${vni.vni} ${vni.meaning}${vni.meaningIsGuess ? '?' : ''}`);
}

describe('meanings', () => {
  it.each([
    ['ambient-syn-only.pcapng', ['geneve 1001 istioout', 'geneve 1000 istioin']],
    ['direction-vnis.pcap', ['geneve 12345 Cilium identity 12345?', 'geneve 23456 Cilium identity 23456?']],
    ['geneve-ovn.pcap', ['geneve 5001 OVN datapath 5001']],
    ['vxlan-kernel.pcap', ['vxlan 20001 Cilium identity 20001?', 'vxlan 20002 Cilium identity 20002?']],
    ['geneve-options.pcap', ['geneve 5002 AWS Gateway Load Balancer']],
    ['overlapping-vnis.pcap', []],
  ])('in %s', async (file, expected) => {
    expect((await meanings(sample(file))).sort()).toEqual([...expected].sort());
  });

  const corpus = path.join(process.env.TUNSCOPE_SHARED ?? '', 'captures');
  it.skipIf(!process.env.TUNSCOPE_SHARED || !existsSync(corpus))(
    'of other overlays are never those of Istio',
    async () => {
      for (const file of [
        'lab/craft_geneve_edge.pcap',
        'lab/vxlan_kernel_n2_any_sll2.pcap',
        'third-party/malformed/derived/derived__gnv-nested.pcap',
      ])
        for (const text of await meanings(path.join(corpus, file)))
          expect(text, file).not.toMatch(/istio(in|out)$/);
    },
  );
});

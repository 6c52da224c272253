/** Rules and their documentation. */
import { describe, expect, it } from 'vitest';
import { rulePage } from '../../src/check/rule-text.ts';
import { allRules, ruleSets } from '../../src/check/rules/index.ts';

/** Pages of docs/rules by the subject in the rules' names. */
const PAGES: readonly (readonly [subject: string, file: string, title: string, about: string])[] = [
  [
    'GNV',
    'geneve.md',
    'Geneve',
    'Headers and options of Geneve against RFC 8926. `tunscope check --rule GNV` asks these rules alone.',
  ],
  ['VXL', 'vxlan.md', 'VXLAN', 'Headers of VXLAN, its group policy extension and VXLAN-GPE.'],
  [
    'OVL',
    'overlay.md',
    'Overlays',
    'What holds for every tunnel with a VNI: what carries it, and how it is used. A capture shows what passed one place: what it does not have may have passed elsewhere.',
  ],
  [
    'SEC',
    'protection.md',
    'Protection',
    'ESP, AH and MACsec around tunnels. That no protection was seen never says that there is none: MACsec is taken off before a host captures, and keys given to tunscope take ESP off before the rules are asked.',
  ],
  [
    'IST',
    'istio.md',
    'Istio ambient',
    'How the ambient mode of Istio redirects traffic: with Geneve between node and ztunnel (1.18 to 1.20), by eBPF (1.20), or inside each pod (from 1.21). Rules about tunnels are asked only where the tunnels are known to be those of Istio.',
  ],
];

describe('every rule', () => {
  it('has a name of its own and belongs to a page', () => {
    const ids = allRules.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(PAGES.map(([subject]) => subject)).toContain(id.slice(0, 3));
    expect(ruleSets.flatMap(({ rules }) => rules)).toHaveLength(ids.length);
  });

  it('says in one sentence each what it means and what to do', () => {
    for (const { id, meaning, help, title, reference, evidence } of allRules) {
      for (const sentence of [meaning, help]) expect(sentence, id).toMatch(/^[A-Z0-9].*[^.]\.$/);
      for (const text of [title, reference, evidence]) expect(text, id).toMatch(/\S.*[^.]$/);
    }
  });

  // Written by `npx vitest run test/check -u`.
  it.each(PAGES)('about %s has a section in docs/rules/%s', async (subject, file, title, about) => {
    const rules = allRules.filter(({ id }) => id.startsWith(subject));
    if (rules.length === 0) return;
    await expect(rulePage(title, about, rules)).toMatchFileSnapshot(`../../docs/rules/${file}`);
  });
});

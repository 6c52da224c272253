/** All rules: one line each subject. */
import { istioRules } from '../../mesh/rules/index.ts';
import type { Rule, RuleSet } from '../rule.ts';
import { geneveRules } from './geneve.ts';
import { outerRules } from './outer.ts';
import { overlayRules } from './overlay.ts';
import { protectionRules } from './protection.ts';
import { vxlanRules } from './vxlan.ts';

export const ruleSets: readonly RuleSet[] = [
  istioRules,
  geneveRules,
  vxlanRules,
  outerRules,
  overlayRules,
  protectionRules,
];

export const allRules: readonly Rule[] = ruleSets
  .flatMap(({ rules }) => rules)
  .sort((a, b) => (a.id < b.id ? -1 : 1));

export function ruleOf(id: string): Rule | undefined {
  return allRules.find((rule) => rule.id === id.toUpperCase());
}

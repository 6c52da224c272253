import type { RuleSet } from '../../check/rule.ts';
export const istioRules: RuleSet = { rules: [], observe: () => ({ packet() {} }) };

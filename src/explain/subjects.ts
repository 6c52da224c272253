/** What `tunscope explain` knows. */
import { ruleLines, wrapped } from '../check/rule-text.ts';
import { allRules, ruleOf } from '../check/rules/index.ts';
import { explainAmbient, explainHbone } from './ambient.ts';
import { explainGeneve, explainVxlan } from './headers.ts';

const WIDTH = 80;

const SUBJECTS: Readonly<Record<string, () => string[]>> = {
  geneve: explainGeneve,
  vxlan: explainVxlan,
  ambient: explainAmbient,
  hbone: explainHbone,
  rules: () =>
    allRules.flatMap(({ id, severity, title }) => {
      const head = `${id}  ${severity.padEnd(7)}  `;
      const [first, ...rest] = wrapped(title, WIDTH - head.length);
      return [head + first, ...rest.map((line) => ' '.repeat(head.length) + line)];
    }),
};

/** Names of all subjects, rules included. */
export const subjects: readonly string[] = [...Object.keys(SUBJECTS), ...allRules.map(({ id }) => id)];

/** Lines of at most 80 columns; null for what is unknown. */
export function explained(subject: string): string[] | null {
  const known = Object.hasOwn(SUBJECTS, subject.toLowerCase()) ? SUBJECTS[subject.toLowerCase()] : undefined;
  if (known) return known();
  const rule = ruleOf(subject);
  return rule ? ruleLines(rule, WIDTH) : null;
}

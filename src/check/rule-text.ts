/** A rule in words: for the terminal, and as a section of docs/rules. */
import type { Rule } from './rule.ts';

/** Lines of at most `width` characters. */
export function wrapped(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line.length > indent.length && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
    }
    line += line.length > indent.length ? ` ${word}` : word;
  }
  return [...lines, line];
}

const PARTS: readonly (readonly [heading: string, part: 'evidence' | 'meaning' | 'help' | 'reference'])[] = [
  ['Reported for', 'evidence'],
  ['Means', 'meaning'],
  ['What to do', 'help'],
  ['Reference', 'reference'],
];

export function ruleLines(rule: Rule, width: number): string[] {
  return [
    ...wrapped(`${rule.id}: ${rule.title} (${rule.severity})`, width),
    ...PARTS.flatMap(([heading, part]) => ['', heading, ...wrapped(rule[part], width, '  ')]),
  ];
}

export function ruleSection(rule: Rule): string {
  const rows = PARTS.map(([heading, part]) => `**${heading}:** ${rule[part]}`);
  return [`## ${rule.id} ${rule.title}`, `Severity: ${rule.severity}.`, ...rows].join('\n\n');
}

/** A page of docs/rules. */
export function rulePage(title: string, about: string, rules: readonly Rule[]): string {
  return `${[`# ${title}`, about, ...rules.map(ruleSection)].join('\n\n')}\n`;
}

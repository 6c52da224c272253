/** Collects findings: counts all, keeps the first packets of each as evidence. */
import { printable } from '../core/text.ts';
import type { Packet } from '../pipeline.ts';
import type { Rule } from './rule.ts';

/** A packet, as findings and verdicts point to it. */
export interface PacketEvidence {
  /** Null where packets come from a running device. */
  readonly file: string | null;
  readonly packet: number;
}

/** Its shape is docs/schema's `finding`. */
export interface FindingRecord {
  type: 'finding';
  schema: 1;
  rule: string;
  severity: Rule['severity'];
  count: number;
  text: string;
  evidence: PacketEvidence[];
  meaning: string;
  help: string;
}

/** Packets kept per finding. */
const MAX_EVIDENCE = 8;
/** Findings kept per rule; more subjects are counted together. */
const MAX_SUBJECTS = 32;

class Finding {
  readonly rule: Rule;
  readonly text: string;
  count = 0;
  readonly evidence: PacketEvidence[] = [];

  constructor(rule: Rule, text: string) {
    this.rule = rule;
    this.text = text;
  }

  add(where: readonly PacketEvidence[], count: number): void {
    this.count += count;
    for (const one of where) {
      const last = this.evidence.at(-1);
      if (last?.packet === one.packet && last.file === one.file) continue;
      if (this.evidence.length < MAX_EVIDENCE) this.evidence.push(one);
    }
  }
}

const SEVERITIES = ['error', 'warning', 'note'] as const;

export function evidenceOf({ batch, index, interface: { file } }: Packet): PacketEvidence {
  return { file, packet: batch.number(index) };
}

export class Findings {
  private readonly found = new Map<Rule, Map<string, Finding>>();
  private readonly wanted: (rule: Rule) => boolean;

  constructor(wanted: (rule: Rule) => boolean = () => true) {
    this.wanted = wanted;
  }

  /**
   * @param subject tells findings of a rule apart: a VNI, two endpoints
   * @param text asked once per subject: a sentence that names it
   */
  report(
    rule: Rule,
    subject: string,
    where: Packet | readonly PacketEvidence[],
    text: () => string,
    count = 1,
  ): void {
    if (!this.wanted(rule)) return;
    let bySubject = this.found.get(rule);
    if (bySubject === undefined) {
      bySubject = new Map();
      this.found.set(rule, bySubject);
    }
    let finding = bySubject.get(subject);
    if (finding === undefined) {
      const rest = bySubject.size >= MAX_SUBJECTS;
      if (rest) finding = bySubject.get('');
      if (finding === undefined) {
        finding = new Finding(rule, rest ? `${rule.title}: elsewhere too` : printable(text()));
        bySubject.set(rest ? '' : subject, finding);
      }
    }
    if ('batch' in where)
      finding.add(finding.evidence.length < MAX_EVIDENCE ? [evidenceOf(where)] : [], count);
    else finding.add(where, count);
  }

  /** Errors first, then in the order of rules and of first evidence. */
  records(): FindingRecord[] {
    return [...this.found.values()]
      .flatMap((bySubject) => [...bySubject.values()])
      .sort(
        (a, b) =>
          SEVERITIES.indexOf(a.rule.severity) - SEVERITIES.indexOf(b.rule.severity) ||
          (a.rule.id < b.rule.id ? -1 : a.rule.id > b.rule.id ? 1 : 0),
      )
      .map(({ rule, text, count, evidence }) => ({
        type: 'finding',
        schema: 1,
        rule: rule.id,
        severity: rule.severity,
        count,
        text,
        evidence,
        meaning: rule.meaning,
        help: rule.help,
      }));
  }
}

/** Findings in the Static Analysis Results Interchange Format, version 2.1.0, which CI systems show. */
import packageJson from '../../package.json' with { type: 'json' };
import type { FindingRecord } from './findings.ts';
import type { Rule } from './rule.ts';

const LEVELS: Readonly<Record<Rule['severity'], string>> = {
  error: 'error',
  warning: 'warning',
  note: 'note',
};

/** A path as a URI reference (RFC 3986 section 4.2): relative ones stay so. */
function uriOf(file: string): string {
  return file
    .split('/')
    .map((part) => encodeURIComponent(part))
    .join('/');
}

/** @param rules all that were asked, also those without a finding */
export function sarif(rules: readonly Rule[], findings: readonly FindingRecord[]): object {
  return {
    version: '2.1.0',
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    runs: [
      {
        tool: {
          driver: {
            name: packageJson.name,
            version: packageJson.version,
            rules: rules.map((rule) => ({
              id: rule.id,
              shortDescription: { text: rule.title },
              fullDescription: { text: rule.meaning },
              help: { text: `${rule.help} Reference: ${rule.reference}.` },
              defaultConfiguration: { level: LEVELS[rule.severity] },
            })),
          },
        },
        results: findings.map(({ rule, severity, count, text, evidence }) => ({
          ruleId: rule,
          ruleIndex: rules.findIndex(({ id }) => id === rule),
          level: LEVELS[severity],
          message: { text },
          occurrenceCount: count,
          locations: evidence.map(({ file, packet }) => ({
            ...(file !== null && { physicalLocation: { artifactLocation: { uri: uriOf(file) } } }),
            logicalLocations: [{ name: `packet ${packet}`, kind: 'packet' }],
          })),
        })),
      },
    ],
  };
}

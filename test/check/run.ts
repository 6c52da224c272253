/** Runs rules over a capture inside the test's process. */
import { openCaptures } from '../../src/capture/open.ts';
import { Checker } from '../../src/check/checker.ts';
import type { FindingRecord } from '../../src/check/findings.ts';
import { ruleSets } from '../../src/check/rules/index.ts';
import { Dissector } from '../../src/core/dissector.ts';
import { FlowRoles } from '../../src/core/outline.ts';
import { istioPort } from '../../src/mesh/geneve-port.ts';
import { run } from '../../src/pipeline.ts';
import { buildRegistry } from '../../src/registration.ts';

export async function checked(files: string[], decodeAs: string[] = []): Promise<FindingRecord[]> {
  const dissector = new Dissector(buildRegistry(decodeAs).add(istioPort), { application: false });
  const roles = new FlowRoles(dissector.registry);
  const capture = await openCaptures(files, {});
  const checker = new Checker({ dissector, roles, interfaces: capture.interfaces }, ruleSets);
  await run(capture, dissector, roles, checker);
  return checker.scene.findings.records();
}

/** Findings as lines: rule, severity, count, packets, text. */
export function findingLines(findings: readonly FindingRecord[]): string[] {
  return findings.map(
    ({ rule, severity, count, evidence, text }) =>
      `  ${rule} ${severity} ${count} [${evidence.map(({ packet }) => packet).join(' ')}] ${text}`,
  );
}

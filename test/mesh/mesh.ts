/** Runs `mesh` over captures inside the test's process. */
import path from 'node:path';
import type { FindingRecord } from '../../src/check/findings.ts';
import { type MeshOptions, mesh } from '../../src/commands/mesh.ts';
import type { MeshRecord } from '../../src/mesh/record.ts';
import { type Output, runWith } from '../command.ts';

export interface MeshDocument {
  readonly mesh: MeshRecord;
  readonly findings: readonly FindingRecord[];
}

export function meshOutput(files: string[], options: MeshOptions = {}, columns?: number): Promise<Output> {
  return runWith((context) => mesh(files, options, context), columns === undefined ? undefined : { columns });
}

export async function meshOf(files: string[], options: MeshOptions = {}): Promise<MeshDocument> {
  const { stdout } = await meshOutput(files, { json: true, ...options });
  return JSON.parse(stdout) as MeshDocument;
}

/** 'iptables+geneve/syn-only', 'in-pod'. */
export async function modeOf(files: string[]): Promise<string> {
  const { mode, profile } = (await meshOf(files)).mesh;
  return profile === null ? mode : `${mode}/${profile}`;
}

/** The corpus that tests may find; '' where there is none. */
export const shared = process.env.TUNSCOPE_SHARED ?? '';

export function corpus(...parts: string[]): string {
  return path.join(shared, 'captures', ...parts);
}

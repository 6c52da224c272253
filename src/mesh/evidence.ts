/** What speaks for a verdict, and where it is in the capture. */
import type { PacketEvidence } from '../check/findings.ts';

export interface MeshEvidence {
  /** Short name, for programs. */
  readonly what: string;
  readonly text: string;
  /** First packets that show it; empty where the name of a device does. */
  readonly packets: readonly PacketEvidence[];
  /** How sure it alone makes of what it speaks for, from 0 to 1. */
  readonly weight: number;
}

/** No capture makes certain: everything in it could have been made by something else. */
const MAX_CONFIDENCE = 0.99;

/** Pieces of evidence that do not depend on each other: what is left of doubt is the product of what each leaves. */
export function confidenceOf(evidence: readonly MeshEvidence[]): number {
  const doubt = evidence.reduce((rest, { weight }) => rest * (1 - weight), 1);
  return Math.min(MAX_CONFIDENCE, Math.round((1 - doubt) * 100) / 100);
}

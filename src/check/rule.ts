/** What a rule is, and what watches packets for it. */
import type { CaptureInterface } from '../capture/capture.ts';
import type { Dissector } from '../core/dissector.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Severity } from '../core/protocol.ts';
import type { Packet } from '../pipeline.ts';
import type { CopyDetector, Seen } from './copies.ts';
import type { Findings } from './findings.ts';
import type { Overlay } from './overlay.ts';

/** Everything that is said of a rule, in `explain`, in docs/rules and beside its findings, is said here. */
export interface Rule {
  /** 'GNV-05': subject and number. Never given to another rule. */
  readonly id: string;
  readonly severity: Severity;
  readonly title: string;
  /** Where the rule comes from. */
  readonly reference: string;
  /** What must be in the capture for a finding. */
  readonly evidence: string;
  /** What a finding means: one sentence. */
  readonly meaning: string;
  /** What to do about it: one sentence. */
  readonly help: string;
}

/** What is there to look at. One for a run. */
export interface Scene {
  readonly dissector: Dissector;
  readonly roles: FlowRoles;
  readonly interfaces: readonly CaptureInterface[];
  readonly findings: Findings;
  /** Tunnels of the packet that is being looked at, and of all before. */
  readonly overlay: Overlay;
  /** Whether the packet that is being looked at was seen before, elsewhere or in the same place. */
  readonly copies: CopyDetector;
}

/** Sees every packet in order. Costs next to nothing for packets that it has nothing to say of. */
export interface Observer {
  packet(packet: Packet, seen: Seen): void;
  /** After the last packet: what only the whole capture shows. */
  end?(): void;
}

/** Rules on one subject, and what finds them. */
export interface RuleSet {
  readonly rules: readonly Rule[];
  observe(scene: Scene): Observer;
}

/** Rules by the names that their observer knows them by. */
export function defineRules<const K extends string>(rules: Record<K, Rule>): Readonly<Record<K, Rule>> {
  return rules;
}

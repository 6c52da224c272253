/** What a rule is, and what watches packets for it. */
import type { CaptureInterface } from '../capture/capture.ts';
import type { Dissector } from '../core/dissector.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Severity } from '../core/protocol.ts';
import type { TakenOff } from '../decrypt/decrypting-capture.ts';
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
  /** Protections that keys took off a packet of the current batch before it was walked. */
  readonly takenOff: (index: number) => readonly TakenOff[];
}

/** Of a packet: whether ESP or AH is before layer `before`, or ESP was before keys took it off. */
export function isWithinIpsec({ dissector, takenOff }: Scene, packet: Packet, before: number): boolean {
  const { layers, index, batch } = packet;
  for (let i = 0; i < before; i++) {
    const { name } = dissector.registry.protocols[layers.protocol(i)];
    if (name === 'esp' || name === 'ah') return true;
  }
  const at = layers.bodyOf(before) - batch.offset[index];
  return takenOff(index).some((one) => one.name === 'esp' && one.at <= at);
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

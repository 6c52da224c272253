/** Runs rules over a capture: a sink for the pipeline. */
import type { CaptureInterface } from '../capture/capture.ts';
import type { Dissector } from '../core/dissector.ts';
import type { FlowRoles } from '../core/outline.ts';
import type { Packet, PacketSink } from '../pipeline.ts';
import { CopyDetector } from './copies.ts';
import { Findings } from './findings.ts';
import { Overlay } from './overlay.ts';
import { type ProtectionRecord, Protections } from './protections.ts';
import type { Observer, Rule, RuleSet, Scene } from './rule.ts';

export class Checker implements PacketSink {
  readonly scene: Scene;
  private readonly observers: readonly Observer[];
  private readonly protections: Protections;

  /** @param wanted rules to report; all others are as if they were not there */
  constructor(
    parts: {
      readonly dissector: Dissector;
      readonly roles: FlowRoles;
      readonly interfaces: readonly CaptureInterface[];
      readonly takenOff?: Scene['takenOff'] | undefined;
    },
    sets: readonly RuleSet[],
    wanted: (rule: Rule) => boolean = () => true,
  ) {
    const { dissector, roles, interfaces, takenOff = () => [] } = parts;
    this.scene = {
      dissector,
      roles,
      interfaces,
      findings: new Findings(wanted),
      overlay: new Overlay(roles),
      copies: new CopyDetector(roles),
      takenOff,
    };
    this.observers = sets.filter(({ rules }) => rules.some(wanted)).map((set) => set.observe(this.scene));
    this.protections = new Protections(this.scene);
  }

  packet(packet: Packet): void {
    const { scene, observers } = this;
    const seen = scene.copies.see(packet);
    scene.overlay.packet(packet, seen, scene.copies.slot);
    this.protections.packet(packet);
    for (let i = 0; i < observers.length; i++) observers[i].packet(packet, seen);
  }

  async end(): Promise<void> {
    for (const observer of this.observers) observer.end?.();
  }

  /** What protects each tunnel, as far as the capture shows. */
  tunnels(): ProtectionRecord[] {
    return this.protections.records();
  }
}

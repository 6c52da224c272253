/** The rules about Istio's ambient mode, and the one observer that gathers for all of them. */
import type { Observer, RuleSet, Scene } from '../../check/rule.ts';
import type { KeyLog } from '../../decrypt/key-log.ts';
import { Ambient } from '../ambient.ts';
import { reportHbone } from './hbone.ts';
import { istio } from './istio.ts';
import { reportTunnels } from './tunnels.ts';

/**
 * @param taken told of what is gathered, for whoever wants to say more of it than findings
 * @param keyLog secrets to read HBONE with
 */
export function istioRulesWith(taken: (ambient: Ambient) => void, keyLog?: KeyLog): RuleSet {
  return {
    rules: Object.values(istio),
    observe: (scene) => new IstioObserver(scene, taken, keyLog),
  };
}

export const istioRules: RuleSet = istioRulesWith(() => {});

class IstioObserver implements Observer {
  readonly packet: Observer['packet'];
  private readonly ambient: Ambient;

  constructor(scene: Scene, taken: (ambient: Ambient) => void, keyLog?: KeyLog) {
    this.ambient = new Ambient(scene, keyLog);
    this.packet = this.ambient.packet.bind(this.ambient);
    taken(this.ambient);
  }

  end(): void {
    this.ambient.end();
    reportTunnels(this.ambient);
    reportHbone(this.ambient);
  }
}

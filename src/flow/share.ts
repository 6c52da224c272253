/** A share of a capture's conversations: a kernel and what its numbers stand for. */
import type { Registry } from '../core/registry.ts';
import { Kernel, type KernelHost, type Sharing } from './kernel.ts';
import { OptionSets } from './options.ts';
import type { FlowTunnelRecord } from './records.ts';
import { Endpoints, type Paths } from './tunnels.ts';

const NO_ENDS = { src: null, dst: null, dstPort: null };

export class Share implements KernelHost {
  readonly kernel: Kernel;
  readonly endpoints: Endpoints;
  readonly optionSets: OptionSets;
  readonly paths: Paths;

  constructor(registry: Registry, paths: Paths, sharing?: Sharing) {
    this.paths = paths;
    this.kernel = new Kernel(this, sharing);
    this.endpoints = new Endpoints(this.kernel);
    this.optionSets = new OptionSets(this.kernel, registry);
  }

  sameShape(a: number, b: number): boolean {
    return this.paths.sameShape(a, b);
  }

  vniOf(path: number): number {
    return this.paths.vni(path) ?? -1;
  }

  vniNumber(path: number): number {
    return this.paths.vniNumber(path);
  }

  tunnelsText(path: number, endpoints: number): string {
    const ends = this.endpoints.levels(endpoints);
    const tunnels = this.paths.levels(path).map(({ protocol, vni }, i): FlowTunnelRecord => {
      const { src, dst, dstPort } = ends[i] ?? NO_ENDS;
      return { protocol, vni, src, dst, dstPort };
    });
    return JSON.stringify(tunnels);
  }

  optionText(table: number, option: number): string {
    return this.optionSets.text(table, option);
  }
}

/** An entry of one of several shares. */
export interface Entry {
  readonly share: Share;
  readonly id: number;
}

/** All entries of several shares, in the order of their first packets. */
export function* entriesOf(shares: readonly Share[]): Generator<Entry> {
  const heads = shares.map((share) => ({ share, id: 0, serial: 0, size: share.kernel.exports.size() }));
  const live = heads.filter(({ size }) => size > 0);
  for (const head of live) head.serial = head.share.kernel.exports.serialOf(0);
  while (live.length > 0) {
    let first = live[0];
    for (const head of live) if (head.serial < first.serial) first = head;
    yield first;
    if (++first.id === first.size) live.splice(live.indexOf(first), 1);
    else first.serial = first.share.kernel.exports.serialOf(first.id);
  }
}

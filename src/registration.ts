/** From what the user says to a compiled registry; every thread makes its own. */
import { builtins } from '../dissectors/index.ts';
import { Dissector } from './core/dissector.ts';
import type { Plugin } from './core/protocol.ts';
import { Registry } from './core/registry.ts';
import { UsageError } from './errors.ts';

const DECODE_AS = /^([a-z0-9_.]+)==(\d+),([a-z0-9_.-]+)$/;

/** @param decodeAs rules as for `-d`: `udp.port==6082,geneve` */
export function buildRegistry(decodeAs: readonly string[], plugins: readonly Plugin[] = []): Registry {
  const registry = new Registry().add(builtins);
  for (const plugin of plugins) registry.add(plugin);
  for (const rule of decodeAs) {
    const match = DECODE_AS.exec(rule);
    if (!match) throw new UsageError(`-d ${rule}: expected something like udp.port==6082,geneve`);
    const [, table, key, protocol] = match;
    if (Number(key) > (table.endsWith('.port') ? 0xffff : 0xffffffff))
      throw new UsageError(`-d ${rule}: ${key} is too large`);
    registry.decodeAs(table, Number(key), protocol);
  }
  return registry;
}

export function buildDissector(
  decodeAs: readonly string[],
  options: { readonly application: boolean },
): Dissector {
  return new Dissector(buildRegistry(decodeAs), options);
}

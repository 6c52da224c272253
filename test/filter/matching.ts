/** Numbers of the packets of a capture that filters match, all filters in one pass. */
import { builtins } from '../../dissectors/index.ts';
import { openCapture } from '../../src/capture/open.ts';
import { Dissector } from '../../src/core/dissector.ts';
import { FlowRoles } from '../../src/core/outline.ts';
import { Registry } from '../../src/core/registry.ts';
import { Catalog, compileFilter } from '../../src/filter/index.ts';
import { type Packet, run } from '../../src/pipeline.ts';

export const registry = new Registry().add(builtins);
export const catalog = new Catalog(registry);
export const roles = new FlowRoles(registry);
export const dissector = new Dissector(registry);

export async function eachPacket(path: string, visit: (packet: Packet) => void): Promise<void> {
  await run(await openCapture(path), dissector, roles, { packet: visit });
}

export async function matching(path: string, filters: readonly string[]): Promise<number[][]> {
  const compiled = filters.map((filter) => compileFilter(filter, catalog, roles).matches);
  const numbers: number[][] = filters.map(() => []);
  await eachPacket(path, (packet) => {
    compiled.forEach((matches, i) => {
      if (matches(packet)) numbers[i].push(packet.batch.number(packet.index));
    });
  });
  return numbers;
}

import { HEADER } from '../../dissectors/geneve.ts';
import type { Layers } from '../core/layers.ts';

/** A hash, 32 bits with sign, of the options of the Geneve layer as they lie there. */
export function options(view: DataView, layers: Layers, layer: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let at = layers.start(layer) + HEADER; at < layers.bodyOf(layer); at++)
    hash = Math.imul(hash ^ view.getUint8(at), 0x01000193);
  return hash;
}

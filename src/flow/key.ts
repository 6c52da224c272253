/** The ends of a flow's key: addresses read from a packet, and put in order. */
import type { Layers } from '../core/layers.ts';
import { AddressKind, type FlowRoles } from '../core/outline.ts';
import { Key } from './table.ts';

/** Reads an address into `words`: its first word to `first`, the others to `rest` and the two after it. */
export function readAddress(
  view: DataView,
  layers: Layers,
  roles: FlowRoles,
  layer: number,
  offsets: Int32Array,
  words: Int32Array,
  first: number,
  rest: number,
): void {
  words[rest] = 0;
  words[rest + 1] = 0;
  words[rest + 2] = 0;
  if (layer < 0) {
    words[first] = 0;
    return;
  }
  const protocol = layers.protocol(layer);
  const from = layers.start(layer) + offsets[protocol];
  words[first] = view.getInt32(from);
  const kind = roles.addressKind[protocol];
  if (kind === AddressKind.ipv6) {
    words[rest] = view.getInt32(from + 4);
    words[rest + 1] = view.getInt32(from + 8);
    words[rest + 2] = view.getInt32(from + 12);
  } else if (kind === AddressKind.ether) {
    words[rest] = view.getUint16(from + 4);
  }
}

/** True where the destination's end sorts before the source's; `ports` is destination port less source port. */
export function destinationFirst(key: Int32Array, ports: number): boolean {
  if (key[Key.a] !== key[Key.b]) return key[Key.b] < key[Key.a];
  for (let i = 0; i < 3; i++) {
    if (key[Key.restA + i] !== key[Key.restB + i]) return key[Key.restB + i] < key[Key.restA + i];
  }
  return ports < 0;
}

export function swapEnds(key: Int32Array): void {
  const first = key[Key.a];
  key[Key.a] = key[Key.b];
  key[Key.b] = first;
  for (let i = 0; i < 3; i++) {
    const word = key[Key.restA + i];
    key[Key.restA + i] = key[Key.restB + i];
    key[Key.restB + i] = word;
  }
}

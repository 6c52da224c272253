import type { InputBlock } from './block.ts';
export async function* unlz4(_input: InputBlock): AsyncGenerator<Uint8Array, void> {
  throw new Error('lz4');
}

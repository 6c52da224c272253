import type { InputBlock } from './block.ts';
export async function* unzstd(_input: InputBlock): AsyncGenerator<Uint8Array, void> {
  throw new Error('zstd');
}

import type { Plugin } from '../core/protocol.ts';
export async function loadModule(_file: string): Promise<Plugin> {
  throw new Error('x');
}

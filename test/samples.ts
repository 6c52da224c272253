/** The captures in samples/, which several tests go through. */
import { readdirSync } from 'node:fs';
import path from 'node:path';

export const samples = path.resolve(import.meta.dirname, '../samples');

/** File names of all of them, the damaged ones too. */
export const captures = readdirSync(samples)
  .filter((name) => /\.pcap(ng)?$/.test(name))
  .sort();

export function sample(name: string): string {
  return path.join(samples, name);
}

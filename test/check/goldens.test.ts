/**
 * All findings over the samples, and over the captures with tunnels of the shared corpus. The files beside this one were
 * read by a person: `npx vitest run test/check -u` writes them anew, the difference is to be read again.
 */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { captures, sample } from '../samples.ts';
import { checked, findingLines } from './run.ts';

async function findingsOf(files: readonly string[], root: string): Promise<string> {
  const texts: string[] = [];
  for (const file of files)
    texts.push([file, ...findingLines(await checked([path.join(root, file)]))].join('\n'));
  return `${texts.join('\n')}\n`;
}

function under(root: string, folder: string, pattern = /\.(pcap|pcapng|cap)$/): string[] {
  return readdirSync(path.join(root, folder))
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => path.join(folder, name));
}

describe('findings', () => {
  it('over the samples are as read', async () => {
    await expect(await findingsOf(captures, sample(''))).toMatchFileSnapshot('findings-samples.txt');
  });

  const shared = process.env.TUNSCOPE_SHARED ?? '';
  const corpus = path.join(shared, 'captures');
  it.skipIf(shared === '' || !existsSync(corpus))('over the corpus are as read', async () => {
    const files = [
      ...under(corpus, 'vectors'),
      ...under(corpus, 'vni-collision'),
      ...under(
        corpus,
        'lab',
        /^(ambient|esp|frag|geneve|vxlan|craft_(geneve|vxlan)_edge|craft_nested).*\.pcap(ng)?$/,
      ),
      ...under(corpus, 'third-party/overlay/geneve'),
      ...under(corpus, 'third-party/overlay/vxlan'),
      ...under(corpus, 'third-party/overlay/other'),
    ];
    await expect(await findingsOf(files, corpus)).toMatchFileSnapshot('findings-corpus.txt');
  });
});

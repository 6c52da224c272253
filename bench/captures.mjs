/** The captures S, M, F and L, and the C programs that make and count them where TUNSCOPE_SHARED names their directory. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from './generate.mjs';
import { isInstalled } from './measure.mjs';

const folder = join(import.meta.dirname, 'captures');
const build = join(import.meta.dirname, 'build');

/** Packets and flows. M against S shows growth, F what flows cost; L has as many packets as M, and the flows of S. */
export const SIZES = {
  small: { S: [300_000, 15_000], M: [1_500_000, 75_000], F: [300_000, 300_000], L: [1_500_000, 15_000] },
  full: {
    S: [1_000_000, 50_000],
    M: [10_000_000, 500_000],
    F: [3_000_000, 3_000_000],
    L: [10_000_000, 50_000],
  },
};

/** Compiles `name`.c of the shared directory; null where that, or gcc, is not there. */
function compile(name, options) {
  const shared = process.env.TUNSCOPE_SHARED;
  const source = shared ? join(shared, 'bench', `${name}.c`) : '';
  if (!existsSync(source) || !isInstalled('gcc')) return null;
  mkdirSync(build, { recursive: true });
  const binary = join(build, name);
  execFileSync('gcc', [...options, '-w', '-o', binary, source, '-lm'], { stdio: 'inherit' });
  return binary;
}

/** (tunnel, VNI, inner 5-tuple) accounting in one thread that prints sums only. */
export const reference = () => compile('reference', ['-O3', '-march=native']);

/** A capture of that many packets and flows, made unless it is there. */
export function captureOf([packets, flows]) {
  const generator = compile('gen', ['-O2']);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${generator ? 'c' : 'js'}-${packets}-${flows}.pcap`);
  if (existsSync(file)) return file;
  process.stderr.write(`making ${file}\n`);
  const unfinished = `${file}.part`;
  if (generator) {
    const args = ['-n', packets, '-f', flows, '-s', 1, '-t', 'pcap', '-o', unfinished].map(String);
    execFileSync(generator, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  } else generate(packets, flows, unfinished);
  renameSync(unfinished, file);
  return file;
}

/** CPU profiles of tunscope's commands, with the functions that take the most time. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { measure } from './measure.mjs';

const FUNCTIONS = 20;

/** Functions by the milliseconds spent in themselves. */
function busiest({ nodes, samples, timeDeltas }) {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || '(anonymous)'}  ${url === '' ? '' : `${basename(url)}:${lineNumber + 1}`}`,
    ]),
  );
  const times = new Map();
  for (const [i, id] of samples.entries()) {
    const name = names.get(id);
    times.set(name, (times.get(name) ?? 0) + timeDeltas[i] / 1000);
  }
  return [...times].sort((a, b) => b[1] - a[1]).slice(0, FUNCTIONS);
}

const root = join(import.meta.dirname, '..');
const built = join(root, 'src', 'flow', 'kernel.wasm');
const used = join(root, 'dist', 'src', 'kernel.wasm');

/** Runs `command` (node and its arguments) once more, watched; one profile for each of its threads. */
export function profile(name, [node, ...args]) {
  const folder = join(root, 'bench', 'build', 'profile', name.replaceAll(/[^\w]+/g, '-'));
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // The kernel as it is shipped has no names of functions.
  const config = [
    'src/kernel/index.ts',
    '--config',
    'src/kernel/asconfig.json',
    '--debug',
    '--outFile',
    used,
  ];
  execFileSync(join(root, 'node_modules', '.bin', 'asc'), config, { cwd: root, stdio: 'inherit' });
  try {
    measure([node, '--cpu-prof', `--cpu-prof-dir=${folder}`, ...args]);
  } finally {
    copyFileSync(built, used);
  }
  for (const file of readdirSync(folder).map((entry) => join(folder, entry))) {
    console.log(`\n${name}: ${file}`);
    for (const [what, milliseconds] of busiest(JSON.parse(readFileSync(file, 'utf8'))))
      console.log(`${milliseconds.toFixed(0).padStart(8)} ms  ${what}`);
  }
}

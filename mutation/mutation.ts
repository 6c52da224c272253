/**
 * Mutation testing: puts small faults into the sources, one at a time, and runs the tests that reach them. A fault that no
 * test notices is a survivor: something that tests do not say, or that the code does not need.
 *
 *   npm run mutation -- [--area core|dissectors|flow|kernel]... [--sample N] [--seed N] [--only TEXT]... [--again]
 *
 * --sample N takes N mutants of each area (0: all), the same for the same seed; --only those whose line in
 * the report has such a text in it; --again does not look again which tests reach what.
 * Works on a copy, in the directory for temporary files, whose dist/ is built with the fault too: what only its processes
 * and threads reach is told by the goldens of the samples, and for the flow table by the test of threads.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { type Mutant, mutantsOf, telling } from './mutants.ts';

/** Sources of an area; the kernel's are compiled to WebAssembly, and reached where its host is. */
const AREAS: Record<string, (file: string) => boolean> = {
  core: (file) => file.startsWith('src/core/'),
  dissectors: (file) => file.startsWith('dissectors/') && !file.startsWith('dissectors/names/'),
  flow: (file) => file.startsWith('src/flow/') && !file.endsWith('.d.ts'),
  kernel: (file) => file.startsWith('src/kernel/'),
};
const KERNEL_HOST = 'src/flow/kernel.ts';
const KERNEL = 'src/flow/kernel.wasm';

/** Tests that are run for every fault of an area, since what they reach is in processes of dist/. */
function testsOfProcesses(area: string): string[] {
  const goldens = 'test/samples.test.ts';
  return area === 'flow' || area === 'kernel' ? [goldens, 'test/flow/parallel.test.ts'] : [goldens];
}

const { values: options } = parseArgs({
  options: {
    area: { type: 'string', multiple: true, default: Object.keys(AREAS) },
    sample: { type: 'string', default: '100' },
    again: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: [''] },
  },
});

const root = path.resolve(import.meta.dirname, '../..');
const copy = mkdtempSync(path.join(os.tmpdir(), 'tunscope-mutation-'));
let running: number | undefined;
process.on('exit', () => {
  if (running) process.kill(-running, 'SIGKILL');
  rmSync(copy, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));

const left = ['.git', 'node_modules', 'coverage', 'bench/captures'].map((name) => path.join(root, name));
cpSync(root, copy, { recursive: true, filter: (from) => !left.includes(from) });
symlinkSync(path.join(root, 'node_modules'), path.join(copy, 'node_modules'));

const sources = ['src', 'dissectors']
  .flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      path.join(folder, name),
    ),
  )
  .filter((file) => file.endsWith('.ts'));
const read = (file: string) => readFileSync(path.join(root, file), 'utf8');
const write = (file: string, text: string) => writeFileSync(path.join(copy, file), text);

type Outcome = 'passed' | 'failed' | 'timed out';

/** Runs a program in the copy; what takes longer is ended with all that it started. */
function inCopy(
  program: string,
  args: string[],
  env: Record<string, string>,
  milliseconds: number,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(path.join(root, 'node_modules/.bin', program), args, {
      cwd: copy,
      env: { ...process.env, ...env },
      stdio: 'ignore',
      detached: true,
    });
    running = child.pid;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      process.kill(-child.pid!, 'SIGKILL');
    }, milliseconds);
    child.on('close', (status) => {
      clearTimeout(timer);
      running = undefined;
      resolve(late ? 'timed out' : status === 0 ? 'passed' : 'failed');
    });
  });
}

const vitest = (tests: string[], args: string[], env: Record<string, string>, milliseconds: number) =>
  inCopy(
    'vitest',
    ['run', '-c', 'mutation/vitest.config.ts', ...args, ...tests],
    { MUTATION_ORDER: tests.join(' '), ...env },
    milliseconds,
  );

/** Tests that pass without a fault, how long each takes in milliseconds, and the places that it reaches. */
type Reached = { test: string; took: number; places: string[] }[];

async function look(): Promise<Reached> {
  for (const file of sources) if (!AREAS.kernel(file)) write(file, telling(file, read(file)));
  const directory = path.join(copy, 'mutation/reached');
  const report = path.join(copy, 'mutation/report.json');
  mkdirSync(directory);
  await vitest([], ['--reporter=json', `--outputFile=${report}`], { MUTATION_REACHED: directory }, 3_600_000);
  for (const file of sources) write(file, read(file));
  const { testResults } = JSON.parse(readFileSync(report, 'utf8')) as {
    testResults: { name: string; status: string; startTime: number; endTime: number }[];
  };
  const reached: Reached = [];
  for (const { name, status, startTime, endTime } of testResults) {
    const test = path.relative(copy, name);
    const told = path.join(directory, encodeURIComponent(test));
    if (status !== 'passed') console.log(`not used, since it fails without a fault: ${test}`);
    else if (existsSync(told))
      reached.push({ test, took: endTime - startTime, places: readFileSync(told, 'utf8').split('\n') });
  }
  return reached.sort((a, b) => a.took - b.took);
}

function sampleOf(area: string): Mutant[] {
  const rank = ({ name }: Mutant) => createHash('sha256').update(`${options.seed} ${name}`).digest('hex');
  const all = sources.filter(AREAS[area]).flatMap((file) => mutantsOf(file, read(file)));
  const count = Number(options.sample) || all.length;
  const taken = all
    .map((mutant) => ({ mutant, rank: rank(mutant) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ mutant }) => mutant);
  console.log(`${area}: ${Math.min(count, all.length)} of ${all.length} mutants`);
  return taken.slice(0, count);
}

const lastLook = path.join(root, 'mutation/build/reached.json');
if (!options.again) writeFileSync(lastLook, JSON.stringify(await look()));
const reached = JSON.parse(readFileSync(lastLook, 'utf8')) as Reached;

/** What became of a mutant; an invalid one does not compile. */
async function judge(area: string, mutant: Mutant): Promise<'killed' | 'timed out' | 'survived' | 'invalid'> {
  const { file, start, end, replacement } = mutant;
  const place = area === 'kernel' ? KERNEL_HOST : mutant.place;
  const always = testsOfProcesses(area);
  const tests = reached.filter(({ test, places }) => always.includes(test) || places.includes(place));
  const usual = tests.reduce((sum, { took }) => sum + took, 0);
  const text = read(file);
  write(file, text.slice(0, start) + replacement + text.slice(end));
  try {
    const kernel = ['src/kernel/index.ts', '--config', 'src/kernel/asconfig.json'];
    if (area === 'kernel' && (await inCopy('asc', kernel, {}, 120_000)) !== 'passed') return 'invalid';
    if ((await inCopy('rolldown', ['-c'], {}, 60_000)) !== 'passed') return 'invalid';
    const names = tests.map(({ test }) => test);
    const outcome = await vitest(names, ['--bail=1', '--reporter=dot'], {}, 20_000 + 4 * usual);
    return outcome === 'passed' ? 'survived' : outcome === 'failed' ? 'killed' : outcome;
  } finally {
    write(file, text);
    if (area === 'kernel') copyFileSync(path.join(root, KERNEL), path.join(copy, KERNEL));
  }
}

const table: Record<string, Record<string, number>> = {};
for (const area of options.area) {
  const counts = { killed: 0, 'timed out': 0, survived: 0, invalid: 0 };
  for (const mutant of sampleOf(area)) {
    if (!options.only.some((text) => `${mutant.file}:${mutant.line}  ${mutant.what}`.includes(text)))
      continue;
    const outcome = await judge(area, mutant);
    counts[outcome]++;
    if (outcome === 'survived') console.log(`${mutant.file}:${mutant.line}  ${mutant.what}`);
  }
  const noticed = counts.killed + counts['timed out'];
  const score = (100 * noticed) / (noticed + counts.survived);
  table[area] = { ...counts, score: Math.round(score * 10) / 10 };
  console.log(area, table[area]);
}
console.table(table);

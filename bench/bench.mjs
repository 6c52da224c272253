/**
 * Times tunscope as whole processes against its peers and prints what the project promises, met or missed.
 *
 *   npm run bench -- [--full] [--size S=PACKETS,FLOWS]... [--capture S=FILE]... [--rounds N] [--only TEXT]
 *                    [--json FILE] [--profile]
 *
 * All commands take turns, after one round that warms the page cache; medians count. Peers that are not installed are left
 * out and named. TUNSCOPE_SHARED names a directory whose bench/ has gen.c and reference.c.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { captureOf, reference as compiledReference, SIZES } from './captures.mjs';
import { commandsOf, ROWS } from './jobs.mjs';
import { measure, median } from './measure.mjs';
import { profile } from './profile.mjs';
import { sums } from './sums.mjs';

const { values: options } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    size: { type: 'string', multiple: true, default: [] },
    capture: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    json: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});

/** "S=1000,50" by its name. */
const named = (list) => Object.fromEntries(list.map((text) => text.split(/=(.*)/s, 2)));
const sizes = { ...SIZES[options.full ? 'full' : 'small'] };
for (const [name, size] of Object.entries(named(options.size))) sizes[name] = size.split(',').map(Number);
const given = named(options.capture);
const rows = ROWS.filter(({ job }) => job.includes(options.only));
if (rows.length === 0) {
  process.stderr.write(
    `no job is called '${options.only}': ${[...new Set(ROWS.map(({ job }) => job))].join(', ')}\n`,
  );
  process.exit(2);
}
const uses = new Set(rows.flatMap((row) => row.uses));
const captures = { tiny: captureOf([40, 10]) };
for (const name of ['S', 'M', 'F', 'L'])
  captures[name] = given[name] ?? (name !== 'L' || uses.has('flows L') ? captureOf(sizes[name]) : '');

const own = [process.execPath, join(import.meta.dirname, '..', 'dist', 'bin', 'tunscope.js')];
const reference = compiledReference();
const commands = commandsOf({ own, reference, captures });
const missing = new Set();
const wanted = new Set();
for (const { uses } of rows) {
  const absent = uses.map((name) => commands.get(name).missing).filter(Boolean);
  for (const program of absent) missing.add(program);
  if (absent.length === 0) for (const name of uses) wanted.add(name);
}

/** First line that says a version, of programs that all ask for it differently. */
function versionOf(program) {
  for (const flag of ['--version', '-V', '-h']) {
    const { stdout, stderr } = spawnSync(program, [flag], { encoding: 'utf8' });
    const found = /\d+\.\d+(\.\d+)*/.exec(`${stdout}${stderr}`);
    if (found) return found[0];
  }
  return '?';
}

const programs = [...wanted].map((name) => commands.get(name).run[0]).filter((name) => !name.includes('/'));
const machine = {
  date: new Date().toISOString().slice(0, 10),
  processor: `${cpus().length} x ${cpus()[0]?.model}`,
  memory: `${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
  system: release(),
  tunscope: `${execFileSync(own[0], [own[1], '--version'], { encoding: 'utf8' }).trim()} on Node ${process.version}`,
  ...Object.fromEntries([...new Set(programs)].map((program) => [program, versionOf(program)])),
};
console.log(
  Object.entries(machine)
    .map(([name, value]) => `${name}: ${value}`)
    .join('; '),
);
if (missing.size > 0) console.log(`not installed, left out: ${[...missing].join(', ')}`);

const counts = {};
if (options.profile) profileOf(wanted);
else {
  await countAll();
  compare();
}

async function countAll() {
  for (const name of ['S', 'M', 'F']) {
    const file = captures[name];
    const total = await sums(own, reference, name, file);
    counts[name] = total;
    console.log(
      `${name}: ${(statSync(file).size / 1e6).toFixed(0)} MB, ${total.packets} packets, ${total.bytes} bytes, ${total.innerBytes} of them inside, ${total.flows} flows, ${total.vnis} VNIs: flows, vni, packets${total.reference ? ' and the reference' : ''} agree`,
    );
  }
}

function compare() {
  const runs = new Map([...wanted].map((name) => [name, []]));
  const loads = [loadavg()[0]];
  const rounds = Number(options.rounds);
  for (let round = 0; round <= rounds; round++) {
    for (const [name, list] of runs) {
      if (process.stderr.isTTY) process.stderr.write(`\r\x1b[Kround ${round} of ${rounds}: ${name}`);
      const run = measure(commands.get(name).run);
      if (round > 0) list.push(run);
    }
    loads.push(loadavg()[0]);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const load = { before: loads[0], highest: Math.max(...loads) };

  const medians = new Map([...runs].map(([name, list]) => [name, mediansOf(list)]));
  console.log(`\nmedians of ${rounds} rounds`);
  console.table(Object.fromEntries([...medians].map(([name, middle]) => [name, shown(middle)])));
  const table = rows.map((row) => judged(row, medians));
  console.table(
    table.map(({ job, against, ratio, target, met }) => ({
      job,
      against,
      ratio: ratio === null ? 'not measured' : digits(ratio),
      target,
      '': met === null ? '' : met ? 'met' : 'missed',
    })),
  );
  if (!options.full)
    console.log('Targets are for the sizes of --full: in small captures start-up counts most.');
  console.log(`load ${load.before.toFixed(2)} before, up to ${load.highest.toFixed(2)} during`);
  if (options.json)
    writeFileSync(
      options.json,
      `${JSON.stringify({ machine, counts, rounds, load, runs: Object.fromEntries(runs), table }, null, 2)}\n`,
    );
}

/** Medians of each thing measured, and the fastest and slowest run. */
function mediansOf(list) {
  const of = (what) => (list.some((run) => run[what] === null) ? null : median(list.map((run) => run[what])));
  const seconds = list.map((run) => run.seconds);
  return {
    seconds: of('seconds'),
    processor: of('processor'),
    bytes: of('bytes'),
    spread: [Math.min(...seconds), Math.max(...seconds)],
  };
}

function shown({ seconds, processor, bytes, spread }) {
  return {
    'wall s': seconds.toFixed(3),
    'min - max': spread.map((value) => value.toFixed(3)).join(' - '),
    'processor s': processor?.toFixed(2) ?? '',
    'peak MB': bytes === null ? '' : (bytes / 1e6).toFixed(0),
  };
}

/** A row of the table with what came out; null for a ratio that nothing was measured for. */
function judged({ job, against, of = '', target, atLeast = false, uses, value }, medians) {
  const measured = uses.map((name) => medians.get(name));
  const result = measured.every(Boolean) ? value(...measured, counts) : Number.NaN;
  const ratio = Number.isFinite(result) ? result : null;
  return {
    job,
    against: `${against}${of && `, ${of}`}`,
    ratio,
    target: target === null ? '' : `${atLeast ? 'at least' : 'at most'} ${digits(target)}`,
    met: ratio === null || target === null ? null : atLeast ? ratio >= target : ratio <= target,
  };
}

function digits(value) {
  return String(Number(value.toPrecision(3)));
}

/** Profiles tunscope's own commands of the chosen jobs; of all jobs, the first. */
function profileOf(names) {
  const ours = [...names].filter((name) => commands.get(name).run[1] === own[1]);
  for (const name of options.only === '' ? ours.slice(0, 1) : ours) profile(name, commands.get(name).run);
}

/**
 * Times `tunscope flows` as a whole process against its peers, interleaved, on a generated capture.
 *
 *   npm run bench -- [--packets N] [--flows N] [--rounds N] [--capture FILE] [--profile]
 *
 * Peers that are not installed are left out and named. The C reference (an accounting of tunnel, VNI and inner 5-tuple in one
 * thread, the yardstick for what the machine can do) is compiled where TUNSCOPE_SHARED names the directory that has it.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generate } from './generate.mjs';

const here = import.meta.dirname;
const cli = join(here, '..', 'dist', 'bin', 'tunscope.js');
const { values: options } = parseArgs({
  options: {
    packets: { type: 'string', default: '300000' },
    flows: { type: 'string', default: '15000' },
    rounds: { type: 'string', default: '5' },
    capture: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});

function captureFile() {
  if (options.capture) return options.capture;
  mkdirSync(join(here, 'captures'), { recursive: true });
  const file = join(here, 'captures', `${options.packets}-${options.flows}.pcap`);
  if (!existsSync(file)) {
    process.stderr.write(`making ${file}\n`);
    generate(Number(options.packets), Number(options.flows), file);
  }
  return file;
}

const installed = (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

function reference() {
  const shared = process.env.TUNSCOPE_SHARED;
  if (!shared || !installed('gcc')) return null;
  mkdirSync(join(here, 'build'), { recursive: true });
  const binary = join(here, 'build', 'reference');
  execFileSync('gcc', ['-O3', '-march=native', '-o', binary, join(shared, 'bench', 'reference.c')], {
    stdio: 'inherit',
  });
  return binary;
}

/** Wall seconds and peak resident megabytes of one run, its output thrown away. */
function time(command, args) {
  return new Promise((resolve, reject) => {
    const began = process.hrtime.bigint();
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let peak = 0;
    // The high-water mark is in /proc until the process is gone; where there is no /proc, memory is not shown.
    const watch = setInterval(() => {
      try {
        const match = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
        if (match) peak = Math.max(peak, Number(match[1]) / 1024);
      } catch {}
    }, 5);
    child.stderr.resume();
    child.on('error', reject);
    child.on('exit', (code) => {
      clearInterval(watch);
      resolve({ seconds: Number(process.hrtime.bigint() - began) / 1e9, megabytes: peak, code });
    });
  });
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

const capture = captureFile();
const yardstick = reference();
const jobs = [
  { name: 'tunscope flows', command: process.execPath, args: [cli, 'flows', '--ndjson', capture] },
];
const missing = [];
if (yardstick) jobs.push({ name: 'C reference, one thread', command: yardstick, args: [capture] });
else missing.push('C reference (set TUNSCOPE_SHARED, needs gcc)');
for (const [program, name, args] of [
  ['capinfos', 'capinfos -c', ['-c', capture]],
  ['tcpdump', 'tcpdump -w /dev/null', ['-r', capture, '-w', '/dev/null']],
  ['tshark', 'tshark -q -z conv,tcp', ['-n', '-r', capture, '-q', '-z', 'conv,tcp', '-z', 'conv,udp']],
]) {
  if (installed(program)) jobs.push({ name, command: program, args });
  else missing.push(program);
}
jobs.push({
  name: 'npm pcap-parser, plain',
  command: process.execPath,
  args: [join(here, 'peers', 'pcap-parser.mjs'), capture],
});

const size = (statSync(capture).size / 1e6).toFixed(0);
console.log(
  `${capture}: ${size} MB; ${cpus().length} x ${cpus()[0]?.model}; Node ${process.version}; load ${loadavg()[0].toFixed(2)}`,
);
if (missing.length > 0) console.log(`not installed, left out: ${missing.join(', ')}`);

const results = jobs.map(() => []);
const rounds = Number(options.rounds);
for (let round = -1; round < rounds; round++) {
  for (const [i, job] of jobs.entries()) {
    const result = await time(job.command, job.args);
    if (result.code !== 0) throw new Error(`${job.name} ended with ${result.code}`);
    if (round >= 0) results[i].push(result); // the first round only warms the page cache
  }
}
const own = median(results[0].map((result) => result.seconds));
const rows = jobs.map((job, i) => {
  const seconds = results[i].map((result) => result.seconds);
  const middle = median(seconds);
  return {
    job: job.name,
    'median s': middle.toFixed(3),
    'min - max': `${Math.min(...seconds).toFixed(3)} - ${Math.max(...seconds).toFixed(3)}`,
    'peak MB': Math.round(median(results[i].map((result) => result.megabytes))),
    'time / tunscope': (middle / own).toFixed(2),
  };
});
console.table(rows);
console.log(`load after: ${loadavg()[0].toFixed(2)}`);

if (options.profile) {
  const folder = join(here, 'build', 'profile');
  mkdirSync(folder, { recursive: true });
  await time(process.execPath, ['--cpu-prof', `--cpu-prof-dir=${folder}`, cli, 'flows', '--ndjson', capture]);
  console.log(`CPU profile: ${join(folder, readdirSync(folder).at(-1))}`);
}

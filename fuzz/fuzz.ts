/**
 * Coverage-guided fuzzing: inputs that reach code not reached before are kept and changed again.
 *
 *   npm run fuzz -- [--minutes N] [--target NAME]... [--seed N]
 *
 * V8 counts blocks of code for the inspector; see docs/decisions/0012. What is found is put into fuzz/found, and belongs,
 * once it is mended, into test/fuzz/found.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type Profiler, Session } from 'node:inspector';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { TARGETS, type Target } from './targets.ts';

const root = path.resolve(import.meta.dirname, '../..');
const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    target: { type: 'string', multiple: true, default: TARGETS.map(({ name }) => name) },
    seed: { type: 'string', default: '1' },
  },
});

/** Inputs kept of a target, and bytes of one: more would make each turn slower, not better. */
const KEPT = 4096;
const LONGEST = 1 << 15;
/** Inputs between two looks at the coverage, which take a millisecond. */
const TURN = 16;
/** A single input may take so many milliseconds. */
const SLOW = 10_000;

/** Mulberry32: the same inputs for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: false, detailed: true });

/** Blocks reached since the last look that were not reached before. */
class Coverage {
  private readonly seen = new Set<string>();

  get size(): number {
    return this.seen.size;
  }

  grows(): boolean {
    const before = this.seen.size;
    session.post('Profiler.takePreciseCoverage', (_error, taken: Profiler.TakePreciseCoverageReturnType) => {
      for (const { url, functions } of taken.result) {
        if (!url.includes('fuzz/build')) continue;
        for (const { ranges } of functions)
          for (const { startOffset, endOffset, count } of ranges)
            if (count > 0) this.seen.add(`${startOffset} ${endOffset}`);
      }
    });
    return this.seen.size > before;
  }
}

const ODD = [0, 1, 2, 4, 7, 8, 15, 16, 0x40, 0x45, 0x7f, 0x80, 0xfe, 0xff, 0xffff, 0x7fffffff, 0xffffffff];

/** Some changes to an input, or to two of them. */
function changed(inputs: readonly Uint8Array[], words: readonly string[], random: () => number): Uint8Array {
  const below = (limit: number) => Math.floor(random() * limit);
  let bytes = [...inputs[below(inputs.length)]];
  for (let left = 1 + below(4); left > 0; left--) {
    const at = below(bytes.length + 1);
    const length = Math.min(bytes.length - at, 1 + below(random() < 0.8 ? 8 : 256));
    switch (below(words.length > 0 ? 10 : 8)) {
      case 0:
        bytes[at] ^= 1 << below(8);
        break;
      case 1:
        bytes[at] = below(256);
        break;
      case 2: {
        // A number that is the first or the last of something, in one, two or four bytes of either order.
        const size = 1 << below(3);
        const value = ODD[below(ODD.length)] + (random() < 0.3 ? below(3) - 1 : 0);
        for (let i = 0; i < size && at + i < bytes.length; i++)
          bytes[at + i] = (value >>> (8 * (random() < 0.5 ? i : size - 1 - i))) & 255;
        break;
      }
      case 3:
        bytes.splice(at, length);
        break;
      case 4:
        bytes.splice(at, 0, ...bytes.slice(at, at + length));
        break;
      case 5:
        bytes.length = at;
        break;
      case 6: {
        const other = inputs[below(inputs.length)];
        const from = below(other.length + 1);
        bytes = [...bytes.slice(0, at), ...other.subarray(from, from + 1 + below(other.length))];
        break;
      }
      case 7:
        bytes.splice(at, length, ...Array.from({ length }, () => below(256)));
        break;
      default:
        bytes.splice(at, random() < 0.5 ? length : 0, ...Buffer.from(words[below(words.length)]));
    }
  }
  return Uint8Array.from(bytes.slice(0, LONGEST), (byte) => byte ?? 0);
}

const samples = readdirSync(path.join(root, 'samples'))
  .filter((name) => /\.pcap(ng)?$/.test(name))
  .sort()
  .map((name) => new Uint8Array(readFileSync(path.join(root, 'samples', name))));

let found = 0;
function keep(target: Target, input: Uint8Array, what: string): void {
  const name = `${target.name}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`;
  const directory = path.join(root, 'fuzz/found');
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, name), input);
  console.log(`FOUND fuzz/found/${name}: ${what}`);
  found++;
}

async function fuzz(target: Target, milliseconds: number): Promise<void> {
  const random = randomOf(Number(options.seed));
  const inputs: Uint8Array[] = [];
  for (const sample of samples) inputs.push(...(await target.seeds(sample)));
  const coverage = new Coverage();
  const faults = new Set<string>();
  let runs = 0;
  const attempt = async (input: Uint8Array) => {
    runs++;
    const began = performance.now();
    try {
      await target.run(input);
    } catch (error) {
      const { stack = String(error) } = error as Error;
      // One input for each place that it goes wrong in.
      const [message, ...places] = stack.split('\n');
      const place = places.find((line) => line.includes('fuzz/build')) ?? '';
      if (!faults.has(place)) keep(target, input, `${message} ${place.trim()}`);
      faults.add(place);
    }
    const took = performance.now() - began;
    if (took > SLOW && !faults.has('slow')) {
      faults.add('slow');
      keep(target, input, `takes ${took.toFixed(0)} ms`);
    }
  };
  for (const input of inputs) await attempt(input);
  coverage.grows();
  const seeded = coverage.size;
  const until = performance.now() + milliseconds;
  while (performance.now() < until) {
    const turn = Array.from({ length: TURN }, () => changed(inputs, target.words ?? [], random));
    for (const input of turn) await attempt(input);
    if (!coverage.grows()) continue;
    for (const input of turn) {
      if (inputs.length < KEPT) inputs.push(input);
      else inputs[Math.floor(random() * KEPT)] = input;
    }
  }
  console.log(
    `${target.name}: ${runs} runs, ${seeded} blocks by the seeds, ${coverage.size - seeded} more, ${inputs.length} inputs kept, ${faults.size} faults`,
  );
}

const wanted = TARGETS.filter(({ name }) => options.target.includes(name));
if (wanted.length === 0) {
  console.error(`no such target: ${TARGETS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
process.on('unhandledRejection', (reason) => {
  console.log(`FOUND an unhandled rejection: ${String(reason)}`);
  found++;
});
for (const target of wanted) await fuzz(target, (Number(options.minutes) * 60_000) / wanted.length);
process.exit(found === 0 ? 0 : 1);

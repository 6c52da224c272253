/**
 * Coverage of processes: V8 counts in the bundles of dist/, source maps lead back to the sources, and there counts are added
 * to those of Vitest. Both describe the same places of a source, but for some that the bundler leaves out or joins: places
 * are taken from Vitest, and found again by where they begin.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { mergeProcessCovs, type ProcessCov } from '@bcoe/v8-coverage';
import { convert } from 'ast-v8-to-istanbul';
import type { CoverageMap, FileCoverageData, Range } from 'istanbul-lib-coverage';
import { parseAstAsync } from 'vitest/node';

const root = path.resolve(import.meta.dirname, '../..');
const bundles = pathToFileURL(path.join(root, 'dist/')).href;

export const PROCESSES = path.join(os.tmpdir(), `tunscope-coverage-${path.basename(root)}`);

/** Files that are merged at once: all of them would not fit into memory. */
const TURN = 64;

function readProcess(file: string): ProcessCov {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Of a process that was killed while it wrote there is a part.
    return { result: [] };
  }
}

function readProcesses(): ProcessCov {
  let merged: ProcessCov = { result: [] };
  const names = existsSync(PROCESSES) ? readdirSync(PROCESSES) : [];
  for (let i = 0; i < names.length; i += TURN) {
    const turn = names.slice(i, i + TURN).map((name) => {
      const { result } = readProcess(path.join(PROCESSES, name));
      return { result: result.filter(({ url }) => url.startsWith(bundles)) };
    });
    merged = mergeProcessCovs([merged, ...turn]);
  }
  return merged;
}

const begin = ({ start }: Range) => `${start.line}:${start.column}`;

/** Adds counts of one description of a source to another one's. */
function add(to: FileCoverageData, from: FileCoverageData): void {
  const statements = new Map(
    Object.entries(from.statementMap).map(([id, range]) => [begin(range), from.s[id]]),
  );
  for (const [id, range] of Object.entries(to.statementMap)) to.s[id] += statements.get(begin(range)) ?? 0;
  const functions = new Map(Object.entries(from.fnMap).map(([id, { loc }]) => [begin(loc), from.f[id]]));
  for (const [id, { loc }] of Object.entries(to.fnMap)) to.f[id] += functions.get(begin(loc)) ?? 0;
  const branches = new Map(
    Object.entries(from.branchMap).map(([id, { type, loc }]) => [`${type} ${begin(loc)}`, from.b[id]]),
  );
  for (const [id, { type, loc }] of Object.entries(to.branchMap)) {
    const counts = branches.get(`${type} ${begin(loc)}`);
    if (counts?.length === to.b[id].length) to.b[id] = to.b[id].map((count, i) => count + counts[i]);
  }
}

export async function addProcesses(coverage: CoverageMap): Promise<void> {
  for (const { url, functions } of readProcesses().result) {
    const file = fileURLToPath(url);
    if (!existsSync(`${file}.map`)) continue;
    const code = readFileSync(file, 'utf8');
    const sources = await convert({
      code,
      sourceMap: JSON.parse(readFileSync(`${file}.map`, 'utf8')),
      ast: parseAstAsync(code),
      coverage: { functions, url },
    });
    for (const source of Object.values(sources) as FileCoverageData[])
      if (coverage.files().includes(source.path)) add(coverage.fileCoverageFor(source.path).data, source);
  }
}

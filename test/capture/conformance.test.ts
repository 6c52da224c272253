/**
 * Compares number, time, length and captured length of every packet with what tshark 4.0.17 says, for the
 * captures in `$TUNSCOPE_SHARED/captures/third-party`. They are other projects' files and not in this
 * repository. Where tshark says something else on purpose or by mistake, `conformance-differences.ts` says why.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { CaptureDamage } from '../../src/capture/capture.ts';
import { openCapture } from '../../src/capture/open.ts';
import { CaptureError } from '../../src/errors.ts';
import { differences } from './conformance-differences.ts';

const shared = process.env.TUNSCOPE_SHARED;
const root = path.join(shared ?? '.', 'captures', 'third-party');

/** time, length, captured length */
type Row = readonly [time: string, length: string, captured: string];

interface Reading {
  readonly rows: Row[];
  readonly failure: CaptureDamage | CaptureError | null;
}

/** What tshark saw, and whether it ended with an error. */
function golden(file: string): { rows: Row[]; failed: boolean } {
  const folder = path.join(root, 'golden', file);
  const packed = path.join(folder, 'frames.tsv.gz');
  const bytes = existsSync(packed)
    ? gunzipSync(readFileSync(packed))
    : readFileSync(path.join(folder, 'frames.tsv'));
  const lines = bytes.toString('latin1').split('\n').slice(1);
  const rows = lines
    .filter((line) => line !== '')
    .map((line) => line.split('\t', 4).slice(1) as unknown as Row);
  const status = JSON.parse(readFileSync(path.join(folder, 'status.json'), 'utf8'));
  return { rows, failed: status.frames.rc !== 0 };
}

async function reading(file: string): Promise<Reading> {
  const rows: Row[] = [];
  try {
    const capture = await openCapture(path.join(root, file));
    for await (const batch of capture) {
      for (let i = 0; i < batch.count; i++) {
        const time = `${batch.seconds[i]}.${String(batch.nanoseconds[i]).padStart(9, '0')}`;
        rows.push([time, String(batch.length[i]), String(batch.captured[i])]);
      }
    }
    return { rows, failure: capture.files[0].damage };
  } catch (error) {
    if (!(error instanceof CaptureError)) throw error;
    return { rows, failure: error };
  }
}

describe.skipIf(shared === undefined)('third-party captures (set TUNSCOPE_SHARED)', () => {
  const folders = ['overlay', 'formats', 'malformed', 'bench-seed'].filter((name) =>
    existsSync(path.join(root, name)),
  );
  const files = folders.flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
      .filter((file) => existsSync(path.join(root, 'golden', file))),
  );

  it('are there', () => expect(files.length).toBeGreaterThan(900));

  for (const file of files) {
    const reason = differences.find(([pattern]) => pattern.test(file))?.[1];
    it(`${file}${reason === undefined ? '' : ` (differs: ${reason})`}`, async () => {
      const expected = golden(file);
      const { rows, failure } = await reading(file);
      const same =
        JSON.stringify(rows) === JSON.stringify(expected.rows) && (failure !== null) === expected.failed;
      if (reason !== undefined) expect(same, 'agrees now: take it off the list').toBe(false);
      else {
        expect(rows).toEqual(expected.rows);
        expect(failure !== null).toBe(expected.failed);
      }
    });
  }
});

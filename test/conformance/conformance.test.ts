/**
 * `packets --ndjson` against tshark, field by field, over a corpus of third-party captures with tshark's goldens, and
 * over captures that the installed tshark, where there is one, is asked about.
 *
 * The corpus cannot be part of the project (its licences differ): TUNSCOPE_SHARED names the directory that has it in
 * `captures/`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compareCapture, describeMismatch, type Mismatch, Tally } from './compare.ts';
import { Differences } from './differences.ts';
import { COLUMNS } from './fields.ts';
import { askedCases, type Case, thirdPartyCases, tsharkVersion } from './goldens.ts';
import { ourPackets } from './ours.ts';
import { differenceLines, NOT_LISTED, tallyLines } from './summary.ts';

const shared = process.env.TUNSCOPE_SHARED;
const root = shared ? join(shared, 'captures') : '';
const corpus = root !== '';
if (corpus && !existsSync(join(root, 'third-party'))) {
  throw new Error(`TUNSCOPE_SHARED is ${shared}, where captures/third-party is not`);
}
const installed = corpus ? tsharkVersion() : null;
/** The list of differences is one from 4.0: others decode more, and differently. */
const tshark = installed?.startsWith('TShark (Wireshark) 4.0.') ? installed : null;

/** Differences shown of one capture: the first ones say what is wrong. */
const SHOWN = 20;

const differences = new Differences();
/** Counts for captures with goldens, and for those that tshark is asked about. */
const goldens = new Tally();
const answers = new Tally();

async function compare({ name, path, decodeAs, rows }: Case, tally: Tally): Promise<void> {
  const mismatches = compareCapture(name, await ourPackets(path, decodeAs), await rows(), tally);
  const unlisted: Mismatch[] = [];
  for (const mismatch of mismatches) {
    const difference = differences.explain(mismatch);
    if (!difference) unlisted.push(mismatch);
    tally.of(mismatch.field).other(difference?.kind ?? NOT_LISTED);
  }
  const shown = unlisted.slice(0, SHOWN).map(describeMismatch);
  if (unlisted.length > SHOWN) shown.push(`and ${unlisted.length - SHOWN} more`);
  if (shown.length > 0) throw new Error(`${name}: differences that are not listed\n${shown.join('\n')}`);
}

function checkEach(cases: readonly Case[], tally: Tally): void {
  for (const one of cases) it(one.name, () => compare(one, tally));
}

describe.skipIf(!corpus)('agreement with the goldens (TUNSCOPE_SHARED names the corpus)', () => {
  checkEach(corpus ? thirdPartyCases(root) : [], goldens);

  it('times finer than tshark can read are those of the capture that they were made from', async () => {
    const timesOf = async (capture: string) =>
      (await ourPackets(join(root, 'third-party', capture))).map(({ time }) => time);
    const fine = await timesOf('formats/derived/derived__geneve-tsresol-ps-off-be.pcapng');
    expect(fine).toEqual(await timesOf('overlay/geneve/tcpdump__geneve.pcap'));
  });
});

// Waiting for tshark to start is most of the time: several at once.
const answering = tshark ?? `the tshark on PATH (wanted: 4.0, found: ${installed ?? 'none'})`;
describe.skipIf(!tshark).concurrent(`agreement with ${answering}`, () => {
  checkEach(tshark ? askedCases(root, COLUMNS) : [], answers);
  // A suite without tests would not be seen to be skipped.
  if (!tshark) it('on captures without goldens', () => {});
});

describe.skipIf(!corpus)('the list of differences', () => {
  it('has no entry that nothing needs', () => {
    const unused = differences.unused(tshark !== null);
    expect(unused.map((entry) => JSON.stringify(entry))).toEqual([]);
  });
});

afterAll(() => {
  if (!corpus) return;
  const lines = ['Captures with goldens', ...tallyLines(goldens)];
  if (tshark) lines.push('', `Captures that ${tshark} was asked about`, ...tallyLines(answers));
  console.log([...lines, '', 'Differences by reason', ...differenceLines(differences)].join('\n'));
});

/**
 * Packets cut by the capture at every byte: what is said of them may only come from the bytes that are there. Bytes of
 * the next record lie right behind them, so a read too far goes unnoticed unless those bytes change.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCapture } from '../src/capture/open.ts';
import { join, pcapHeader, pcapRecord } from './capture/bytes.ts';
import { type CommandName, linesOf, runCommand } from './command.ts';
import { captures, sample } from './samples.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-cut-'));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Frame {
  readonly linkType: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

/** Frames of a capture; of real captures, which repeat themselves, those of different lengths. */
async function framesOf(file: string): Promise<Frame[]> {
  const frames = new Map<string, Frame>();
  const capture = await openCapture(sample(file));
  for await (const batch of capture) {
    for (let i = 0; i < batch.count; i++) {
      const { linkType } = capture.interfaces[batch.interfaceIndex[i]];
      const bytes = batch.bytes.slice(batch.offset[i], batch.offset[i] + batch.captured[i]);
      // Beyond the headers every cut is the same.
      if (bytes.length <= 400)
        frames.set(`${file.endsWith('g') ? frames.size : bytes.length} ${linkType}`, {
          linkType,
          length: batch.length[i],
          bytes,
        });
    }
  }
  return [...frames.values()];
}

/** A capture of all cuts of `frames`, each with `filler` bytes behind it (in a record of its own). */
function cuts(frames: readonly Frame[], linkType: number, filler: number): Uint8Array {
  const records: Uint8Array[] = [];
  const behind = pcapRecord(1, 0, new Uint8Array(0), { length: 0 });
  for (const { bytes, length } of frames) {
    for (let size = 0; size <= bytes.length; size++)
      records.push(pcapRecord(1, 0, bytes.subarray(0, size), { length }), behind);
  }
  const file = join(
    pcapHeader({ linkType, snapLength: 0 }),
    ...records,
    pcapRecord(2, 0, new Uint8Array(64).fill(filler)),
  );
  if (filler === 0) return file;
  // The empty records between the cuts are the bytes behind them: their times become the filler.
  const filled = Buffer.from(file);
  for (let at = 24, i = 0; at < filled.length; i++) {
    const captured = filled.readUInt32LE(at + 8);
    if (i % 2 === 1) filled.fill(filler, at, at + 4);
    at += 16 + captured;
  }
  return filled;
}

describe.each(captures.filter((file) => !file.startsWith('damaged')))('%s', (file) => {
  it('says of cut packets only what their bytes do', async () => {
    const frames = await framesOf(file);
    expect(frames.length).toBeGreaterThan(0);
    for (const linkType of new Set(frames.map((frame) => frame.linkType))) {
      const chosen = frames.filter((frame) => frame.linkType === linkType);
      const said = async (filler: number, command: CommandName, options: object) => {
        const name = path.join(scratch, 'cut.pcap');
        writeFileSync(name, cuts(chosen, linkType, filler));
        const { stdout } = await runCommand(command, [name], options);
        return linesOf(stdout);
      };
      // Every other record is filler, and so is the last.
      const ofCuts = (_: string, i: number, { length }: string[]) => i % 2 === 0 && i < length - 1;
      for (const options of [{ ndjson: true }, {}]) {
        const zeros = (await said(0, 'packets', options)).filter(ofCuts);
        const ones = (await said(0xff, 'packets', options)).filter(ofCuts);
        expect(zeros.length).toBeGreaterThanOrEqual(chosen.length);
        // Not toEqual: of thousands of lines, the first that differs is enough.
        const different = zeros.findIndex((line, i) => line !== ones[i]);
        expect(ones[different]).toBe(zeros[different]);
      }
      const flows = async (filler: number) =>
        (await said(filler, 'flows', { ndjson: true }))
          .map((line) => JSON.parse(line))
          .filter(({ first }) => first === '1970-01-01T00:00:01.000000000Z')
          // The filler without any bytes is in the flow of the cuts without any.
          .map((flow) => ({ ...flow, last: null, duration: null }));
      expect(await flows(0xff)).toEqual(await flows(0));
    }
  });
});

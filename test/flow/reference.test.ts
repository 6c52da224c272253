/**
 * Totals of generated captures against a reference program in C, written apart from this one.
 *
 * Neither the generator nor the reference is part of the project: TUNSCOPE_SHARED names the directory that has them in
 * `bench/`. Both are compiled with gcc.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCaptures } from '../../src/capture/open.ts';
import { FlowAccounting, type VniKey } from '../../src/flow/accounting.ts';
import { FlowRecords } from '../../src/flow/records.ts';
import { vniRecords } from '../../src/flow/vni.ts';
import { run } from '../../src/pipeline.ts';
import { dissector, roles, sum } from './frames.ts';

const shared = process.env.TUNSCOPE_SHARED;
const bench = shared ? join(shared, 'bench') : '';
const available =
  bench !== '' &&
  existsSync(join(bench, 'gen.c')) &&
  existsSync(join(bench, 'reference.c')) &&
  spawnSync('gcc', ['--version']).status === 0;

const exec = promisify(execFile);

/** Counts by name, out of "packets=1 wire=2 ...". */
function numbers(text: string): Record<string, number> {
  return Object.fromEntries(
    [...text.matchAll(/(\w+)=(\d+)\b/g)].map(([, name, value]) => [name, Number(value)]),
  );
}

describe.skipIf(!available)('totals of the reference (TUNSCOPE_SHARED names its directory)', () => {
  const directory = join(tmpdir(), `tunscope-reference-${process.pid}`);
  const [generator, reference] = ['gen', 'reference'].map((name) => join(directory, name));
  beforeAll(async () => {
    mkdirSync(directory);
    await exec('gcc', ['-O2', '-w', '-o', generator, join(bench, 'gen.c'), '-lm']);
    await exec('gcc', ['-O2', '-w', '-o', reference, join(bench, 'reference.c')]);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  describe.each(['pcap', 'pcapns', 'pcapng'])('of %s', (format) => {
    const file = join(directory, format);
    let expected: Record<string, number>;
    beforeAll(async () => {
      await exec(generator, ['-n', '200000', '-f', '20000', '-s', '3', '-t', format, '-o', file]);
      expected = numbers((await exec(reference, [file])).stdout);
    });

    it.each(['strict', 'auto'] as VniKey[])('%s', async (vniKey) => {
      const accounting = new FlowAccounting(dissector, roles, vniKey);
      const summary = await run(await openCaptures([file]), dissector, roles, accounting);
      const records = new FlowRecords(accounting);
      const flows = records.ids().map((id) => records.record(id));
      const vnis = vniRecords(accounting);
      expect({
        packets: summary.packets,
        wire: summary.bytes,
        flows4: flows.filter(({ src }) => !src!.includes(':')).length,
        flows6: flows.filter(({ src }) => src!.includes(':')).length,
        vnis: vnis.length,
        innerbytes: sum(vnis, ({ bytes }) => bytes),
        geneve: sum(vnis, ({ protocol, packets }) => (protocol === 'geneve' ? packets : 0)),
        vxlan: sum(vnis, ({ protocol, packets }) => (protocol === 'vxlan' ? packets : 0)),
        plain: sum(vnis, ({ protocol, packets }) => (protocol === null ? packets : 0)),
        opts: sum(vnis, ({ options }) => sum(options, ({ packets }) => packets)),
      }).toEqual({
        packets: expected.packets,
        wire: expected.wire,
        flows4: expected.flows4,
        flows6: expected.flows6,
        vnis: expected.vnis,
        innerbytes: expected.innerbytes,
        geneve: expected.geneve,
        vxlan: expected.vxlan,
        plain: expected.plain,
        opts: expected.opts,
      });
      expect(sum(flows, ({ bytes }) => bytes)).toBe(expected.innerbytes);
    });
  });
});

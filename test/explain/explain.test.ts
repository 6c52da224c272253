/** What `explain` and `packets --diagram` print. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCaptures } from '../../src/capture/open.ts';
import { allRules } from '../../src/check/rules/index.ts';
import { Dissector } from '../../src/core/dissector.ts';
import { u8, u16, u32 } from '../../src/core/field.ts';
import { FlowRoles } from '../../src/core/outline.ts';
import { explained, subjects } from '../../src/explain/subjects.ts';
import { bitDiagram, cellsOf } from '../../src/output/bit-diagram.ts';
import { packetDiagrams } from '../../src/output/packet-diagram.ts';
import { run } from '../../src/pipeline.ts';
import { buildRegistry } from '../../src/registration.ts';
import { captures, sample, samples } from '../samples.ts';

const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');
const tunscope = (...args: string[]) =>
  spawnSync(process.execPath, [main, ...args], { cwd: samples, env: {}, encoding: 'utf8' });

describe('explain', () => {
  it.each(['geneve', 'vxlan', 'ambient', 'hbone'])('%s is as read', async (subject) => {
    await expect(`${explained(subject)!.join('\n')}\n`).toMatchFileSnapshot(`${subject}.txt`);
  });

  it.each(subjects.map((subject) => [subject]))('%s takes 80 columns', (subject) => {
    const lines = explained(subject)!;
    expect(lines.length).toBeGreaterThan(5);
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(80);
  });

  it('lists every rule', () => {
    const text = explained('rules')!.join('\n');
    for (const { id } of allRules) expect(text).toContain(id);
  });

  it('takes any case, and says in one line what it does not know', () => {
    expect(tunscope('explain', 'gnv-05').stdout).toMatch(
      /^GNV-05: Critical option, C bit clear \(warning\)\n/,
    );
    expect(tunscope('explain', 'Geneve').status).toBe(0);
    for (const subject of ['constructor', 'GNV-99', '\u001b[31m']) {
      const { status, stdout, stderr } = tunscope('explain', subject);
      expect([status, stdout, stderr.split('\n').length]).toEqual([2, '', 2]);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may come through
      expect(stderr).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
    }
  });
});

describe('bitDiagram', () => {
  it('gives a bit to the smallest field that has it, and names what has no room below', () => {
    const view = new DataView(Uint8Array.from([0xe5, 7, 0x12, 0x34, 1, 2, 3, 4]).buffer);
    const fields = [
      u8('x.kind', 'Kind', 0),
      u8('x.top', 'Top', 0, { mask: 0xe0, values: { 7: 'the seventh of all' } }),
      u16('x.size', 'Size', 2, { base: 'hex' }),
      u32('x.rest', 'Rest (R)', 4),
    ];
    const cells = fields.flatMap((field) => cellsOf(field, 0, [field.show(field.read(view, 0))]));
    const { lines, untold } = bitDiagram(cells, 8, 16);
    expect(lines.join('\n')).toBe(
      [
        ' 0                   1',
        ' 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5',
        '+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+',
        '| Top |  Kind   |               |',
        '|  *  |   229   |               |',
        '+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+',
        '|             Size              |',
        '|            0x1234             |',
        '+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+',
        '|           Rest (R)            |',
        '|           16909060            |',
        '|                               |',
        '|                               |',
        '|                               |',
        '+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+',
      ].join('\n'),
    );
    expect(untold).toEqual(['Top: the seventh of all (7)']);
  });

  it('shows bits in several places as several boxes', () => {
    const { lines } = bitDiagram(cellsOf(u8('x.reserved', 'Reserved', 0, { mask: 0x87 })), 1, 16);
    expect(lines.slice(2)).toEqual(['+-+-+-+-+-+-+-+-+', '|R|       |Reser|', '+-+-+-+-+-+-+-+-+']);
  });
});

describe('packets --diagram', () => {
  it('draws every packet of the samples in 80 columns, without control characters', async () => {
    for (const file of captures) {
      const dissector = new Dissector(buildRegistry([]), { application: true });
      const roles = new FlowRoles(dissector.registry);
      let drawn = 0;
      await run(await openCaptures([sample(file)], {}), dissector, roles, {
        packet(packet) {
          const lines = packetDiagrams(packet, dissector);
          drawn++;
          for (const line of lines) {
            if (line.length > 80)
              expect(line, `${file} ${packet.batch.number(packet.index)}`).toHaveLength(80);
            // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may come through
            if (/[\x00-\x1f\x7f-\x9f]/.test(line)) expect(line, file).toBe('without control characters');
          }
          const boxes = lines.filter((line) => /^ {2}\+-/.test(line)).length;
          if (packet.layers.count > 0) expect(boxes).toBeGreaterThan(0);
        },
      });
      expect(drawn).toBeGreaterThan(0);
    }
  });

  it('fills the diagram of one packet', async () => {
    const { stdout, stderr, status } = tunscope('packets', '--number', '2', '--diagram', 'geneve-ovn.pcap');
    expect([status, stderr]).toEqual([0, '']);
    await expect(stdout).toMatchFileSnapshot('geneve-ovn-2.txt');
  });

  it('finds a packet by its number in each file, and says where there is none', () => {
    const number = (...args: string[]) => tunscope('packets', '--number', ...args);
    expect(number('17', 'geneve-ovn.pcap').stdout).toMatch(/^ +17 .*\n$/);
    expect(number('2', 'geneve-ovn.pcap', 'vxlan-kernel.pcap').stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(number('2', '--ndjson', 'geneve-ovn.pcap').stdout).toContain('"number":2,');
    expect(number('99', 'geneve-ovn.pcap')).toMatchObject({
      stdout: '',
      stderr: 'tunscope: no packet 99\n',
      status: 0,
    });
    expect(number('x', 'geneve-ovn.pcap').status).toBe(2);
  });
});

/** What docs/limits.md says lies beyond limits, shown with inputs that pass them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { BoundedMap } from '../../src/check/bounded-map.ts';
import { check } from '../../src/commands/check.ts';
import type { GroupRecord } from '../../src/commands/groups.ts';
import type { PacketRecord } from '../../src/core/record.ts';
import { HboneReader } from '../../src/decrypt/hbone.ts';
import { KeyLog } from '../../src/decrypt/key-log.ts';
import { FilterError } from '../../src/filter/index.ts';
import { run } from '../../src/pipeline.ts';
import {
  block,
  END_OF_OPTIONS,
  enhancedPacket,
  interfaceDescription,
  join,
  openBytes,
  pcapHeader,
  pcapRecord,
  readAll,
  readBytes,
  sectionHeader,
  u16,
  u32,
} from '../capture/bytes.ts';
import { linesOf, runCommand, runWith } from '../command.ts';
import { espOf } from '../decrypt/protect.ts';
import {
  dissector,
  eth,
  frame,
  geneve,
  option as geneveOption,
  ip4,
  roles,
  tcp,
  udp,
  zeros,
} from '../flow/frames.ts';
import { meshOutput } from '../mesh/mesh.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-limits-'));
afterAll(() => rmSync(scratch, { recursive: true }));

function written(name: string, frames: readonly Uint8Array[]): string {
  const file = path.join(scratch, name);
  writeFileSync(file, join(pcapHeader(), ...frames.map((bytes, i) => pcapRecord(i >>> 10, i & 1023, bytes))));
  return file;
}
const PODS = { src: '10.0.0.1', dst: '10.0.0.2' };
const datagram = frame(17, PODS, udp(1, 2));

describe('reading', () => {
  it('65,536 interfaces: one more is damage, and packets before it are kept', async () => {
    const one = interfaceDescription();
    const interfaces = Array.from({ length: 65_536 }, () => one);
    const before = join(sectionHeader(), ...interfaces, enhancedPacket(65_535, 0n, datagram));
    const { packets, damage } = await readBytes(join(before, one, enhancedPacket(0, 0n, datagram)), 1 << 20);
    expect(packets).toHaveLength(1);
    expect(damage).toMatchObject({ offset: before.length, text: 'more than 65536 interfaces' });
  });

  it('65,536 names of addresses: others are not kept', async () => {
    const names = Array.from({ length: 65_540 }, (_, i) =>
      join(u16(1), u16(6), Uint8Array.of(10, i >>> 16, i >>> 8, i), Buffer.from('a\0'), zeros(2)),
    );
    const { names: kept, damage } = await readBytes(
      join(
        sectionHeader(),
        interfaceDescription(),
        block(4, join(...names, END_OF_OPTIONS)),
        enhancedPacket(0, 0n, datagram),
      ),
      1 << 20,
    );
    expect([kept.size, damage]).toEqual([65_536, null]);
    expect(kept.get('10.0.255.255')).toBe('a');
    expect(kept.has('10.1.0.0')).toBe(false);
  });

  it('16 MiB of key logs: others are not kept', async () => {
    const size = 6 << 20;
    const secrets = block(10, join(u32(0x544c534b), u32(size), new Uint8Array(size).fill(10)));
    const capture = await openBytes(
      join(
        sectionHeader(),
        interfaceDescription(),
        ...[1, 2, 3, 4, 5].map(() => secrets),
        enhancedPacket(0, 0n, datagram),
      ),
      1 << 20,
    );
    expect(await readAll(capture)).toHaveLength(1);
    expect(capture.secrets.map(({ length }) => length)).toEqual([size, size]);
  });
});

describe('dissecting', () => {
  it('64 layers: the walk stops, and says so', async () => {
    const tag = Uint8Array.of(0, 1, 0x81, 0);
    const tags = join(...Array.from({ length: 70 }, () => tag));
    const { stdout, stderr } = await runCommand('packets', [written('deep.pcap', [eth(0x8100, tags)])], {
      ndjson: true,
    });
    const { layers, stop } = JSON.parse(stdout) as PacketRecord;
    expect([layers.length, stop, stderr]).toEqual([64, 'too-deep', '']);
  });

  it('128 KiB of a TLS handshake message: taken for encrypted', async () => {
    const hello = (length: number) =>
      frame(
        6,
        PODS,
        tcp(
          1,
          443,
          {},
          join(Uint8Array.of(22, 3, 1, 0, 40, 1, length >>> 16, length >>> 8, length), zeros(36)),
        ),
      );
    const file = written('tls.pcap', [hello(1 << 17), hello((1 << 17) + 1)]);
    const { stdout } = await runCommand('packets', [file]);
    const [within, beyond] = linesOf(stdout);
    expect(within).toContain('Client Hello');
    expect(beyond).toContain('Encrypted Handshake Message');
  });
});

describe('accounting', () => {
  it('65,536 groups: packets of others are counted together, and that is told', async () => {
    const many = Array.from({ length: 65_600 }, (_, i) =>
      frame(17, { src: `10.${i >>> 16}.${(i >>> 8) & 255}.${i & 255}`, dst: '10.9.9.9' }, zeros(8)),
    );
    const { stdout, stderr } = await runCommand('flows', [written('groups.pcap', many)], {
      by: 'ip.src',
      ndjson: true,
    });
    const groups = linesOf(stdout).map((line) => JSON.parse(line) as GroupRecord);
    expect(groups).toHaveLength(65_537);
    expect(groups.filter(({ by }) => by === null)).toMatchObject([{ packets: 64 }]);
    expect(stderr).toBe('tunscope: only 65,536 groups are kept: 64 packets of others are counted together\n');
  });
});

describe('rules', () => {
  it('8 packets of evidence, 32 findings of a rule: others are counted', async () => {
    const experimental = geneveOption(0xff99, 1);
    const frames = Array.from({ length: 40 * 10 }, (_, i) =>
      geneve({ vni: i % 40, options: experimental }, datagram),
    );
    const { stdout } = await runWith((context) =>
      check([written('findings.pcap', frames)], { rule: ['GNV-11'], ndjson: true }, context),
    );
    const findings = linesOf(stdout).map(
      (line) => JSON.parse(line) as { count: number; evidence: unknown[]; text: string },
    );
    expect(findings).toHaveLength(33);
    expect(findings.map(({ count }) => count).sort((a, b) => a - b)).toEqual([...Array(32).fill(10), 80]);
    for (const { evidence } of findings) expect(evidence).toHaveLength(8);
    expect(findings.at(-1)?.text).toMatch(/: elsewhere too$/);
  });

  it('16,384 tunnels: the oldest is forgotten', async () => {
    const frames = Array.from({ length: 16_390 }, (_, i) => geneve({ vni: i }, datagram));
    const { stdout } = await runWith((context) =>
      check([written('tunnels.pcap', frames)], { json: true }, context),
    );
    const { tunnels } = JSON.parse(stdout) as { tunnels: { vni: number }[] };
    expect(tunnels).toHaveLength(16_384);
    expect(Math.min(...tunnels.map(({ vni }) => vni))).toBe(6);
  });

  it('maps that are bounded forget their oldest entries, however often these are seen', () => {
    const map = new BoundedMap<string, number>(2);
    map.set('a', 1);
    map.set('b', 2);
    map.set('a', 3);
    map.set('c', 4);
    expect([map.get('a'), map.get('b'), map.get('c'), map.size, map.forgotten]).toEqual([
      undefined,
      2,
      4,
      2,
      1,
    ]);
  });
});

describe('decryption', () => {
  it('2^18 connections with secrets: others are not opened', () => {
    const log = new KeyLog();
    const secret = '11'.repeat(32);
    const line = (i: number) => `CLIENT_TRAFFIC_SECRET_0 ${i.toString(16).padStart(64, '0')} ${secret}`;
    for (let from = 0; from <= 1 << 18; from += 1 << 12)
      log.add(Array.from({ length: 1 << 12 }, (_, i) => line(from + i)).join('\n'));
    expect(log.count).toBe(1 << 18);
  });

  it('8 tunnels taken off by keys: what is deeper is left closed', async () => {
    const gcm = Buffer.alloc(20, 7);
    const sealed = (depth: number): Uint8Array =>
      depth === 0
        ? ip4(17, PODS, udp(1, 2))
        : ip4(50, PODS, espOf({ spi: 0x1001, gcm }, depth, 4, sealed(depth - 1)));
    const file = written(
      'esp.pcap',
      [8, 9].map((depth) => eth(0x0800, sealed(depth))),
    );
    const { stdout } = await runCommand('packets', [file], {
      ndjson: true,
      espSa: [`spi=0x1001,aes-gcm=${gcm.toString('hex')}`],
    });
    const last = linesOf(stdout).map((line) => (JSON.parse(line) as PacketRecord).protocols.at(-1));
    expect(last).toEqual(['udp', 'esp']);
  });

  it('16,384 HBONE connections: others are not followed', async () => {
    const syn = (i: number) =>
      frame(6, { src: `10.0.${i >>> 8}.${i & 255}`, dst: '10.1.0.1' }, tcp(1, 15008, { flags: 'S' }));
    const capture = await openBytes(
      join(pcapHeader(), ...Array.from({ length: 16_400 }, (_, i) => pcapRecord(0, i, syn(i)))),
    );
    const reader = new HboneReader(dissector, roles, { keyLog: new KeyLog() });
    await run(capture, dissector, roles, reader);
    expect([reader.records().length, reader.ignored]).toEqual([16_384, 16]);

    const file = written(
      'connections.pcap',
      Array.from({ length: 16_400 }, (_, i) => syn(i)),
    );
    const { stderr } = await meshOutput([file]);
    expect(stderr).toContain('the first 16 connections are in no journey: too many in one capture');
    expect(stderr).toContain('16 packets of HBONE connections were not read');
  });
});

describe('what users write', () => {
  it.each([
    ['characters of a filter', `ip${' '.repeat(65_536)}`],
    ['parentheses', `${'('.repeat(101)}ip${')'.repeat(101)}`],
    ['characters of a regular expression', `http matches "${'a'.repeat(257)}"`],
    ['repetition in a regular expression', `dns.qry.name matches "(a{1,1000}){1,1000}"`],
  ])('%s: refused at its place', async (_, filter) => {
    const file = written('filter.pcap', [datagram]);
    await expect(runCommand('packets', [file], { filter })).rejects.toThrow(FilterError);
  });

  const data = { plugin: 1, name: 'many' };
  const fields = Array.from({ length: 257 }, (_, i) => ({
    name: `many.f${i}`,
    title: 'F',
    offset: 0,
    width: 1,
  }));
  it.each([
    ['options', { ...data, options: Array(10_001).fill({}) }, /:1: options: [^\n]*10000/],
    ['protocols', { ...data, protocols: Array(1001).fill({}) }, /:1: protocols: [^\n]*1000/],
    [
      'fields',
      { ...data, options: [{ name: 'many.o', title: 'O', class: 1, type: 1, length: 4, fields }] },
      /:1: options\[0\]\.fields: [^\n]*256/,
    ],
  ])(
    'more %s of a plug-in than there may be: refused with file and line',
    async (name, document, message) => {
      const plugin = path.join(scratch, `${name}.json`);
      writeFileSync(plugin, JSON.stringify(document));
      const file = written('plugin.pcap', [datagram]);
      await expect(runCommand('packets', [file], { plugin: [plugin] })).rejects.toThrow(message);
    },
  );
});

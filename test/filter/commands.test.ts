/** Filters and groups as commands have them. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { GroupRecord } from '../../src/commands/groups.ts';
import type { PacketRecord } from '../../src/core/record.ts';
import type { FlowRecord } from '../../src/flow/records.ts';
import type { VniRecord } from '../../src/flow/vni.ts';
import type { SummaryRecord } from '../../src/pipeline.ts';
import { linesOf, runCommand } from '../command.ts';
import { captures, sample, samples } from '../samples.ts';

const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');

async function ndjson<R>(
  command: 'packets' | 'flows' | 'vni',
  file: string,
  options: Parameters<typeof runCommand>[2],
): Promise<R[]> {
  const { stdout } = await runCommand(command, [sample(file)], { ...options, ndjson: true });
  return linesOf(stdout).map((line) => JSON.parse(line) as R);
}

async function document<D>(
  command: 'packets' | 'flows',
  file: string,
  options: Parameters<typeof runCommand>[2],
): Promise<D & { summary: SummaryRecord }> {
  const { stdout } = await runCommand(command, [sample(file)], { ...options, json: true });
  return JSON.parse(stdout) as D & { summary: SummaryRecord };
}

describe('packets -Y', () => {
  const filter = 'tcp.flags.syn == 1';

  it('keeps the numbers that packets have in the capture, and the same records', async () => {
    const all = await ndjson<PacketRecord>('packets', 'overlapping-vnis.pcap', {});
    const some = await ndjson<PacketRecord>('packets', 'overlapping-vnis.pcap', { filter });
    expect(some.length).toBeGreaterThan(0);
    expect(some).toEqual(
      all.filter(({ layers }) => layers.some(({ fields }) => fields['tcp.flags.syn'] === true)),
    );
  });

  it('counts only what matches, and lists what was read beside it', async () => {
    const all = await document<{ packets: PacketRecord[] }>('packets', 'geneve-edge.pcapng', {});
    const one = await document<{ packets: PacketRecord[] }>('packets', 'geneve-edge.pcapng', {
      filter: 'frame.number == 23',
    });
    expect(one.packets).toEqual(all.packets.filter(({ number }) => number === 23));
    expect(one.summary).toMatchObject({ packets: 1, bytes: one.packets[0].length });
    expect(Object.values(one.summary.stopped).reduce((sum, n) => sum + n)).toBe(
      one.packets[0].stop === null ? 0 : 1,
    );
    expect(one.summary.captures).toEqual(all.summary.captures);
  });

  it.each([{ count: 3 }, { limit: 3 }])(
    'stops after as many matching packets as %o says',
    async (options) => {
      const matching = await ndjson<PacketRecord>('packets', 'overlapping-vnis.pcap', { filter });
      expect(matching.length).toBeGreaterThan(3);
      const first = await ndjson<PacketRecord>('packets', 'overlapping-vnis.pcap', { filter, ...options });
      expect(first).toEqual(matching.slice(0, 3));
    },
  );

  it('counts times from the first packet of the capture', async () => {
    const lines = async (options: object) =>
      linesOf((await runCommand('packets', [sample('overlapping-vnis.pcap')], options)).stdout);
    const all = await lines({});
    const some = await lines({ filter: 'frame.number in {5, 7}' });
    expect(some).toEqual([all[4], all[6]]);
  });

  it('takes packets as they come from a pipe', async () => {
    const child = execFile(process.execPath, [main, 'packets', '-Y', 'frame.number == 2', '--ndjson', '-']);
    const { readFile } = await import('node:fs/promises');
    const input = new PassThrough();
    input.pipe(child.stdin!);
    input.end(await readFile(sample('geneve-ovn.pcap')));
    let text = '';
    for await (const chunk of child.stdout!) text += chunk;
    expect(linesOf(text).map((line) => (JSON.parse(line) as PacketRecord).number)).toEqual([2]);
  });
});

describe('flows and vni -Y', () => {
  it('account for the packets that match alone', async () => {
    const filter = 'geneve.vni == 5001 && tcp.port == 8080';
    const packets = await ndjson<PacketRecord>('packets', 'geneve-ovn.pcap', { filter });
    const flows = await ndjson<FlowRecord>('flows', 'geneve-ovn.pcap', { filter });
    const [vni, ...others] = await ndjson<VniRecord>('vni', 'geneve-ovn.pcap', { filter });
    expect(packets.length).toBeGreaterThan(0);
    expect(flows.reduce((sum, flow) => sum + flow.packets, 0)).toBe(packets.length);
    expect(vni).toMatchObject({ vni: 5001, packets: packets.length, flows: flows.length });
    expect(others).toEqual([]);
  });

  it('walk as far as a filter needs, to the same flows', async () => {
    const filter = 'dns.qry.name contains "svc"';
    const packets = await ndjson<PacketRecord>('packets', 'dns-tls.pcapng', { filter });
    const flows = await ndjson<FlowRecord>('flows', 'dns-tls.pcapng', { filter });
    expect(packets.length).toBeGreaterThan(0);
    expect(flows.reduce((sum, flow) => sum + flow.packets, 0)).toBe(packets.length);
  });

  it.each(captures)('find the flows of %s wherever walks end', async (file) => {
    const plain = await ndjson<FlowRecord>('flows', file, {});
    expect(await ndjson<FlowRecord>('flows', file, { filter: 'frame' })).toEqual(plain);
    expect(await ndjson<FlowRecord>('flows', file, { filter: 'frame || dns' })).toEqual(plain);
  });
});

it('flows with more threads than one find the same where there is a filter', async () => {
  const [plain, threads] = await Promise.all(
    [
      ['-Y', 'geneve'],
      ['-Y', 'geneve', '--workers', '3'],
    ].map(
      (options) =>
        new Promise<string>((resolve, reject) =>
          execFile(
            process.execPath,
            [main, 'flows', '--ndjson', ...options, sample('any-sll2.pcap')],
            (error, stdout) => (error ? reject(error) : resolve(stdout)),
          ),
        ),
    ),
  );
  expect(linesOf(plain).length).toBeGreaterThan(1);
  expect(threads).toBe(plain);
});

describe('flows --by', () => {
  it.each(captures)('adds up to all packets of %s', async (file) => {
    const packets = await ndjson<PacketRecord>('packets', file, {});
    const groups = await ndjson<GroupRecord>('flows', file, { by: 'vni,eth.type,tcp' });
    expect(groups.reduce((sum, group) => sum + group.packets, 0)).toBe(packets.length);
    expect(groups.reduce((sum, group) => sum + group.outerBytes, 0)).toBe(
      packets.reduce((sum, { length }) => sum + length, 0),
    );
  });

  it('has one record for each value, with the sums that packets have', async () => {
    const packets = await ndjson<PacketRecord>('packets', 'geneve-ovn.pcap', {});
    const port = ({ tunnels }: PacketRecord) => tunnels[0]?.options?.[0]?.fields?.['ovn.egress_port'] ?? null;
    const groups = await ndjson<GroupRecord>('flows', 'geneve-ovn.pcap', { by: 'option:ovn.egress_port' });
    expect(new Set(groups.map(({ by }) => by?.['ovn.egress_port']))).toEqual(new Set(packets.map(port)));
    for (const group of groups) {
      const own = packets.filter((packet) => port(packet) === group.by?.['ovn.egress_port']);
      expect(group).toMatchObject({
        packets: own.length,
        outerBytes: own.reduce((sum, { length }) => sum + length, 0),
        first: own[0].time,
        last: own.at(-1)?.time,
      });
      // Geneve with one option of eight bytes in all, behind Ethernet, IPv4 and UDP.
      expect(group.outerBytes - group.bytes).toBe(own.length * (14 + 20 + 8 + 16));
    }
  });

  it('keeps all values of a field that occurs several times, in wire order', async () => {
    const groups = await ndjson<GroupRecord>('flows', 'overlapping-vnis.pcap', { by: 'ip.src,inner.ip.src' });
    for (const { by } of groups) {
      const all = by?.['ip.src'] as string[];
      expect(all).toHaveLength(2);
      expect(by?.['inner.ip.src']).toBe(all[1]);
    }
  });

  it('takes filters, orders and every format', async () => {
    const options = { by: 'ip.proto#[-1]', filter: 'geneve', sort: 'packets' as const, limit: 2 };
    const groups = await ndjson<GroupRecord>('flows', 'geneve-ovn.pcap', options);
    expect(groups.map(({ packets }) => packets)).toEqual(
      groups.map(({ packets }) => packets).sort((a, b) => b - a),
    );
    const json = await document<{ groups: GroupRecord[] }>('flows', 'geneve-ovn.pcap', options);
    expect(json.groups).toEqual(groups);
    const csv = await runCommand('flows', [sample('geneve-ovn.pcap')], { ...options, csv: true });
    expect(linesOf(csv.stdout)[0]).toBe('ip.proto#[-1],packets,bytes,outer_bytes,first,last');
    const table = await runCommand('flows', [sample('geneve-ovn.pcap')], options);
    expect(linesOf(table.stdout)[0]).toMatch(/^ip\.proto#\[-1\] +PACKETS +BYTES +OUTER +FIRST +LAST$/);
    expect(linesOf(table.stdout).at(-1)).toMatch(/^\.\.\. and \d+ more groups/);
  });
});

describe('a wrong name or filter', () => {
  const run = (args: string[]) =>
    new Promise<{ status: number; stderr: string; stdout: string }>((resolve) => {
      execFile(process.execPath, [main, ...args], { cwd: samples }, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });

  it('ends with the place it is at and status 2, before anything is read', async () => {
    const { status, stdout, stderr } = await run(['flows', '-Y', 'tcp && ip.src == 7', 'no-such-file.pcap']);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      "tunscope: ip.src is an IPv4 address: expected an IPv4 address such as 10.0.0.1 or 10.0.0.0/8, not '7'",
      '    tcp && ip.src == 7',
      '                     ^',
      '',
    ]);
  });

  it('does the same in --by, and shows control characters as text', async () => {
    const { status, stderr } = await run(['flows', '--by', 'vni,ip.scr\u001b[2J', 'geneve-ovn.pcap']);
    expect(status).toBe(2);
    expect(stderr).toContain('\n    ip.scr\\x1b[2J\n');
    const names = await run(['flows', '--by', 'vni,vni', 'geneve-ovn.pcap']);
    expect(names).toMatchObject({ status: 2, stderr: "tunscope: --by names 'vni' twice\n" });
    const sort = await run(['flows', '--by', 'vni', '--sort', 'vni', 'geneve-ovn.pcap']);
    expect(sort.status).toBe(2);
  });
});

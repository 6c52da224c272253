/** Captures on veth pairs in namespaces of their own: real programs, real packets. */

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { PacketRecord } from '../../src/core/record.ts';
import type { FlowRecord } from '../../src/flow/records.ts';
import type { InterfaceRecord } from '../../src/live/devices.ts';
import type { SummaryRecord } from '../../src/pipeline.ts';
import { linesOf } from '../command.ts';
import {
  capturing,
  hasProgram,
  ip,
  Lab,
  leftPipes,
  missing,
  namespaceOf,
  processesIn,
  Run,
  tunscope,
} from './lab.ts';

/** It is built only where there are a compiler and libpcap. */
const hasCap = (() => {
  try {
    createRequire(import.meta.url)('cap');
    return true;
  } catch {
    return false;
  }
})();

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
const schema = JSON.parse(readFileSync('docs/schema/tunscope-1.schema.json', 'utf8'));
const validate = ajv.compile(schema);
const complaints = (record: unknown) => (validate(record) ? [] : validate.errors);

const records = (text: string) => linesOf(text).map((line) => JSON.parse(line) as PacketRecord);
const document = (text: string) => JSON.parse(text) as { flows: FlowRecord[]; summary: SummaryRecord };
/** What must be the same however a packet came to us. */
const essence = ({ number, time, length, captured, linkType, vni, layers }: PacketRecord) => ({
  number,
  time,
  length,
  captured,
  linkType,
  vni,
  layers,
});

describe.skipIf(missing !== null)(`live capture${missing === null ? '' : ` (needs ${missing})`}`, () => {
  let lab: Lab;
  let inLab: string[];
  beforeAll(() => {
    lab = new Lab();
    inLab = ['--netns', lab.far];
  });
  afterAll(() => lab.remove());
  afterEach(async () => {
    // Where a capture ends at once, its programs do so a moment later.
    await expect
      .poll(() => processesIn(lab.far), { timeout: 5000 })
      .toEqual([])
      .finally(() => lab.clear());
    expect(leftPipes()).toEqual([]);
  });

  describe.each([['tcpdump'], ['dumpcap']])('with %s', (backend) => {
    const live = (...args: string[]) => [...args, '-i', 'v0', '--backend', backend, ...inLab];

    it.skipIf(!hasProgram(backend))('has the times, lengths and bytes that tcpdump writes', async () => {
      const file = path.join(lab.scratch, `${backend}.pcap`);
      const options = ['-s', '70', '-c', '500'];
      const filter = 'udp port 6081';
      const reference = lab.run(
        'tcpdump',
        '-Z',
        'root',
        '-n',
        '-i',
        'v0',
        ...options,
        '--time-stamp-precision=nano',
        '-w',
        file,
        filter,
      );
      await reference.stderr.until(/listening/);
      const ours = await capturing(live('packets', '--ndjson', '-f', filter, ...options));
      await lab.send(500, { size: 300 });
      const { status, stdout } = await ours.done;
      await reference.done;
      expect(status).toBe(0);
      const theirs = await tunscope(['packets', '--ndjson', file]).done;
      expect(records(stdout).map(essence)).toEqual(records(theirs.stdout).map(essence));
      expect(records(stdout)).toHaveLength(500);
      expect(records(stdout)[0]).toMatchObject({
        file: null,
        interface: 'v0',
        length: 300,
        captured: 70,
        vni: 7,
      });
    });

    it.skipIf(!hasProgram(backend)).each(['SIGINT', 'SIGTERM'] as const)(
      'prints results with the counters of the kernel on %s',
      async (signal) => {
        const run = await capturing(live('flows', '--json'));
        await lab.send(2000);
        const { status, stdout, stderr } = await run.kill(signal);
        expect({ status, stderr }).toEqual({ status: 0, stderr: 'tunscope: capturing on v0\n' });
        const { flows, summary } = document(stdout);
        expect(complaints(JSON.parse(stdout))).toEqual([]);
        expect(flows).toMatchObject([
          { vni: 7, src: '10.0.0.1', srcPort: 1111, packets: 2000, outerBytes: 200_000 },
        ]);
        expect(summary).toMatchObject({ packets: 2000, bytes: 200_000, captures: [] });
        expect(summary.live).toEqual({
          received: 2000,
          dropped: 0,
          interfaceDropped: 0,
          backend,
          limits: null,
          interfaces: [{ name: 'v0', received: 2000, dropped: 0, interfaceDropped: 0, ended: null }],
        });
      },
    );
  });

  describe.skipIf(!hasCap)('with cap', () => {
    const live = (...args: string[]) => [...args, '-i', 'v0', '--backend', 'cap', ...inLab];

    it('counts packets, and says what they lack', async () => {
      const run = await capturing(live('flows', '--json'));
      await lab.send(1000);
      const { status, stdout, stderr } = await run.kill('SIGINT');
      const { flows, summary } = document(stdout);
      expect(complaints(JSON.parse(stdout))).toEqual([]);
      expect(status).toBe(0);
      expect(flows).toMatchObject([{ vni: 7, packets: 1000, outerBytes: 100_000 }]);
      expect(summary.live).toMatchObject({ backend: 'cap', interfaces: [{ received: 1000, dropped: null }] });
      expect(stderr).toContain(`tunscope: with cap, ${summary.live?.limits}\n`);
    });

    it('outlives its abort when the interface goes down', async () => {
      lab.connect('v1', 2);
      const run = await capturing(['packets', '--ndjson', '-i', 'v1', '--backend', 'cap', ...inLab]);
      await lab.send(20, { nets: [2] });
      await run.stdout.until(/^(.*\n){20}/);
      ip('-n', lab.far, 'link', 'set', 'v1', 'down');
      const { status, stderr } = await run.done;
      lab.disconnect('v1');
      expect(status).toBe(1);
      expect(stderr).toMatch(/\ntunscope: v1: cap was killed by signal 6\n/);
    });

    it('cannot do without promiscuous mode', async () => {
      const result = await tunscope(live('flows', '-p')).done;
      expect(result).toEqual({
        status: 2,
        stdout: '',
        stderr: 'tunscope: -p: the backend cap is always promiscuous\n',
      });
    });
  });

  it('stops after --duration, also where nothing is sent', async () => {
    const { status, stdout } = await tunscope(['vni', '--json', '-i', 'v0', '--duration', '0.2', ...inLab])
      .done;
    expect(status).toBe(0);
    expect(document(stdout).summary).toMatchObject({ packets: 0, live: { received: 0 } });
  });

  it('ends and prints idle flows while nothing comes', async () => {
    const run = await capturing([
      'flows',
      '--ndjson',
      '--idle',
      '1',
      '-i',
      'v0',
      ...inLab,
      '-f',
      'udp port 6081',
    ]);
    await lab.send(20, { size: 200 });
    const [line] = (await run.stdout.until(/"ended":"idle"/)).split('\n');
    expect(JSON.parse(line)).toMatchObject({ type: 'flow', vni: 7, ended: 'idle' });
    run.child.kill('SIGINT');
    expect((await run.done).status).toBe(0);
  });

  it('counts what it could not keep up with', async () => {
    // A reader that is stopped, behind a kernel buffer of 1 MiB and a pipe.
    const run = await capturing(['flows', '--json', '-i', 'v0', '--buffer', '1', ...inLab]);
    run.child.kill('SIGSTOP');
    await lab.send(30_000, { size: 1400 });
    run.child.kill('SIGCONT');
    const { status, stdout, stderr } = await run.kill('SIGINT');
    const { summary } = document(stdout);
    const live = summary.live!;
    expect(live.received).toBe(30_000);
    expect(live.dropped).toBeGreaterThan(0);
    // What was in the buffer when the signal came is neither dropped nor delivered.
    expect(summary.packets).toBeLessThanOrEqual(live.received - live.dropped);
    expect(status).toBe(0);
    expect(stderr).toMatch(/v0: [\d,]+ of 30,000 packets dropped by the kernel, 0 by the interface\n$/);
  });

  it('merges interfaces by time', async () => {
    lab.connect('v1', 2);
    lab.connect('v2', 3);
    const devices = ['-i', 'v0', '-i', 'v1', '-i', 'v2'];
    const run = await capturing(['packets', '--ndjson', ...devices, '-c', '300', ...inLab]);
    await lab.send(300, { nets: [1, 2] }); // v2 stays silent
    const { status, stdout } = await run.done;
    lab.disconnect('v1');
    lab.disconnect('v2');
    expect(status).toBe(0);
    const packets = records(stdout);
    expect(packets.map(({ time }) => time)).toEqual(packets.map(({ time }) => time).sort());
    expect(packets.map((packet) => packet.interface)).toEqual(
      Array.from({ length: 300 }, (_, i) => (i % 2 === 0 ? 'v0' : 'v1')),
    );
    expect(packets.filter((packet) => packet.interface === 'v1').map(({ number }) => number)).toEqual(
      Array.from({ length: 150 }, (_, i) => i + 1),
    );
  });

  it('reads every link type the device has', async () => {
    const run = await capturing(['packets', '--ndjson', '-i', 'any', '-c', '5', '-f', 'udp', ...inLab]);
    await lab.send(5);
    const packets = records((await run.done).stdout);
    expect(packets).toHaveLength(5);
    expect(packets[0]).toMatchObject({ interface: 'any', linkType: 276, vni: 7 });
  });

  it('prints packets as they arrive, and ends quietly with its reader', async () => {
    const run = new Run([
      'sh',
      '-c',
      `"$@" | head -n 3`,
      'sh',
      process.execPath,
      path.resolve('dist/bin/tunscope.js'),
      'packets',
      '-i',
      'v0',
      '-l',
      ...inLab,
    ]);
    await run.stderr.until(/capturing/);
    await lab.send(3);
    await run.stdout.until(/^(.*\n){3}/);
    // The reader is gone; the next packets find that out.
    await lab.send(100);
    expect(await run.done).toMatchObject({ status: 0, stderr: 'tunscope: capturing on v0\n' });
  });

  it.each(['flows', 'vni'])('prints what changed of %s so often as --interval says', async (command) => {
    const run = await capturing([command, '--interval', '0.2', '-i', 'v0', ...inLab]);
    await lab.send(100);
    await run.stdout.until(/"packets":100,.*\n.*"snapshot".*\n/);
    await run.stdout.until(/"records":0.*\n/);
    await lab.send(50);
    await run.stdout.until(/"packets":150,.*\n.*"snapshot".*\n/);
    const { status, stdout } = await run.kill('SIGINT');
    expect(status).toBe(0);
    const lines = linesOf(stdout).map(
      (line) => JSON.parse(line) as { type: string; packets: number; records: number },
    );
    for (const line of lines) expect(complaints(line)).toEqual([]);
    const told = lines.filter(({ type }) => type !== 'snapshot').map(({ packets }) => packets);
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b)); // nothing twice
    expect(told.at(-1)).toBe(150);
    expect(lines.at(-1)).toMatchObject({
      type: 'snapshot',
      packets: 150,
      records: 0,
      live: { received: 150, dropped: 0 },
    });
  });

  describe('--metrics', () => {
    const urlOf = (run: Run) => /metrics at (\S+)/.exec(run.stderr.text)![1];

    it('serves findings of check by rule', async () => {
      const run = await capturing(['check', '--json', '-i', 'v0', '--metrics', '127.0.0.1:0', ...inLab]);
      await lab.send(20, { version: 1 });
      const scrape = async () => (await fetch(urlOf(run))).text();
      await expect
        .poll(scrape, { timeout: 5000 })
        .toMatch(/^tunscope_findings\{rule="GNV-01",severity="error"\} 20$/m);
      const { status, stdout } = await run.kill('SIGINT');
      expect(status).toBe(3);
      expect(JSON.parse(stdout).summary.packets).toBe(20);
    });

    it('serves totals per VNI, tunnel and device, which add up', async () => {
      const run = await capturing(['flows', '--json', '-i', 'v0', '--metrics', '127.0.0.1:0', ...inLab]);
      await lab.send(200);
      const scrape = async () => {
        const response = await fetch(urlOf(run));
        expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
        return response.text();
      };
      await expect.poll(scrape, { timeout: 5000 }).toMatch(/^tunscope_packets_total 200$/m);
      await expect.poll(scrape, { timeout: 5000, interval: 1100 }).toMatch(/by="kernel"\} 0$/m);
      const text = await scrape();
      for (const line of [
        'tunscope_bytes_total 20000',
        'tunscope_vni_packets_total{tunnel="geneve",vni="7"} 200',
        'tunscope_vni_bytes_total{tunnel="geneve",vni="7"} 10000',
        'tunscope_vni_outer_bytes_total{tunnel="geneve",vni="7"} 20000',
        'tunscope_vni_flows{tunnel="geneve",vni="7"} 1',
        'tunscope_tunnel_packets_total{tunnel="geneve",src="172.31.1.1",dst="172.31.1.2"} 200',
        'tunscope_tunnel_outer_bytes_total{tunnel="geneve",src="172.31.1.1",dst="172.31.1.2"} 20000',
        'tunscope_received_packets_total{interface="v0"} 200',
        'tunscope_dropped_packets_total{interface="v0",by="kernel"} 0',
        'tunscope_interface_capturing{interface="v0"} 1',
        'tunscope_series_left_out 0',
      ])
        expect(linesOf(text)).toContain(line);
      if (hasProgram('promtool'))
        expect(execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('');
      expect((await fetch(new URL('/', urlOf(run)))).status).toBe(404);
      expect((await fetch(urlOf(run), { method: 'POST' })).status).toBe(405);
      expect((await run.kill('SIGINT')).status).toBe(0);
      await expect(fetch(urlOf(run))).rejects.toThrow();
    });

    it.skipIf(!hasProgram('prometheus'))('are scraped by Prometheus', async () => {
      const run = await capturing(['flows', '--json', '-i', 'v0', '--metrics', '127.0.0.1:0', ...inLab]);
      const config = path.join(lab.scratch, 'prometheus.yml');
      const targets = new URL(urlOf(run)).host;
      const job = { job_name: 'tunscope', scrape_interval: '1s', static_configs: [{ targets: [targets] }] };
      writeFileSync(config, JSON.stringify({ scrape_configs: [job] })); // YAML, too
      const data = path.join(lab.scratch, 'prometheus');
      const port = 20_000 + (process.pid % 20_000);
      const listen = `127.0.0.1:${port}`;
      const args = [
        `--config.file=${config}`,
        `--storage.tsdb.path=${data}`,
        `--web.listen-address=${listen}`,
      ];
      const prometheus = new Run(['prometheus', ...args]);
      await lab.send(200);
      const query = async () => {
        const response = await fetch(`http://${listen}/api/v1/query?query=tunscope_vni_packets_total`);
        return ((await response.json()) as { data: { result: unknown[] } }).data.result;
      };
      const sample = { metric: expect.objectContaining({ vni: '7' }), value: [expect.anything(), '200'] };
      await expect
        .poll(() => query().catch(() => []), { timeout: 30_000, interval: 500 })
        .toContainEqual(expect.objectContaining(sample));
      prometheus.child.kill('SIGTERM');
      await prometheus.done;
      expect((await run.kill('SIGINT')).status).toBe(0);
    });

    it('listens on loopback unless told otherwise', async () => {
      const run = await capturing(['vni', '-i', 'v0', '--metrics', '0', ...inLab]);
      expect(urlOf(run)).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
      const second = await tunscope(['vni', '-i', 'v0', '--metrics', new URL(urlOf(run)).host]).done;
      expect(second).toMatchObject({ status: 2, stdout: '' });
      expect(second.stderr).toMatch(/^tunscope: --metrics 127\.0\.0\.1:\d+: .*EADDRINUSE.*\n$/);
      await run.kill('SIGTERM');
    });
  });

  describe('-w --rotate', () => {
    const folder = (name: string) => {
      const made = path.join(lab.scratch, name);
      mkdirSync(made);
      return made;
    };
    /** A file gets its name with its first bytes. */
    const filesIn = (made: string) =>
      readdirSync(made)
        .filter((name) => !name.endsWith('.partial'))
        .sort();
    /** Packets of the files in the order of their names, which must all be whole. */
    const packetsIn = async (made: string) => {
      const found: PacketRecord[][] = [];
      for (const file of filesIn(made)) {
        const { status, stdout, stderr } = await tunscope(['packets', '--ndjson', path.join(made, file)])
          .done;
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
        found.push(records(stdout));
      }
      return found;
    };

    it.each([[[]], [['--decap']]])('writes a ring of whole files of about one size %j', async (decap) => {
      const made = folder(`ring${decap.length}`);
      const file = path.join(made, 'ring.pcapng');
      const rotate = ['-w', file, ...decap, '--rotate', 'size:20k,files:3'];
      const run = await capturing(['flows', '--json', '-i', 'v0', '-i', 'lo', ...rotate, ...inLab]);
      let sent = 0;
      let last = '';
      for (let round = 0; round < 8; round++) {
        await lab.send(50, { size: 300 });
        sent += 50;
        // Files are whole while they are written: what was flushed is a capture.
        const latest = async () => (await packetsIn(made)).flat().at(-1)?.time ?? last;
        await expect.poll(latest, { timeout: 10_000 }).not.toBe(last);
        last = await latest();
        expect(filesIn(made).length).toBeLessThanOrEqual(3);
      }
      const { status, stdout } = await run.kill('SIGINT');
      expect(status).toBe(0);
      expect(document(stdout).summary.packets).toBe(sent);
      const names = filesIn(made);
      expect(readdirSync(made)).toHaveLength(3);
      for (const name of names) expect(name).toMatch(/^ring_\d{5}_\d{14}\.pcapng$/);
      expect(names[0]).not.toMatch(/_00001_/);
      for (const name of names) expect(statSync(path.join(made, name)).size).toBeLessThan(40_000);
      const kept = (await packetsIn(made)).flat();
      expect(kept.length).toBeGreaterThan(50);
      for (const packet of kept) expect(packet).toMatchObject({ length: decap.length > 0 ? 250 : 300 });
    });

    it('begins a file after some time, and loses nothing between two', async () => {
      const made = folder('time');
      const rotate = ['-w', path.join(made, 'a'), '--rotate', 'time:1s'];
      const run = await capturing(['packets', '--json', '-i', 'v0', ...rotate, ...inLab]);
      let sent = 0;
      while (filesIn(made).length < 3) {
        await lab.send(20);
        sent += 20;
      }
      await run.kill('SIGINT');
      const files = await packetsIn(made);
      expect(files.flat()).toHaveLength(sent);
      expect(files.flat().map(({ time }) => time)).toEqual(
        records(
          linesOf(run.stdout.text)
            .slice(1, -1)
            .map((line) => line.replace(/,$/, ''))
            .filter((line) => line !== '')
            .map((line) => line.replace(/^,/, ''))
            .join('\n'),
        ).map(({ time }) => time),
      );
    });

    it('goes on without when the disk is full', async () => {
      const made = folder('full');
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', made]);
      try {
        const rotate = ['-w', path.join(made, 'a.pcapng'), '--rotate', 'size:16k'];
        const run = await capturing(['packets', '--ndjson', '-i', 'v0', ...rotate, ...inLab]);
        await lab.send(20, { size: 1000 });
        await run.stdout.until(/^(.*\n){20}/);
        await lab.send(400, { size: 1000 });
        await run.stderr.until(/a_\d{5}_\d{14}\.pcapng: .*\n/);
        await lab.send(10);
        await run.stdout.until(/^(.*\n){430}/);
        expect((await run.kill('SIGINT')).status).toBe(1);
        const kept = (await packetsIn(made)).flat();
        expect(kept.length).toBeGreaterThanOrEqual(20);
      } finally {
        execFileSync('umount', [made]);
      }
    });
  });

  describe('a device that fails', () => {
    it('ends its own capture only, when it is removed', async () => {
      lab.connect('v1', 2);
      const run = await capturing(['packets', '--json', '-i', 'v1', '-i', 'v0', ...inLab]);
      await lab.send(10, { nets: [1, 2] });
      await run.stdout.until(/^(.*\n){11}/);
      ip('-n', lab.far, 'link', 'set', 'v1', 'down');
      await run.stderr.until(/v1: the interface is down\n/);
      ip('-n', lab.far, 'link', 'set', 'v1', 'up');
      await run.stderr.until(/v1: the interface is up again\n/);
      lab.disconnect('v1');
      await run.stderr.until(/v1: the interface disappeared\n/);
      await lab.send(10);
      const { status, stdout } = await run.kill('SIGINT');
      const { summary } = document(stdout);
      expect(status).toBe(1);
      expect(summary.live?.interfaces).toMatchObject([
        { name: 'v1', received: 5, ended: 'the interface disappeared' },
        { name: 'v0', received: 15, ended: null },
      ]);
      // A packet that still was in the kernel's buffer of a removed device would be gone.
      expect(summary.packets).toBe(20);
    });

    it('ends the run where it was the only one', async () => {
      lab.connect('v1', 2);
      const run = await capturing(['packets', '--ndjson', '-i', 'v1', ...inLab]);
      await lab.send(5, { nets: [2] });
      await run.stdout.until(/^(.*\n){5}/);
      lab.disconnect('v1');
      const { status, stderr } = await run.done;
      expect(status).toBe(1);
      expect(stderr).toMatch(/\ntunscope: v1: the interface disappeared\n$/);
    });

    it('is waited for with --wait', async () => {
      const run = await capturing(['flows', '--json', '-i', 'v1', '-i', 'v0', '--wait', ...inLab]);
      await run.stderr.until(/v1: no such device.*; waiting for it\n/i);
      for (const round of [1, 2]) {
        lab.connect('v1', 2);
        await run.stderr.until(new RegExp(`(v1: capturing again\n(?:.|\n)*){${round}}`));
        await lab.send(10, { nets: [2] });
        await lab.send(1);
        lab.disconnect('v1');
        await run.stderr.until(
          new RegExp(`(v1: the interface disappeared; waiting for it\n(?:.|\n)*){${round}}`),
        );
      }
      const { status, stdout } = await run.kill('SIGTERM');
      expect(status).toBe(1); // v1 was still away
      const { summary } = document(stdout);
      expect(summary.live?.interfaces).toMatchObject([
        { name: 'v1' },
        { name: 'v0', received: 2, ended: null },
      ]);
    });
  });

  it('keeps its results when a capture program is killed', async () => {
    const run = await capturing(['packets', '--ndjson', '-i', 'v0', '-i', 'lo', ...inLab]);
    await lab.send(50);
    await run.stdout.until(/^(.*\n){50}/);
    const programs = run.descendants('tcpdump');
    expect(programs).toHaveLength(2);
    const onV0 = programs.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('\0v0\0'))!;
    process.kill(onV0, 'SIGKILL');
    await run.stderr.until(/v0: .*killed.*\n/i);
    expect(run.stderr.text.trim().split('\n')).toHaveLength(2);
    const { status, stdout } = await run.kill('SIGINT');
    expect(status).toBe(1);
    expect(records(stdout)).toHaveLength(50);
  });

  it('leaves no capture running when it is killed itself', async () => {
    const run = await capturing(['flows', '-i', 'v0', ...inLab]);
    await run.kill('SIGKILL');
    // tcpdump notices with the first packets that nobody reads.
    while (processesIn(lab.far).length > 0) await lab.send(200);
  });

  describe('--netns', () => {
    it('takes the number of a process', async () => {
      const inside = lab.run('sleep', '60');
      const run = await capturing(['flows', '--json', '-i', 'v0', '--netns', String(inside.child.pid)]);
      expect(run.descendants('tcpdump').map(namespaceOf)).not.toEqual([namespaceOf(process.pid)]);
      expect(namespaceOf(run.child.pid!)).toBe(namespaceOf(process.pid));
      await lab.send(3);
      expect(document((await run.kill('SIGINT')).stdout).summary.packets).toBe(3);
      await inside.kill('SIGTERM');
    });

    it.each([
      ['no-such-namespace', 1, /no such network namespace/],
      ['../../etc', 2, /expected the name/],
      ['4194305', 1, /no such process/],
    ])('refuses %s', async (name, status, message) => {
      const result = await tunscope(['flows', '-i', 'v0', '--netns', name]).done;
      expect(result).toMatchObject({ status, stdout: '' });
      expect(result.stderr).toMatch(/^tunscope: [^\n]+\n$/);
      expect(result.stderr).toMatch(message);
    });
  });

  describe('rights', () => {
    const nobody = { SUDO_UID: '65534', SUDO_GID: '65534', SUDO_USER: 'nobody' };
    const unprivileged = (...args: string[]) => [
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      process.execPath,
      path.resolve('dist/bin/tunscope.js'),
      ...args,
    ];
    const status = (pid: number) => readFileSync(`/proc/${pid}/status`, 'latin1');

    it.each([[[]], [['--wait']], [['--backend', 'dumpcap']]])(
      'are given up for those of who called sudo %j',
      async (options) => {
        const run = await capturing(['flows', '--json', '-i', 'v0', ...options, ...inLab], nobody);
        const own = status(run.child.pid!);
        expect(own).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
        expect(own).toMatch(/^Gid:\t65534\t65534\t65534\t65534$/m);
        expect(own).toMatch(/^Groups:\t65534 $/m);
        expect(own).toMatch(/^CapPrm:\t0+$/m);
        const [program] = run.descendants(options.includes('dumpcap') ? 'dumpcap' : 'tcpdump');
        expect(status(program)).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
        // net_admin and net_raw; dumpcap gives them up once the device is open.
        expect(status(program)).toMatch(/^CapPrm:\t0{12}[03]000$/m);
        await lab.send(100);
        const result = await run.kill('SIGINT');
        expect(result.status).toBe(0);
        expect(document(result.stdout).summary).toMatchObject({
          packets: 100,
          live: { received: 100, dropped: 0 },
        });
      },
    );

    it('are given up by tcpdump itself where there is no setpriv', async () => {
      const folder = path.join(lab.scratch, 'without-setpriv');
      mkdirSync(folder);
      for (const program of ['tcpdump', 'nsenter', 'mkfifo', 'ip'])
        symlinkSync(
          execFileSync('which', [program], { encoding: 'utf8' }).trim(),
          path.join(folder, program),
        );
      const env = { ...nobody, PATH: folder };
      const run = await capturing(['flows', '--json', '-i', 'v0', ...inLab], env);
      for (const pid of [run.child.pid!, ...run.descendants('tcpdump')])
        expect(status(pid)).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
      await lab.send(100);
      const result = await run.kill('SIGINT');
      expect(document(result.stdout).summary).toMatchObject({ packets: 100, live: { received: 100 } });
      for (const options of [['--wait'], ['--backend', 'cap']]) {
        const refused = await tunscope(['flows', '-i', 'v0', ...options, ...inLab], env).done;
        expect(refused.stderr).toMatch(/^tunscope: [^\n]*(needs setpriv|not found)[^\n]*\n$/);
        expect(refused.status).toBe(2);
      }
    });

    it('come with a tcpdump that has them, and without sudo', async () => {
      const folder = path.join(lab.scratch, 'bin');
      execFileSync('mkdir', ['-m', '755', '-p', folder]);
      execFileSync('chmod', ['755', lab.scratch]);
      copyFileSync(
        execFileSync('which', ['tcpdump'], { encoding: 'utf8' }).trim(),
        path.join(folder, 'tcpdump'),
      );
      execFileSync('setcap', ['cap_net_raw,cap_net_admin+ep', path.join(folder, 'tcpdump')]);
      const command = unprivileged('flows', '--json', '-i', 'v0');
      const run = new Run(['ip', 'netns', 'exec', lab.far, ...command], {
        PATH: `${folder}:${process.env.PATH}`,
      });
      await run.stderr.until(/capturing on/);
      await lab.send(100);
      expect(document((await run.kill('SIGINT')).stdout).summary.live?.received).toBe(100);
    });

    it('are asked for in one line', async () => {
      const direct = await new Run(unprivileged('flows', '-i', 'lo')).done;
      expect(direct).toMatchObject({ status: 1, stdout: '' });
      expect(direct.stderr).toMatch(
        /^tunscope: lo: not permitted: run tunscope with sudo, or once: sudo setcap cap_net_raw,cap_net_admin\+ep \/\S*tcpdump\n$/,
      );
      const entering = await new Run(unprivileged('flows', '-i', 'v0', ...inLab)).done;
      expect(entering).toMatchObject({ status: 1, stdout: '' });
      expect(entering.stderr).toMatch(/^tunscope: v0: the namespace takes root to enter.*\n$/);
    });
  });

  it('lists interfaces with what they are', async () => {
    ip(
      '-n',
      lab.far,
      'link',
      'add',
      'vx0',
      'type',
      'vxlan',
      'id',
      '42',
      'dstport',
      '4789',
      'remote',
      '172.31.1.1',
    );
    ip('-n', lab.far, 'addr', 'add', '10.9.0.1/24', 'dev', 'vx0');
    const json = await tunscope(['interfaces', '--json', ...inLab]).done;
    expect(json).toMatchObject({ status: 0, stderr: '' });
    const devices = new Map(
      (JSON.parse(json.stdout) as { interfaces: InterfaceRecord[] }).interfaces.map((device) => [
        device.name,
        device,
      ]),
    );
    ip('-n', lab.far, 'link', 'del', 'vx0');
    expect(devices.get('vx0')).toMatchObject({
      kind: 'vxlan',
      vni: 42,
      addresses: ['10.9.0.1/24'],
      flags: ['disconnected'],
    });
    expect(devices.get('v0')).toMatchObject({ kind: 'veth', vni: null, mtu: 1500 });
    expect(devices.get('v0')?.flags).toContain('up');
    expect(devices.get('lo')?.flags).toContain('loopback');
    const { stdout } = await tunscope(['interfaces', ...inLab]).done;
    expect(stdout).toMatch(/^NAME +STATE .*\n(?:.*\n)*v0 +up running connected +veth +1500\n/);
  });

  it.each<[string, string[], number, RegExp]>([
    ['an unknown interface', ['-i', 'nosuch0'], 1, /nosuch0: no such interface; tunscope interfaces/],
    ['one of several', ['-i', 'lo', '-i', 'nosuch0'], 1, /nosuch0: no such interface/],
    ['a bad filter', ['-i', 'lo', '-f', 'udp prt 1'], 2, /-f udp prt 1: .*syntax error/],
    ['a filter that looks like an option', ['-i', 'lo', '-f', '-w/x'], 2, /-f -w\/x: .*syntax error/],
    ['a filter without capture', ['x.pcap', '-f', 'udp'], 2, /-f is for captures with -i/],
    ['a file beside an interface', ['x.pcap', '-i', 'lo'], 2, /x\.pcap is a file/],
    ['a snap length beyond all', ['-i', 'lo', '-s', '262145'], 2, /262144/],
    ['no buffer', ['-i', 'lo', '--buffer', '0'], 2, /--buffer/],
    ['an interval of files', ['x.pcap', '--interval', '1'], 2, /--interval is for captures with -i/],
    ['an interval as CSV', ['-i', 'lo', '--interval', '1', '--csv'], 2, /--interval writes NDJSON/],
    ['metrics of files', ['x.pcap', '--metrics', '9464'], 2, /--metrics is for captures with -i/],
    ['metrics nowhere', ['-i', 'lo', '--metrics', 'x'], 2, /--metrics x: expected an address and a port/],
    ['a port too far', ['-i', 'lo', '--metrics', '127.0.0.1:65536'], 2, /expected an address/],
    ['a rotation of nothing', ['-i', 'lo', '--rotate', 'size:1M'], 2, /--rotate is for files that -w writes/],
    [
      'a rotation of files',
      ['x.pcap', '-w', 'y', '--rotate', 'size:1M'],
      2,
      /--rotate is for captures with -i/,
    ],
    ['a rotation without end', ['-i', 'lo', '-w', 'y', '--rotate', 'files:3'], 2, /say when/],
    [
      'a rotation that is none',
      ['-i', 'lo', '-w', 'y', '--rotate', 'size:1M,x'],
      2,
      /--rotate x: expected size:100M/,
    ],
    ['a rotation at once', ['-i', 'lo', '-w', 'y', '--rotate', 'time:0'], 2, /above 0/],
    ['an unknown backend', ['-i', 'lo', '--backend', 'x'], 2, /tcpdump, dumpcap, cap/],
  ])('answers %s in one line', async (_, args, status, message) => {
    const result = await tunscope(['flows', ...args]).done;
    expect(result).toMatchObject({ status, stdout: '' });
    expect(result.stderr).toMatch(/^tunscope: [^\n]+\n$/);
    expect(result.stderr).toMatch(message);
  });
});

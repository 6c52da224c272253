/** Nothing is allocated per packet, and memory is bounded by flows and not by packets. */
import { execFile } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PerformanceObserver } from 'node:perf_hooks';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { PacketBatch } from '../../src/capture/batch.ts';
import { Layers } from '../../src/core/layers.ts';
import { Outline } from '../../src/core/outline.ts';
import { FlowAccounting } from '../../src/flow/accounting.ts';
import type { Packet } from '../../src/pipeline.ts';
import { pcapHeader, pcapRecord } from '../capture/bytes.ts';
import {
  arp,
  dissector,
  frame,
  geneve,
  icmp,
  option,
  roles,
  tcp,
  turned,
  udp,
  vxlan,
  zeros,
} from './frames.ts';

const FLOWS = 500;
/** Packets of a thousand or so flows of all kinds, in a fixed order, both directions each. */
function packets(): Buffer[] {
  const list: Buffer[] = [];
  for (let i = 0; i < FLOWS; i++) {
    const four = { src: `10.0.${i >> 8}.${i & 255}`, dst: '10.1.0.1' };
    const six = { src: `fd00::${(i + 1).toString(16)}`, dst: 'fd01::1' };
    const ends = i % 3 === 0 ? six : four;
    const options = i % 2 === 0 ? option(0x0102, 0x80) : zeros(0);
    const there = frame(6, ends, tcp(1000 + i, 80, { seq: 1, ack: 1 }, zeros(20)));
    const back = frame(6, turned(ends), tcp(80, 1000 + i, { seq: 1, ack: 21 }, zeros(40)));
    list.push(geneve({ vni: i % 50, options }, there), geneve({ vni: 100 + (i % 50) }, back));
    list.push(vxlan({ vni: i % 20 }, frame(17, ends, udp(i, 53))), frame(17, ends, udp(i, 53)));
    list.push(frame(ends === six ? 58 : 1, ends, icmp(ends === six ? 128 : 8, i << 16)), arp(1, four));
  }
  return list;
}

it.each(['plain packets in the kernel', 'every packet with the general walk'])(
  'accounts a million packets in a handful of garbage collections: %s',
  async (path) => {
    const list = packets();
    const batch = new PacketBatch(new Uint8Array(Buffer.concat(list)), list.length);
    let offset = 0;
    for (const [i, { length }] of list.entries()) {
      batch.offset[i] = offset;
      batch.captured[i] = length;
      batch.length[i] = length;
      offset += length;
    }
    batch.count = list.length;
    const accounting = new FlowAccounting(dissector, roles);
    const packet: Packet = {
      batch,
      index: 0,
      interface: {
        file: 'test',
        linkType: 1,
        name: null,
        description: null,
        snapLength: 0,
        littleEndian: true,
        statistics: null,
      },
      layers: new Layers(),
      outline: new Outline(),
    };
    const root = dissector.root(1);
    const roots = Int32Array.of(root);
    const stops = new Float64Array(5);
    const inKernel = path.startsWith('plain');
    const round = (second: number) => {
      for (let i = 0; i < batch.count; i++) {
        batch.seconds[i] = second;
        batch.nanoseconds[i] = i;
      }
      for (let i = 0; ; i++) {
        if (inKernel) i = accounting.take(batch, i, batch.count, roots, stops);
        if (i >= batch.count) return;
        accounting.walk(batch, i, root, packet.layers, packet.outline);
        packet.index = i;
        accounting.packet(packet);
      }
    };
    // Flows are made, and the code is compiled, before anything is counted.
    for (let second = 0; second < 40; second++) round(second);
    let collections = 0;
    const observer = new PerformanceObserver((entries) => {
      collections += entries.getEntries().length;
    });
    observer.observe({ entryTypes: ['gc'] });
    const rounds = Math.ceil(1e6 / batch.count);
    const grown: number[] = [];
    for (let second = 0; second < rounds; second++) {
      const before = process.memoryUsage().heapUsed;
      round(100 + second);
      grown.push(process.memoryUsage().heapUsed - before);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const _ of observer.takeRecords()) collections++;
    observer.disconnect();
    expect(collections).toBeLessThanOrEqual(5);
    // The smallest object takes 12 bytes.
    const usual = grown.sort((a, b) => a - b)[rounds >> 1];
    expect(usual / batch.count).toBeLessThan(4);
    expect(accounting.own.kernel.exports.size()).toBeLessThanOrEqual(6 * FLOWS);
  },
);

const directory = mkdtempSync(path.join(tmpdir(), 'tunscope-memory-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** A capture with the packets above, `rounds` times. */
async function write(name: string, rounds: number): Promise<string> {
  const file = path.join(directory, name);
  const list = packets();
  function* chunks() {
    yield pcapHeader();
    for (let second = 0; second < rounds; second++)
      yield Buffer.concat(list.map((data, i) => pcapRecord(second, i, data)));
  }
  await pipeline(Readable.from(chunks()), createWriteStream(file));
  return file;
}

/** Kilobytes that the command line tool had resident at most while it read a file. */
async function peak(file: string): Promise<number> {
  const tool = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');
  const report = `process.on('exit', () => process.stderr.write('peak=' + process.resourceUsage().maxRSS))`;
  const { stderr } = await promisify(execFile)(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(report)}`,
    tool,
    'vni',
    '--ndjson',
    file,
  ]);
  return Number(/peak=(\d+)/.exec(stderr)![1]);
}

it('needs no more memory for ten times the packets of the same flows', async () => {
  const [short, long] = [await write('short.pcap', 40), await write('long.pcap', 400)];
  const peaks = { short: await peak(short), long: await peak(long) };
  expect(peaks.long).toBeLessThan(peaks.short * 1.1);
});

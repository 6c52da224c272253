/** What the built commands print of every sample, compared with the goldens beside them. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PacketRecord } from '../src/core/record.ts';
import type { FlowRecord, OptionCountRecord } from '../src/flow/records.ts';
import type { VniRecord } from '../src/flow/vni.ts';
import { type CommandName, linesOf, runCommand } from './command.ts';
import { captures, samples } from './samples.ts';

const golden = path.join(samples, 'golden');
const actual = mkdtempSync(path.join(tmpdir(), 'tunscope-goldens-'));
const kinds = ['packets.ndjson', 'flows.ndjson', 'vni.ndjson', 'tree.txt'];
const names = captures.map((file) => file.replace(/\.pcap(ng)?$/, ''));

// One process makes them all: the same script that `npm run goldens` starts.
beforeAll(() => promisify(execFile)(process.execPath, [path.join(golden, 'update.mjs'), actual]));
afterAll(() => rmSync(actual, { recursive: true }));

describe.each(names)('%s', (name) => {
  it.each(kinds)('prints its golden .%s', (kind) => {
    const file = path.join(golden, `${name}.${kind}`);
    if (!existsSync(file))
      expect.fail(
        `samples/golden/${name}.${kind} is missing: npm run goldens makes it; read it, then commit it`,
      );
    // Line by line: a difference then shows the record it is in.
    const [expected, printed] = [file, path.join(actual, `${name}.${kind}`)].map((from) =>
      linesOf(readFileSync(from, 'utf8')),
    );
    for (const [i, line] of printed.entries())
      expect(line, `line ${i + 1}; if it is right: npm run goldens`).toBe(expected[i]);
    expect(printed.length, 'number of lines').toBe(expected.length);
  });
});

const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

/** How many packets carried each kind of option, from counts per flow or VNI. */
function optionTotals(lists: readonly { options: readonly OptionCountRecord[] }[]): Map<string, number> {
  const totals = new Map<string, number>();
  for (const { options } of lists)
    for (const option of options) {
      const kind = `${option.class} ${option.type}`;
      totals.set(kind, (totals.get(kind) ?? 0) + option.packets);
    }
  return totals;
}

describe.each(captures)('%s', (file) => {
  it('has every packet, byte and option accounted once', async () => {
    const read = async <R>(command: CommandName) => {
      const options = { ndjson: true, countCopies: true };
      const { stdout } = await runCommand(command, [path.join(samples, file)], options);
      return linesOf(stdout).map((line) => JSON.parse(line) as R);
    };
    const packets = await read<PacketRecord>('packets');
    const flows = await read<FlowRecord>('flows');
    const vnis = await read<VniRecord>('vni');
    const bytes = sum(packets.map(({ length }) => length));
    for (const records of [flows, vnis]) {
      expect(sum(records.map((record) => record.packets))).toBe(packets.length);
      expect(sum(records.map(({ outerBytes }) => outerBytes))).toBe(bytes);
    }
    for (const flow of flows) {
      expect(flow.forward.packets + flow.reverse.packets).toBe(flow.packets);
      expect(flow.forward.bytes + flow.reverse.bytes).toBe(flow.bytes);
      expect(flow.bytes).toBeLessThanOrEqual(flow.outerBytes);
    }
    expect(sum(vnis.map((vni) => vni.bytes))).toBe(sum(flows.map((flow) => flow.bytes)));
    for (const vni of vnis) {
      expect(sum(Object.values(vni.protocols).map((share) => share.packets))).toBe(vni.packets);
      // Later fragments count for their tunnel, though they show no header of it.
      const shown = packets.filter(
        (packet) => packet.tunnels.findLast((t) => t.vni !== null)?.vni === vni.vni,
      );
      if (vni.vni !== null && vnis.filter((other) => other.vni === vni.vni).length === 1)
        expect(vni.packets).toBeGreaterThanOrEqual(shown.length);
    }
    // An option that is twice in a packet is one kind on one packet.
    const carried = packets.map(({ tunnels }) => {
      const kinds = tunnels.flatMap(({ options = [] }) =>
        options.map((o) => [`${o.class} ${o.type}`, o] as const),
      );
      return { options: [...new Map(kinds).values()].map((option) => ({ ...option, packets: 1 })) };
    });
    expect(optionTotals(flows)).toEqual(optionTotals(carried));
  });
});

it('has no golden without a sample', () => {
  const wanted = new Set(names.flatMap((name) => kinds.map((kind) => `${name}.${kind}`)));
  const surplus = readdirSync(golden).filter((file) => file !== 'update.mjs' && !wanted.has(file));
  expect(surplus).toEqual([]);
});

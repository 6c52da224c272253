/** A capture of several places has each packet several times; a flow has it once. */
import { describe, expect, it } from 'vitest';
import { builtins } from '../../dissectors/index.ts';
import { openCaptures } from '../../src/capture/open.ts';
import { Dissector } from '../../src/core/dissector.ts';
import { Registry } from '../../src/core/registry.ts';
import type { FlowRecord } from '../../src/flow/records.ts';
import { mayHaveCopies } from '../../src/flow/without-copies.ts';
import type { SummaryRecord } from '../../src/pipeline.ts';
import { runCommand } from '../command.ts';
import { sample } from '../samples.ts';

const shared = process.env.TUNSCOPE_SHARED;

async function flowsOf(file: string, countCopies: boolean) {
  const { stdout, stderr } = await runCommand('flows', [file], { json: true, countCopies });
  const { flows, summary } = JSON.parse(stdout) as { flows: FlowRecord[]; summary: SummaryRecord };
  const packets = flows.reduce((sum, flow) => sum + flow.packets, 0);
  const retransmissions = flows.reduce((sum, flow) => sum + (flow.tcp?.retransmissions ?? 0), 0);
  return { flows, summary, packets, retransmissions, stderr };
}

const files = [
  sample('any-sll2.pcap'),
  sample('ambient-syn-only.pcapng'),
  ...(shared === undefined ? [] : [`${shared}/captures/lab/ambient_n2_any_sll2.pcap`]),
];

describe.each(files)('%s', (file) => {
  it('has copies, which are neither in flows nor retransmissions, and are told', async () => {
    const { summary, packets, retransmissions } = await flowsOf(file, false);
    expect(summary.copies).toBeGreaterThan(0);
    expect(packets + summary.copies!).toBe(summary.packets);
    expect(retransmissions).toBe(0);
    const { stderr } = await runCommand('flows', [file]);
    expect(stderr).toMatch(/copies from other places, left out; --count-copies counts them/);
  });

  it('is counted as captured with --count-copies', async () => {
    const { summary, packets } = await flowsOf(file, true);
    expect(summary.copies).toBeUndefined();
    expect(packets).toBe(summary.packets);
  });
});

it('is expected where it cannot be told before the capture is read', async () => {
  const registry = new Registry().add(builtins);
  const expected = async (...names: string[]) => {
    const capture = await openCaptures(names.map((name) => sample(name)));
    const answer = mayHaveCopies(capture, new Dissector(registry, { application: false }));
    await capture.close();
    return answer;
  };
  expect(await expected('geneve-ovn.pcap')).toBe(false);
  expect(await expected('geneve-ovn.pcap', 'vxlan-kernel.pcap')).toBe(true);
  // Another interface may be described later.
  expect(await expected('option-decoders.pcapng')).toBe(true);
});

it('leaves real retransmissions in', async () => {
  const file = sample('tcp-trouble.pcap');
  expect(await flowsOf(file, false)).toEqual(await flowsOf(file, true));
  expect((await flowsOf(file, false)).retransmissions).toBeGreaterThan(0);
});

it('counts a packet bare and in its tunnel once each', async () => {
  const { flows } = await flowsOf(sample('ambient-syn-only.pcapng'), false);
  const tunnelled = flows.filter(({ vni, protocol }) => vni === 1001 && protocol === 'tcp');
  expect(tunnelled.length).toBeGreaterThan(0);
  for (const { src, srcPort, packets } of tunnelled) {
    expect(packets).toBe(1);
    const bare = flows.find((flow) => flow.vni === null && flow.src === src && flow.srcPort === srcPort);
    expect(bare?.packets).toBeGreaterThan(packets);
  }
});

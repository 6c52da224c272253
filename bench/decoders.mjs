/**
 * What 1,000 more option decoders cost: flows and packet records of a capture, with the built-in decoders and with as
 * many more. Passes alternate; the minimum of each counts.
 *
 *   node bench/decoders.mjs CAPTURE
 */
import { loadavg } from 'node:os';
import {
  builtins,
  Dissector,
  FlowAccounting,
  FlowRecords,
  FlowRoles,
  openCapture,
  packetRecord,
  Registry,
  run,
  u32,
} from 'tunscope';

const [file] = process.argv.slice(2);
if (!file) {
  process.stderr.write('usage: node bench/decoders.mjs CAPTURE\n');
  process.exit(2);
}
const PASSES = 15;
const MORE = 1000;
/** Records are many times slower than flows: fewer packets are enough. */
const RECORDS = 20_000;

const more = {
  name: 'more',
  options: Array.from({ length: MORE }, (_, i) => ({
    name: `more.option${i}`,
    title: 'One of many',
    reference: 'bench/decoders.mjs',
    table: 'geneve.option',
    class: 0xff00 + (i >> 7),
    type: i & 0x7f,
    length: 4,
    fields: [u32(`more.field${i}`, 'Field', 0)],
  })),
};

async function flows(registry) {
  const dissector = new Dissector(registry, { application: false });
  const roles = new FlowRoles(registry);
  const accounting = new FlowAccounting(dissector, roles);
  const { packets } = await run(await openCapture(file), dissector, roles, accounting);
  const records = new FlowRecords(accounting);
  for (const id of records.ids()) records.record(id);
  return packets;
}

async function packets(registry) {
  const dissector = new Dissector(registry);
  const roles = new FlowRoles(registry);
  const source = {
    number: 1,
    seconds: 0,
    nanoseconds: 0,
    file: null,
    interface: null,
    length: 0,
    captured: 0,
  };
  const sink = {
    packet: ({ batch, index, layers, outline }) =>
      packetRecord(dissector, roles, batch.view, batch.offset[index], layers, outline, source),
  };
  return (await run(await openCapture(file), dissector, roles, sink, { count: RECORDS })).packets;
}

const jobs = { flows, 'packet records': packets };
console.log(`${file}; Node ${process.version}; load ${loadavg()[0].toFixed(2)}; minimum of ${PASSES}`);
for (const [name, job] of Object.entries(jobs)) {
  const best = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let pass = 0; pass < PASSES; pass++) {
    for (const which of pass % 2 === 0 ? [0, 1] : [1, 0]) {
      const registry = new Registry().add(builtins);
      if (which === 1) registry.add(more);
      const began = performance.now();
      const count = await job(registry);
      best[which] = Math.min(best[which], ((performance.now() - began) * 1e6) / count);
    }
  }
  const change = (100 * (best[1] / best[0] - 1)).toFixed(1);
  console.log(
    `${name}: ${best[0].toFixed(0)} ns a packet, with ${MORE} more decoders ${best[1].toFixed(0)} ns (${change} %)`,
  );
}

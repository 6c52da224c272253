/**
 * What 1,000 more option decoders cost: flows and packet records of a capture, with the built-in decoders alone and with
 * that many more. The two take turns; the median of the turns' ratios counts, in processor time: on a machine that others
 * use, too, neither minima nor clocks can tell a few percent.
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
const PASSES = 31;
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
    linkType: 1,
    comment: null,
  };
  const sink = {
    packet: ({ batch, index, layers, outline }) =>
      packetRecord(dissector, roles, batch.view, batch.offset[index], layers, outline, source),
  };
  return (await run(await openCapture(file), dissector, roles, sink, { count: RECORDS })).packets;
}

/** Nanoseconds of processor time per packet. */
async function cost(job, plugins) {
  const registry = new Registry().add(builtins);
  for (const plugin of plugins) registry.add(plugin);
  const before = process.cpuUsage();
  const count = await job(registry);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1e3) / count;
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

const jobs = { flows, 'packet records': packets };
console.log(`${file}; Node ${process.version}; load ${loadavg()[0].toFixed(2)}; median of ${PASSES}`);
for (const [name, job] of Object.entries(jobs)) {
  await cost(job, []); // compiles
  const few = [];
  const many = [];
  for (let pass = 0; pass < PASSES; pass++) {
    if (pass % 2 === 0) few.push(await cost(job, []));
    many.push(await cost(job, [more]));
    if (pass % 2 === 1) few.push(await cost(job, []));
  }
  const change = 100 * (median(many.map((one, i) => one / few[i])) - 1);
  console.log(
    `${name}: ${median(few).toFixed(0)} ns a packet, with ${MORE} more decoders ${median(many).toFixed(0)} ns (${change.toFixed(1)} %)`,
  );
}

/**
 * The longest that one batch of packets keeps the event loop while flows are accounted: tables that grow are most of it.
 *
 *   node bench/stalls.mjs CAPTURE
 */
import { builtins, Dissector, FlowAccounting, FlowRoles, openCapture, Registry, run } from 'tunscope';

const [file] = process.argv.slice(2);
if (!file) {
  process.stderr.write('usage: node bench/stalls.mjs CAPTURE\n');
  process.exit(2);
}
const dissector = new Dissector(new Registry().add(builtins), { application: false });
const roles = new FlowRoles(dissector.registry);
const accounting = new FlowAccounting(dissector, roles);
const milliseconds = [];
await run(await openCapture(file), dissector, roles, {
  take(...batch) {
    const began = performance.now();
    const taken = accounting.take(...batch);
    milliseconds.push(performance.now() - began);
    return taken;
  },
  packet: (packet) => accounting.packet(packet),
});
milliseconds.sort((a, b) => b - a);
console.log(
  `longest of ${milliseconds.length} batches: ${milliseconds
    .slice(0, 5)
    .map((time) => time.toFixed(1))
    .join(', ')} ms`,
);

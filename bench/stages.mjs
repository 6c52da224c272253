/**
 * What each stage costs per packet, in memory, and what other designs of a stage would cost: the numbers of
 * docs/decisions. Minimum of many passes, variants interleaved.
 *
 *   node bench/stages.mjs CAPTURE
 */
import { loadavg } from 'node:os';
import {
  builtins,
  Catalog,
  compileFilter,
  Dissector,
  FlowAccounting,
  FlowRoles,
  Layers,
  Outline,
  openCapture,
  packetRecord,
  Registry,
} from 'tunscope';

const [file] = process.argv.slice(2);
if (!file) {
  process.stderr.write('usage: node bench/stages.mjs CAPTURE\n');
  process.exit(2);
}
const PASSES = 15;
const capture = await openCapture(file);
const batches = [];
let packets = 0;
for await (const batch of capture) {
  const bytes = batch.bytes.slice();
  const { seconds, nanoseconds, offset, captured, length } = batch;
  batches.push({
    bytes,
    view: new DataView(bytes.buffer),
    count: batch.count,
    offset: offset.slice(),
    captured: captured.slice(),
    length: length.slice(),
    seconds: seconds.slice(),
    nanoseconds: nanoseconds.slice(),
  });
  packets += batch.count;
  if (packets > 100_000) break;
}
await capture.close();

const dissector = new Dissector(new Registry().add(builtins), { application: false });
const roles = new FlowRoles(dissector.registry);
const root = dissector.root(1);
const layers = new Layers();
const outline = new Outline();

function eachPacket(visit) {
  for (const batch of batches) {
    for (let i = 0; i < batch.count; i++) {
      dissector.walk(batch.view, batch.offset[i], batch.captured[i], batch.length[i], root, layers);
      outline.read(layers, roles, batch.offset[i]);
      visit(batch, i);
    }
  }
}

/** A display filter asked of every packet. */
function filtered(expression) {
  const { matches } = compileFilter(expression, new Catalog(dissector.registry), roles);
  const packet = { batch: batches[0], index: 0, interface: null, layers, outline };
  return () =>
    eachPacket((batch, i) => {
      packet.batch = batch;
      packet.index = i;
      if (matches(packet)) sink++;
    });
}

function account() {
  const accounting = new FlowAccounting(dissector, roles);
  const packet = { batch: batches[0], index: 0, interface: null, layers, outline };
  eachPacket((batch, i) => {
    packet.batch = batch;
    packet.index = i;
    accounting.packet(packet);
  });
}

/** The flow key as a string in a Map, as most JavaScript does it. */
function accountByString() {
  const flows = new Map();
  eachPacket((batch, i) => {
    const { view } = batch;
    let key = '';
    for (let t = 0; t < outline.tunnelCount; t++) {
      const layer = outline.tunnelLayer(t);
      key += `${roles.tunnelVni(view, layers.protocol(layer), layers.start(layer))}/`;
    }
    if (outline.network >= 0) {
      const at = layers.start(outline.network);
      const protocol = layers.protocol(outline.network);
      key += `${view.getUint32(at + roles.sourceAt[protocol])}>${view.getUint32(at + roles.destinationAt[protocol])}`;
    }
    if (outline.transport >= 0) key += view.getUint32(layers.start(outline.transport));
    const flow = flows.get(key);
    if (flow) {
      flow.packets++;
      flow.bytes += batch.length[i];
    } else {
      flows.set(key, { packets: 1, bytes: batch.length[i] });
    }
  });
}

/** Six header fields read through closures of one description, generated code, literal code, and an interpreter. */
const FIELDS = [
  { at: 12, size: 2, mask: 0 },
  { at: 14, size: 1, mask: 0x0f },
  { at: 16, size: 2, mask: 0 },
  { at: 20, size: 2, mask: 0x1fff },
  { at: 23, size: 1, mask: 0 },
  { at: 26, size: 4, mask: 0 },
];
const read = ({ at, size, mask }) => {
  if (size === 1)
    return mask ? (view, base) => view.getUint8(base + at) & mask : (view, base) => view.getUint8(base + at);
  if (size === 2)
    return mask
      ? (view, base) => view.getUint16(base + at) & mask
      : (view, base) => view.getUint16(base + at);
  return (view, base) => view.getUint32(base + at);
};
const [c0, c1, c2, c3, c4, c5] = FIELDS.map(read);
const closures = (view, base) =>
  c0(view, base) + c1(view, base) + c2(view, base) + c3(view, base) + c4(view, base) + c5(view, base);
const generated = new Function(
  'view',
  'base',
  `return ${FIELDS.map(({ at, size, mask }) => `(view.getUint${size * 8}(base + ${at}) & ${mask || -1})`).join('+')};`,
);
const literal = (view, base) =>
  view.getUint16(base + 12) +
  (view.getUint8(base + 14) & 0x0f) +
  view.getUint16(base + 16) +
  (view.getUint16(base + 20) & 0x1fff) +
  view.getUint8(base + 23) +
  view.getUint32(base + 26);
function interpreted(view, base) {
  let sum = 0;
  for (const { at, size, mask } of FIELDS) {
    const value =
      size === 1
        ? view.getUint8(base + at)
        : size === 2
          ? view.getUint16(base + at)
          : view.getUint32(base + at);
    sum += mask ? value & mask : value;
  }
  return sum;
}
let sink = 0;
const readAll = (reader) => () => {
  for (const batch of batches)
    for (let i = 0; i < batch.count; i++) sink += reader(batch.view, batch.offset[i]);
};

function records() {
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
  eachPacket((batch, i) => {
    sink += packetRecord(dissector, roles, batch.view, batch.offset[i], layers, outline, source).layers
      .length;
  });
}

const never = async () => {};
async function awaiting() {
  for (const batch of batches) for (let i = 0; i < batch.count; i++) await never();
}

const stages = {
  'six fields: literal code': readAll(literal),
  'six fields: closures from descriptions': readAll(closures),
  'six fields: new Function': readAll(generated),
  'six fields: descriptions interpreted': readAll(interpreted),
  walk: () => {
    for (const batch of batches) {
      for (let i = 0; i < batch.count; i++) {
        dissector.walk(batch.view, batch.offset[i], batch.captured[i], batch.length[i], root, layers);
      }
    }
  },
  'walk, outline': () => eachPacket(() => {}),
  'walk, outline, filter geneve.vni == 1000': filtered('geneve.vni == 1000'),
  'walk, outline, filter of four terms': filtered(
    'inner.ip.addr == 10.0.0.0/8 && tcp.port in {80, 443} && !(eth.src[0:3] == 00:16:3e || ip.ttl < 5)',
  ),
  'walk, outline, flow table with TCP analysis': account,
  'walk, outline, string keys in a Map': accountByString,
  'walk, outline, record object': records,
  'one await per packet, nothing else': awaiting,
};
const best = new Map(Object.keys(stages).map((name) => [name, Number.POSITIVE_INFINITY]));
for (let pass = 0; pass < PASSES; pass++) {
  for (const [name, stage] of Object.entries(stages)) {
    const began = performance.now();
    await stage();
    best.set(name, Math.min(best.get(name), performance.now() - began));
  }
}
console.log(
  `${packets} packets of ${file}; Node ${process.version}; load ${loadavg()[0].toFixed(2)}; sum ${sink % 997}`,
);
for (const [name, milliseconds] of best)
  console.log(`${((milliseconds * 1e6) / packets).toFixed(0).padStart(6)} ns  ${name}`);

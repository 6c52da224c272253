/** What `flows`, `vni` and `packets` say a capture holds in sum: they agree with each other and the reference, or it is an error. */
import { execFileSync, spawn } from 'node:child_process';

const NEWLINE = 10;
/** Packets from which on their records are too much text. */
const MANY = 2_000_000;

/** Calls `use` with each line of what the command prints, or the first `characters` of it. */
async function eachLine([program, ...args], characters, use) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  let rest = Buffer.alloc(0);
  for await (const chunk of child.stdout) {
    const text = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    let from = 0;
    for (let to = text.indexOf(NEWLINE); to >= 0; to = text.indexOf(NEWLINE, from)) {
      use(text.latin1Slice(from, Math.min(to, from + characters)));
      from = to + 1;
    }
    rest = text.subarray(from);
  }
  const status = await ended;
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')} ended with ${status}`);
}

class Totals {
  packets = 0;
  /** Whole packets, and what is inside the tunnels. */
  bytes = 0;
  innerBytes = 0;
  flows = 0;
  /** Packets and bytes by tunnel protocol and VNI. */
  byVni = new Map();

  add(vni, packets, bytes, innerBytes) {
    this.packets += packets;
    this.bytes += bytes;
    this.innerBytes += innerBytes;
    const sums = this.byVni.get(vni) ?? [0, 0];
    this.byVni.set(vni, [sums[0] + packets, sums[1] + bytes]);
  }
  get text() {
    const vnis = [...this.byVni].map(
      ([vni, [packets, bytes]]) => `${vni}: ${packets} packets, ${bytes} bytes`,
    );
    return vnis.sort().join('\n');
  }
}

async function flowTotals(own, file) {
  const totals = new Totals();
  await eachLine([...own, 'flows', '--ndjson', file], Number.POSITIVE_INFINITY, (line) => {
    const { tunnels, vni, packets, outerBytes, bytes } = JSON.parse(line);
    totals.add(`${tunnels.at(-1)?.protocol ?? 'none'} ${vni}`, packets, outerBytes, bytes);
    totals.flows++;
  });
  return totals;
}

async function vniTotals(own, file) {
  const totals = new Totals();
  await eachLine([...own, 'vni', '--ndjson', file], Number.POSITIVE_INFINITY, (line) => {
    const { protocol, vni, packets, outerBytes, bytes, flows } = JSON.parse(line);
    totals.add(`${protocol ?? 'none'} ${vni}`, packets, outerBytes, bytes);
    totals.flows += flows;
  });
  return totals;
}

// A million records are parsed in half a minute, matched in seconds; what is matched stands before all packet text.
const PACKET =
  /"length":(\d+),"captured":\d+,"linkType":\d+,"vni":(\d+|null),.*?"tunnels":\[(?:\{"protocol":"([^"]+)")?/;

/** Flows and inner bytes are not what a packet tells of. */
async function packetTotals(own, file) {
  const totals = new Totals();
  await eachLine([...own, 'packets', '--ndjson', file], 700 + file.length, (line) => {
    const [, length, vni, protocol = 'none'] = PACKET.exec(line);
    totals.add(`${protocol} ${vni}`, 1, Number(length), 0);
  });
  return totals;
}

/** The same from columns, a twentieth of the text. */
async function packetTotalsOfColumns(own, file) {
  const totals = new Totals();
  let columns = null;
  await eachLine([...own, 'packets', '--csv', file], Number.POSITIVE_INFINITY, (line) => {
    const cells = line.split(',');
    if (columns) totals.add(cells[columns.tunnels] || 'none null', 1, Number(cells[columns.length]), 0);
    else columns = Object.fromEntries(cells.map((name, i) => [name, i]));
  });
  return totals;
}

/** Totals by the names that the reference prints. */
function referenceTotals(reference, file) {
  const text = execFileSync(reference, [file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return Object.fromEntries(
    [...text.matchAll(/(\w+)=(\d+)\b/g)].map(([, name, value]) => [name, Number(value)]),
  );
}

/** Totals of a capture; throws where any two ways of counting it differ. `own` is how tunscope is started. */
export async function sums(own, reference, name, file) {
  const flows = await flowTotals(own, file);
  const expect = (what, value, expected) => {
    if (value !== expected) throw new Error(`${name}: ${what} differ:\n${value}\n${expected}`);
  };
  const vni = await vniTotals(own, file);
  expect('packets and bytes per VNI of vni and flows', vni.text, flows.text);
  for (const key of ['packets', 'bytes', 'innerBytes', 'flows'])
    expect(`${key} of vni and flows`, vni[key], flows[key]);
  const packetsOf = flows.packets > MANY ? packetTotalsOfColumns : packetTotals;
  expect('packets and bytes per VNI of packets and flows', (await packetsOf(own, file)).text, flows.text);
  if (reference) {
    const { packets, wire, innerbytes, flows4, flows6, vnis } = referenceTotals(reference, file);
    expect('packets of flows and the reference', flows.packets, packets);
    expect('bytes of flows and the reference', flows.bytes, wire);
    expect('inner bytes of flows and the reference', flows.innerBytes, innerbytes);
    expect('flows of flows and the reference', flows.flows, flows4 + flows6);
    expect('VNIs of flows and the reference', flows.byVni.size, vnis);
  }
  const { packets, bytes, innerBytes, byVni } = flows;
  return { packets, bytes, innerBytes, flows: flows.flows, vnis: byVni.size, reference: reference !== null };
}

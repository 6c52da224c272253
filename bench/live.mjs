/**
 * Live capture of a replay over a veth pair, beside tcpdump and tshark: packets lost, processor time, memory.
 *
 *     node bench/live.mjs [--pps 200000] [--seconds 30] [--only NAME]      as root, with iproute2 and tcpreplay
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    pps: { type: 'string', default: '200000' },
    seconds: { type: 'string', default: '30' },
    only: { type: 'string' },
  },
});
const main = path.resolve(import.meta.dirname, '../dist/bin/tunscope.js');
const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-bench-'));
const near = `tunscope-bench-${process.pid}-near`;
const far = `tunscope-bench-${process.pid}-far`;
const frames = path.join(scratch, 'frames.pcap');
process.on('exit', () => {
  for (const name of [near, far]) spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const ip = (...args) => execFileSync('ip', args);
for (const name of [near, far]) {
  ip('netns', 'add', name);
  ip('netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.default.disable_ipv6=1');
}
ip('link', 'add', 'v0', 'netns', near, 'type', 'veth', 'peer', 'name', 'v0', 'netns', far);
for (const name of [near, far]) ip('-n', name, 'link', 'set', 'v0', 'up');
writeFileSync(frames, replay(1000, 100));

/** Geneve frames of `size` bytes, VNI 1001, 200 flows inside, to a MAC address that nobody has. */
function replay(count, size) {
  const records = [];
  for (let i = 0; i < count; i++) {
    const frame = Buffer.alloc(size, 'x');
    frame.write('02ff0000009902ff000000010800', 'hex');
    network(frame, 14, size - 14, [172, 31, 9, 1], [172, 31, 9, 2]);
    transport(frame, 34, 50000, 6081, size - 34);
    frame.write('00006558', 42, 'hex');
    frame.writeUInt32BE(1001 << 8, 46);
    frame.write('0a58000000020a58000000010800', 50, 'hex');
    network(frame, 64, size - 64, [10, 1, 0, 1], [10, 1, 0, 1 + (i % 200)]);
    transport(frame, 84, 1000, 9, size - 84);
    const header = Buffer.alloc(16);
    header.writeUInt32LE(1_700_000_000, 0);
    header.writeUInt32LE(i, 4);
    header.writeUInt32LE(size, 8);
    header.writeUInt32LE(size, 12);
    records.push(header, frame);
  }
  const header = Buffer.from('d4c3b2a1020004000000000000000000ffff000001000000', 'hex');
  return Buffer.concat([header, ...records]);
}

function network(frame, at, length, from, to) {
  frame.write('4500', at, 'hex');
  frame.writeUInt16BE(length, at + 2);
  frame.write('0000000040110000', at + 4, 'hex');
  frame.set([...from, ...to], at + 12);
}

function transport(frame, at, from, to, length) {
  frame.writeUInt16BE(from, at);
  frame.writeUInt16BE(to, at + 2);
  frame.writeUInt16BE(length, at + 4);
  frame.writeUInt16BE(0, at + 6);
}

/** Processor seconds and resident bytes of a process and what it started, as far as they still run. */
function usage(root) {
  const parents = new Map();
  const stats = new Map();
  for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
        .replace(/^.*\) /, '')
        .split(' ');
      parents.set(Number(name), Number(stat[1]));
      const [user, system, ownChildren, systemChildren] = stat.slice(11, 15).map(Number);
      stats.set(Number(name), {
        cpu: (user + system + ownChildren + systemChildren) / 100,
        memory: 4096 * Number(stat[21]),
      });
    } catch {} // gone in between
  }
  const sum = { cpu: 0, memory: 0 };
  for (const [pid, { cpu, memory }] of stats) {
    let at = pid;
    while (at !== root && parents.has(at)) at = parents.get(at);
    if (at !== root) continue;
    sum.cpu += cpu;
    sum.memory += memory;
  }
  return sum;
}

const inFar = ['ip', 'netns', 'exec', far];
const number = (text, pattern) => Number(pattern.exec(text)?.[1] ?? Number.NaN);
const fromTcpdump = (text) => ({
  packets: number(text, /(\d+) packets? captured/),
  dropped: number(text, /(\d+) packets? dropped by kernel/),
});
const tunscope = (...args) => ({
  command: [process.execPath, main, ...args, '-i', 'v0', '--netns', far],
  ready: /capturing on/,
  result: (stdout) => {
    const { packets, live } = JSON.parse(stdout).summary;
    return { packets, dropped: live.dropped };
  },
});
const jobs = {
  'tunscope flows': tunscope('flows', '--json'),
  'tunscope flows --metrics (-U)': tunscope('flows', '--json', '--metrics', '127.0.0.1:0'),
  'tunscope flows --backend dumpcap': tunscope('flows', '--json', '--backend', 'dumpcap'),
  'tunscope flows --backend cap': tunscope('flows', '--json', '--backend', 'cap', '--buffer', '128'),
  'tcpdump -w /dev/null -B 65536': {
    command: [...inFar, 'tcpdump', '-n', '-i', 'v0', '-B', '65536', '-w', '/dev/null'],
    ready: /listening on/,
    result: (_, stderr) => fromTcpdump(stderr),
  },
  'tcpdump -w /dev/null (2 MiB)': {
    command: [...inFar, 'tcpdump', '-n', '-i', 'v0', '-w', '/dev/null'],
    ready: /listening on/,
    result: (_, stderr) => fromTcpdump(stderr),
  },
  'tshark -q -z conv,udp -B 64': {
    command: [...inFar, 'tshark', '-n', '-i', 'v0', '-B', '64', '-q', '-z', 'conv,udp'],
    ready: /Capturing on/,
    result: (_, stderr) => ({
      packets: number(stderr, /(\d+) packets? captured/),
      dropped: number(stderr, /(\d+) packets? dropped/) || 0,
    }),
  },
};

async function measure({ command, ready, result }) {
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  const isReady = new Promise((resolve, reject) => {
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
      if (ready.test(stderr)) resolve();
    });
    child.on('close', () => reject(new Error(stderr)));
  });
  await isReady;
  await sleep(500);
  let last = usage(child.pid);
  const before = last.cpu;
  let peak = 0;
  const timer = setInterval(() => {
    const now = usage(child.pid);
    last = now.cpu > last.cpu ? now : last;
    peak = Math.max(peak, now.memory);
  }, 200);
  const sent = await send();
  await sleep(1500);
  const after = usage(child.pid).cpu;
  clearInterval(timer);
  const closed = new Promise((resolve) => child.on('close', resolve));
  process.kill(child.pid, 'SIGINT');
  await closed;
  return { sent, cpu: Math.max(after, last.cpu) - before, peak, ...result(stdout, stderr) };
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function send() {
  const pace = [`--pps=${values.pps}`, '--loop=1000000', `--duration=${values.seconds}`];
  const args = ['netns', 'exec', near, 'tcpreplay', '-q', '-K', ...pace, '-i', 'v0', frames];
  return new Promise((resolve) => {
    let text = '';
    const child = spawn('ip', args);
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.on('close', () =>
      resolve({ packets: number(text, /Actual: (\d+)/), pps: number(text, /([\d.]+) pps/) }),
    );
  });
}

console.log(
  `${values.pps} packets/s of 100 bytes for ${values.seconds} s; load ${loadavg()[0].toFixed(1)}\n`,
);
console.log('| job | sent | packets/s | not captured | share | counted as dropped | cores | peak MB |');
console.log('|---|---|---|---|---|---|---|---|');
for (const [name, job] of Object.entries(jobs)) {
  if (values.only !== undefined && !name.includes(values.only)) continue;
  try {
    const { sent, packets, dropped, cpu, peak } = await measure(job);
    const lost = sent.packets - packets;
    const cells = [
      `\`${name}\``,
      sent.packets,
      Math.round(sent.pps),
      lost,
      `${((100 * lost) / sent.packets).toFixed(3)} %`,
      dropped,
      (cpu / Number(values.seconds)).toFixed(2),
      (peak / 1e6).toFixed(0),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  } catch (error) {
    console.log(`| \`${name}\` | ${String(error.message).split('\n')[0]} |`);
  }
}

/**
 * Writes a pcap file of overlay traffic, the same for the same arguments.
 *
 *   node bench/generate.mjs PACKETS FLOWS FILE
 *
 * Two thirds of the flows run in Geneve, a fifth in VXLAN, the rest bare; flow popularity falls like 1/rank; a quarter of
 * the Geneve packets carry an OVN option; TCP flows open with a handshake and go on with data and ACKs. Mean frame
 * about 490 bytes.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

/** Deterministic 32-bit generator (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function generate(packets, flows, file) {
  const next = random(packets * 31 + flows);
  const out = Buffer.alloc(1 << 20);
  const fd = openSync(file, 'w');
  let used = 0;
  const seen = new Uint32Array(flows);
  const sequences = new Uint32Array(flows * 2);
  let microseconds = 0;

  out.writeUInt32LE(0xa1b2c3d4, 0);
  out.writeUInt16LE(2, 4);
  out.writeUInt16LE(4, 6);
  out.writeUInt32LE(262144, 16);
  out.writeUInt32LE(1, 20);
  used = 24;

  for (let i = 0; i < packets; i++) {
    // The first packets of the flows are spread over the file; in between, the popular ones go on.
    const started = Math.max(1, Math.ceil(((i + 1) * flows) / packets));
    const fresh = seen[started - 1] === 0;
    const flow = fresh ? started - 1 : Math.floor(started ** next()) - 1;
    const turn = seen[flow]++;
    const tunnel = flow % 15 < 10 ? 'geneve' : flow % 15 < 13 ? 'vxlan' : 'none';
    const udp = flow % 7 === 3;
    const back = turn === 1 || (turn > 2 && next() < 0.55);
    const payload = udp
      ? 60 + Math.floor(next() * 300)
      : turn < 3
        ? 0
        : next() < 0.4
          ? 0
          : next() < 0.6
            ? 1380
            : 400;
    const options = tunnel === 'geneve' && next() < 0.25 ? 8 : 0;

    const record = used;
    let at = used + 16;
    const frame = at;
    const inner = 14 + 20 + (udp ? 8 : 20) + payload;
    if (tunnel !== 'none') {
      const [a, b] = [flow % 50, (flow * 7 + 1) % 50];
      at = ethernet(out, at, back ? a : b, back ? b : a, 0x0800);
      at = ip(
        out,
        at,
        20 + 8 + 8 + options + inner,
        17,
        0xac100000 + (back ? b : a),
        0xac100000 + (back ? a : b),
      );
      const port = tunnel === 'geneve' ? 6081 : 4789;
      at = ports(out, at, 49152 + ((flow * 40503) % 16384), port);
      out.writeUInt16BE(16 + options + inner, at);
      out.writeUInt16BE(0, at + 2);
      at += 4;
      const vni = 5000 + (flow % 200);
      out.writeUInt32BE(
        tunnel === 'geneve' ? ((options / 4) << 24) | (options ? 0x400000 : 0) | 0x6558 : 0x08000000,
        at,
      );
      out.writeUInt32BE(vni * 256, at + 4);
      at += 8;
      if (options) {
        out.writeUInt32BE(0x01028001, at);
        out.writeUInt32BE(((flow % 100) << 16) | (flow % 90), at + 4);
        at += 8;
      }
    }
    const client = 0x0a000002 + (flow >>> 12);
    const server = 0x0a600001 + (flow % 500);
    at = ethernet(out, at, flow & 255, (flow >>> 8) & 255, 0x0800);
    at = ip(out, at, inner - 14, udp ? 17 : 6, back ? server : client, back ? client : server);
    const clientPort = 32768 + (flow & 0x3fff);
    at = ports(out, at, back ? 443 : clientPort, back ? clientPort : 443);
    if (udp) {
      out.writeUInt16BE(8 + payload, at);
      out.writeUInt16BE(0, at + 2);
      at += 4;
    } else {
      const mine = flow * 2 + (back ? 1 : 0);
      const peer = flow * 2 + (back ? 0 : 1);
      const flags = turn === 0 ? 0x02 : turn === 1 ? 0x12 : payload > 0 ? 0x18 : 0x10;
      out.writeUInt32BE(sequences[mine], at);
      out.writeUInt32BE(turn === 0 ? 0 : sequences[peer], at + 4);
      out.writeUInt32BE(((0x5000 | flags) << 16) | 0xfaf0, at + 8);
      out.writeUInt32BE(0, at + 12);
      at += 16;
      sequences[mine] += payload + (turn < 2 ? 1 : 0);
    }
    out.fill(0x61, at, at + payload);
    at += payload;

    microseconds += 1 + Math.floor(next() * 40);
    out.writeUInt32LE(1700000000 + Math.floor(microseconds / 1e6), record);
    out.writeUInt32LE(microseconds % 1e6, record + 4);
    out.writeUInt32LE(at - frame, record + 8);
    out.writeUInt32LE(at - frame, record + 12);
    used = at;
    if (used > out.length - 4096) {
      writeSync(fd, out, 0, used);
      used = 0;
    }
  }
  writeSync(fd, out, 0, used);
  closeSync(fd);
}

function ethernet(out, at, destination, source, type) {
  out.writeUIntBE(0x020000000000 + destination, at, 6);
  out.writeUIntBE(0x020000000000 + source, at + 6, 6);
  out.writeUInt16BE(type, at + 12);
  return at + 14;
}

function ip(out, at, length, protocol, source, destination) {
  out.writeUInt32BE(0x45000000 + length, at);
  out.writeUInt32BE(0x00004000, at + 4);
  out.writeUInt32BE(0x40000000 + (protocol << 16), at + 8);
  out.writeUInt32BE(source >>> 0, at + 12);
  out.writeUInt32BE(destination >>> 0, at + 16);
  return at + 20;
}

function ports(out, at, source, destination) {
  out.writeUInt16BE(source, at);
  out.writeUInt16BE(destination, at + 2);
  return at + 4;
}

if (process.argv[1] === import.meta.filename) {
  const [packets, flows, file] = process.argv.slice(2);
  if (!file) {
    process.stderr.write('usage: node bench/generate.mjs PACKETS FLOWS FILE\n');
    process.exit(2);
  }
  generate(Number(packets), Number(flows), file);
}

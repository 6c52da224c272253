// node send.mjs COUNT SIZE VERSION NET...: Geneve packets (VNI 7) with UDP inside, to 172.31.NET.2 of each NET in turn.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const [count, size, version, ...nets] = process.argv.slice(2);

/** Outer headers are 42 bytes, Geneve's 8, the inner ones 42. */
const payload = Buffer.alloc(Number(size) - 42, 'x');
payload.writeUInt16BE(Number(version) << 14, 0);
payload.writeUInt16BE(0x6558, 2);
payload.writeUInt32BE(7 << 8, 4);
payload.write('020000000002020000000001', 8, 'hex');
payload.writeUInt16BE(0x0800, 20);
const inner = payload.length - 22;
payload.write('4500', 22, 'hex');
payload.writeUInt16BE(inner, 24);
payload.writeUInt32BE(0, 26);
payload.write('4011', 30, 'hex');
payload.writeUInt16BE(0, 32);
payload.write('0a0000010a000002', 34, 'hex');
payload.writeUInt16BE(1111, 42);
payload.writeUInt16BE(2222, 44);
payload.writeUInt16BE(inner - 20, 46);
payload.writeUInt16BE(0, 48);

/**
 * Packets wait between the ends of a veth pair until a processor has time for them, and from the thousandth on are lost
 * (net.core.netdev_max_backlog).
 */
async function arrived() {
  const waiting = () =>
    readFileSync('/proc/net/softnet_stat', 'latin1')
      .trim()
      .split('\n')
      .some((line) => Number.parseInt(line.split(' ')[11] ?? '0', 16) > 0);
  while (waiting()) await setTimeout(1);
}

const socket = createSocket('udp4');
socket.bind(40000, async () => {
  for (let i = 0; i < Number(count); i++) {
    payload.writeUInt32BE(i, payload.length - 4);
    const address = `172.31.${nets[i % nets.length]}.2`;
    await new Promise((resolve, reject) => {
      socket.send(payload, 6081, address, (error) => (error ? reject(error) : resolve()));
    });
    if (i % 500 === 499) await arrived();
  }
  await arrived();
  socket.close();
});

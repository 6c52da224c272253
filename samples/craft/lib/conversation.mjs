// One TCP connection as a list of segments: { from: 'client' | 'server', at, note, segment() }.
import { cat } from './bytes.mjs';
import { mss, nop, sackPermitted, tcp, timestamps, windowScale } from './ip.mjs';

const flagNames = { S: 'SYN', SA: 'SYN ACK', A: 'ACK', FA: 'FIN ACK' };

/**
 * Handshake, then each [from, data, note] of `talk`, each acknowledged by the other side, then both FINs unless
 * `close` is false. `isn` holds the two initial sequence numbers, `clock` the two timestamp clocks (milliseconds);
 * `rtt` is in seconds.
 */
export function conversation({ client, server, isn, clock, talk, start = 0, rtt = 0.002, close = true }) {
  const port = { client, server };
  const seq = { client: isn.client, server: isn.server };
  const other = { client: 'server', server: 'client' };
  const segments = [];
  let at = start;
  const stamp = (who) => clock[who] + Math.round((at - start) * 1000);
  let echo = 0;
  const send = (from, flags, data = '', note = flagNames[flags]) => {
    const to = other[from];
    const time = timestamps(stamp(from), echo);
    // the order Linux sends them in
    const options = flags.includes('S')
      ? cat(mss(1400), sackPermitted, time, nop, windowScale(7))
      : cat(nop, nop, time);
    const ack = flags.includes('A') ? seq[to] : 0;
    const fields = { sport: port[from], dport: port[to], seq: seq[from], ack, flags, options };
    segments.push({
      from,
      at,
      note,
      segment: () => tcp({ win: flags.includes('S') ? 64240 : 502, ...fields }, data),
    });
    seq[from] = (seq[from] + data.length + (/[SF]/.test(flags) ? 1 : 0)) >>> 0;
    echo = stamp(from);
    at += rtt / 2;
  };
  send('client', 'S');
  send('server', 'SA');
  send('client', 'A');
  for (const [from, data, note = 'data'] of talk) {
    send(from, 'PA', data, note);
    send(other[from], 'A');
  }
  if (!close) return segments;
  send('client', 'FA');
  send('server', 'FA');
  send('client', 'A');
  return segments;
}
export const httpTalk = (host, body) => [
  ['client', `GET / HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: sample\r\nConnection: close\r\n\r\n`],
  ['server', `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`],
];

// Inner packets that several sets put into their tunnels.

import { cat, u16 } from '../lib/bytes.mjs';
import { icmp6, ip4, ip6, ping, restartIds, tcp, udp } from '../lib/ip.mjs';
import { arp, broadcast, eth } from '../lib/link.mjs';

// Source ports and echo sequences count up, so that frames of one set are not taken for retransmissions.
let port = 40000;
let sequence = 0;
const nextPort = () => {
  port += 1;
  return port;
};
const nextSequence = () => {
  sequence += 1;
  return sequence;
};
/** Every set starts here: its bytes must not depend on which sets were made before it. */
export const restart = () => {
  port = 40000;
  sequence = 0;
  restartIds();
};

export const podA = '02:00:00:00:0a:01';
export const podB = '02:00:00:00:0a:02';
export const a4 = { src: '10.0.0.1', dst: '10.0.0.2' };
export const a6 = { src: 'fd00:a::1', dst: 'fd00:a::2' };

export const syn = (fields = {}) => tcp({ sport: nextPort(), dport: 80, seq: 1000, flags: 'S', ...fields });
export const syn4 = (fields) => ip4(a4, syn(fields));
export const syn6 = (fields) => ip6(a6, syn(fields));
export const ping4 = (fields = {}) => ip4({ ...a4, ...fields }, ping(1, nextSequence()));
export const ping6 = () => ip6(a6, icmp6({ type: 128, rest: 0x10000 + nextSequence() }, '0123456789abcdef'));
export const udp4 = (text) => ip4(a4, udp({ sport: 40001, dport: 40002 }, text));

/** An inner Ethernet frame between the two pods. */
export const inner = (payload) => eth({ src: podA, dst: podB }, payload);
export const pingFrame = (fields) => inner(ping4(fields));
export const synFrame = (fields) => inner(syn4(fields));
export const arpFrame = () =>
  eth({ src: podA, dst: broadcast }, arp({ sha: podA, spa: a4.src, tpa: a4.dst }));

/** A tunnel between the pods themselves: what a tenant would send. */
export const podTunnel = (tunnel, dport) => ip4(a4, udp({ sport: 50001, dport, sum: 0 }, tunnel));

/** Address, port, two zero bytes: Cilium's DSR option. */
export const addressPort = (address, port) => cat(address, u16(port), u16(0));

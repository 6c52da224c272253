// What the plug-ins of samples/plugins decode.
import { bytes, cat, ipv4, mac, u8, u16, u32 } from '../lib/bytes.mjs';
import { pcapng, rows } from '../lib/capture.mjs';
import { option, over, overGeneve } from '../lib/tunnel.mjs';
import { pingFrame, restart, syn4, synFrame } from './parts.mjs';

const ACME = 0xff20;

const tenant = option(ACME, 0x01, cat(u32(0x1234), u8(0x78), u8(0), u16(2)));
const node = ipv4('192.0.2.77');

const options = () => [
  ['tenant 0x1234, priority 7, may be dropped, zone 2', [tenant]],
  ['origin of the first release, after a tenant', [tenant, option(ACME, 0x82, node)]],
  ['origin of the second release', [option(ACME, 0x82, cat(node, mac('00:00:5e:00:53:aa'), u16(25)))]],
  ['route of two stops', [option(ACME, 0x03, cat(u8(1), u8(0), u16(0), u16(5), u16(120), u16(6), u16(80)))]],
  ['BAD: a tenant of four bytes', [option(ACME, 0x01, u32(0x1234))]],
  ['seal of key 9', [option(ACME, 0x04, cat(u16(9), u16(0), u32(0x5ea1)))]],
];

const tunnel = (flags, type, network, payload, { version = 1, words = 2, more } = {}) =>
  cat(u8((version << 4) | words), u8(flags), u16(type), u32(network), more ?? null, bytes(payload));

const overAcme = (header, fields) => over(header, { dport: 7750, ...fields });

const tunnels = () => [
  ['Ethernet in network 77', overAcme(tunnel(0x80, 0x6558, 77, synFrame()))],
  ['IPv4 in network 0xfffffffe', overAcme(tunnel(0x80, 0x0800, 0xfffffffe, syn4()), { dport: 7751 })],
  ['the network is not valid', overAcme(tunnel(0, 0x6558, 77, pingFrame()))],
  [
    'four bytes more header, which nothing describes',
    overAcme(tunnel(0x80, 0x6558, 77, pingFrame(), { words: 3, more: u32(0) })),
  ],
  ['BAD: a header of four bytes', overAcme(tunnel(0x80, 0x6558, 77, pingFrame(), { words: 1 }))],
  ['BAD: version 2', overAcme(tunnel(0x80, 0x6558, 77, pingFrame(), { version: 2 }))],
  ['CUT: in the header', overAcme(tunnel(0x80, 0x6558, 77, pingFrame())), { cut: 46 }],
  ['the source port alone', overAcme(tunnel(0x80, 0x6558, 78, pingFrame()), { sport: 7750, dport: 50000 })],
];

const word = (text) => cat(u8(text.length), bytes(text));

const messages = () => [
  ['heartbeat', over(cat(u8(1), u8(0), u16(500), bytes('node-17 ')), { dport: 7760 })],
  ['journal of two entries', over(cat(u16(2), word('boot'), word('link up')), { dport: 7770 })],
  ['BAD: an entry runs past the end', over(cat(u16(2), word('boot'), u8(99), bytes('x')), { dport: 7770 })],
];

export default () => {
  restart();
  const carried = options().map(([comment, list]) => [
    comment,
    overGeneve({ vni: 9, options: list }, synFrame()),
  ]);
  return { 'plugins/acme.pcapng': pcapng(rows([...carried, ...tunnels(), ...messages()])) };
};

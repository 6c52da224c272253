// The same two Geneve packets behind every link-layer header a capture is likely to have.
import { bytes, cat, hex, mac, u8, u16, u32, zeros } from '../lib/bytes.mjs';
import { pcapng, rows } from '../lib/capture.mjs';
import { ip, udp } from '../lib/ip.mjs';
import { eth, mac1, ppp } from '../lib/link.mjs';
import { geneve, nodes4, nodes6 } from '../lib/tunnel.mjs';
import { pingFrame, restart } from './parts.mjs';

const interfaces = [
  { name: 'ethernet', link: 1 },
  { name: 'raw', link: 101 },
  { name: 'ipv4', link: 228 },
  { name: 'ipv6', link: 229 },
  { name: 'null', link: 0 },
  { name: 'loop', link: 108 },
  { name: 'sll', link: 113 },
  { name: 'sll2', link: 276 },
  { name: 'nflog', link: 239 },
  { name: 'ppp', link: 9 },
];
const on = (name) => ({ iface: interfaces.findIndex((i) => i.name === name) });

const tunnel = (nodes) => {
  const sum = nodes === nodes4 ? 0 : undefined;
  return ip(nodes, udp({ sport: 50000, dport: 6081, sum }, geneve({ vni: 7 }, pingFrame())));
};
const v4 = () => tunnel(nodes4);
const v6 = () => tunnel(nodes6);

const le32 = (v) => Buffer.from(u32(v)).reverse();
const hardware = cat(mac(mac1), zeros(2));
/** Cooked captures: packet type 0 is "to us", 4 "sent by us"; ARPHRD 1 is Ethernet. */
const sll = (packetType, payload) =>
  cat(u16(packetType), u16(1), u16(6), hardware, u16(payload.ether), bytes(payload));
const sll2 = (packetType, ifindex, payload) =>
  cat(u16(payload.ether), u16(0), u32(ifindex), u16(1), u8(packetType), u8(6), hardware, bytes(payload));

/** NFLOG: TLVs in the capturing host's byte order (here little-endian, as the file), values big-endian. */
const tlv = (type, value) => {
  const data = bytes(value);
  return cat(Buffer.from([4 + data.length, 0, type, 0]), data, zeros(-data.length & 3));
};
const nflog = (family, group, payload) =>
  cat(
    u8(family),
    u8(0),
    u16(group),
    tlv(1, cat(u16(payload.ether), u8(3), u8(0))), // hook 3: local output
    tlv(10, 'geneve\0'),
    tlv(5, u32(2)),
    tlv(9, payload),
  );

const table = () => [
  ['Ethernet (1), IPv4', eth({}, v4()), on('ethernet')],
  ['Ethernet (1), IPv6', eth({}, v6()), on('ethernet')],
  ['RAW (101), IPv4', v4(), on('raw')],
  ['RAW (101), IPv6', v6(), on('raw')],
  ['IPV4 (228)', v4(), on('ipv4')],
  ['IPV6 (229)', v6(), on('ipv6')],
  ['NULL (0), family 2 little-endian, IPv4', cat(le32(2), v4()), on('null')],
  ['NULL (0), family 2 big-endian, IPv4', cat(u32(2), v4()), on('null')],
  ['NULL (0), family 30 little-endian, IPv6 (macOS)', cat(le32(30), v6()), on('null')],
  ['NULL (0), family 24 big-endian, IPv6 (NetBSD)', cat(u32(24), v6()), on('null')],
  ['LOOP (108), family 2, always network order', cat(u32(2), v4()), on('loop')],
  ['LOOP (108), family 24', cat(u32(24), v6()), on('loop')],
  ['LINUX_SLL (113), to us, IPv4', sll(0, v4()), on('sll')],
  ['LINUX_SLL (113), sent by us, IPv6', sll(4, v6()), on('sll')],
  ['LINUX_SLL2 (276), to us, interface 7, IPv4', sll2(0, 7, v4()), on('sll2')],
  ['LINUX_SLL2 (276), sent by us, interface 8, IPv6', sll2(4, 8, v6()), on('sll2')],
  ['NFLOG (239), group 5, prefix "geneve", IPv4', nflog(2, 5, v4()), on('nflog')],
  ['NFLOG (239), group 5, IPv6', nflog(10, 5, v6()), on('nflog')],
  ['PPP (9) with address and control bytes, IPv4', cat(hex('ff03'), ppp(v4())), on('ppp')],
  ['PPP (9) with address and control bytes, IPv6', cat(hex('ff03'), ppp(v6())), on('ppp')],
  ['PPP (9) without address and control bytes, IPv4', ppp(v4()), on('ppp')],
];

export default () => {
  restart();
  return { 'link-layers.pcapng': pcapng(rows(table()), { interfaces }) };
};

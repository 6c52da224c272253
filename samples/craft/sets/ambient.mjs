// What Istio's ambient mode looks like in each way of redirection, and with one thing wrong at a time: mesh/.
import { clientHello } from '../lib/app.mjs';
import { address, cat, inetSum, u8, u16, u32, zeros } from '../lib/bytes.mjs';
import { pcap } from '../lib/capture.mjs';
import { icmp, ip4, mss, restartIds, tcp, udp } from '../lib/ip.mjs';
import { arp, broadcast, eth } from '../lib/link.mjs';
import { option, overGeneve } from '../lib/tunnel.mjs';

const node = '10.244.1.1';
const ztunnel = '10.244.1.2';
const podA = '10.244.1.4'; // of this node
const podC = '10.244.1.5'; // of this node, too
const podB = '10.244.2.5'; // of another
const service = '10.96.0.10';
const outsider = '10.244.3.3';
const probe = '169.254.7.127';
// Locally administered, as the kernel draws them.
const macs = {
  node: '82:00:00:00:00:01',
  ztunnel: '82:00:00:00:00:02',
  podA: '82:00:00:00:00:04',
  podC: '82:00:00:00:00:05',
  tunnel: '82:00:00:00:01:01',
  peer: '82:00:00:00:01:02',
};

const istioin = { vni: 1000, own: '192.168.126.1', far: '192.168.126.2' };
const istioout = { vni: 1001, own: '192.168.127.1', far: '192.168.127.2' };

const to = { src: macs.node, dst: macs.ztunnel };
const from = { src: macs.ztunnel, dst: macs.node };
const at = (seconds, ...list) => list.map((data, i) => ({ data, at: seconds + i / 1000 }));
const bare = (fields, payload, link = to) => eth(link, ip4(fields, payload));

/** Inside a tunnel, from the node unless `nodes` says otherwise. */
const inside = ({ vni }, payload, { nodes = { src: node, dst: ztunnel }, fields = {}, ...outer } = {}) =>
  overGeneve({ vni, ...fields }, payload, { sport: 2275, nodes, ...outer });
const frame = (payload, link = { src: macs.tunnel, dst: macs.peer }) => eth(link, payload);

const ask = (device) => arp({ sha: macs.tunnel, spa: device.own, tpa: device.far });
const asking = (device, outer) =>
  inside(device, frame(ask(device), { src: macs.tunnel, dst: broadcast }), outer);
const answer = (device, dst = node) =>
  inside(
    device,
    frame(arp({ op: 2, sha: macs.peer, spa: device.far, tha: macs.tunnel, tpa: device.own }), {
      src: macs.peer,
      dst: macs.tunnel,
    }),
    { nodes: { src: ztunnel, dst } },
  );

const syn = (sport, dport, seq = 1000 * sport, sum) =>
  tcp({ sport, dport, seq, flags: 'S', options: mss(1460), sum });
const synIn = (device, { src, dst }, sport, dport, outer, sum) =>
  inside(device, frame(ip4({ src, dst, ttl: 63 }, syn(sport, dport, undefined, sum))), outer);
const synAck = ({ src, dst }, sport, dport, link = from) =>
  bare(
    { src: dst, dst: src },
    tcp({ sport: dport, dport: sport, seq: 1, ack: 1000 * sport + 1, flags: 'SA', options: mss(1460) }),
    link,
  );

const hello = (changes = {}) =>
  clientHello({ protocols: ['h2'], versions: [0x0304], ciphers: [0x1301], ...changes });
/** HBONE from one pod to another, as far as its hello. */
const hbone = (pair, sport, changes, link = { there: from, back: to }) => [
  bare(pair, syn(sport, 15008), link.there),
  synAck(pair, sport, 15008, link.back),
  bare(
    pair,
    tcp({ sport, dport: 15008, seq: 1000 * sport + 1, ack: 2, flags: 'PA' }, hello(changes)),
    link.there,
  ),
];

const request = { src: podA, dst: service };
const leg = { src: podA, dst: podB };
/** A pod's connection on its way out, and one that comes in: nothing wrong. */
const redirected = (outer) => [
  ...at(0, asking(istioout, outer), answer(istioout), asking(istioin, outer), answer(istioin)),
  ...at(0.1, synIn(istioout, request, 40000, 80, outer), synAck(request, 40000, 80)),
  ...at(0.2, ...hbone(leg, 40001)),
  ...at(
    0.3,
    synIn(istioin, { src: podB, dst: podA }, 40002, 15008, outer),
    synAck({ src: podB, dst: podA }, 40002, 15008),
  ),
];
const tries = (make) => [0, 1, 3].flatMap((second) => at(1 + second, make()));

const inPod = [
  ...at(0, bare({ src: probe, dst: podA }, syn(40010, 8080)), synAck({ src: probe, dst: podA }, 40010, 8080)),
  ...at(0.1, ...hbone({ src: podB, dst: podA }, 40011, {}, { there: to, back: from })),
];

const handed = { src: macs.podA, dst: macs.ztunnel };
/** A pod's SYN as it left the pod, and ztunnel's own connection under the pod's address and its answer to the pod. */
const byPrograms = [
  ...at(0, bare(request, syn(40020, 80), handed)),
  ...at(0.01, synAck(request, 40020, 80, { src: macs.ztunnel, dst: macs.podA })),
  ...at(0.1, ...hbone(leg, 40021)),
];

/** The sum of the pseudo header alone, which a device would complete. */
const unfinished = ({ src, dst }, length) =>
  0xffff ^ inetSum(address(src), address(dst), u8(0), u8(6), u16(length));
const SYN_LENGTH = 24;

/** Quoted in ICMP: the header and eight bytes. */
const quoted = (code, rest = 0) =>
  bare(
    { src: ztunnel, dst: node },
    icmp(
      { type: 3, code, rest },
      cat(
        ip4({ src: node, dst: ztunnel, proto: 17, length: 124 }, cat(u16(2275), u16(6081), u16(104), u16(0))),
      ),
    ),
    from,
  );

const wrong = {
  1: at(0, asking(istioout), asking(istioout), asking(istioout)),
  2: [...redirected(), ...at(1, answer(istioout, '10.244.1.9'))],
  3: [...at(0, asking(istioout)), ...at(1, quoted(3))],
  4: [...redirected(), ...tries(() => synIn(istioout, request, 40030, 81))],
  5: [
    ...redirected(),
    ...at(
      1,
      ...[1, 2].map((seq) =>
        inside(
          istioout,
          frame(ip4({ ...request, ttl: 63 }, tcp({ sport: 40000, dport: 80, seq, ack: 2, flags: 'A' }))),
        ),
      ),
    ),
  ],
  6: redirected({ dport: 6082 }),
  7: [
    ...redirected(),
    ...at(
      1,
      overGeneve(
        { vni: 5 },
        frame(ip4({ src: '10.1.0.1', dst: '10.1.0.2' }, udp({ sport: 9, dport: 9 }, zeros(8)))),
      ),
    ),
  ],
  8: [
    ...redirected(),
    ...at(1, synIn(istioout, request, 40031, 80, { fields: { options: [option(0x0102, 0x01, u32(1))] } })),
  ],
  9: [...redirected(), ...at(1, synIn(istioout, request, 40032, 80, { mf: 1 }))],
  10: redirected({ sum: 'good' }),
  11: [
    ...redirected(),
    ...at(
      1,
      synIn(istioin, { src: outsider, dst: podA }, 40033, 8080),
      synAck({ src: outsider, dst: podA }, 40033, 8080),
    ),
  ],
  12: [
    ...redirected(),
    ...at(
      20,
      synIn(istioout, { src: podC, dst: podB }, 40034, 80),
      ...hbone({ src: podC, dst: podB }, 40035),
    ),
    ...at(
      40,
      synIn(istioout, { src: podA, dst: service }, 40036, 80),
      bare({ src: podA, dst: podC }, syn(40037, 80), from),
    ),
  ],
  13: [...redirected(), ...at(1, ...hbone(leg, 40038, { host: 'web.example' }))],
  14: [...redirected(), ...tries(() => bare(leg, syn(40039, 15008), from))],
  15: [...inPod, ...tries(() => bare({ src: probe, dst: podA }, syn(40040, 8081)))],
  16: [
    ...redirected(),
    ...at(
      1,
      synIn(istioin, { src: node, dst: podA }, 40041, 8080),
      synAck({ src: node, dst: podA }, 40041, 8080),
    ),
  ],
  17: [
    ...redirected(),
    ...at(1, bare({ src: podA, dst: podB }, udp({ sport: 4000, dport: 4000 }, zeros(8)))),
  ],
  18: [
    ...redirected(),
    ...at(
      1,
      bare(request, syn(40042, 80), { src: macs.podA, dst: macs.node }),
      synIn(istioout, leg, 40042, 80),
    ),
    ...at(1.1, synAck(leg, 40042, 80), ...hbone(leg, 40043)),
  ],
  19: [...redirected(), ...at(5, asking(istioout, { nodes: { src: node, dst: '10.244.1.7' } }))],
  20: [
    ...at(0, asking(istioout), answer(istioout)),
    ...at(
      1,
      synIn(istioout, request, 40044, 80, {}, unfinished(request, SYN_LENGTH)),
      synAck(request, 40044, 80),
    ),
  ],
  21: [...byPrograms, ...tries(() => bare(request, syn(40045, 80), handed))],
};

export default function make() {
  restartIds();
  const files = {
    'mesh/geneve.pcap': pcap(redirected()),
    'mesh/in-pod.pcap': pcap(inPod),
    'mesh/ebpf.pcap': pcap(byPrograms),
  };
  for (const [number, frames] of Object.entries(wrong))
    files[`mesh/ist-${number.padStart(2, '0')}.pcap`] = pcap(frames);
  return files;
}

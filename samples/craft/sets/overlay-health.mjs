// Overlays that work badly: what only several packets show, each beside what looks like it and is in order.
import { bytes, cat, hex, u32 } from '../lib/bytes.mjs';
import { pcapng } from '../lib/capture.mjs';
import { ip4, mss, tcp, udp } from '../lib/ip.mjs';
import { eth, vlan } from '../lib/link.mjs';
import { counting, espGcm } from '../lib/sealed.mjs';
import { geneve, nodes4, option, overGeneve, overVxlan } from '../lib/tunnel.mjs';
import { inner, podA, podB, restart } from './parts.mjs';

const UDP = 17;
const back4 = { src: nodes4.dst, dst: nodes4.src };
const from = (src) => ({ src, dst: nodes4.dst });

/** Datagrams of one inner flow. */
const talk = (src, dst, port, text = 'data') => ip4({ src, dst }, udp({ sport: port, dport: 9000 }, text));
const pods = (port, text) => talk('10.0.0.1', '10.0.0.2', port, text);

const protect = (seq) =>
  eth(
    {},
    ip4(
      { ...nodes4, proto: 50 },
      espGcm(
        { key: cat(counting(16, 1), hex('a1b2c3d4')), spi: 0x5001, seq },
        UDP,
        bytes(udp({ sport: 50001, dport: 6081, sum: 0 }, geneve({ vni: 5 }, inner(pods(41000))))),
      ),
    ),
  );

function frames() {
  const out = [];
  const add = (comment, data, iface = 0) => out.push({ comment, data, iface });
  const marked = (value) => option(0x0102, 0x80, u32(value));

  // Both ways, so that no end only sends.
  add(
    'VNI 20, back',
    overGeneve({ vni: 20 }, inner(talk('10.0.0.2', '10.0.0.1', 9000)), { nodes: back4, sport: 52000 }),
  );
  for (const [i, sport] of [50001, 50002, 50001, 50002].entries())
    add(
      `VNI 20: one flow, source port ${sport}`,
      overGeneve({ vni: 20 }, inner(pods(41001, `turn ${i}`)), { sport }),
    );
  for (const [i, sport] of [50003, 50003, 50004, 50004].entries())
    add(
      `VNI 20: one flow, new port after a while: ${sport}`,
      overGeneve({ vni: 20 }, inner(pods(41002, `move ${i}`)), { sport }),
    );

  for (const [i, node] of ['192.0.2.3', '192.0.2.4', '192.0.2.3'].entries())
    add(
      `VNI 21: 10.0.1.1 behind ${node}`,
      overVxlan({ vni: 21 }, eth({ src: podA, dst: podB }, talk('10.0.1.1', '10.0.1.2', 41100 + i)), {
        nodes: from(node),
      }),
    );
  for (const [i, node] of ['192.0.2.3', '192.0.2.3', '192.0.2.4', '192.0.2.4'].entries())
    add(
      `VNI 22: 10.0.1.1 moves, now behind ${node}`,
      overVxlan({ vni: 22 }, eth({ src: podA, dst: podB }, talk('10.0.1.1', '10.0.1.2', 41110 + i)), {
        nodes: from(node),
      }),
    );

  const seen = bytes(
    inner(
      ip4({ src: '10.0.0.1', dst: '10.0.0.2', id: 0x7001 }, udp({ sport: 41003, dport: 9000 }, 'rewritten')),
    ),
  );
  add('VNI 23: as sent', overGeneve({ vni: 23, options: [marked(0x00010002)] }, seen));
  add(
    'VNI 23: the same packet on its way, option rewritten',
    overGeneve({ vni: 23, options: [marked(0x00010003)] }, seen),
    1,
  );
  const kept = bytes(
    inner(ip4({ src: '10.0.0.1', dst: '10.0.0.2', id: 0x7002 }, udp({ sport: 41004, dport: 9000 }, 'kept'))),
  );
  add('VNI 24: as sent', overGeneve({ vni: 24, options: [marked(0x00010002)] }, kept));
  add('VNI 24: the same packet on its way', overGeneve({ vni: 24, options: [marked(0x00010002)] }, kept), 1);

  add('VNI 25: inner VLAN tag', overVxlan({ vni: 25 }, inner(vlan({ id: 7 }, pods(41005)))));
  add(
    'VNI 26: to the Internet',
    overVxlan({ vni: 26 }, inner(pods(41006)), { nodes: { src: nodes4.src, dst: '8.8.4.4' } }),
  );

  const large = { src: '10.0.0.1', dst: '10.0.0.2' };
  const segment = (fields, data) => inner(ip4(large, tcp({ sport: 41007, dport: 80, ...fields }, data)));
  add(
    'VNI 27: SYN with an MSS that needs 1550 bytes outside',
    overGeneve({ vni: 27 }, segment({ seq: 1000, flags: 'S', options: mss(1460) })),
  );
  const answer = (port, size) =>
    inner(
      ip4(
        { src: large.dst, dst: large.src },
        tcp({ sport: 80, dport: port, seq: 0, ack: 1001, flags: 'SA', options: mss(size) }),
      ),
    );
  add('VNI 27: an answer with the same', overGeneve({ vni: 27 }, answer(41007, 1460), { nodes: back4 }));
  add('VNI 27: data', overGeneve({ vni: 27 }, segment({ seq: 1001, ack: 1, flags: 'PA' }, 'GET /')));
  const small = (fields, data) => inner(ip4(large, tcp({ sport: 41008, dport: 80, ...fields }, data)));
  add(
    'VNI 28: SYN with an MSS that needs 1550 bytes outside',
    overGeneve({ vni: 28 }, small({ seq: 1000, flags: 'S', options: mss(1460) })),
  );
  add('VNI 28: an answer with one that fits', overGeneve({ vni: 28 }, answer(41008, 1410), { nodes: back4 }));
  add('VNI 28: data', overGeneve({ vni: 28 }, small({ seq: 1001, ack: 1, flags: 'PA' }, 'GET /')));

  for (const seq of [1, 2, 4, 3, 6]) add(`ESP, sequence number ${seq}`, protect(seq));
  add('ESP, sequence number 6 elsewhere', out.at(-1).data, 1);
  add('ESP, sequence number 4 again', protect(4));
  return out;
}

export default function make() {
  restart();
  return {
    'overlay-health.pcapng': pcapng(frames(), {
      interfaces: [
        { name: 'craft0', link: 1 },
        { name: 'craft1', link: 1 },
      ],
    }),
  };
}

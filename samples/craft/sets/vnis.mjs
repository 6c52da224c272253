// The same addresses and ports in several virtual networks, and one connection in two of them.
import { pcap } from '../lib/capture.mjs';
import { conversation, httpTalk } from '../lib/conversation.mjs';
import { ip4 } from '../lib/ip.mjs';
import { eth } from '../lib/link.mjs';
import { overGeneve, overVxlan } from '../lib/tunnel.mjs';
import { a4, inner, podA, podB, restart } from './parts.mjs';

const swap = ({ src, dst }) => ({ src: dst, dst: src });
const innerOf = (from, segment) =>
  from === 'client'
    ? inner(ip4({ ...a4, df: 1 }, segment))
    : eth({ src: podB, dst: podA }, ip4({ ...swap(a4), df: 1 }, segment));

/** The frames of one connection; `wrap(from, frame)` puts each inner frame into its tunnel. */
const frames = (options, wrap) =>
  conversation(options).map(({ from, at, segment }) => ({ at, data: wrap(from, innerOf(from, segment())) }));

const nodesFor = (from, nodes) => ({
  nodes: from === 'client' ? nodes : swap(nodes),
  macs: from === 'client' ? {} : { src: '00:00:5e:00:53:02', dst: '00:00:5e:00:53:01' },
});

const http = (name, isn, clock, start) => ({
  client: 44000,
  server: 80,
  isn,
  clock,
  start,
  talk: httpTalk(`${name}.example`, `you are in ${name}\n`),
});

function overlapping() {
  restart();
  const near = { src: '192.0.2.1', dst: '192.0.2.2' };
  const far = { src: '192.0.2.11', dst: '192.0.2.12' };
  // The source port is a hash of the inner flow: the same inner flow gives the same port whatever the VNI,
  // another one for the way back, and each tunnel its own.
  const sport = (from, c, s) => (from === 'client' ? c : s);
  const geneveIn = (vni) => (from, frame) =>
    overGeneve({ vni }, frame, { sport: sport(from, 23110, 51877), ...nodesFor(from, near) });
  const vxlanIn = (vni) => (from, frame) =>
    overVxlan({ vni }, frame, { sport: sport(from, 49821, 60233), ...nodesFor(from, far) });
  const all = [
    frames(
      http('red', { client: 0x7b21c4e1, server: 0x0a95d37c }, { client: 1843201993, server: 3110957011 }, 0),
      geneveIn(100),
    ),
    frames(
      http(
        'blue',
        { client: 0xe90d115a, server: 0x45f3a908 },
        { client: 771200345, server: 1502988120 },
        0.0003,
      ),
      geneveIn(200),
    ),
    frames(
      http(
        'green',
        { client: 0x2c40b7f3, server: 0xd8170e64 },
        { client: 4021177350, server: 90115678 },
        0.0005,
      ),
      vxlanIn(300),
    ),
    frames(
      http(
        'amber',
        { client: 0x913e6a02, server: 0x66cb25d9 },
        { client: 250991002, server: 2788450117 },
        0.0006,
      ),
      vxlanIn(400),
    ),
  ];
  return pcap(all.flat().sort((a, b) => a.at - b.at));
}

/** Cilium puts the sender's security identity into the VNI, so each direction has its own. */
function directions() {
  restart();
  const identity = { client: 12345, server: 23456 };
  const nodes = { src: '192.0.2.1', dst: '192.0.2.2' };
  const wrap = (from, frame) =>
    overGeneve({ vni: identity[from] }, frame, {
      sport: from === 'client' ? 18230 : 40412,
      ...nodesFor(from, nodes),
    });
  const isn = { client: 0x3f5a9be0, server: 0xc2817d15 };
  return pcap(frames(http('web', isn, { client: 912345678, server: 2012345678 }, 0), wrap));
}

export default () => ({ 'overlapping-vnis.pcap': overlapping(), 'direction-vnis.pcap': directions() });

/** `--decap`: the frames inside tunnels, byte for byte, each on an interface that tells where it was. */
import { describe, expect, it } from 'vitest';
import { openCapture } from '../../src/capture/open.ts';
import type { PacketRecord } from '../../src/core/record.ts';
import {
  enhancedPacket,
  interfaceDescription,
  join,
  openBytes,
  option,
  pcapHeader,
  pcapRecord,
  sectionHeader,
  text,
} from '../capture/bytes.ts';
import { linesOf, runCommand } from '../command.ts';
import {
  bytes as concat,
  eth,
  fragments,
  frame,
  geneve,
  genevePayload,
  ip,
  NODES,
  tcp,
  u16,
  vxlan,
  zeros,
} from '../flow/frames.ts';
import { captures, sample } from '../samples.ts';
import { contents, decap } from './rewrite.ts';

/** Link types by Wireshark's name of the protocol that a frame begins with. */
const LINK_TYPES: Readonly<Record<string, number>> = { eth: 1, ip: 101, ipv6: 101, ppp: 9 };

/** What of each packet is inside `depth` tunnels (or the innermost), by its record and its bytes. */
async function expected(file: string, depth?: number) {
  const { stdout } = await runCommand('packets', [file], { ndjson: true });
  const { packets } = await contents(await openCapture(file));
  const frames: { data: string; time: string; linkType: number; name: string }[] = [];
  linesOf(stdout).forEach((line, i) => {
    const { layers, tunnels } = JSON.parse(line) as PacketRecord;
    const count = depth ?? tunnels.length;
    if (count === 0 || tunnels.length < count) return;
    const own = layers.filter(({ quoted }) => !quoted);
    // IP in IP has no layer of its own: there it is the count of addresses that tells where the frame begins.
    const inner = tunnels.slice(0, count).reduce((from, tunnel) => {
      if (tunnel.protocol === 'ipip') return from + 1 + own.slice(from + 1).findIndex(isIp);
      const header = from + own.slice(from).findIndex(({ protocol }) => TUNNELS.includes(protocol));
      const after = own[header + 1]?.protocol === 'erspan' ? header + 2 : header + 1;
      const next = own.slice(after).findIndex(({ protocol }) => protocol in LINK_TYPES);
      return next < 0 ? own.length : after + next;
    }, own.findIndex(isIp));
    if (inner < 0 || inner >= own.length) return;
    frames.push({
      data: packets[i].data.slice(own[inner].offset * 2),
      time: packets[i].time,
      linkType: LINK_TYPES[own[inner].protocol],
      name: tunnels
        .slice(0, count)
        .map(
          ({ protocol, vni, src, dst }) => `${vni === null ? protocol : `${protocol}:${vni}`} ${src}>${dst}`,
        )
        .join(' '),
    });
  });
  return frames;
}

const TUNNELS = ['geneve', 'vxlan', 'vxlan_gpe', 'gre', 'etherip', 'stt', 'erspan'];
const isIp = ({ protocol }: { protocol: string }) => protocol === 'ip' || protocol === 'ipv6';

async function written(file: string, depth?: number) {
  const { bytes, leftOut } = await decap(await openCapture(file), { depth });
  const { packets, interfaces, damage } = await contents(await openBytes(bytes, 1 << 16));
  expect(damage).toBeNull();
  return {
    leftOut,
    lengths: packets.map(({ length, data }) => [length, data.length / 2]),
    frames: packets.map(({ data, time, interfaceIndex }) => {
      const { linkType, name } = interfaces[interfaceIndex];
      return { data, time, linkType, name };
    }),
  };
}

describe.each([undefined, 1, 2, 3])('depth %s', (depth) => {
  it.each(captures)('writes the frames inside of %s', async (name) => {
    const { frames, leftOut, lengths } = await written(sample(name), depth);
    const whole = await expected(sample(name), depth);
    expect(frames.map(({ name, linkType, time }) => ({ name, linkType, time }))).toEqual(
      whole.map(({ name, linkType, time }) => ({ name, linkType, time })),
    );
    // Bytes behind the end that the tunnel's headers claim are the outer frame's padding and trailers.
    for (const [i, { data }] of frames.entries()) expect(whole[i].data.startsWith(data)).toBe(true);
    for (const [length, captured] of lengths) expect(length).toBeGreaterThanOrEqual(captured);
    const { packets } = await contents(await openCapture(sample(name)));
    expect(frames.length + leftOut.untunnelled + leftOut.fragments + leftOut.frameless).toBe(packets.length);
  });
});

const PODS = { src: '10.0.0.1', dst: '10.0.0.2' };
const request = frame(6, PODS, tcp(50000, 80, {}, zeros(300)));

/** What becomes of these frames, in the order of their times. */
async function inside(
  frames: readonly Uint8Array[],
  options: Parameters<typeof decap>[1] = {},
  cut = 0xffff,
) {
  const file = concat(
    pcapHeader(),
    ...frames.map((data, i) => pcapRecord(i, 0, data.subarray(0, cut), { length: data.length })),
  );
  const result = await decap(await openBytes(file, 1 << 20), options);
  const { packets, interfaces } = await contents(await openBytes(result.bytes, 1 << 16));
  return {
    ...result,
    interfaces,
    packets: packets.map(({ data, length, interfaceIndex, comment }) => ({
      captured: data.length / 2,
      length,
      in: interfaces[interfaceIndex].name,
      linkType: interfaces[interfaceIndex].linkType,
      comment,
    })),
    data: packets.map(({ data }) => data),
  };
}

it('names and describes interfaces by VNIs and endpoints from the outside in', async () => {
  const nested = vxlan({ vni: 7 }, geneve({ vni: 9, nodes: { src: 'fd00::1', dst: 'fd00::2' } }, request));
  const { interfaces, data } = await inside([nested, geneve({ vni: 9 }, request)]);
  expect(interfaces.map(({ name, description }) => [name, description])).toEqual([
    [
      'vxlan:7 192.0.2.1>192.0.2.2 geneve:9 fd00::1>fd00::2',
      'Frames inside vxlan VNI 7 from 192.0.2.1 to 192.0.2.2, inside geneve VNI 9 from fd00::1 to fd00::2',
    ],
    ['geneve:9 192.0.2.1>192.0.2.2', 'Frames inside geneve VNI 9 from 192.0.2.1 to 192.0.2.2'],
  ]);
  expect(data).toEqual([request.toString('hex'), request.toString('hex')]);
});

it('writes frames that the capture cut with their original length', async () => {
  const { packets } = await inside([geneve({ vni: 1 }, request)], {}, 120);
  expect(packets).toMatchObject([{ captured: 120 - 50, length: request.length }]);
});

it.each([
  ['UDP tells', 17, genevePayload({ vni: 1 }, request)],
  ['only the packet inside tells', 47, concat(u16(0), u16(0x6558), request)],
])(
  'writes the frame that a first fragment begins with its original length: %s',
  async (_, protocol, payload) => {
    const frames = fragments(protocol, { ...NODES, id: 5 }, payload, 200);
    const { packets, leftOut } = await inside(frames);
    expect(frames.length).toBe(2);
    const headers = payload.length - request.length;
    expect(packets).toMatchObject([{ captured: 200 - headers, length: request.length }]);
    expect(leftOut).toEqual({ untunnelled: 0, fragments: 1, frameless: 0 });
  },
);

it('finds the frame behind labels, and leaves out tunnels with none that has a link type', async () => {
  const labelled = concat(u16(0), u16(0x8847), Uint8Array.of(0, 1, 1, 64), ip(6, PODS, tcp(1, 2)));
  const unknown = concat(u16(0), u16(0x88b5), zeros(20));
  const empty = concat(u16(0), u16(0x6558));
  const { packets, leftOut } = await inside([
    ...[labelled, unknown, empty].map((payload) => frame(47, NODES, payload)),
    request,
    eth(0x88b5, zeros(50)),
  ]);
  expect(packets).toMatchObject([{ linkType: 101, captured: 40, length: 40 }]);
  expect(leftOut).toEqual({ untunnelled: 2, fragments: 0, frameless: 2 });
});

it('bounds the interfaces: the comments of packets tell what has none of its own', async () => {
  const frames = [1, 2, 3, 2, 4, 1].map((vni) => vxlan({ vni }, request));
  frames.push(frame(4, NODES, ip(6, PODS, tcp(1, 2))));
  const { packets, interfaces, crowded } = await inside(frames, { maxInterfaces: 2 });
  const vni = (number: number) => `vxlan:${number} 192.0.2.1>192.0.2.2`;
  expect(packets.map((packet) => [packet.in, packet.linkType, packet.comment])).toEqual([
    [vni(1), 1, undefined],
    [vni(2), 1, undefined],
    ['other tunnels', 1, vni(3)],
    [vni(2), 1, undefined],
    ['other tunnels', 1, vni(4)],
    [vni(1), 1, undefined],
    ['other tunnels', 101, 'ipip 192.0.2.1>192.0.2.2'],
  ]);
  expect(interfaces).toHaveLength(4);
  expect(crowded).toBe(3);
});

it('has as many interfaces as it may where packets make up tunnels', async () => {
  const frames = Array.from({ length: 16_500 }, (_, vni) => vxlan({ vni }, eth(0x88b5, zeros(4))));
  const { interfaces, packets, crowded } = await inside(frames);
  expect([interfaces.length, packets.length, crowded]).toEqual([16_385, 16_500, 116]);
});

it('keeps comments and times', async () => {
  const file = join(
    sectionHeader(),
    interfaceDescription([option(9, Uint8Array.of(9))]),
    enhancedPacket(0, 1_700_000_000_123_456_789n, geneve({ vni: 1 }, request), {
      options: [option(1, text('look'))],
    }),
  );
  const { bytes } = await decap(await openBytes(file));
  const { packets } = await contents(await openBytes(bytes));
  expect(packets).toMatchObject([{ time: '1700000000.123456789', comment: 'look' }]);
});

/** What rules say of the packets that carry a tunnel: cases that the samples do not have. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { join, pcapHeader, pcapRecord } from '../capture/bytes.ts';
import {
  bytes,
  type Ends,
  eth,
  frame,
  icmp,
  ip4,
  ip6,
  NODES,
  tcp,
  turned,
  u16,
  u32,
  udp,
  vxlan,
  zeros,
} from '../flow/frames.ts';
import { checked } from './run.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-outer-'));
afterAll(() => rmSync(scratch, { recursive: true }));

/** A frame, or one that was cut. */
type Frame = Uint8Array | { readonly data: Uint8Array; readonly captured: number };

async function textsOf(rule: string, ...captures: readonly (readonly Frame[])[]): Promise<string[]> {
  const files = captures.map((frames, i) => {
    const file = path.join(scratch, `${i}.pcap`);
    const records = frames.map((one, at) => {
      const { data, captured } = one instanceof Uint8Array ? { data: one, captured: one.length } : one;
      return pcapRecord(1, at * 1000 + i, data.subarray(0, captured), { length: data.length });
    });
    writeFileSync(file, join(pcapHeader(), ...records));
    return file;
  });
  return (await checked(files)).filter((finding) => finding.rule === rule).map(({ text }) => text);
}

const PODS: Ends = { src: '10.0.0.1', dst: '10.0.0.2' };

describe('OVL-07', () => {
  const mss = (size: number) => bytes(2, 4, u16(size));
  const withMss = (flags: string, size: number) => {
    const segment = bytes(tcp(4000, 80, { flags }), mss(size));
    segment[12] = 0x60;
    return segment;
  };
  const there = (segment: Uint8Array) => vxlan({ vni: 7 }, frame(6, PODS, segment));
  const back = (segment: Uint8Array) => {
    const turnedPorts = bytes(segment.subarray(2, 4), segment.subarray(0, 2), segment.subarray(4));
    return vxlan({ vni: 7, nodes: turned(NODES) }, frame(6, turned(PODS), turnedPorts));
  };
  const data = tcp(4000, 80, {}, zeros(100));

  it.each([
    ['what both announce', 1460, 1460, 2],
    ['not what the client could receive, where the server can less', 1460, 1300, 0],
    ['not what the server could receive, where the client can less', 1300, 1460, 0],
  ])('counts %s', async (_, client, server, findings) => {
    const frames = [there(withMss('S', client)), back(withMss('SA', server)), there(data), back(data)];
    expect(await textsOf('OVL-07', frames)).toHaveLength(findings);
  });

  it('believes a packet that large, whichever way it goes', async () => {
    const large = tcp(4000, 80, {}, zeros(1460));
    const frames = [there(withMss('S', 1460)), back(withMss('SA', 1460)), there(data), back(large)];
    expect(await textsOf('OVL-07', frames)).toEqual([]);
  });

  it('takes options of a SYN that were cut for no data', async () => {
    const cut = (whole: Uint8Array) => ({ data: whole, captured: whole.length - 4 });
    const frames = [
      there(withMss('S', 1460)),
      back(withMss('SA', 1460)),
      cut(there(withMss('A', 1))),
      cut(back(withMss('S', 1))),
    ];
    expect(await textsOf('OVL-07', frames)).toEqual([]);
  });
});

describe('OVL-05 and OVL-06', () => {
  // RFC 792: the IP header and eight bytes.
  const quote = ip4(17, NODES, udp(50000, 4789, zeros(60))).subarray(0, 28);
  const error = (code: number, rest: number) => {
    const message = icmp(3, rest, quote);
    message[1] = code;
    return frame(1, { src: '192.0.2.254', dst: NODES.src }, message);
  };

  it('know a tunnel by its port where no more of it is quoted', async () => {
    expect(await textsOf('OVL-05', [error(4, 1400)])).toEqual([
      '192.0.2.254 drops vxlan from 192.0.2.1 to 192.0.2.2: larger than 1400 bytes',
    ]);
    expect(await textsOf('OVL-06', [error(3, 0)])).toEqual([
      '192.0.2.254 refuses vxlan from 192.0.2.1 to 192.0.2.2',
    ]);
  });
});

describe('OVL-01', () => {
  const address = (text: string) => ip6(0, { src: text, dst: text }, zeros(0)).subarray(8, 24);
  const datagram = (checksum: number) => {
    const payload = bytes(u32(0x08000000), u32(42 * 256), frame(17, PODS, udp(1, 2)));
    const whole = udp(50000, 4789, payload);
    whole.writeUInt16BE(checksum, 6);
    return whole;
  };
  const sumOf = (data: Uint8Array) => {
    let total = 0;
    for (let i = 0; i + 1 < data.length; i += 2) total += (data[i] << 8) | data[i + 1];
    while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
    return total;
  };

  it('counts on the last destination of a source route (RFC 8200 section 8.1)', async () => {
    const [src, via, last] = ['fd00::1', 'fd00::99', 'fd00::2'];
    const length = datagram(0).length;
    const pseudo = bytes(address(src), address(last), u32(length), u32(17));
    const right = 0xffff - sumOf(bytes(pseudo, datagram(0)));
    const routed = (checksum: number, left: number) => {
      const header = bytes(17, 4, 4, left, 1, 0, u16(0), address(last), address(via));
      return eth(0x86dd, ip6(43, { src, dst: left > 0 ? via : last }, bytes(header, datagram(checksum))));
    };
    expect(await textsOf('OVL-01', [routed(right, 1), routed(right, 0)])).toEqual([]);
    expect(await textsOf('OVL-01', [routed(right ^ 1, 0)])).toHaveLength(1);
  });
});

describe('IST-14', () => {
  const to = { src: '10.244.1.10', dst: '10.244.2.10' };
  const there = (flags: string, seq: number, ack = 0) => frame(6, to, tcp(52973, 15008, { flags, seq, ack }));
  const back = (flags: string, seq: number, ack: number) =>
    frame(6, turned(to), tcp(15008, 52973, { flags, seq, ack }));

  it('reads the answer of a copy where the original came in a tunnel of others', async () => {
    const bare = [there('S', 100), back('SA', 500, 101), there('A', 101, 501), back('RA', 501, 101)];
    const inside = [
      vxlan({ vni: 3 }, bare[0]),
      vxlan({ vni: 3, nodes: turned(NODES) }, bare[1]),
      vxlan({ vni: 3 }, bare[2]),
      vxlan({ vni: 3, nodes: turned(NODES) }, bare[3]),
    ];
    // The answer passes the underlay first.
    expect(await textsOf('IST-14', inside, bare)).toEqual([]);
    expect(await textsOf('IST-14', [bare[0], bare[3]])).toHaveLength(1);
  });

  it('hears refusals by ICMPv6', async () => {
    const six = { src: 'fd00::1', dst: 'fd00::2' };
    const syn = tcp(52973, 15008, { flags: 'S' });
    const refusal = icmp(1, 0, ip6(6, six, syn));
    refusal[1] = 1;
    const frames = [frame(6, six, syn), frame(58, { src: 'fd00::fe', dst: six.src }, refusal)];
    expect(await textsOf('IST-14', frames)).toEqual([
      'fd00::fe refuses HBONE from fd00::1 to fd00::2 with ICMP',
    ]);
  });
});

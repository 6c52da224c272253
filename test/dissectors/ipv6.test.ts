import { describe, expect, it } from 'vitest';
import {
  codesOf,
  dissect,
  expectSurvivesAnything,
  expectTruncationsKeepLayers,
  fieldsOf,
  hex,
  inIpv6,
  join,
  uint16,
} from './packet.ts';

const UDP = hex('3039 0bad 000c 0000 01020304');

const SOURCE = '2001:db8::1';
const DESTINATION = '2001:db8::2';

describe('IPv6', () => {
  const packet = hex(`
    6 b8 12345                # version, traffic class: DSCP 46, ECN 0, flow label
    000c 11 40                # payload length, UDP, hop limit
    20010db8000000000000000000000001
    20010db8000000000000000000000002
    3039 0bad 000c 0000 01020304
  `);

  it('reads its header', () => {
    const read = dissect(packet);
    expect(read.protocols).toEqual(['ipv6', 'udp']);
    expect(fieldsOf(read, 'ipv6')).toEqual({
      'ipv6.version': 6,
      'ipv6.tclass': 0xb8,
      'ipv6.tclass.dscp': 46,
      'ipv6.tclass.ecn': 0,
      'ipv6.flow': 0x12345,
      'ipv6.plen': 12,
      'ipv6.nxt': 17,
      'ipv6.hlim': 64,
      'ipv6.src': SOURCE,
      'ipv6.dst': DESTINATION,
    });
    expect(read).toMatchObject({ src: SOURCE, dst: DESTINATION, srcPort: 12345, dstPort: 0xbad, stop: null });
  });

  it('leaves padding behind the payload alone', () => {
    const padded = dissect(join(packet, hex('eeeeeeee')));
    expect(padded.stop).toBeNull();
    expect(padded.tree.at(-1)?.text).toBe('Data (4 bytes)');
  });

  it('takes what is there where the payload length is 0', () => {
    const large = dissect(join(packet.subarray(0, 4), hex('0000'), packet.subarray(6)));
    expect(large.protocols).toEqual(['ipv6', 'udp']);
    expect(codesOf(large)).toEqual(['ipv6.length-zero']);
  });

  it('remarks on a length beyond the packet', () => {
    expect(codesOf(dissect(join(packet.subarray(0, 4), hex('0200'), packet.subarray(6))))).toEqual([
      'ipv6.length-beyond',
    ]);
  });

  it('refuses other versions', () => {
    const wrong = dissect(join(hex('50'), packet.subarray(1)), { root: 'ipv6' });
    expect(wrong).toMatchObject({ stop: 'malformed', src: null });
  });

  it('ends where there is no next header', () => {
    expect(dissect(inIpv6(59, hex('0102')))).toMatchObject({ protocols: ['ipv6'], stop: null, remarks: [] });
  });

  it('carries IPv6', () => {
    const nested = dissect(inIpv6(41, inIpv6(17, UDP)));
    expect(nested.tunnels).toMatchObject([{ protocol: 'ipip', vni: null, src: SOURCE, dst: DESTINATION }]);
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(packet));
  it('survives anything', () => expectSurvivesAnything('ipv6', [packet]));
});

const HOP_BY_HOP = hex(`
  11 01                    # UDP follows, 16 bytes
  05 02 0000               # router alert: MLD
  c2 04 00010000           # jumbo: 65536
  00                       # Pad1
  01 01 00                 # PadN
`);

const SEGMENTS = hex(`
  11 04 04 01              # UDP follows, 40 bytes, segment routing, one left
  01 00 0007               # last entry 1, flags, tag
  20010db80000000000000000000000aa
  20010db80000000000000000000000bb
`);

describe('IPv6 extension headers', () => {
  it('reads hop-by-hop options', () => {
    const packet = dissect(inIpv6(0, join(HOP_BY_HOP, UDP)));
    expect(packet.protocols).toEqual(['ipv6', 'ipv6.hopopts', 'udp']);
    expect(packet.remarks).toEqual([]);
    expect(fieldsOf(packet, 'ipv6.hopopts')).toEqual({
      'ipv6.hopopts.nxt': 17,
      'ipv6.hopopts.len': 1,
      'ipv6.opt.type': [5, 0xc2, 0, 1],
      'ipv6.opt.length': [2, 4, 1],
      'ipv6.opt.router_alert': 0,
      'ipv6.opt.jumbo': 65536,
    });
  });

  it('remarks on an option that runs past its header', () => {
    const packet = dissect(inIpv6(60, join(hex('11 00 05 09 0000 0000'), UDP)));
    expect(packet.protocols).toEqual(['ipv6', 'ipv6.dstopts', 'udp']);
    expect(codesOf(packet)).toEqual(['ipv6.option-length']);
  });

  it('is malformed where a header is longer than the packet', () => {
    expect(dissect(inIpv6(60, hex('11 09 0104 00000000')))).toMatchObject({ stop: 'malformed' });
  });

  it('reads the segments of a routing header, no more than the header holds', () => {
    const packet = dissect(inIpv6(43, join(SEGMENTS, UDP)));
    expect(packet.protocols).toEqual(['ipv6', 'ipv6.routing', 'udp']);
    expect(fieldsOf(packet, 'ipv6.routing')).toEqual({
      'ipv6.routing.nxt': 17,
      'ipv6.routing.len': 4,
      'ipv6.routing.type': 4,
      'ipv6.routing.segleft': 1,
      'ipv6.routing.srh.last_entry': 1,
      'ipv6.routing.srh.flags': 0,
      'ipv6.routing.srh.tag': 7,
      'ipv6.routing.srh.addr': ['2001:db8::aa', '2001:db8::bb'],
    });
    const lying = join(SEGMENTS.subarray(0, 4), hex('ff'), SEGMENTS.subarray(5));
    expect(fieldsOf(dissect(inIpv6(43, join(lying, UDP))), 'ipv6.routing')).toMatchObject({
      'ipv6.routing.srh.addr': ['2001:db8::aa', '2001:db8::bb'],
    });
  });

  it('reads the addresses of types 0 and 2', () => {
    const source = hex('11 02 00 01 00000000 20010db80000000000000000000000aa');
    const packet = dissect(inIpv6(43, join(source, UDP)));
    expect(fieldsOf(packet, 'ipv6.routing')).toMatchObject({ 'ipv6.routing.src.addr': ['2001:db8::aa'] });
    expect(codesOf(packet)).toEqual(['ipv6.routing-deprecated']);
    const home = hex('11 02 02 01 00000000 20010db80000000000000000000000aa');
    expect(fieldsOf(dissect(inIpv6(43, join(home, UDP))), 'ipv6.routing')).toMatchObject({
      'ipv6.routing.mipv6.home_address': '2001:db8::aa',
    });
  });

  it('goes into a first fragment, whose datagram goes on elsewhere', () => {
    const packet = dissect(inIpv6(44, join(hex('11 00 0001 12345678'), hex('3039 0bad 0800 0000 01020304'))));
    expect(packet.protocols).toEqual(['ipv6', 'ipv6.fraghdr', 'udp']);
    expect(packet.dstPort).toBe(0xbad);
    expect(packet.stop).not.toBe('malformed');
    expect(codesOf(packet)).not.toContain('udp.length-beyond');
    expect(packet.infos[1]).toBe('Fragment at 0, more follow');
  });

  it('ends at later fragments', () => {
    const packet = dissect(inIpv6(44, join(hex('11 00 0010 12345678'), UDP)));
    expect(packet).toMatchObject({ protocols: ['ipv6', 'ipv6.fraghdr'], stop: null });
    expect(fieldsOf(packet, 'ipv6.fraghdr')).toEqual({
      'ipv6.fraghdr.nxt': 17,
      'ipv6.fraghdr.reserved_octet': 0,
      'ipv6.fraghdr.offset': 2,
      'ipv6.fraghdr.reserved_bits': 0,
      'ipv6.fraghdr.more': false,
      'ipv6.fraghdr.ident': 0x12345678,
    });
    expect(packet.infos[1]).toBe('Fragment at 16, the last');
  });

  it('goes through atomic fragments', () => {
    expect(dissect(inIpv6(44, join(hex('11 00 0000 12345678'), UDP))).protocols).toEqual([
      'ipv6',
      'ipv6.fraghdr',
      'udp',
    ]);
  });

  it.each([
    [135, 'mipv6', '3b 00 00 00 1234 0000'],
    [139, 'hip', '3b 00 01 20 1234 0000'],
    [140, 'shim6', '3b 00 80 00 0000 0000'],
  ])('knows the length of protocol %i', (number, name, header) => {
    expect(dissect(inIpv6(number, join(hex(header), hex('eeee'))))).toMatchObject({
      protocols: ['ipv6', name],
      stop: null,
    });
  });

  it('gives up on endless chains', () => {
    const chain = Array.from({ length: 80 }, () => hex('3c 00 0104 00000000'));
    expect(dissect(inIpv6(60, join(...chain))).stop).toBe('too-deep');
  });

  const all = inIpv6(
    0,
    join(
      hex('2b'),
      HOP_BY_HOP.subarray(1),
      hex('2c'),
      SEGMENTS.subarray(1),
      hex('3c 00 0000 12345678'),
      hex('11 00 0104 00000000'),
      hex('3039 0bad'),
      uint16(12),
      hex('0000 01020304'),
    ),
  );
  it('keeps what was captured', () => {
    expect(dissect(all).protocols).toEqual([
      'ipv6',
      'ipv6.hopopts',
      'ipv6.routing',
      'ipv6.fraghdr',
      'ipv6.dstopts',
      'udp',
    ]);
    expectTruncationsKeepLayers(all);
  });
  it('survives anything', () => {
    expectSurvivesAnything('ipv6.hopopts', [HOP_BY_HOP]);
    expectSurvivesAnything('ipv6.routing', [SEGMENTS]);
    expectSurvivesAnything('ipv6', [all]);
  });
});

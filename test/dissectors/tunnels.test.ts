import { describe, expect, it } from 'vitest';
import {
  codesOf,
  dissect,
  expectSurvivesAnything,
  expectTruncationsKeepLayers,
  fieldsOf,
  hex,
  inIpv4,
  inIpv6,
  inUdp,
  join,
  uint16,
} from './packet.ts';

const UDP = hex('3039 0bad 000c 0000 01020304');
const IPV4 = inIpv4(17, UDP);
const FRAME = join(hex('020000000002 020000000001 0800'), IPV4);
const INSIDE = ['eth', 'ip', 'udp'];

const vxlan = (header: string) => inUdp(50000, 4789, join(hex(header), FRAME));

describe('VXLAN', () => {
  it.each([4789, 8472])('is found at port %i', (port) => {
    const packet = dissect(inUdp(50000, port, join(hex('08000000 00002a 00'), FRAME)));
    expect(packet.protocols).toEqual(['ip', 'udp', 'vxlan', ...INSIDE]);
    expect(packet).toMatchObject({ stop: null, remarks: [], vni: 42, dstPort: 0xbad });
    expect(packet.tunnels).toEqual([
      { protocol: 'vxlan', vni: 42, src: '192.0.2.1', dst: '192.0.2.2', srcPort: 50000, dstPort: port },
    ]);
    expect(fieldsOf(packet, 'vxlan')).toEqual({
      'vxlan.flags': 0x800,
      'vxlan.flag_g': false,
      'vxlan.flag_i': true,
      'vxlan.flag_d': false,
      'vxlan.flag_a': false,
      'vxlan.flags_reserved': 0,
      'vxlan.gbp': 0,
      'vxlan.vni': 42,
      'vxlan.reserved8': 0,
    });
  });

  it('reads a group policy', () => {
    const packet = dissect(vxlan('88480123 00002a 00'));
    expect(packet.remarks).toEqual([]);
    expect(fieldsOf(packet, 'vxlan')).toMatchObject({
      'vxlan.flag_g': true,
      'vxlan.flag_d': true,
      'vxlan.flag_a': true,
      'vxlan.gbp': 0x123,
    });
  });

  it.each([
    ['00000000 00002a 00', 'vxlan.i-clear'],
    ['08000007 00002a 00', 'vxlan.gbp-without-g'],
    ['0c000000 00002a 00', 'vxlan.reserved'],
    ['08000000 00002a 01', 'vxlan.reserved'],
  ])('remarks on header %s, and goes on', (header, code) => {
    const packet = dissect(vxlan(header));
    expect(codesOf(packet)).toEqual([code]);
    expect(packet.protocols.slice(3)).toEqual(INSIDE);
  });

  it('has no VNI where the header says so', () => {
    expect(dissect(vxlan('00000000 00002a 00')).tunnels).toMatchObject([{ protocol: 'vxlan', vni: null }]);
  });

  it('is taken from the source port only where it can be nothing else', () => {
    const reply = (payload: Uint8Array) => dissect(inUdp(4789, 50000, payload)).protocols;
    expect(reply(join(hex('08000000 00002a 00'), FRAME))).toEqual(['ip', 'udp', 'vxlan', ...INSIDE]);
    expect(reply(join(hex('88080007 00002a 00'), FRAME))).toEqual(['ip', 'udp', 'vxlan', ...INSIDE]);
    for (const header of [
      '0c000000 00002a 00',
      '08000000 00002a 01',
      '08000007 00002a 00',
      '00000000 00002a 00',
    ])
      expect(reply(join(hex(header), FRAME))).toEqual(['ip', 'udp']);
    expect(reply(join(hex('08000000 00002a 00'), FRAME.subarray(0, 12)))).toEqual(['ip', 'udp']);
    expect(reply(join(hex('08000000 00002a 00'), new Uint8Array(40).fill(0xee)))).toEqual(['ip', 'udp']);
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(vxlan('08000000 00002a 00')));
  it('survives anything', () => expectSurvivesAnything('vxlan', [join(hex('08000000 00002a 00'), FRAME)]));
});

describe('VXLAN-GPE', () => {
  const gpe = (header: string, payload: Uint8Array) => inUdp(50000, 4790, join(hex(header), payload));

  it.each([
    [1, IPV4, ['ip', 'udp']],
    [2, inIpv6(17, UDP), ['ipv6', 'udp']],
    [3, FRAME, INSIDE],
    [4, join(hex('0fc6 01 01 000005 fe'), new Uint8Array(16), IPV4), ['nsh', 'ip', 'udp']],
    [5, join(hex('007d013f'), IPV4), ['mpls', 'ip', 'udp']],
  ])('goes on by next protocol %i', (next, payload, inside) => {
    const packet = dissect(gpe(`0c0000 0${next} 00004d 00`, payload));
    expect(packet.protocols).toEqual(['ip', 'udp', 'vxlan_gpe', ...inside]);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(packet.tunnels).toMatchObject([{ protocol: 'vxlan-gpe', vni: 77 }]);
  });

  it('reads its bits', () => {
    expect(fieldsOf(dissect(gpe('0e0000 03 00004d 00', FRAME)), 'vxlan_gpe')).toEqual({
      'vxlan.flags': 0x0e,
      'vxlan.flags_reserved': 0,
      'vxlan.ver': 0,
      'vxlan.i_bit': 1,
      'vxlan.p_bit': 1,
      'vxlan.b_bit': 1,
      'vxlan.o_bit': 0,
      'vxlan.reserved_16': 0,
      'vxlan.next_proto': 3,
      'vxlan.vni': 77,
      'vxlan.reserved8': 0,
    });
  });

  it('is Ethernet where the P bit is clear', () => {
    const packet = dissect(gpe('080000 00 00004d 00', FRAME));
    expect(packet.protocols.slice(3)).toEqual(INSIDE);
    expect(codesOf(packet)).toEqual(['vxlan_gpe.p-clear']);
  });

  it('remarks on what is odd', () => {
    expect(codesOf(dissect(gpe('c40000 03 00004d 00', FRAME)))).toEqual([
      'vxlan_gpe.i-clear',
      'vxlan_gpe.reserved',
    ]);
    expect(codesOf(dissect(gpe('0d0000 03 00004d 00', FRAME)))).toEqual(['vxlan_gpe.oam']);
  });

  it('refuses other versions and names unknown payloads', () => {
    const version = dissect(gpe('1c0000 03 00004d 00', FRAME));
    expect(version).toMatchObject({ protocols: ['ip', 'udp', 'vxlan_gpe'], stop: 'unknown', tunnels: [] });
    expect(codesOf(version)).toContain('vxlan_gpe.version');
    expect(dissect(gpe('0c0000 7f 00004d 00', FRAME))).toMatchObject({ stop: 'unknown', vni: 77 });
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(gpe('0c0000 03 00004d 00', FRAME)));
  it('survives anything', () =>
    expectSurvivesAnything('vxlan_gpe', [join(hex('0c0000 03 00004d 00'), FRAME)]));
});

describe('NSH', () => {
  const nsh = (header: string) => join(hex('020000000002 020000000001 894f'), hex(header), IPV4);
  const second = nsh(`
    2006 02 01 ffffff ff           # O bit, 24 bytes, type 2, IPv4
    0001 01 02 1234 0000           # class, type, 2 bytes, padded
    0002 03 04 12345678
  `);

  it('reads context headers of type 1', () => {
    const packet = dissect(nsh('0fc6 01 01 000005 fe 00000001 00000002 00000003 00000004'), { root: 'eth' });
    expect(packet.protocols).toEqual(['eth', 'nsh', 'ip', 'udp']);
    expect(fieldsOf(packet, 'nsh')).toEqual({
      'nsh.version': 0,
      'nsh.Obit': 0,
      'nsh.ttl': 63,
      'nsh.length': 6,
      'nsh.mdtype': 1,
      'nsh.nextproto': 1,
      'nsh.spi': 5,
      'nsh.si': 254,
      'nsh.contextheader': ['00000001', '00000002', '00000003', '00000004'],
    });
    expect(packet.infos[1]).toBe('Path 5, index 254');
  });

  it('reads metadata of type 2', () => {
    const packet = dissect(second, { root: 'eth' });
    expect(packet.protocols).toEqual(['eth', 'nsh', 'ip', 'udp']);
    expect(packet.remarks).toEqual([]);
    expect(fieldsOf(packet, 'nsh')).toMatchObject({
      'nsh.metadataclass': [1, 2],
      'nsh.metadatatype': [1, 3],
      'nsh.metadatalen': [2, 4],
      'nsh.metadata': ['1234', '12345678'],
    });
  });

  it('remarks on lengths that do not fit', () => {
    expect(codesOf(dissect(nsh('0fc3 02 01 000005 fe 0001 01 09'), { root: 'eth' }))).toEqual([
      'nsh.metadata-length',
    ]);
    expect(codesOf(dissect(nsh('0fc2 01 01 000005 fe'), { root: 'eth' }))).toEqual(['nsh.length']);
  });

  it('refuses other versions and lengths below its header', () => {
    expect(dissect(nsh('4fc2 02 01 000005 fe'), { root: 'eth' }).stop).toBe('unknown');
    expect(dissect(nsh('0fc1 02 01 000005 fe'), { root: 'eth' }).stop).toBe('malformed');
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(second, { root: 'eth' }));
  it('survives anything', () => expectSurvivesAnything('nsh', [second.subarray(14)]));
});

describe('GRE', () => {
  const gre = (header: string, payload = IPV4) => inIpv4(47, join(hex(header), payload));

  it.each([
    ['0000 0800', IPV4, ['ip', 'udp']],
    ['0000 86dd', inIpv6(17, UDP), ['ipv6', 'udp']],
    ['0000 6558', FRAME, INSIDE],
    ['0000 8847', join(hex('007d013f'), IPV4), ['mpls', 'ip', 'udp']],
  ])('goes on by its protocol: %s', (header, payload, inside) => {
    const packet = dissect(gre(header, payload));
    expect(packet.protocols).toEqual(['ip', 'gre', ...inside]);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(packet.tunnels).toMatchObject([{ protocol: 'gre', vni: null, src: '192.0.2.1' }]);
  });

  const full = gre('b000 0800 abcd 0000 00001267 00000009');
  it('reads checksum, key and sequence number', () => {
    const packet = dissect(full);
    expect(packet.protocols).toEqual(['ip', 'gre', 'ip', 'udp']);
    expect(packet.vni).toBe(4711);
    expect(fieldsOf(packet, 'gre')).toMatchObject({
      'gre.flags_and_version': 0xb000,
      'gre.checksum': 0xabcd,
      'gre.offset': 0,
      'gre.key': 4711,
      'gre.sequence_number': 9,
    });
  });

  it('is found in UDP (RFC 8086)', () => {
    expect(dissect(inUdp(50000, 4754, join(hex('0000 0800'), IPV4))).protocols).toEqual([
      'ip',
      'udp',
      'gre',
      'ip',
      'udp',
    ]);
  });

  it('tells NVGRE by a subnet that can be one', () => {
    const packet = dissect(gre('2000 6558 123456 07', FRAME));
    expect(packet.tunnels).toMatchObject([{ protocol: 'nvgre', vni: 0x123456 }]);
    expect(fieldsOf(packet, 'gre')).toMatchObject({
      'gre.key': 0x12345607,
      'nvgre.vsid': 0x123456,
      'nvgre.flow_id': 7,
    });
    expect(dissect(gre('2000 6558 00000064', FRAME)).tunnels).toMatchObject([{ protocol: 'gre', vni: 100 }]);
    expect(dissect(gre('2000 0800 12345607')).tunnels).toMatchObject([{ protocol: 'gre', vni: 0x12345607 }]);
  });

  it('reads PPTP: payload length, call, acknowledgment', () => {
    const packet = dissect(gre('3081 880b 0022 0007 00000001 00000002', join(hex('0021'), IPV4)));
    expect(packet.protocols).toEqual(['ip', 'gre', 'ppp', 'ip', 'udp']);
    expect(packet.tunnels).toMatchObject([{ protocol: 'gre', vni: null }]);
    expect(fieldsOf(packet, 'gre')).toMatchObject({
      'gre.key.payload_length': 34,
      'gre.key.call_id': 7,
      'gre.sequence_number': 1,
      'gre.ack_number': 2,
    });
    const bare = dissect(gre('2081 880b 0000 0007 00000002', new Uint8Array()));
    expect(bare).toMatchObject({ protocols: ['ip', 'gre'], stop: null });
  });

  it.each(['4000 0800 00000000', '0002 0800', '0001 880b'])(
    'refuses source routes and other versions: %s',
    (header) => {
      expect(dissect(gre(header))).toMatchObject({ protocols: ['ip', 'gre'], stop: 'unknown', tunnels: [] });
    },
  );

  it('does not look for a key that is not there', () => {
    expect(dissect(inIpv4(47, hex('2000 0800 0000')))).toMatchObject({ stop: 'malformed', vni: null });
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(full));
  it('survives anything', () => {
    expectSurvivesAnything('gre', [full.subarray(20), join(hex('2000 6558 12345607'), FRAME)]);
  });
});

describe('ERSPAN', () => {
  const second = inIpv4(47, join(hex('1000 88be 00000001 1005 2064 00000003'), FRAME));
  const third = (flags: string, payload: Uint8Array) =>
    inIpv4(47, join(hex(`1000 22eb 00000001 2005 0064 00000007 0000 ${flags}`), payload));

  it('has no header of its own in type I', () => {
    const packet = dissect(inIpv4(47, join(hex('0000 88be'), FRAME)));
    expect(packet.protocols).toEqual(['ip', 'gre', ...INSIDE]);
    expect(packet.tunnels).toMatchObject([{ protocol: 'erspan', vni: null }]);
  });

  it('is one tunnel with its GRE header, in type II', () => {
    const packet = dissect(second);
    expect(packet.protocols).toEqual(['ip', 'gre', 'erspan', ...INSIDE]);
    expect(packet.tunnels).toEqual([
      { protocol: 'erspan', vni: 100, src: '192.0.2.1', dst: '192.0.2.2', srcPort: null, dstPort: null },
    ]);
    expect(fieldsOf(packet, 'erspan')).toEqual({
      'erspan.version': 1,
      'erspan.vlan': 5,
      'erspan.cos': 1,
      'erspan.truncated': false,
      'erspan.spanid': 100,
      'erspan.encap': 0,
      'erspan.index': 3,
    });
    expect(packet.infos[2]).toBe('Session 100');
  });

  it('is one tunnel also inside another', () => {
    const packet = dissect(
      inUdp(50000, 4789, join(hex('08000000 00002a 00 020000000002 020000000001 0800'), second)),
    );
    expect(packet.tunnels).toMatchObject([
      { protocol: 'vxlan', vni: 42 },
      { protocol: 'erspan', vni: 100 },
    ]);
  });

  it('reads type III with and without a subheader', () => {
    const packet = dissect(third('8008', FRAME));
    expect(packet.protocols).toEqual(['ip', 'gre', 'erspan', ...INSIDE]);
    expect(fieldsOf(packet, 'erspan')).toMatchObject({
      'erspan.version': 2,
      'erspan.timestamp': 7,
      'erspan.p': true,
      'erspan.ft': 0,
      'erspan.direction': true,
      'erspan.o': false,
    });
    const extended = dissect(third('8001', join(hex('0c000000 00000000'), FRAME)));
    expect(extended.protocols).toEqual(['ip', 'gre', 'erspan', ...INSIDE]);
    expect(fieldsOf(extended, 'erspan')).toMatchObject({ 'erspan.platid': 3 });
    expect(dissect(third('0800', IPV4)).protocols).toEqual(['ip', 'gre', 'erspan', 'ip', 'udp']);
  });

  it('names what it does not know', () => {
    expect(dissect(third('1c00', hex('0102'))).stop).toBe('unknown');
    expect(dissect(inIpv4(47, hex('1000 88be 00000001 3005 2064 00000003'))).stop).toBe('unknown');
  });

  it('keeps what was captured', () => {
    expectTruncationsKeepLayers(second);
    expectTruncationsKeepLayers(third('8001', join(hex('0c000000 00000000'), FRAME)));
  });
  it('survives anything', () => expectSurvivesAnything('erspan', [second.subarray(28)]));
});

describe('STT', () => {
  const HEADER = hex('00 04 00 00 0000 0000 000000000000002a 0000');
  const segment = (port: number, sequence: string, payload: Uint8Array) =>
    inIpv4(6, join(uint16(40000), uint16(port), hex(sequence), hex('00000009 5018 0400 0000 0000'), payload));
  const length = uint16(HEADER.length + FRAME.length);
  const whole = join(HEADER, FRAME);
  const first = (payload: Uint8Array) => {
    const packet = segment(7471, '00000000', payload);
    packet.set(length, 24);
    return packet;
  };

  it('is found in the first segment of a frame', () => {
    const packet = dissect(first(whole));
    expect(packet.protocols).toEqual(['ip', 'tcp', 'stt', ...INSIDE]);
    expect(packet.tunnels).toMatchObject([{ protocol: 'stt', vni: 42, dstPort: 7471 }]);
    expect(fieldsOf(packet, 'stt')).toMatchObject({
      'stt.context_id': '0x000000000000002a',
      'stt.flags.ipv4': true,
    });
  });

  it('is cut, not malformed, where the frame goes on in other segments', () => {
    const packet = dissect(first(whole.subarray(0, 50)));
    expect(packet).toMatchObject({ protocols: ['ip', 'tcp', 'stt', 'eth', 'ip'], stop: 'truncated' });
  });

  it('is not looked for in later segments, nor at other ports', () => {
    expect(dissect(segment(7471, '00560010', whole)).protocols).toEqual(['ip', 'tcp']);
    expect(dissect(segment(7472, '00560000', whole)).protocols).toEqual(['ip', 'tcp']);
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(first(whole)));
  it('survives anything', () => {
    expectSurvivesAnything('stt', [whole]);
    expectSurvivesAnything('ip', [first(whole)]);
  });
});

describe('EtherIP', () => {
  it('is a frame behind two bytes', () => {
    const packet = dissect(inIpv4(97, join(hex('3000'), FRAME)));
    expect(packet.protocols).toEqual(['ip', 'etherip', ...INSIDE]);
    expect(packet.tunnels).toMatchObject([{ protocol: 'etherip', vni: null }]);
  });

  it('refuses other versions', () => {
    expect(dissect(inIpv4(97, join(hex('4000'), FRAME))).stop).toBe('unknown');
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(inIpv4(97, join(hex('3000'), FRAME))));
  it('survives anything', () => expectSurvivesAnything('etherip', [join(hex('3000'), FRAME)]));
});

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
  join,
  uint16,
} from './packet.ts';

const ADDRESSES = hex('020000000002 020000000001');
const UDP = hex('3039 0bad 000c 0000 01020304');
const IPV4 = inIpv4(17, UDP);
const IPV6 = inIpv6(17, UDP);

const ether = (type: number, ...payload: Uint8Array[]) => join(ADDRESSES, uint16(type), ...payload);
const inEther = { root: 'eth' };

const ARP = hex(`
  0001 0800 06 04 0001           # Ethernet, IPv4, request
  020000000001 0a000001
  000000000000 0a000002
`);

describe('ARP', () => {
  it('reads a request, padding aside', () => {
    const packet = dissect(ether(0x0806, ARP, hex('0000 0000 0000')), inEther);
    expect(packet.protocols).toEqual(['eth', 'arp']);
    expect(packet).toMatchObject({ stop: null, remarks: [], src: '10.0.0.1', dst: '10.0.0.2' });
    expect(fieldsOf(packet, 'arp')).toEqual({
      'arp.hw.type': 1,
      'arp.proto.type': 0x800,
      'arp.hw.size': 6,
      'arp.proto.size': 4,
      'arp.opcode': 1,
      'arp.src.hw_mac': '02:00:00:00:00:01',
      'arp.src.proto_ipv4': '10.0.0.1',
      'arp.dst.hw_mac': '00:00:00:00:00:00',
      'arp.dst.proto_ipv4': '10.0.0.2',
    });
    expect(packet.infos[1]).toBe('Who has 10.0.0.2? Tell 10.0.0.1');
  });

  it.each([
    ['0001', '0a000001', 'Gratuitous ARP for 10.0.0.1'],
    ['0002', '0a000002', '10.0.0.1 is at 02:00:00:00:00:01'],
    ['0003', '00000000', 'Who is 02:00:00:00:00:09? Tell 02:00:00:00:00:01'],
    ['0004', '0a000009', '02:00:00:00:00:09 is at 10.0.0.9'],
    ['0008', '0a000009', 'inverse request (8)'],
  ])('says what opcode %s is about', (opcode, target, info) => {
    const message = hex(`0001 0800 06 04 ${opcode} 020000000001 0a000001 020000000009 ${target}`);
    expect(dissect(ether(0x0806, message), inEther).infos[1]).toBe(info);
  });

  it('does not guess at other sizes of address', () => {
    const infiniband = join(hex('0020 0800 14 04 0001'), new Uint8Array(48));
    const packet = dissect(ether(0x0806, infiniband), inEther);
    expect(packet).toMatchObject({ stop: 'unknown', src: '02:00:00:00:00:01' });
    expect(fieldsOf(packet, 'arp')).not.toHaveProperty('arp.src.proto_ipv4');
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(ether(0x0806, ARP), inEther));
  it('survives anything', () => expectSurvivesAnything('arp', [ARP]));
});

describe('VLAN tags', () => {
  const frame = ether(0x88a8, hex('60c8 8100 1064 0800'), IPV4);

  it('reads a service tag around a customer tag', () => {
    const packet = dissect(frame, inEther);
    expect(packet.protocols).toEqual(['eth', 'ieee8021ad', 'vlan', 'ip', 'udp']);
    expect(fieldsOf(packet, 'ieee8021ad')).toEqual({
      'ieee8021ad.priority': 3,
      'ieee8021ad.dei': false,
      'ieee8021ad.id': 200,
      'ieee8021ah.etype': 0x8100,
    });
    expect(fieldsOf(packet, 'vlan')).toEqual({
      'vlan.priority': 0,
      'vlan.dei': true,
      'vlan.id': 100,
      'vlan.etype': 0x800,
    });
    expect(packet.infos.slice(1, 3)).toEqual(['S-VLAN 200', 'VLAN 100']);
  });

  it.each([0x05dd, 0x05ff])('takes %i for neither a length nor a type', (value) => {
    const packet = dissect(
      ether(0x8100, hex('002a'), uint16(value), hex('aaaa03 000000 0800'), IPV4),
      inEther,
    );
    expect(packet).toMatchObject({ protocols: ['eth', 'vlan'], stop: 'unknown' });
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(frame, inEther));
});

describe('LLC', () => {
  it('goes on by EtherType behind SNAP without organisation', () => {
    const packet = dissect(join(ADDRESSES, uint16(8 + ARP.length), hex('aaaa03 000000 0806'), ARP), inEther);
    expect(packet.protocols).toEqual(['eth', 'llc', 'arp']);
    expect(fieldsOf(packet, 'llc')).toEqual({
      'llc.dsap': 0xaa,
      'llc.ssap': 0xaa,
      'llc.control': 3,
      'llc.oui': 0,
      'llc.type': 0x806,
    });
  });

  it('names what it does not know: spanning tree, other organisations', () => {
    const spanningTree = dissect(ether(7, hex('424203 00000000')), inEther);
    expect(spanningTree).toMatchObject({ protocols: ['eth', 'llc'], stop: 'unknown' });
    expect(spanningTree.remarks[0].text).toBe('nothing is registered for llc.dsap 0x42');
    const cisco = dissect(ether(12, hex('aaaa03 00000c 2000 01b40000')), inEther);
    expect(cisco).toMatchObject({ protocols: ['eth', 'llc'], stop: 'unknown' });
    expect(fieldsOf(cisco, 'llc')).toMatchObject({ 'llc.oui': 0x0c, 'llc.pid': 0x2000 });
  });

  it('takes two bytes of control in numbered frames', () => {
    const packet = dissect(ether(6, hex('f0f0 0001 0102')), inEther);
    expect(fieldsOf(packet, 'llc')).toMatchObject({ 'llc.control': 1 });
    expect(packet.layers[1].length).toBe(4);
  });

  it('keeps what was captured', () =>
    expectTruncationsKeepLayers(ether(36, hex('aaaa03 000000 0806'), ARP), inEther));
  it('survives anything', () => expectSurvivesAnything('llc', [hex('aaaa03 000000 0806')]));
});

describe('MPLS', () => {
  const ENTRY = hex('003e80 40'); // label 1000, more follow
  const LAST = hex('007d01 3f'); // label 2000, the last
  const frame = ether(0x8847, ENTRY, LAST, IPV4);
  const last = (payload: Uint8Array) => dissect(ether(0x8847, LAST, payload), inEther);

  it('is a layer per label, and tells IP by its version', () => {
    const packet = dissect(frame, inEther);
    expect(packet.protocols).toEqual(['eth', 'mpls', 'mpls', 'ip', 'udp']);
    expect(packet.layers[1].fields).toEqual({
      'mpls.label': 1000,
      'mpls.exp': 0,
      'mpls.bottom': 0,
      'mpls.ttl': 64,
    });
    expect(fieldsOf(packet, 'mpls')).toMatchObject({ 'mpls.label': 2000, 'mpls.bottom': 1 });
    expect(last(IPV6).protocols).toEqual(['eth', 'mpls', 'ipv6', 'udp']);
  });

  it('finds frames behind a control word and without one', () => {
    const controlled = last(join(hex('0000 0007'), ether(0x0800, IPV4)));
    expect(controlled.protocols).toEqual(['eth', 'mpls', 'pwethcw', 'eth', 'ip', 'udp']);
    expect(fieldsOf(controlled, 'pwethcw')).toMatchObject({ 'pweth.cw.sequence_number': 7 });
    expect(last(ether(0x0800, IPV4)).protocols).toEqual(['eth', 'mpls', 'eth', 'ip', 'udp']);
    expect(last(join(hex('a2'), ether(0x0800, IPV4).subarray(1))).protocols).toEqual([
      'eth',
      'mpls',
      'eth',
      'ip',
      'udp',
    ]);
  });

  it('gives up on what is neither', () => {
    expect(last(join(hex('00000000'), new Uint8Array(30).fill(0xee)))).toMatchObject({ stop: 'unknown' });
    expect(last(hex('10000021 45000000'))).toMatchObject({ protocols: ['eth', 'mpls'], stop: 'unknown' });
  });

  it('keeps what was captured', () => {
    expectTruncationsKeepLayers(frame, inEther);
    expectTruncationsKeepLayers(ether(0x8847, LAST, hex('00000000'), ether(0x0800, IPV4)), inEther);
  });
  it('survives anything', () => expectSurvivesAnything('mpls', [LAST, ENTRY]));
});

describe('PPP', () => {
  it.each([
    ['with address and control', 'ff03 0021'],
    ['with a compressed protocol', '21'],
    ['with both', 'ff03 21'],
    ['bare', '0021'],
  ])('reads a header %s', (_, header) => {
    const packet = dissect(join(hex(header), IPV4), { root: 'ppp' });
    expect(packet.protocols).toEqual(['ppp', 'ip', 'udp']);
    expect(fieldsOf(packet, 'ppp')).toMatchObject({ 'ppp.protocol': 0x21 });
  });

  it('knows IPv6 and MPLS, and says what it does not', () => {
    expect(dissect(join(hex('0057'), IPV6), { root: 'ppp' }).protocols).toEqual(['ppp', 'ipv6', 'udp']);
    expect(dissect(join(hex('0281 007d013f'), IPV4), { root: 'ppp' }).protocols).toEqual([
      'ppp',
      'mpls',
      'ip',
      'udp',
    ]);
    const control = dissect(hex('ff03 c021 0101 0004'), { root: 'ppp' });
    expect(control).toMatchObject({ protocols: ['ppp'], stop: 'unknown' });
  });

  const frame = join(hex('ff03 0021'), IPV4);
  it('keeps what was captured', () => expectTruncationsKeepLayers(frame, { root: 'ppp' }));
  it('survives anything', () => expectSurvivesAnything('ppp', [frame, hex('ff03 c021')]));
});

describe('PPPoE', () => {
  const session = ether(0x8864, hex('11 00 0011'), uint16(2 + IPV4.length), hex('0021'), IPV4, hex('0000'));
  const offer = ether(
    0x8863,
    hex(`
    11 07 0000 0017                # PADO, 23 bytes
    0101 0000                      # any service
    0102 0003 616331               # AC-Name "ac1"
    0103 0004 01020304             # Host-Uniq
    0105 0000
  `),
  );

  it('reads a session', () => {
    const packet = dissect(session, inEther);
    expect(packet.protocols).toEqual(['eth', 'pppoes', 'ppp', 'ip', 'udp']);
    expect(fieldsOf(packet, 'pppoes')).toMatchObject({ 'pppoe.session_id': 17, 'pppoe.payload_length': 34 });
  });

  it('reads the tags of discovery', () => {
    const packet = dissect(offer, inEther);
    expect(packet).toMatchObject({ protocols: ['eth', 'pppoed'], stop: null, remarks: [] });
    expect(fieldsOf(packet, 'pppoed')).toMatchObject({
      'pppoed.tag': [0x101, 0x102, 0x103, 0x105],
      'pppoed.tags.ac_name': 'ac1',
      'pppoed.tags.host_uniq': '01020304',
    });
    expect(packet.infos[1]).toBe('Active Discovery Offer (PADO) (0x07)');
  });

  it('remarks on a tag that runs past the packet', () => {
    expect(codesOf(dissect(ether(0x8863, hex('11 09 0000 0006 0103 0009 0102')), inEther))).toEqual([
      'pppoed.tag-length',
    ]);
  });

  it('refuses other versions', () => {
    expect(dissect(ether(0x8864, hex('21 00 0011 0002 0021')), inEther).stop).toBe('unknown');
  });

  it('keeps what was captured', () => {
    expectTruncationsKeepLayers(session, inEther);
    expectTruncationsKeepLayers(offer, inEther);
  });
  it('survives anything', () => expectSurvivesAnything('pppoed', [offer.subarray(14)]));
});

describe('MACsec', () => {
  const CHECK = new Uint8Array(16).fill(0xcc);
  // Integrity only, SC: packet 68, SCI 02:00:00:00:00:01 port 1.
  const signed = ether(0x88e5, hex('20 00 00000044 020000000001 0001 0800'), IPV4, CHECK);

  it('goes on where the data are only signed', () => {
    const packet = dissect(signed, inEther);
    expect(packet.protocols).toEqual(['eth', 'macsec', 'ip', 'udp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'macsec')).toEqual({
      'macsec.TCI.V': 0,
      'macsec.TCI.ES': false,
      'macsec.TCI.SC': true,
      'macsec.TCI.SCB': false,
      'macsec.TCI.E': false,
      'macsec.TCI.C': false,
      'macsec.AN': 0,
      'macsec.SL': 0,
      'macsec.PN': 68,
      'macsec.SCI.system_identifier': '02:00:00:00:00:01',
      'macsec.SCI.port_identifier': 1,
      'macsec.etype': 0x800,
    });
    expect(packet.infos[1]).toBe('Integrity only, packet 68, AN 0');
  });

  it('leaves the check value out of the payload', () => {
    // What has no length of its own shows where the payload ends.
    const packet = dissect(ether(0x88e5, hex('40 00 00000001 88b5 010203'), CHECK), inEther);
    expect(packet.tree.at(-1)?.text).toBe('Data (3 bytes)');
    const short = dissect(ether(0x88e5, hex('40 05 00000001 88b5 010203'), CHECK, hex('0000 0000')), inEther);
    expect(short.tree.at(-1)?.text).toBe('Data (3 bytes)');
  });

  it('ends at encrypted data, at ease', () => {
    const packet = dissect(ether(0x88e5, hex('2d 00 00000007 020000000001 0001'), IPV4, CHECK), inEther);
    expect(packet).toMatchObject({ protocols: ['eth', 'macsec'], stop: null, remarks: [] });
    expect(packet.infos[1]).toBe('Encrypted, packet 7, AN 1');
  });

  it('refuses other versions, and data too short for their check value', () => {
    expect(dissect(ether(0x88e5, hex('80 00 00000007'), CHECK), inEther).stop).toBe('unknown');
    expect(dissect(ether(0x88e5, hex('00 00 00000007 0800')), inEther).stop).toBe('malformed');
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(signed, inEther));
  it('survives anything', () => expectSurvivesAnything('macsec', [signed.subarray(14)]));
});

describe('cooked captures', () => {
  const first = join(hex('0004 0001 0006 020000000001 0000 0800'), IPV4);
  const second = join(hex('0800 0000 00000003 0001 04 06 020000000001 0000'), IPV4);

  it('reads version 1', () => {
    const packet = dissect(first, { root: 'sll' });
    expect(packet.protocols).toEqual(['sll', 'ip', 'udp']);
    expect(fieldsOf(packet, 'sll')).toEqual({
      'sll.pkttype': 4,
      'sll.hatype': 1,
      'sll.halen': 6,
      'sll.src.eth': '02:00:00:00:00:01',
      'sll.etype': 0x800,
    });
    expect(packet.infos[0]).toBe('Sent by us (4)');
  });

  it('reads version 2', () => {
    const packet = dissect(second, { root: 'sll2' });
    expect(packet.protocols).toEqual(['sll2', 'ip', 'udp']);
    expect(fieldsOf(packet, 'sll2')).toEqual({
      'sll.ifindex': 3,
      'sll.hatype': 1,
      'sll.pkttype': 4,
      'sll.halen': 6,
      'sll.etype': 0x800,
      'sll.src.eth': '02:00:00:00:00:01',
    });
  });

  it('reads other addresses and protocols', () => {
    const llc = dissect(hex('0000 0001 0004 c0000201 00000000 0004 424203 0000'), { root: 'sll' });
    expect(llc).toMatchObject({ protocols: ['sll', 'llc'], stop: 'unknown' });
    expect(fieldsOf(llc, 'sll')).toMatchObject({ 'sll.src.ipv4': '192.0.2.1', 'sll.ltype': 4 });
    const netlink = dissect(hex('0004 0338 0000 0000000000000000 0000 00000000'), { root: 'sll' });
    expect(netlink).toMatchObject({ protocols: ['sll'], stop: 'unknown' });
    expect(netlink.remarks[0].text).toBe('nothing is registered for sll.hatype 0x338');
  });

  it('keeps what was captured', () => {
    expectTruncationsKeepLayers(first, { root: 'sll' });
    expectTruncationsKeepLayers(second, { root: 'sll2' });
  });
  it('survives anything', () => {
    expectSurvivesAnything('sll', [first]);
    expectSurvivesAnything('sll2', [second]);
  });
});

describe('loopback', () => {
  it.each([
    ['00000002', 'ip'],
    ['02000000', 'ip'],
    ['0000001e', 'ipv6'],
    ['1c000000', 'ipv6'],
    ['00000018', 'ipv6'],
  ])('reads family %s, whatever its order', (family, protocol) => {
    const packet = dissect(join(hex(family), protocol === 'ip' ? IPV4 : IPV6), { root: 'null' });
    expect(packet.protocols).toEqual(['null', protocol, 'udp']);
  });

  it('says what it does not know', () => {
    const packet = dissect(hex('07000000 0102'), { root: 'null' });
    expect(packet).toMatchObject({ protocols: ['null'], stop: 'unknown' });
    expect(fieldsOf(packet, 'null')).toEqual({ 'null.family': 7 });
  });

  it('keeps what was captured', () =>
    expectTruncationsKeepLayers(join(hex('02000000'), IPV4), { root: 'null' }));
  it('survives anything', () => expectSurvivesAnything('null', [join(hex('02000000'), IPV4)]));
});

describe('raw IP', () => {
  it('tells the version', () => {
    expect(dissect(IPV4, { root: 'raw' }).protocols).toEqual(['raw', 'ip', 'udp']);
    expect(dissect(IPV6, { root: 'raw' }).protocols).toEqual(['raw', 'ipv6', 'udp']);
    expect(dissect(hex('f0'), { root: 'raw' })).toMatchObject({ protocols: ['raw'], stop: 'unknown' });
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(IPV4, { root: 'raw' }));
  it('survives anything', () => expectSurvivesAnything('raw', [IPV4, IPV6]));
});

describe('NFLOG', () => {
  const little = join(
    hex(`
    02 00 0014                     # IPv4, version 0, group 20
    0800 0100 0800 01 00           # packet header: IPv4, hook INPUT
    0800 0200 00000abc             # mark
    0700 0a00 687900 00            # prefix "hy", padded
    0800 0400 00000002             # input interface
  `),
    Uint8Array.of(4 + IPV4.length, 0),
    hex('0900'),
    IPV4,
  );

  it('finds the packet among the attributes', () => {
    const packet = dissect(little, { root: 'nflog' });
    expect(packet.protocols).toEqual(['nflog', 'ip', 'udp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'nflog')).toEqual({
      'nflog.family': 2,
      'nflog.version': 0,
      'nflog.res_id': 20,
      'nflog.tlv_length': [8, 8, 7, 8, 4 + IPV4.length],
      'nflog.tlv_type': [1, 2, 10, 4, 9],
      'nflog.protocol': 0x800,
      'nflog.hook': 1,
      'nflog.mark': 0xabc,
      'nflog.prefix': 'hy',
      'nflog.ifindex_indev': 2,
    });
  });

  it('reads attributes in network order too', () => {
    const packet = dissect(join(hex('0a 00 0001'), uint16(4 + IPV6.length), hex('0009'), IPV6), {
      root: 'nflog',
    });
    expect(packet.protocols).toEqual(['nflog', 'ipv6', 'udp']);
  });

  it('goes by the hardware header where the family does not tell', () => {
    const bridge = join(hex('07 00 0001 0008 0001 0806 00 00'), uint16(4 + ARP.length), hex('0009'), ARP);
    expect(dissect(bridge, { root: 'nflog' }).protocols).toEqual(['nflog', 'arp']);
  });

  it.each(['0000 0100', '0300 0100', '0900 0100', 'ffff 0100'])('stops at a bad length: %s', (attribute) => {
    const packet = dissect(join(hex('02 00 0014'), hex(attribute), hex('00000000')), { root: 'nflog' });
    expect(packet).toMatchObject({ protocols: ['nflog'], stop: 'malformed' });
  });

  it('may have no packet', () => {
    expect(dissect(hex('02 00 0014 0800 0200 00000abc'), { root: 'nflog' })).toMatchObject({
      protocols: ['nflog'],
      stop: null,
    });
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(little, { root: 'nflog' }));
  it('survives anything', () => expectSurvivesAnything('nflog', [little]));
});

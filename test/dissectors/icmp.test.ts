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
} from './packet.ts';

/** The first bytes of a TCP packet from 198.51.100.1 to 198.51.100.2, as a router quotes them. */
const QUOTED = hex(`
  45 00 05dc 0007 4000 01 06 0000 c6336401 c6336402
  9c40 0050 00001388
`);

const QUOTED6 = hex(`
  60000000 0500 06 01 20010db8000000000000000000000003 20010db8000000000000000000000004
  9c40 0050 00001388 00000000 5002 faf0 0000 0000
`);

describe('ICMP', () => {
  it('reads an echo and leaves its data alone', () => {
    const packet = dissect(inIpv4(1, hex('08 00 1f6a 0102 0003 6162636465666768')));
    expect(packet.protocols).toEqual(['ip', 'icmp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'icmp')).toEqual({
      'icmp.type': 8,
      'icmp.code': 0,
      'icmp.checksum': 0x1f6a,
      'icmp.ident': 0x0102,
      'icmp.seq': 3,
    });
    expect(packet.layers[1].length).toBe(8);
    expect(packet.infos[1]).toBe('Echo (ping) request id=0x0102, seq=3');
  });

  it('reads timestamps, masks and routers', () => {
    const timestamp = dissect(inIpv4(1, hex('0e 00 0000 0001 0002 00000064 000000c8 000000c9')));
    expect(fieldsOf(timestamp, 'icmp')).toMatchObject({
      'icmp.ident': 1,
      'icmp.originate_timestamp': 100,
      'icmp.receive_timestamp': 200,
      'icmp.transmit_timestamp': 201,
    });
    const mask = dissect(inIpv4(1, hex('12 00 0000 0001 0002 ffffff00')));
    expect(fieldsOf(mask, 'icmp')).toMatchObject({ 'icmp.address_mask': '255.255.255.0' });
    const routers = dissect(inIpv4(1, hex('09 00 0000 02 02 0708 c0000201 00000000 c0000202 ffffffff')));
    expect(fieldsOf(routers, 'icmp')).toMatchObject({
      'icmp.num_addrs': 2,
      'icmp.lifetime': 1800,
      'icmp.router_address': ['192.0.2.1', '192.0.2.2'],
      'icmp.pref_level': [0, -1],
    });
    const odd = dissect(inIpv4(1, hex('09 00 0000 02 00 0708 c0000201 00000000')));
    expect(codesOf(odd)).toEqual(['icmp.entry-size']);
  });

  it('dissects the packet that an error quotes, as a quotation', () => {
    const packet = dissect(inIpv4(1, join(hex('03 04 0000 0000 0578'), QUOTED)));
    expect(packet.protocols).toEqual(['ip', 'icmp', 'ip', 'tcp']);
    expect(packet.layers.map((layer) => layer.quoted ?? false)).toEqual([false, false, true, true]);
    expect(packet).toMatchObject({ stop: null, remarks: [], src: '192.0.2.1', srcPort: null });
    expect(fieldsOf(packet, 'icmp')).toMatchObject({ 'icmp.mtu': 1400 });
    expect(fieldsOf(packet, 'ip')).toMatchObject({ 'ip.src': '198.51.100.1' });
    expect(fieldsOf(packet, 'tcp')).toEqual({ 'tcp.srcport': 40000, 'tcp.dstport': 80, 'tcp.seq_raw': 5000 });
    expect(packet.infos[1]).toBe('Destination unreachable (Fragmentation needed) MTU=1400');
  });

  it.each<[string, string, string]>([
    ['0b 00 0000 00000000', 'Time-to-live exceeded (Time to live exceeded in transit)', 'icmp.code'],
    ['05 01 0000 c0000263', 'Redirect (Redirect for host) to 192.0.2.99', 'icmp.redir_gw'],
    ['0c 00 0000 09 000000', 'Parameter problem (Pointer indicates the error)', 'icmp.pointer'],
    ['04 00 0000 00000000', 'Source quench (flow control) (code 0)', 'icmp.code'],
    ['03 63 0000 00000000', 'Destination unreachable (code 99)', 'icmp.code'],
  ])('says what %s is', (header, info, field) => {
    const packet = dissect(inIpv4(1, join(hex(header), QUOTED)));
    expect(packet.infos[1]).toBe(info);
    expect(packet.protocols).toEqual(['ip', 'icmp', 'ip', 'tcp']);
    expect(fieldsOf(packet, 'icmp')).toHaveProperty([field]);
  });

  it('does not remark on lengths that the quote cut', () => {
    const udp = hex('45 00 05dc 0007 4000 01 11 0000 c6336401 c6336402 9c40 0051 05c8 0000 00112233');
    const packet = dissect(inIpv4(1, join(hex('03 03 0000 00000000'), udp)));
    expect(packet.protocols).toEqual(['ip', 'icmp', 'ip', 'udp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(packet.tree.filter(({ severity }) => severity !== null)).toEqual([]);
  });

  it('ends the quote where extensions begin', () => {
    // 32 words of quote, then an extension structure that would otherwise belong to the quoted packet.
    const quote = join(QUOTED, new Uint8Array(128 - QUOTED.length));
    const extension = hex('2000 0000 0008 0101 00064140');
    const packet = dissect(inIpv4(1, join(hex('0b 00 0000 00 20 0000'), quote, extension)));
    expect(fieldsOf(packet, 'icmp')).toMatchObject({ 'icmp.length': 32 });
    expect(packet.protocols).toEqual(['ip', 'icmp', 'ip', 'tcp']);
    expect(packet.stop).toBeNull();
    expect(packet.tree.at(-1)).toMatchObject({ text: `Data (${128 - 40} bytes)` });
  });

  it('does not take a length shorter than any quote for one', () => {
    const packet = dissect(inIpv4(1, join(hex('03 01 0000 00 03 0000'), QUOTED)));
    expect(packet.protocols).toEqual(['ip', 'icmp', 'ip', 'tcp']);
  });

  it('is malformed with less than a header', () => {
    expect(dissect(inIpv4(1, hex('08 00 1f6a'))).stop).toBe('malformed');
  });

  it('keeps what was captured', () => {
    expectTruncationsKeepLayers(inIpv4(1, hex('08 00 1f6a 0102 0003 6162636465666768')));
    expectTruncationsKeepLayers(inIpv4(1, join(hex('03 04 0000 0000 0578'), QUOTED)));
  });

  it('survives anything', () =>
    expectSurvivesAnything('icmp', [
      join(hex('03 04 0000 0020 0578'), QUOTED),
      hex('0e 00 0000 0001 0002 00000064 000000c8 000000c9'),
      hex('09 00 0000 02 02 0708 c0000201 00000000 c0000202 ffffffff'),
    ]));
});

const SOLICITATION = hex(`
  87 00 0000 00000000 20010db8000000000000000000000002   # target
  01 01 00005e005301                                     # source link-layer address
`);

const ADVERTISEMENT = hex(`
  88 00 0000 60000000 20010db8000000000000000000000002   # solicited, override
  02 01 00005e005302                                     # target link-layer address
`);

const ROUTER = hex(`
  86 00 0000 40 c8 0708 00007530 000003e8    # hop limit 64, managed, other, preference high, 1800 s, timers
  01 01 00005e005301
  05 01 0000 000005dc                        # MTU 1500
  03 04 40 c0 00278d00 00093a80 00000000 20010db8000000000000000000000000   # prefix 2001:db8::/64
  19 05 0000 00000e10 20010db8000000000000000000000053 20010db8000000000000000000000054   # name servers
`);

const REPORT = hex(`
  8f 00 0000 0000 0002
  04 00 0000 ff020000000000000000000000000001
  05 01 0002 ff020000000000000000000000000002
    20010db8000000000000000000000005 20010db8000000000000000000000006 aabbccdd
`);

describe('ICMPv6', () => {
  it('reads an echo', () => {
    const packet = dissect(inIpv6(58, hex('81 00 1234 0102 0003 6162')));
    expect(packet.protocols).toEqual(['ipv6', 'icmpv6']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'icmpv6')).toEqual({
      'icmpv6.type': 129,
      'icmpv6.code': 0,
      'icmpv6.checksum': 0x1234,
      'icmpv6.echo.identifier': 0x0102,
      'icmpv6.echo.sequence_number': 3,
    });
    expect(packet.infos[1]).toBe('Echo (ping) reply id=0x0102, seq=3');
  });

  it.each<[string, string]>([
    ['02 00 0000 00000578', 'Packet Too Big MTU=1400'],
    ['01 04 0000 00000000', 'Destination Unreachable (Port unreachable)'],
    ['03 00 0000 00000000', 'Time Exceeded (hop limit exceeded in transit)'],
    ['04 01 0000 00000006', 'Parameter Problem (unrecognized Next Header type encountered)'],
  ])('dissects the packet that %s quotes', (header, info) => {
    const packet = dissect(inIpv6(58, join(hex(header), QUOTED6)));
    expect(packet.protocols).toEqual(['ipv6', 'icmpv6', 'ipv6', 'tcp']);
    expect(packet.layers.map((layer) => layer.quoted ?? false)).toEqual([false, false, true, true]);
    expect(packet.stop).toBeNull();
    expect(packet.infos[1]).toBe(info);
  });

  it('reads neighbor discovery', () => {
    const solicitation = dissect(inIpv6(58, SOLICITATION));
    expect(solicitation).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(solicitation, 'icmpv6')).toMatchObject({
      'icmpv6.nd.ns.target_address': '2001:db8::2',
      'icmpv6.opt.type': [1],
      'icmpv6.opt.length': [1],
      'icmpv6.opt.src_linkaddr': '00:00:5e:00:53:01',
    });
    expect(solicitation.infos[1]).toBe('Neighbor Solicitation for 2001:db8::2 from 00:00:5e:00:53:01');
    expect(solicitation.layers[1].length).toBe(SOLICITATION.length);

    const advertisement = dissect(inIpv6(58, ADVERTISEMENT));
    expect(fieldsOf(advertisement, 'icmpv6')).toMatchObject({
      'icmpv6.nd.na.flag.r': false,
      'icmpv6.nd.na.flag.s': true,
      'icmpv6.nd.na.flag.o': true,
      'icmpv6.nd.na.target_address': '2001:db8::2',
      'icmpv6.opt.target_linkaddr': '00:00:5e:00:53:02',
    });
    expect(advertisement.infos[1]).toBe(
      'Neighbor Advertisement 2001:db8::2 (sol, ovr) is at 00:00:5e:00:53:02',
    );

    const router = dissect(inIpv6(58, ROUTER));
    expect(router).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(router, 'icmpv6')).toMatchObject({
      'icmpv6.nd.ra.cur_hop_limit': 64,
      'icmpv6.nd.ra.flag.m': true,
      'icmpv6.nd.ra.flag.o': true,
      'icmpv6.nd.ra.flag.prf': 1,
      'icmpv6.nd.ra.router_lifetime': 1800,
      'icmpv6.nd.ra.reachable_time': 30000,
      'icmpv6.nd.ra.retrans_timer': 1000,
      'icmpv6.opt.type': [1, 5, 3, 25],
      'icmpv6.opt.mtu': 1500,
      'icmpv6.opt.prefix.length': [64],
      'icmpv6.opt.prefix.flag.l': true,
      'icmpv6.opt.prefix': ['2001:db8::'],
      'icmpv6.opt.prefix.valid_lifetime': [2592000],
      'icmpv6.opt.rdnss.lifetime': [3600],
      'icmpv6.opt.rdnss': ['2001:db8::53', '2001:db8::54'],
    });
    expect(router.infos[1]).toBe('Router Advertisement from 00:00:5e:00:53:01');

    const asking = dissect(inIpv6(58, hex('85 00 0000 00000000 0101 00005e005301')));
    expect(asking.infos[1]).toBe('Router Solicitation from 00:00:5e:00:53:01');

    const redirect = dissect(
      inIpv6(
        58,
        hex('89 00 0000 00000000 20010db8000000000000000000000009 20010db800000000000000000000000a'),
      ),
    );
    expect(redirect.infos[1]).toBe('Redirect of 2001:db8::a to 2001:db8::9');
  });

  it('remarks on an option without a length or past the message', () => {
    for (const option of ['01 00 00005e005301', '01 02 00005e005301']) {
      const packet = dissect(inIpv6(58, join(SOLICITATION.subarray(0, 24), hex(option))));
      expect(codesOf(packet)).toEqual(['icmpv6.option-length']);
      expect(packet.stop).toBeNull();
    }
  });

  it('reads multicast listeners', () => {
    const report1 = dissect(inIpv6(58, hex('83 00 0000 0000 0000 ff020000000000000000000000000001')));
    expect(fieldsOf(report1, 'icmpv6')).toMatchObject({ 'icmpv6.mld.multicast_address': 'ff02::1' });
    const query1 = dissect(inIpv6(58, hex('82 00 0000 2710 0000 00000000000000000000000000000000')));
    expect(fieldsOf(query1, 'icmpv6')).toMatchObject({ 'icmpv6.mld.maximum_response_delay': 10000 });
    const query2 = dissect(
      inIpv6(
        58,
        hex(
          '82 00 0000 2710 0000 ff020000000000000000000000000001 0a 7d 0001 20010db8000000000000000000000005',
        ),
      ),
    );
    expect(fieldsOf(query2, 'icmpv6')).toMatchObject({
      'icmpv6.mld.maximum_response_code': 10000,
      'icmpv6.mld.flag.s': true,
      'icmpv6.mld.flag.qrv': 2,
      'icmpv6.mld.qqi': 125,
      'icmpv6.mld.source_address': ['2001:db8::5'],
    });
    const whole = inIpv6(58, hex('82 00 0000 9000 0000 ff020000000000000000000000000001 0a 7d 0000'));
    const cut = dissect(whole.subarray(0, whole.length - 3), { length: whole.length });
    expect(fieldsOf(cut, 'icmpv6')).toMatchObject({ 'icmpv6.mld.maximum_response_code': 0x9000 });
    const report2 = dissect(inIpv6(58, REPORT));
    expect(report2.remarks).toEqual([]);
    expect(fieldsOf(report2, 'icmpv6')).toMatchObject({
      'icmpv6.mldr.nb_mcast_records': 2,
      'icmpv6.mldr.mar.record_type': [4, 5],
      'icmpv6.mldr.mar.nb_sources': [0, 2],
      'icmpv6.mldr.mar.multicast_address': ['ff02::1', 'ff02::2'],
      'icmpv6.mldr.mar.source_address': ['2001:db8::5', '2001:db8::6'],
    });
    expect(report2.infos[1]).toBe('Multicast Listener Report Message v2');
    const short = dissect(inIpv6(58, REPORT.subarray(0, REPORT.length - 8)));
    expect(codesOf(short)).toEqual(['icmpv6.record-length']);
  });

  it('keeps what was captured', () => {
    for (const message of [
      SOLICITATION,
      ADVERTISEMENT,
      ROUTER,
      REPORT,
      join(hex('02 00 0000 00000578'), QUOTED6),
    ]) {
      expectTruncationsKeepLayers(inIpv6(58, message));
    }
    const cut = dissect(inIpv6(58, ROUTER).subarray(0, 40 + 24), { length: 40 + ROUTER.length });
    expect(cut.stop).toBe('truncated');
    expect(fieldsOf(cut, 'icmpv6')).toMatchObject({ 'icmpv6.opt.type': [1] });
  });

  it('survives anything', () =>
    expectSurvivesAnything('icmpv6', [
      SOLICITATION,
      ADVERTISEMENT,
      ROUTER,
      REPORT,
      join(hex('02 00 0000 00000578'), QUOTED6),
    ]));
});

describe('IGMP', () => {
  const REPORT2 = hex('16 00 08fd ef010101');

  it('reads type, response time and group', () => {
    const packet = dissect(inIpv4(2, REPORT2));
    expect(packet.protocols).toEqual(['ip', 'igmp']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'igmp')).toEqual({
      'igmp.type': 0x16,
      'igmp.max_resp': 0,
      'igmp.checksum': 0x08fd,
      'igmp.maddr': '239.1.1.1',
    });
    expect(packet.infos[1]).toBe('Membership Report group 239.1.1.1');
    const report3 = dissect(inIpv4(2, hex('22 00 0000 0000 0001 04 00 0000 ef010101')));
    expect(report3.infos[1]).toBe('Membership Report');
    expect(fieldsOf(report3, 'igmp')).not.toHaveProperty(['igmp.maddr']);
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(inIpv4(2, REPORT2)));
  it('survives anything', () => expectSurvivesAnything('igmp', [REPORT2]));
});

import { describe, expect, it } from 'vitest';
import {
  codesOf,
  dissect,
  expectSurvivesAnything,
  expectTruncationsKeepLayers,
  fieldsOf,
  hex,
  inIpv4,
  join,
} from './packet.ts';

const SYN = hex(`
  9c40 0050            # ports 40000 and 80
  00001388             # sequence 5000
  00000000             # acknowledgment
  a0 02 faf0           # 40 bytes, SYN, window 64240
  1234 0000            # checksum, urgent pointer
  02 04 05b4           # MSS 1460
  04 02                # SACK permitted
  08 0a 000003e8 00000007   # timestamps
  01                   # no operation
  03 03 07             # window scale 7
`);

/** A header of 20 bytes and the options given, which are whole words. */
function withOptions(options: Uint8Array, payload = hex('')): Uint8Array {
  const words = 5 + options.length / 4;
  return join(
    hex('9c40 0050 00001388 00002328'),
    Uint8Array.of(words << 4, 0x10),
    hex('faf0 0000 0000'),
    options,
    payload,
  );
}

describe('IPv4', () => {
  it('remarks on a total length beyond the frame, and not where the capture cut it', () => {
    const packet = inIpv4(17, hex('0001 0002 000a 0000 0102'));
    packet[3] = 200;
    expect(codesOf(dissect(packet))).toEqual(['ip.length-beyond']);
    expect(codesOf(dissect(packet, { length: 200 }))).toEqual([]);
  });
});

describe('TCP', () => {
  it('says how long the payload is where the header is cut', () => {
    const packet = inIpv4(6, join(SYN, hex('01 02 03')));
    expect(dissect(packet).infos.at(-1)).toBe('[SYN] Seq=5000 Win=64240 Len=3');
    const cut = dissect(packet.subarray(0, 20 + 22), { length: packet.length });
    expect(cut.infos.at(-1)).toBe('[SYN] Seq=5000 Win=64240 Len=3');
  });
  it('does not in a first fragment, whose end is elsewhere', () => {
    const packet = inIpv4(6, join(SYN, hex('01 02 03')));
    packet[6] = 0x20;
    expect(fieldsOf(dissect(packet), 'tcp')).not.toHaveProperty('tcp.len');
    expect(dissect(packet).infos.at(-1)).toBe('[SYN] Seq=5000 Win=64240');
  });
  it('reads the header and the options of a SYN', () => {
    const packet = dissect(inIpv4(6, SYN));
    expect(packet.protocols).toEqual(['ip', 'tcp']);
    expect(packet.stop).toBeNull();
    expect(packet.remarks).toEqual([]);
    expect(packet).toMatchObject({ srcPort: 40000, dstPort: 80 });
    expect(fieldsOf(packet, 'tcp')).toEqual({
      'tcp.srcport': 40000,
      'tcp.dstport': 80,
      'tcp.seq_raw': 5000,
      'tcp.ack_raw': 0,
      'tcp.hdr_len': 40,
      'tcp.flags': 2,
      'tcp.flags.ae': false,
      'tcp.flags.cwr': false,
      'tcp.flags.ece': false,
      'tcp.flags.urg': false,
      'tcp.flags.ack': false,
      'tcp.flags.push': false,
      'tcp.flags.reset': false,
      'tcp.flags.syn': true,
      'tcp.flags.fin': false,
      'tcp.window_size_value': 64240,
      'tcp.checksum': 0x1234,
      'tcp.urgent_pointer': 0,
      'tcp.len': 0,
      'tcp.option_kind': [2, 4, 8, 1, 3],
      'tcp.option_len': [4, 2, 10, 3],
      'tcp.options.mss_val': 1460,
      'tcp.options.timestamp.tsval': 1000,
      'tcp.options.timestamp.tsecr': 7,
      'tcp.options.wscale.shift': 7,
    });
    expect(packet.infos[1]).toBe('[SYN] Seq=5000 Win=64240 Len=0');
  });

  it('names every flag', () => {
    const segment = hex('9c40 0050 00000001 00000002 51ff 0400 0000 0001 61');
    const packet = dissect(inIpv4(6, segment));
    expect(fieldsOf(packet, 'tcp')).toMatchObject({ 'tcp.flags': 0x1ff, 'tcp.flags.ae': true, 'tcp.len': 1 });
    expect(packet.infos[1]).toBe('[FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE] Seq=1 Ack=2 Win=1024 Len=1');
    const none = dissect(inIpv4(6, hex('9c40 0050 00000001 00000002 5000 0400 0000 0000')));
    expect(none.infos[1]).toBe('[<None>] Seq=1 Win=1024 Len=0');
  });

  it.each<[string, string, Record<string, unknown>]>([
    [
      'SACK blocks',
      '01 01 05 12 00000065 000000c9 0000012d 00000191',
      { 'tcp.options.sack_le': [101, 301], 'tcp.options.sack_re': [201, 401] },
    ],
    [
      'an MD5 signature',
      '13 12 00112233445566778899aabbccddeeff 00 00',
      { 'tcp.options.md5.digest': '00112233445566778899aabbccddeeff' },
    ],
    [
      'authentication',
      '1d 08 01 02 deadbeef',
      { 'tcp.options.ao.keyid': 1, 'tcp.options.ao.rnextkeyid': 2, 'tcp.options.ao.mac': 'deadbeef' },
    ],
    ['MPTCP', '1e 04 20 00', { 'tcp.options.mptcp.subtype': [2] }],
    ['a fast open cookie', '22 06 01020304 00 00', { 'tcp.options.tfo.cookie': '01020304' }],
    ['a request for one', '22 02 01 01', { 'tcp.options.tfo.request': true }],
    [
      'a user timeout',
      '1c 04 8005',
      { 'tcp.options.user_to_granularity': true, 'tcp.options.user_to_val': 5 },
    ],
    ['an experiment', 'fe 04 f989', { 'tcp.options.experimental.exid': [0xf989] }],
    ['an unknown kind', 'c8 04 beef', { 'tcp.options.unknown.payload': ['beef'] }],
    ['nothing behind the end', '00 02 04 05', { 'tcp.option_kind': [0] }],
  ])('reads %s', (_what, options, fields) => {
    const packet = dissect(inIpv4(6, withOptions(hex(options), hex('aa'))));
    expect(packet.remarks).toEqual([]);
    expect(fieldsOf(packet, 'tcp')).toMatchObject({ ...fields, 'tcp.len': 1 });
  });

  it.each<[string, string]>([
    ['of length 0', '02 00 05b4'],
    ['of length 1', '02 01 05b4'],
    ['past the header', '01 01 02 04'],
    ['without a length', '01 01 01 08'],
    ['of a length that its kind does not have', '02 03 05 00'],
  ])('remarks on an option %s', (_what, options) => {
    const packet = dissect(inIpv4(6, withOptions(hex(options))));
    expect(codesOf(packet)).toEqual(['tcp.option-length']);
    expect(packet.stop).toBeNull();
    expect(fieldsOf(packet, 'tcp')).not.toHaveProperty(['tcp.options.mss_val']);
  });

  it('is malformed with a header shorter than a header, or longer than the packet', () => {
    for (const [offset, name] of [
      ['40', 'short'],
      ['60', 'long'],
    ]) {
      const packet = dissect(inIpv4(6, hex(`9c40 0050 00000001 00000002 ${offset}10 0400 0000 0000`)));
      expect([name, packet.stop]).toEqual([name, 'malformed']);
      expect(codesOf(packet)).toEqual(['tcp.header-length', 'tcp.malformed']);
      expect(fieldsOf(packet, 'tcp')).toMatchObject({ 'tcp.srcport': 40000, 'tcp.seq_raw': 1 });
    }
  });

  it('takes a payload on unregistered ports for data', () => {
    const packet = dissect(inIpv4(6, withOptions(hex(''), hex('68656c6c6f'))));
    expect(packet.protocols).toEqual(['ip', 'tcp']);
    expect(packet.stop).toBeNull();
    expect(fieldsOf(packet, 'tcp')).toMatchObject({ 'tcp.len': 5 });
  });

  it('has its ports as soon as both are there', () => {
    const packet = inIpv4(6, SYN);
    const cut = (captured: number) => dissect(packet.subarray(0, captured), { length: packet.length });
    expect(cut(20 + 3)).toMatchObject({ srcPort: null, dstPort: null });
    expect(cut(20 + 4)).toMatchObject({ srcPort: 40000, dstPort: 80 });
  });

  it('keeps what was captured', () => {
    expectTruncationsKeepLayers(inIpv4(6, SYN));
    expectTruncationsKeepLayers(inIpv4(6, withOptions(hex('01 01 05 0a 00000065 000000c9'), hex('00'))));
    const cut = dissect(inIpv4(6, SYN).subarray(0, 20 + 24), { length: 60 });
    expect(cut.stop).toBe('truncated');
    expect(fieldsOf(cut, 'tcp')).toMatchObject({ 'tcp.options.mss_val': 1460, 'tcp.len': 0 });
  });

  it('survives anything', () =>
    expectSurvivesAnything('tcp', [SYN, withOptions(hex('01 01 05 0a 00000065 000000c9'))]));
});

describe('SCTP', () => {
  const INIT = hex(`
    9ca4 9ca5 00000000 11223344    # ports, verification tag, checksum
    01 00 0014                     # INIT of 20 bytes
    55667788 00010000 000a 0005 00000001   # tag, credit, streams out and in, first TSN
  `);
  const DATA = hex(`
    9ca4 9ca5 55667788 11223344
    03 00 0010 00000009 00010000 0000 0000     # SACK
    00 03 0015 00000001 0002 0003 0000002e     # DATA: TSN, stream, its number, protocol
    68656c6c6f 000000                          # and padding
    0b 00 0004                                 # COOKIE ACK
  `);

  it('reads the association and its chunks', () => {
    const init = dissect(inIpv4(132, INIT));
    expect(init.protocols).toEqual(['ip', 'sctp']);
    expect(init).toMatchObject({ srcPort: 40100, dstPort: 40101, stop: null, remarks: [] });
    expect(fieldsOf(init, 'sctp')).toMatchObject({
      'sctp.verification_tag': 0,
      'sctp.chunk_type': [1],
      'sctp.init_initiate_tag': 0x55667788,
      'sctp.init_nr_out_streams': 10,
      'sctp.init_initial_tsn': 1,
    });
    const data = dissect(inIpv4(132, DATA));
    expect(data.remarks).toEqual([]);
    expect(fieldsOf(data, 'sctp')).toMatchObject({
      'sctp.chunk_type': [3, 0, 11],
      'sctp.chunk_length': [16, 21, 4],
      'sctp.sack_cumulative_tsn_ack_raw': 9,
      'sctp.data_tsn_raw': [1],
      'sctp.data_sid': [2],
      'sctp.data_ssn': [3],
      'sctp.data_payload_proto_id': [46],
      'sctp.data_u_bit': [false],
      'sctp.data_b_bit': [true],
    });
    expect(data.infos[1]).toBe('SACK DATA COOKIE_ACK');
  });

  it('remarks on a chunk that has no length or too much of it', () => {
    for (const length of ['0000', '0003', '0040']) {
      const packet = dissect(inIpv4(132, hex(`9ca4 9ca5 00000000 11223344 01 00 ${length} 55667788`)));
      expect(codesOf(packet)).toEqual(['sctp.chunk-length']);
      expect(packet.stop).toBeNull();
    }
  });

  it('keeps what was captured', () => {
    expectTruncationsKeepLayers(inIpv4(132, INIT));
    expectTruncationsKeepLayers(inIpv4(132, DATA));
  });

  it('survives anything', () => expectSurvivesAnything('sctp', [INIT, DATA]));
});

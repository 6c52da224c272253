import { describe, expect, it } from 'vitest';
import {
  ascii,
  codesOf,
  dissect,
  expectSurvivesAnything,
  expectTruncationsKeepLayers,
  fieldsOf,
  hex,
  inTcp,
  inUdp,
  join,
  uint16,
} from './packet.ts';

/** A name without compression. */
function name(text: string): Uint8Array {
  return join(...text.split('.').map((label) => join(Uint8Array.of(label.length), ascii(label))), hex('00'));
}

function header(flags: number, questions: number, answers = 0, authorities = 0, additionals = 0): Uint8Array {
  return join(uint16(0x1234), ...[flags, questions, answers, authorities, additionals].map(uint16));
}

/** A record for the name at offset 12. */
function record(type: number, data: Uint8Array): Uint8Array {
  return join(hex('c00c'), uint16(type), hex('0001 0000012c'), uint16(data.length), data);
}

const QUERY = join(header(0x0100, 1), name('www.example.com'), hex('0001 0001'));

/** CNAME and A, the first by way of the end of the question's name. */
const ANSWER = join(
  header(0x8180, 1, 2),
  name('www.example.com'),
  hex('0001 0001'),
  record(5, join(hex('03'), ascii('app'), hex('c010'))),
  hex('c02d 0001 0001 0000003c 0004 c0000201'),
);

const EVERYTHING = join(
  header(0x8580, 1, 8, 1, 1),
  name('svc.example'),
  hex('00ff 0001'),
  record(28, hex('20010db8000000000000000000000001')),
  record(2, join(hex('02'), ascii('ns'), hex('c00c'))),
  record(12, name('host.example')),
  record(15, join(hex('000a'), hex('c00c'))),
  record(16, join(hex('05'), ascii('hello'), hex('00 03'), ascii('a=b'))),
  record(33, join(hex('000a 0032 1f90'), name('web.example'))),
  record(65, hex('0001 00 0001 0003 026832')),
  record(99, hex('0102')),
  record(
    6,
    join(name('ns.example'), name('admin.example'), hex('00000001 00000002 00000003 00000004 00000005')),
  ),
  hex('00 0029 1000 00 00 8000 0000'),
);

const over = (message: Uint8Array, source = 40000, destination = 53) =>
  dissect(inUdp(source, destination, message));

describe('DNS', () => {
  it('reads a query', () => {
    const packet = over(QUERY);
    expect(packet.protocols).toEqual(['ip', 'udp', 'dns']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'dns')).toEqual({
      'dns.id': 0x1234,
      'dns.flags.response': false,
      'dns.flags.opcode': 0,
      'dns.flags.authoritative': false,
      'dns.flags.truncated': false,
      'dns.flags.recdesired': true,
      'dns.flags.recavail': false,
      'dns.flags.z': false,
      'dns.flags.authenticated': false,
      'dns.flags.checkdisable': false,
      'dns.flags.rcode': 0,
      'dns.count.queries': 1,
      'dns.count.answers': 0,
      'dns.count.auth_rr': 0,
      'dns.count.add_rr': 0,
      'dns.qry.name': ['www.example.com'],
      'dns.qry.type': [1],
      'dns.qry.class': [1],
    });
    expect(packet.infos[2]).toBe('Standard query 0x1234 A www.example.com');
    expect(packet.layers[2].length).toBe(QUERY.length);
  });

  it('reads an answer with compressed names, from port 53', () => {
    const packet = over(ANSWER, 53, 40000);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'dns')).toMatchObject({
      'dns.flags.response': true,
      'dns.resp.name': ['www.example.com', 'app.example.com'],
      'dns.resp.type': [5, 1],
      'dns.resp.ttl': [300, 60],
      'dns.cname': ['app.example.com'],
      'dns.a': ['192.0.2.1'],
    });
    expect(packet.infos[2]).toBe(
      'Standard query response 0x1234 A www.example.com CNAME app.example.com A 192.0.2.1',
    );
  });

  it('reads every kind of record it knows', () => {
    const packet = over(EVERYTHING, 53, 40000);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'dns')).toMatchObject({
      'dns.aaaa': ['2001:db8::1'],
      'dns.ns': ['ns.svc.example'],
      'dns.ptr.domain_name': ['host.example'],
      'dns.mx.preference': [10],
      'dns.mx.mail_exchange': ['svc.example'],
      'dns.txt': ['hello', '', 'a=b'],
      'dns.srv.priority': [10],
      'dns.srv.weight': [50],
      'dns.srv.port': [8080],
      'dns.srv.target': ['web.example'],
      'dns.svcb.svcpriority': [1],
      'dns.svcb.targetname': ['<Root>'],
      'dns.data': ['0102'],
      'dns.soa.mname': ['ns.example'],
      'dns.soa.rname': ['admin.example'],
      'dns.soa.serial_number': [1],
      'dns.soa.minimum_ttl': [5],
      'dns.rr.udp_payload_size': 4096,
      'dns.resp.z.do': true,
      'dns.resp.type': [28, 2, 12, 15, 16, 33, 65, 99, 6, 41],
    });
    expect(packet.infos[2]).toBe(
      'Standard query response 0x1234 ANY svc.example AAAA 2001:db8::1 NS ns.svc.example PTR host.example …',
    );
  });

  it('tells what went wrong', () => {
    const packet = over(join(header(0x8183, 1), name('gone.example'), hex('0001 0001')), 53, 40000);
    expect(packet.infos[2]).toBe('Standard query response 0x1234 No such name A gone.example');
  });

  it('reads names that are not ASCII', () => {
    const packet = over(join(header(0x0100, 1), hex('05 63 61 66 c3a9 00 0001 0001')));
    expect(fieldsOf(packet, 'dns')).toMatchObject({ 'dns.qry.name': ['café'] });
  });

  it('does not follow pointers in circles, nor forward', () => {
    for (const pointer of ['c02b', 'c0ff', 'ffff']) {
      const message = join(
        header(0x8180, 1, 1),
        name('loop.example.com.now'),
        hex('0001 0001'),
        hex(`${pointer} 0001 0001 0000001e 0004 c0000201`),
      );
      const packet = over(message, 53, 40000);
      expect(codesOf(packet)).toEqual(['dns.name']);
      expect(packet.stop).toBeNull();
      expect(fieldsOf(packet, 'dns')).toMatchObject({
        'dns.resp.name': ['<Name contains a pointer that loops>'],
        'dns.a': ['192.0.2.1'],
      });
    }
  });

  it.each<[string, Uint8Array]>([
    ['a question that is not there', header(0x0100, 1)],
    ['a name without an end', join(header(0x0100, 1), hex('05'), ascii('short'))],
    ['a question without a class', join(header(0x0100, 1), name('a.example'), hex('0001'))],
    ['a label of an unknown kind', join(header(0x0100, 1), hex('41 00 0001 0001'))],
    [
      'a name of more than 255 bytes',
      join(header(0x0100, 1), name(Array(5).fill('a'.repeat(60)).join('.')), hex('0001 0001')),
    ],
    [
      'a record past the message',
      join(header(0x8180, 0, 1), name('a.example'), hex('0001 0001 0000001e 0004 c00002')),
    ],
    ['more records than there are', join(header(0x8180, 1, 65535), name('a.example'), hex('0001 0001'))],
  ])('remarks on %s', (_what, message) => {
    const packet = over(message);
    expect(packet.protocols).toEqual(['ip', 'udp', 'dns']);
    expect(codesOf(packet)).toEqual(['dns.malformed']);
  });

  it('remarks on bytes after the last record', () => {
    expect(codesOf(over(join(QUERY, hex('0000'))))).toEqual(['dns.extraneous']);
  });

  it('bounds its work', () => {
    // Each record's name is a pointer to the pointer before it: a chain, not a loop.
    const records = Array.from({ length: 4000 }, (_, i) =>
      join(uint16(0xc000 + (i === 0 ? 12 : 29 + 12 * (i - 1))), hex('0001 0001 00000000 0000')),
    );
    const message = join(header(0x8180, 1, 4000), name('chain.example'), hex('0001 0001'), ...records);
    const packet = over(message, 53, 40000);
    expect(codesOf(packet)).toContain('dns.many-records');
    expect((fieldsOf(packet, 'dns')['dns.resp.name'] as string[]).length).toBe(999);
  });

  it('keeps what was captured', () => {
    for (const message of [QUERY, ANSWER, EVERYTHING]) expectTruncationsKeepLayers(inUdp(40000, 53, message));
    const cut = dissect(inUdp(53, 40000, ANSWER).subarray(0, -4), { length: 28 + ANSWER.length });
    expect(cut.stop).toBe('truncated');
    expect(fieldsOf(cut, 'dns')).toMatchObject({ 'dns.cname': ['app.example.com'] });
  });

  it('believes the source port alone only where the bytes agree', () => {
    const protocols = (message: Uint8Array) => over(message, 53, 40000).protocols.slice(2);
    expect(protocols(ascii('short'))).toEqual([]);
    expect(protocols(ascii('some text that is no answer'))).toEqual([]);
    expect(protocols(header(0, 0))).toEqual([]);
    expect(protocols(header(0x8005, 0))).toEqual(['dns']);
  });

  it('survives anything', () => expectSurvivesAnything('dns', [QUERY, ANSWER, EVERYTHING]));
});

describe('Multicast DNS and LLMNR', () => {
  const ANNOUNCEMENT = join(
    hex('0000 8400 0001 0001 0000 0000'),
    name('host.local'),
    hex('0001 8001'), // unicast answer wanted
    hex('c00c 0001 8001 00000078 0004 c0000201'), // cache flush
  );

  it('has flags on top of the class', () => {
    const packet = over(ANNOUNCEMENT, 5353, 5353);
    expect(packet.protocols).toEqual(['ip', 'udp', 'mdns']);
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'mdns')).toMatchObject({
      'dns.qry.class': [1],
      'dns.qry.qu': [true],
      'dns.resp.class': [1],
      'dns.resp.cache_flush': [true],
      'dns.a': ['192.0.2.1'],
    });
  });

  it('is told by the port', () => {
    const packet = over(QUERY, 40000, 5355);
    expect(packet.protocols).toEqual(['ip', 'udp', 'llmnr']);
    expect(fieldsOf(packet, 'llmnr')).toMatchObject({ 'dns.qry.name': ['www.example.com'] });
  });

  it('survives anything', () => {
    expectSurvivesAnything('mdns', [ANNOUNCEMENT]);
    expectSurvivesAnything('llmnr', [QUERY]);
  });
});

describe('DNS over TCP', () => {
  const SEGMENT = join(uint16(ANSWER.length), ANSWER);

  it('reads the message behind its length', () => {
    for (const [source, destination] of [
      [40000, 53],
      [53, 40000],
    ]) {
      const packet = dissect(inTcp(source, destination, SEGMENT));
      expect(packet.protocols).toEqual(['ip', 'tcp', 'dns-tcp', 'dns']);
      expect(packet).toMatchObject({ stop: null, remarks: [] });
      expect(fieldsOf(packet, 'dns-tcp')).toEqual({ 'dns.length': ANSWER.length });
      expect(fieldsOf(packet, 'dns')).toMatchObject({ 'dns.a': ['192.0.2.1'] });
    }
  });

  it('reads the first of several messages', () => {
    const packet = dissect(inTcp(40000, 53, join(uint16(QUERY.length), QUERY, SEGMENT)));
    expect(packet).toMatchObject({ stop: null, remarks: [] });
    expect(fieldsOf(packet, 'dns')).toMatchObject({ 'dns.count.answers': 0 });
  });

  it('shows as much of a message as its segment has', () => {
    const packet = dissect(inTcp(53, 40000, SEGMENT.subarray(0, -4)));
    expect(packet.protocols).toEqual(['ip', 'tcp', 'dns-tcp', 'dns']);
    expect(packet.stop).toBe('truncated');
    expect(codesOf(packet)).toEqual(['dns.truncated']);
    expect(fieldsOf(packet, 'dns')).toMatchObject({ 'dns.cname': ['app.example.com'] });
  });

  it('leaves a segment alone that begins within a message', () => {
    const packet = dissect(inTcp(40000, 53, SEGMENT.subarray(30)));
    expect(packet.protocols).toEqual(['ip', 'tcp', 'dns-tcp']);
    expect(packet.stop).toBeNull();
    expect(codesOf(packet)).toEqual(['dns-tcp.no-message']);
  });

  it('keeps what was captured', () => expectTruncationsKeepLayers(inTcp(40000, 53, SEGMENT)));
  it('survives anything', () => expectSurvivesAnything('dns-tcp', [SEGMENT]));
});

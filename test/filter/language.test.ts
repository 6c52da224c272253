/** What filters match, by the records of our own samples; and what is said of those that are wrong. */
import { describe, expect, it } from 'vitest';
import type { OptionRecord, PacketRecord } from '../../src/core/record.ts';
import { compileFilter, compileReader, FilterError } from '../../src/filter/index.ts';
import { linesOf, runCommand } from '../command.ts';
import { captures, sample } from '../samples.ts';
import { catalog, eachPacket, matching, roles } from './matching.ts';

const records = new Map<string, PacketRecord[]>();
for (const name of captures) {
  const { stdout } = await runCommand('packets', [sample(name)], { ndjson: true });
  records.set(
    name,
    linesOf(stdout).map((line) => JSON.parse(line) as PacketRecord),
  );
}

const values = ({ layers }: Pick<PacketRecord, 'layers'>, name: string) =>
  layers.flatMap(({ fields }) => fields[name] ?? []);
const options = ({ layers }: PacketRecord): OptionRecord[] => layers.flatMap((layer) => layer.options ?? []);
const optionValues = (packet: PacketRecord, name: string) =>
  options(packet).flatMap(({ fields }) => fields?.[name] ?? []);
const has = ({ protocols }: PacketRecord, name: string) => protocols.includes(name);
const isIp = ({ protocol }: { protocol: string }) => protocol === 'ip';

/** Layers inside the innermost tunnel, all of an untunnelled packet. */
function inside(packet: PacketRecord): Pick<PacketRecord, 'layers'> {
  const own = packet.layers.filter(({ quoted }) => !quoted);
  const last = packet.tunnels.at(-1);
  if (last === undefined) return { layers: own };
  const headers = ['geneve', 'vxlan', 'vxlan_gpe', 'gre', 'erspan', 'stt', 'etherip', 'nsh', 'mpls'];
  const header = own.findLastIndex(({ protocol }) => headers.includes(protocol));
  const innermost = own.findLastIndex(({ protocol }) => protocol === 'ip' || protocol === 'ipv6');
  return { layers: own.slice(last.protocol === 'ipip' ? innermost : header + 1) };
}

type Case = readonly [filter: string, matches: (packet: PacketRecord) => boolean];

const CASES: readonly Case[] = [
  // Tunnels
  ['vni', ({ tunnels }) => tunnels.some(({ vni }) => vni !== null)],
  ['vni == 42', ({ tunnels }) => tunnels.some(({ vni }) => vni === 42)],
  ['vni != 42', ({ tunnels }) => tunnels.some((t) => t.vni !== null) && tunnels.every((t) => t.vni !== 42)],
  ['vni in {1..9, 42}', ({ tunnels }) => tunnels.some(({ vni }) => vni === 42 || (vni! >= 1 && vni! <= 9))],
  ['count(vni) == 2', ({ tunnels }) => tunnels.filter(({ vni }) => vni !== null).length === 2],
  ['tunnel[0].vni == 7', ({ tunnels }) => tunnels[0]?.vni === 7],
  ['tunnel[1].vni == 42', ({ tunnels }) => tunnels[1]?.vni === 42],
  ['tunnel[-1].vni == 42', ({ tunnels }) => tunnels.at(-1)?.vni === 42],
  ['tunnel[-2].vni == 7', ({ tunnels }) => tunnels.at(-2)?.vni === 7],
  ['tunnel[0].geneve.vni == 7', ({ tunnels: [t] }) => t?.protocol === 'geneve' && t.vni === 7],
  ['tunnel[1].geneve', ({ tunnels }) => tunnels[1]?.protocol === 'geneve'],
  ['outer.ip.src == 192.0.2.1', ({ tunnels: [t] }) => t?.src === '192.0.2.1'],
  ['outer.ip.addr == 10.0.0.0/8', ({ tunnels: [t] }) => [t?.src, t?.dst].some((a) => a?.startsWith('10.'))],
  ['outer.udp.dstport == 6081', ({ tunnels: [t] }) => t?.dstPort === 6081],
  ['tunnel[1].ip.src == 10.0.0.1', ({ tunnels: [, t] }) => t?.src === '10.0.0.1'],
  ['inner.ip.src == 10.0.0.1', (p) => values(inside(p), 'ip.src').includes('10.0.0.1')],
  ['inner.ip.dst != 10.0.0.2', (p) => values(inside(p), 'ip.dst').some((v) => v !== '10.0.0.2')],
  ['inner.tcp.dstport == 8080', (p) => values(inside(p), 'tcp.dstport').includes(8080)],
  ['inner.ip.ttl == 64', (p) => values(inside(p), 'ip.ttl').includes(64)],
  // A header that is cut or refused makes no tunnel.
  ['inner.geneve', (p) => inside(p).layers.some(({ protocol }) => protocol === 'geneve')],
  [
    'outer.geneve and inner.arp',
    (p) => p.tunnels[0]?.protocol === 'geneve' && has(p, 'arp') && p.tunnels.length === 1,
  ],

  // Options
  ['ovn.egress_port == 2', (p) => optionValues(p, 'ovn.egress_port').includes(2)],
  [
    'ovn.egress_port > 2 && ovn.ingress_port',
    (p) => optionValues(p, 'ovn.egress_port').some((v) => (v as number) > 2),
  ],
  [
    'tunnel[0].ovn.ingress_port == 1',
    (p) => p.tunnels[0]?.options?.some((o) => o.fields?.['ovn.ingress_port'] === 1) ?? false,
  ],
  ['geneve.option', (p) => options(p).length > 0],
  ['count(geneve.option) >= 3', (p) => options(p).length >= 3],
  ['geneve.option.class == 0x0102', (p) => options(p).some((o) => o.class === 0x0102)],
  ['geneve.option.type.critical == True', (p) => options(p).some(({ critical }) => critical)],
  ['geneve.option.length == 8', (p) => options(p).some(({ length }) => length === 8)],
  ['len(geneve.option) == 8', (p) => options(p).some(({ length }) => length === 4)],
  ['geneve.option[4:] == 00:00:00:02', (p) => options(p).some(({ data }) => data === '00000002')],
  ['geneve.option[4:] contains ff:ff', (p) => options(p).some(({ data }) => data.includes('ffff'))],

  // What is said of frames
  ['frame.number in {2, 5..7}', ({ number }) => number === 2 || (number >= 5 && number <= 7)],
  ['frame.len > 200 or frame.cap_len < frame.len', (p) => p.length > 200 || p.captured < p.length],
  ['frame.interface_name == "under0"', (p) => p.interface === 'under0'],
  ['frame.interface_name', (p) => p.interface !== null],
  ['frame.comment contains "VLAN"', (p) => p.comment?.includes('VLAN') ?? false],
  ['frame.protocols contains "geneve:eth:ip"', (p) => p.protocols.join(':').includes('geneve:eth:ip')],
  ['frame.time_epoch >= 1704067200.001', (p) => p.epoch >= 1704067200.001],

  // Layers, quantifiers, applications
  ['ip#2', ({ layers }) => layers.filter(isIp).length >= 2],
  ['ip.src#1 == 10.0.0.1', ({ layers }) => layers.find(isIp)?.fields['ip.src'] === '10.0.0.1'],
  ['ip.src#[-1] == 10.0.0.1', ({ layers }) => layers.findLast(isIp)?.fields['ip.src'] === '10.0.0.1'],
  ['all ip.ttl == 64', (p) => values(p, 'ip.ttl').length > 0 && values(p, 'ip.ttl').every((v) => v === 64)],
  ['any ip.ttl != 64', (p) => values(p, 'ip.ttl').some((v) => v !== 64)],
  ['ip.ttl not in {64}', (p) => !values(p, 'ip.ttl').includes(64)],
  [
    'dns.qry.name matches "^WEB\\\\."',
    (p) => values(p, 'dns.qry.name').some((v) => /^web\./i.test(v as string)),
  ],
  ['dns.a == 10.0.0.0/8', (p) => values(p, 'dns.a').some((v) => (v as string).startsWith('10.'))],
  [
    'tls.handshake.extensions_server_name',
    (p) => values(p, 'tls.handshake.extensions_server_name').length > 0,
  ],
  [
    'upper(dns.qry.name) contains "SVC"',
    (p) => values(p, 'dns.qry.name').some((v) => /svc/i.test(v as string)),
  ],
  ['string(eth.src)[0:2] == "02"', (p) => values(p, 'eth.src').some((v) => (v as string).startsWith('02'))],
  ['tcp.flags.syn == "set"', (p) => values(p, 'tcp.flags.syn').includes(true)],
];

describe('a filter', () => {
  it('of each case matches exactly the packets whose records say so', async () => {
    const hits = new Map<string, number>();
    for (const name of captures) {
      const found = await matching(
        sample(name),
        CASES.map(([filter]) => filter),
      );
      for (const [i, [filter, matches]] of CASES.entries()) {
        const expected = records.get(name)!.filter(matches);
        expect(found[i], `${filter} in ${name}`).toEqual(expected.map(({ number }) => number));
        hits.set(filter, (hits.get(filter) ?? 0) + expected.length);
      }
    }
    // A case that no sample decides would pass whatever the filter did.
    const undecided = [...hits].filter(([, count]) => count === 0);
    expect(undecided).toEqual([]);
  });

  it.each([
    ['not not ip', 'ip'],
    ['!ip && !ipv6', 'not (ip or ipv6)'],
    ['tcp or udp and ip', 'tcp or (udp and ip)'],
    ['not tcp and ip', '(not tcp) and ip'],
    ['ip.ttl ne 64', '!(ip.ttl == 64) && ip.ttl'],
    ['ip.ttl all_eq 64', 'all ip.ttl == 64'],
    ['ip.ttl ~= 64', 'any ip.ttl != 64'],
    ['tcp.flags & 0x12 == 0x12', 'tcp.flags.syn == 1 && tcp.flags.ack == 1'],
    ['tcp.port == 0x50', 'tcp.port == 0b1010000 && tcp.port == 0120'],
    ['ip.ttl == 64', "ip.ttl == '@' || ip.ttl == '\\x40'"],
    ['eth.src[0:2] == 02:00', 'eth.src[0,1] == 0200 && eth.src[0-1] == 02-00 && eth.src[:2] == 02.00'],
    ['eth.src[-2:] == 00:01', 'eth.src[4:2] == 00:01 && eth.src[4:][1] == 0x01 && eth.src[-2] == 00'],
    ['frame contains "\\x08\\x00E"', 'frame contains 08:00:45'],
    ['ip.src == 10.0.0.0/8', 'ip.src[0] == 0a'],
    ['ipv6.src == fd00::/8', 'ipv6.src in {fd00:: .. fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff}'],
    ['.ip.src', 'ip.src'],
    ['udp.port == 6081', 'udp.srcport == 6081 or udp.dstport == 6081'],
    ['frame matches "GET /"', 'frame matches "(?i)get \\\\/" or frame matches r"\\bGET\\x20/"'],
    ['frame matches "GET /"', 'frame matches r"\\"?GET\\x20\\/"'],
    ['tunnel[0].ip', 'outer.ip'],
    ['eth.src[6]', 'eth.src[4:5] == 00 or eth.src[2:9]'],
  ])('%s says the same as %s', async (one, other) => {
    for (const name of captures) {
      const [first, second] = await matching(sample(name), [one, other]);
      expect(first, name).toEqual(second);
    }
  });
});

describe('a wrong filter', () => {
  it.each([
    ['', 'an empty filter', ''],
    ['ip.src == 5', 'expected an IPv4 address such as 10.0.0.1 or 10.0.0.0/8, not', '5'],
    ['tcp and ip.src == "10.0.0.1"', 'ip.src is an IPv4 address', '"10.0.0.1"'],
    ['ip.src == 10.0.0.1/33', 'a prefix has 0 to 32 bits', '10.0.0.1/33'],
    ['ipv6.dst == ff02:::1', 'expected an IPv6 address', 'ff02:::1'],
    ['ip.ttl == 256', 'at most 255', '256'],
    ['ip.ttl == 10.0.0.1', 'expected a number', '10.0.0.1'],
    ['eth.src == 02:00', 'expected a MAC address', '02:00'],
    ['ip.flags.df == maybe', 'expected True or False', 'maybe'],
    ['ip.proto == tcp', 'for a value of that name, write "tcp"', 'tcp'],
    ['ip.src == eth.src', 'they cannot be compared', 'eth.src'],
    ['geneve.vnii == 5', 'did you mean geneve.vni?', 'geneve.vnii'],
    ['udp.prot == 5', 'did you mean udp.port', 'udp.prot'],
    ['ip.src == ip.dts', 'did you mean ip.dst?', 'ip.dts'],
    ['inner.ip.scr', 'did you mean ip.src', 'inner.ip.scr'],
    ['64 == ip.ttl', "expected a field, not '64'", '64'],
    ['ip.ttl[0] == 1', 'ip.ttl is a number, which has no slices', 'ip.ttl[0]'],
    ['ip.ttl contains "6"', 'string(ip.ttl) makes text of it', 'ip.ttl'],
    ['frame matches abc', 'a regular expression in double quotes', 'abc'],
    ['frame matches "("', 'Unterminated group', '"("'],
    ['frame matches "(a+)+$"', 'that can take for ever', '"(a+)+$"'],
    ['frame matches "(a|aa)*b"', 'that can take for ever', '"(a|aa)*b"'],
    ['frame matches r"\\Aabc"', "'\\A' is not known", 'r"\\Aabc"'],
    ['frame matches r"\\\\A[[:alpha:]]"', "'[[:' is not known", 'r"\\\\A[[:alpha:]]"'],
    ['ip.proto == nosuch', 'expected a number or the name of a value', 'nosuch'],
    ['frame matches ".*a.*b.*c.*d"', 'at most 3 repetitions', '".*a.*b.*c.*d"'],
    ['len(ip.ttl) == 1', 'len() takes text or bytes', 'ip.ttl'],
    ['lower(ip.src) == "x"', 'lower() takes text', 'ip.src'],
    ['size(ip) == 1', 'there are len, count, lower, upper, string', 'size(ip)'],
    ['count(ip)', 'expected a comparison', 'count(ip)'],
    ['any ip.ttl', "'any' needs a comparison", ''],
    ['inner.vni == 5', 'tunnel[-1].vni', 'inner.vni'],
    ['inner.frame.len > 5', 'said of a packet as a whole', 'inner.frame.len'],
    ['tunnel[x].vni', "expected a tunnel's number", '[x]'],
    ['tunnel[0] == 5', 'expected a field of the tunnel', '=='],
    ['ip.src#', 'expected the number of a layer', ''],
    ['eth.src[0:0] == 00', 'at least one element', '[0:0]'],
    ['eth.src[] == 00', 'expected a range', '[]'],
    ['(ip or tcp', "expected ')'", ''],
    ['ip)', 'expected and, or, or the end', ')'],
    ['ip tcp', 'expected and, or, or the end', 'tcp'],
    ['tcp.port in {}', 'expected a field or a value', '}'],
    ['tcp.port in {80 443}', "expected '}'", '443'],
    ['frame contains "abc', 'this quote is never closed', '"abc'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is what Wireshark's field references look like
    ['ip.ttl == ${ip.ttl}', 'a field reference needs a selected packet', '$' + '{'],
    ['ip.src == 10.0.0.1 ^^ tcp', 'means nothing here', '^'],
  ])('%s: the message points at the place', (expression, message, place) => {
    let error: unknown;
    try {
      compileFilter(expression, catalog, roles);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(FilterError);
    const { message: text, span } = error as FilterError;
    expect(text).toContain(message);
    expect(expression.slice(span.from, span.to)).toBe(place);
  });

  it('is shown around the place where it is long', () => {
    const expression = `${'ip.ttl == 1 or '.repeat(20)}ip.ttl == x${' or ip.ttl == 1'.repeat(20)}`;
    let excerpt: readonly string[] = [];
    try {
      compileFilter(expression, catalog, roles);
    } catch (error) {
      ({ excerpt } = error as FilterError);
    }
    const [line, mark] = excerpt;
    expect(line.length).toBeLessThan(84);
    expect(line.slice(mark.indexOf('^')).startsWith('x or')).toBe(true);
  });
});

describe('a reader', () => {
  it('gives the values of a packet: one, several or none', async () => {
    const names = ['inner.ip.src', 'ip.src', 'ovn.egress_port', 'tcp', 'frame.number'];
    const readers = names.map((name) => compileReader(name, catalog, roles));
    let i = 0;
    await eachPacket(sample('geneve-ovn.pcap'), (packet) => {
      const record = records.get('geneve-ovn.pcap')![i++];
      const [inner, all, port, tcp, number] = readers.map(({ read }) => read(packet));
      const sources = values(record, 'ip.src');
      expect(inner).toBe(!has(record, 'arp') && record.src?.includes('.') ? record.src : null);
      expect(all).toEqual(sources.length === 1 ? sources[0] : sources);
      expect(port).toBe(optionValues(record, 'ovn.egress_port')[0]);
      expect(tcp).toBe(has(record, 'tcp'));
      expect(number).toBe(record.number);
    });
  });
});

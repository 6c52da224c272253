/** Geneve options: what each decoder says, at the lengths it is for and at no other. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtins } from '../../dissectors/index.ts';
import { geneveClassVendor } from '../../dissectors/names/geneve-classes.ts';
import { u16 } from '../../src/core/field.ts';
import { isVariable, optionFields, readOption } from '../../src/core/option.ts';
import { defineOption, type OptionDecoder } from '../../src/core/protocol.ts';
import {
  codesOf,
  type Dissected,
  dissect,
  expectSurvivesAnything,
  expectTruncationsKeepLayers,
  hex,
  inUdp,
  join,
} from './packet.ts';

/** The option as it lies on the wire. */
function option(optionClass: number, type: number, data: Uint8Array): Uint8Array {
  return join(Uint8Array.of(optionClass >>> 8, optionClass & 0xff, type, data.length / 4), data);
}

/** A Geneve packet with nothing but options; the C bit as RFC 8926 wants it. */
function carrying(...options: readonly Uint8Array[]): Dissected {
  const list = join(...options);
  const critical = options.some((one) => one[2] >= 0x80) ? 0x40 : 0;
  return dissect(
    inUdp(50000, 6081, join(Uint8Array.of(list.length / 4, critical), hex('6558 000007 00'), list)),
  );
}

function one(optionClass: number, type: number, data: string) {
  const packet = carrying(option(optionClass, type, hex(data)));
  const [record] = packet.tunnels[0].options ?? [];
  return { packet, record };
}

/** Lines of the tree below the option's, without the remarks. */
function lines({ tree }: Dissected): string[] {
  return tree.filter(({ depth, severity }) => depth >= 2 && severity === null).map(({ text }) => text);
}

const NODES = '00000003 01 00012c  00000002 01 0000c8  00000001 00 000064';

describe.each<
  [name: string, optionClass: number, type: number, data: string, fields: Record<string, unknown>]
>([
  ['ovn.ports', 0x0102, 0x80, '8003 8005', { 'ovn.ingress_port': 3, 'ovn.egress_port': 0x8005 }],
  ['ovn.ports', 0x0000, 0x80, '0000 000c', { 'ovn.ingress_port': 0, 'ovn.egress_port': 12 }],
  [
    'cilium.dsr',
    0x014b,
    0x81,
    '0a60000a 0050 0000',
    { 'cilium.dsr.ip': '10.96.0.10', 'cilium.dsr.port': 80 },
  ],
  [
    'cilium.dsr',
    0x014b,
    0x81,
    'fd00001000960000 000000000000000a 01bb 0000',
    { 'cilium.dsr.ipv6': 'fd00:10:96::a', 'cilium.dsr.port': 443 },
  ],
  ['aws.gwlb.endpoint', 0x0108, 0x01, '0123456789abcdef', { 'aws.gwlb.endpoint_id': '0x0123456789abcdef' }],
  [
    'aws.gwlb.attachment',
    0x0108,
    0x02,
    '0000000000000000',
    { 'aws.gwlb.attachment_id': '0x0000000000000000' },
  ],
  ['aws.gwlb.cookie', 0x0108, 0x03, 'deadbeef', { 'aws.gwlb.flow_cookie': 0xdeadbeef }],
  ['tencent.gwlb.endpoint', 0x0167, 0x01, '6578616d706c6530', { 'tencent.gwlb.endpoint_id': 'example0' }],
  [
    'tencent.gwlb.attachment',
    0x0167,
    0x02,
    '0000000000000007',
    { 'tencent.gwlb.attachment_id': '0x0000000000000007' },
  ],
  [
    'tencent.gwlb.cookie',
    0x0167,
    0x03,
    '3a970c9e',
    { 'tencent.gwlb.flow_direction': 1, 'tencent.gwlb.flow_cookie': 0x1a970c9e },
  ],
  [
    'gcp.network',
    0x0132,
    0x01,
    '800000d1',
    {
      'geneve.option.gcp.vnid': 0x800000d,
      'geneve.option.gcp.reserved': false,
      'geneve.option.gcp.direction': true,
    },
  ],
  ['gcp.endpoint', 0x0132, 0x02, '0800000d c0a86402', { 'geneve.option.gcp.endpoint': '0800000dc0a86402' }],
  ['gcp.endpoint', 0x0132, 0x02, '', {}],
  ['gcp.profile', 0x0132, 0x03, '0000000000001234', { 'geneve.option.gcp.profile': '4660' }],
  ['oxide.external', 0x0129, 0x00, '', {}],
  ['oxide.multicast', 0x0129, 0x01, '80000000', { 'oxide.multicast.replication': 2 }],
  ['oxide.mss', 0x0129, 0x02, '000005a8', { 'oxide.mss': 1448 }],
  [
    'cpacket.metadata',
    0x0164,
    0x00,
    '000003e9 05dc 00 01 000065920080 075bcd15 8000 0003 0004',
    {
      'geneve.option.cPacket.packetid': 1001,
      'geneve.option.cPacket.orig_len': 1500,
      'geneve.option.cPacket.reserved': 0,
      'geneve.option.cPacket.version': 1,
      'geneve.option.cPacket.ts_sec': 1704067200,
      'geneve.option.cPacket.ts_nsec': 123456789,
      'geneve.option.cPacket.ts_fracns': 0x8000,
      'geneve.option.cPacket.device_id': 3,
      'geneve.option.cPacket.port_id': 4,
    },
  ],
  [
    'linux.gro_hint',
    0x0100,
    0x01,
    '06 0e 22 36',
    {
      'linux.gro_hint.inner_proto': 2,
      'linux.gro_hint.nested_ipv6': true,
      'linux.gro_hint.network_offset': 14,
      'linux.gro_hint.transport_offset': 34,
      'linux.gro_hint.header_length': 54,
    },
  ],
  [
    'int.md',
    0x0103,
    0x01,
    `2e 00 02 05  9000 0000 0000 0000  ${NODES}`,
    {
      'int.version': 2,
      'int.flags.discard': true,
      'int.flags.hops_exceeded': true,
      'int.flags.mtu_exceeded': true,
      'int.hop_ml': 8,
      'int.remaining_hops': 5,
      'int.instructions': 0x9000,
      'int.ds.id': 0,
      'int.ds.instructions': 0,
      'int.ds.flags': 0,
      'int.node_id': [3, 2, 1],
      'int.queue.id': [1, 1, 0],
      'int.queue.occupancy': [300, 200, 100],
    },
  ],
  [
    'int.mx',
    0x0103,
    0x03,
    '28000000 9000 abcd c000 0001 0000000f 12345678',
    {
      'int.version': 2,
      'int.flags.discard': true,
      'int.instructions': 0x9000,
      'int.ds.id': 0xabcd,
      'int.ds.instructions': 0xc000,
      'int.ds.flags': 1,
      'int.source_metadata': '0000000f12345678',
    },
  ],
])('%s, class %i type %i', (name, optionClass, type, data, fields) => {
  it(`reads ${data || 'no data'}`, () => {
    const { packet, record } = one(optionClass, type, data);
    expect(record).toMatchObject({ name, class: optionClass, type, critical: type >= 0x80 });
    expect(record.fields).toEqual(fields);
    expect(packet.remarks).toEqual([]);
    // The tree has what JSON has: as many lines as values, besides those that open a group.
    const values = Object.values(fields).flat().length;
    expect(lines(packet).filter((line) => !/^Hop \d+$/.test(line))).toHaveLength(values);
  });
});

describe('the hops of INT-MD', () => {
  const md = (words: string, instructions: string, stack: string) =>
    one(0x0103, 0x01, `20 00 ${words} 05 ${instructions} 5453 c000 0000 ${stack}`);

  it('have every kind of metadata in the order of the bitmap, the checksum complement last', () => {
    const { record } = md(
      '10',
      'ffc1',
      `0000000a 00010002 00000352 03001000 0000000000000001 0000000000000002 0001000100010002
       00000049 05002000 ffffffff cafe0001cafe0002 12345678`,
    );
    expect(record.fields).toMatchObject({
      'int.node_id': [10],
      'int.l1.ingress_interface': [1],
      'int.l1.egress_interface': [2],
      'int.hop_latency': [850],
      'int.queue.id': [3],
      'int.queue.occupancy': [4096],
      'int.ingress_timestamp': ['1'],
      'int.egress_timestamp': ['2'],
      'int.l2.ingress_interface': [0x10001],
      'int.l2.egress_interface': [0x10002],
      'int.tx_utilization': [73],
      'int.buffer.id': [5],
      'int.buffer.occupancy': [8192],
      'int.reserved_metadata': ['ffffffff'],
      'int.ds.metadata': ['cafe0001cafe0002'],
      'int.checksum_complement': [0x12345678],
    });
    expect(record.fields).not.toHaveProperty(['int.other_metadata']);
  });

  it.each([
    ['0080', { 'int.buffer.id': [5], 'int.buffer.occupancy': [8192] }],
    ['0040', { 'int.reserved_metadata': ['05002000'] }],
    ['0002', { 'int.reserved_metadata': ['05002000'] }],
    ['0001', { 'int.checksum_complement': [0x05002000] }],
  ])('are told apart by single bits: %s', (instructions, fields) => {
    const record = one(0x0103, 0x01, `20 00 01 05 ${instructions} 0000 0000 0000 05002000`).record;
    const hops = Object.entries(record.fields ?? {}).filter(([name]) =>
      /buffer|reserved|checksum/.test(name),
    );
    expect(Object.fromEntries(hops)).toEqual(fields);
  });

  it('are branches of the tree, and say what a node could not', () => {
    const { packet } = md('02', 'a000', '00000002 ffffffff 00000001 000002bc');
    expect(lines(packet).slice(-6)).toEqual([
      'Hop 1',
      'Node ID: 2',
      'Hop latency: Not available (4294967295)',
      'Hop 2',
      'Node ID: 1',
      'Hop latency: 700',
    ]);
  });

  it.each([
    ['four bytes that are no whole hop', '02', '9000', '00000001 00000064 a61af6b1', 'a61af6b1', [1]],
    [
      'fewer bytes per hop than are asked for',
      '01',
      '9000',
      '00000002 00000001',
      '0000000200000001',
      undefined,
    ],
    ['no bytes per hop', '00', '0000', '00000002', '00000002', undefined],
  ])('leave the rest as it is: %s', (_, words, instructions, stack, rest, nodes) => {
    const { record } = md(words, instructions, stack);
    expect(record.fields?.['int.other_metadata']).toBe(rest);
    expect(record.fields?.['int.node_id']).toEqual(nodes);
  });
});

/** Where a decoder's fields were found. */
function placesOf(decoder: OptionDecoder, data: Uint8Array): [name: string, from: number, length: number][] {
  const places: [string, number, number][] = [];
  readOption(decoder, new DataView(data.buffer, data.byteOffset, data.length), 0, data.length, {
    field: (field, base) => {
      field.show(field.read(new DataView(data.buffer, data.byteOffset, data.length), base));
      places.push([field.name, base + field.at, field.size]);
    },
    computed: (field, _, offset, length) => places.push([field.name, offset, length]),
    open() {},
    close() {},
  });
  return places;
}

describe('any data of a length that fits', () => {
  it.each(
    builtins.options!.map((decoder) => [`${decoder.name} of ${decoder.length} bytes`, decoder] as const),
  )('%s stay within their bytes', (_, decoder) => {
    const names = new Set(optionFields(decoder).map(({ name }) => name));
    const most = isVariable(decoder) ? 124 : decoder.length;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: decoder.length, maxLength: most }), (data) => {
        for (const [name, from, length] of placesOf(decoder, data)) {
          expect(names).toContain(name);
          expect(from).toBeGreaterThanOrEqual(0);
          expect(from + length).toBeLessThanOrEqual(data.length);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is shown without one byte of the hops lost or told twice', () => {
    const md = builtins.options!.find(({ name }) => name === 'int.md')!;
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 12, maxLength: 124 }), (data) => {
        let at = md.length;
        for (const [, from, length] of placesOf(md, data).slice(md.fields.length)) {
          expect(from).toBe(at);
          at += length;
        }
        expect(at).toBe(data.length);
      }),
    );
  });
});

describe('data of another length', () => {
  it.each(
    builtins
      .options!.filter((decoder) => !isVariable(decoder))
      .map((decoder) => [`${decoder.name} of ${decoder.length} bytes`, decoder] as const),
  )('are not %s', (_, { class: optionClass, type, length }) => {
    for (const wrong of [length - 4, length + 4, 124]) {
      if (wrong < 0) continue;
      const data = new Uint8Array(wrong).fill(0x5a);
      const packet = carrying(option(optionClass, type, data));
      const [record] = packet.tunnels[0].options!;
      expect(record).toEqual({
        class: optionClass,
        type,
        critical: type >= 0x80,
        length: wrong,
        name: null,
        vendor: geneveClassVendor(optionClass) ?? null,
        data: '5a'.repeat(wrong),
      });
      expect(codesOf(packet)).toEqual(['geneve.option-length']);
    }
  });

  it('are told from the length they should have', () => {
    const text = (optionClass: number, type: number, data: string) =>
      one(optionClass, type, data).packet.remarks[0].text;
    expect(text(0x014b, 0x81, '00000000')).toBe(
      'option class 0x014b type 0x81 has 4 data bytes, its definition 8 or 20',
    );
    expect(text(0x0103, 0x03, '00000000')).toBe(
      'option class 0x0103 type 0x03 has 4 data bytes, its definition at least 12',
    );
  });
});

describe('options that nothing is registered for', () => {
  it.each([
    [0x0104, 0x01, 'VMware'],
    [0x0103, 0x02, 'INT'],
    [0x0108, 0x00, 'Amazon'],
    [0xff00, 0x01, 'Experimental'],
    [0xff72, 0x7f, 'Experimental'],
    [0x0171, 0x01, null],
  ])('are shown raw: class %i type %i', (optionClass, type, vendor) => {
    const { packet, record } = one(optionClass, type, '01020304');
    expect(record).toEqual({
      class: optionClass,
      type,
      critical: false,
      length: 4,
      name: null,
      vendor,
      data: '01020304',
    });
    expect(lines(packet)).toContain('Data: 01020304');
    expect(packet.remarks).toEqual([]);
  });

  it('get a remark where they are critical', () => {
    const { packet } = one(0x0104, 0x81, '01020304');
    expect(codesOf(packet)).toEqual(['geneve.critical-unknown']);
  });
});

it('groups without a size are as long as their items, whatever their number', () => {
  const list = defineOption({
    name: 'x.list',
    title: 'List',
    reference: 'none',
    table: 'geneve.option',
    class: 0xff00,
    type: 2,
    length: 0,
    fields: [],
    groups: {
      title: 'Entry',
      items: [{ fields: [u16('x.a', 'A', 0, { list: true }), u16('x.b', 'B', 2, { list: true })] }],
    },
  });
  expect(placesOf(list, hex('0001 0002 0003 0004'))).toEqual([
    ['x.a', 0, 2],
    ['x.b', 2, 2],
    ['x.a', 4, 2],
    ['x.b', 6, 2],
  ]);
});

describe('packets with options', () => {
  const packet = inUdp(
    50000,
    6081,
    join(
      hex('12 40 6558 000007 00'), // 18 words of options, critical
      option(0x0103, 0x01, hex(`20000205 9000 0000 0000 0000 ${NODES}`)),
      option(0x014b, 0x81, hex('fd00001000960000 000000000000000a 01bb 0000')),
      option(0x0132, 0x02, hex('0a000001')),
    ),
  );

  it('keep what was captured', () => {
    expect(dissect(packet).tunnels[0].options).toHaveLength(3);
    expectTruncationsKeepLayers(packet);
  });
  it('survive anything', () => expectSurvivesAnything('geneve', [packet.subarray(28)]));
});

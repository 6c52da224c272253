/** Plug-ins that are data, as a user has them: files named with --plugin. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { PacketRecord } from '../../src/core/record.ts';
import type { FieldNameRecord, OptionDecoderRecord, ProtocolRecord } from '../../src/core/registered.ts';
import type { FlowRecord } from '../../src/flow/records.ts';
import { samples } from '../samples.ts';
import { capture, file, plugins, records, tunscope } from './run.ts';

const acme = path.join(plugins, 'acme.yaml');
const beat = path.join(plugins, 'beat.json');
const both = ['--plugin', acme, '--plugin', beat];

const schema = JSON.parse(
  readFileSync(new URL('../../docs/schema/plugin-1.schema.json', import.meta.url), 'utf8'),
);
const fitsSchema = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(
  schema,
);

describe('the samples', () => {
  it('decode options: several lengths, lists, values with names', async () => {
    const packets = await records<PacketRecord>(['packets', ...both, capture]);
    const options = packets.map(({ tunnels }) => tunnels[0]?.options);
    expect(options[0]![0]).toMatchObject({
      name: 'acme.tenant',
      fields: {
        'acme.tenant.id': 0x1234,
        'acme.tenant.priority': 7,
        'acme.tenant.drop': true,
        'acme.tenant.zone': 2,
      },
    });
    expect(options[1]![1].fields).toEqual({ 'acme.origin.ip': '192.0.2.77' });
    expect(options[2]![0].fields).toEqual({
      'acme.origin.ip': '192.0.2.77',
      'acme.origin.mac': '00:00:5e:00:53:aa',
      'acme.origin.load': 250,
    });
    expect(options[3]![0].fields).toEqual({
      'acme.route.left': 1,
      'acme.route.node': [5, 6],
      'acme.route.delay': [120, 80],
    });
    expect(options[4]![0]).toMatchObject({ name: null, data: '00001234' });
    expect(packets[4].remarks.map(({ code }) => code)).toEqual(['geneve.option-length']);
  });

  it('show them in the tree', async () => {
    const { stdout, stderr, status } = await tunscope(['packets', '-V', '-c', '4', ...both, capture]);
    expect([status, stderr]).toEqual([0, '']);
    for (const line of [
      '    Acme tenant: Experimental, class 0xff20 type 0x01 (8 bytes)',
      '      Tenant: 0x00001234',
      '      0111 .... = Priority: 7',
      '      .... 1... = May be dropped: Yes',
      '      Zone: edge (2)',
      '      Load: 250 permille',
      '      Stop 2',
      '        Delay: 80 µs',
    ])
      expect(stdout.split('\n')).toContain(line);
  });

  it('decode protocols, and say of every header what is wrong with it', async () => {
    const packets = await records<PacketRecord>(['packets', ...both, capture]);
    const layers = packets.map(({ layers }) => layers.find(({ protocol }) => /^acme/.test(protocol)));
    expect(layers[6]!.fields).toEqual({
      'acmetun.version': 1,
      'acmetun.hlen': 8,
      'acmetun.routed': true,
      'acmetun.type': 0x6558,
      'acmetun.network': 77,
    });
    expect(packets.map(({ vni, stop }) => [vni, stop]).slice(6, 14)).toEqual([
      [77, null],
      [0xfffffffe, null],
      [null, null],
      [77, null],
      [null, 'malformed'],
      [null, 'unknown'],
      [null, 'truncated'],
      [78, null],
    ]);
    expect(packets[9].protocols).toEqual(['eth', 'ip', 'udp', 'acmetun', 'eth', 'ip', 'icmp']);
    expect(layers[9]!.length).toBe(12);
    expect(packets[12].layers.at(-1)!.fields).toEqual({
      'acmetun.version': 1,
      'acmetun.hlen': 8,
      'acmetun.routed': true,
      'acmetun.type': 0x6558,
    });
    expect(layers[14]!.fields).toEqual({
      'acmebeat.state': 1,
      'acmebeat.interval': 500,
      'acmebeat.node': 'node-17 ',
    });
  });

  it.each(['1', '3'])('count in flows, with --workers %s', async (workers) => {
    const flows = await records<FlowRecord>(['flows', ...both, '--workers', workers, capture]);
    const inside = flows.filter(({ tunnels }) => tunnels.some(({ protocol }) => protocol === 'acmetun'));
    expect(inside.map(({ vni, protocol, bytes }) => [vni, protocol, bytes])).toEqual([
      [77, 'tcp', 54],
      [0xfffffffe, 'tcp', 40],
      [null, 'icmp', 58],
      [77, 'icmp', 58],
      [78, 'icmp', 58],
    ]);
    const tenants = flows.flatMap(({ options = [] }) => options);
    expect(tenants).toContainEqual({ class: 0xff20, type: 1, name: 'acme.tenant', packets: 1 });
    const sum = (list: FlowRecord[]) => list.reduce((total, { packets }) => total + packets, 0);
    const without = await records<FlowRecord>(['flows', capture]);
    expect(sum(without)).toBe(17);
    expect(sum(flows)).toBe(17);
  });

  it('are listed with their origin', async () => {
    const options = await records<OptionDecoderRecord>(['options', ...both]);
    expect(
      options.filter(({ origin }) => origin === 'acme').map(({ key, length }) => [key.type, length]),
    ).toEqual([
      [1, 8],
      [3, 4],
      [0x82, 4],
      [0x82, 12],
    ]);
    const protocols = await records<ProtocolRecord>(['protocols', ...both]);
    expect(protocols.find(({ name }) => name === 'acmebeat')).toMatchObject({
      origin: 'acme-beat',
      keys: [{ table: 'udp.port', key: 7760 }],
    });
    const fields = await records<FieldNameRecord>(['fields', ...both]);
    expect(fields.filter(({ origin }) => origin === 'acme')).toHaveLength(4 + 3 + 3 + 5);
  });

  it.each([
    ['acme.tenant.id == 0x1234', [1, 2]],
    ['acme.tenant.drop', [1, 2]],
    ['acme.tenant.zone == edge', [1, 2]],
    ['acme.route.node == 6', [4]],
    ['acmetun.network == 77 and tcp', [7]],
    ['acmebeat.node contains "17"', [15]],
  ])('are named in filters: %s', async (filter, numbers) => {
    const packets = await records<PacketRecord>(['packets', ...both, '-Y', filter, capture]);
    expect(packets.map(({ number }) => number)).toEqual(numbers);
  });

  it('bind to other keys with -d', async () => {
    const [packet] = await records<PacketRecord>([
      'packets',
      ...both,
      '-d',
      'udp.port==6081,acmebeat',
      '-c',
      '1',
      capture,
    ]);
    expect(packet.protocols.at(-1)).toBe('acmebeat');
  });

  it('fit the schema', () => {
    for (const name of [acme, beat]) {
      expect(fitsSchema(parse(readFileSync(name, 'utf8'))), JSON.stringify(fitsSchema.errors)).toBe(true);
    }
  });
});

describe('the documentation', () => {
  const text = readFileSync(new URL('../../docs/plugins.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/```(\w*)\n(.*?)```/gs)].map(([, language, block]) => ({
    language,
    block,
  }));

  it('has examples that do what it says', async () => {
    const [options, protocols] = blocks.filter(({ language }) => language === 'yaml');
    const name = file('documented.yaml', options.block + protocols.block);
    expect(fitsSchema(parse(options.block + protocols.block)), JSON.stringify(fitsSchema.errors)).toBe(true);
    const shown = blocks
      .find(({ block }) => block.startsWith('$ tunscope'))!
      .block.split('\n')
      .slice(1)
      .join('\n');
    const { stdout } = await tunscope(['packets', '-V', '--plugin', name, '-c', '1', capture]);
    expect(stdout).toContain(shown);
    const flows = await records<FlowRecord>(['flows', '--plugin', name, capture]);
    expect(flows.map(({ vni }) => vni)).toContain(0xfffffffe);
  });
});

const field = { name: 'x.a', title: 'A', offset: 0, width: 2 };
const option = { name: 'x.o', title: 'O', class: '0xff30', type: 1, length: 4, fields: [field] };
const protocol = { name: 'x', title: 'X', on: { 'udp.port': 7000 }, length: 4, fields: [field] };
const withField = (change: object) => ({ options: [{ ...option, fields: [{ ...field, ...change }] }] });
const withOption = (change: object) => ({ options: [{ ...option, ...change }] });
const withProtocol = (change: object) => ({ protocols: [{ ...protocol, ...change }] });

/** Documents, and what is said of them; `false` where the schema, too, has to refuse them. */
const refused: readonly (readonly [object, string, boolean?])[] = [
  [{ plugin: 2 }, 'plugin: expected 1, found 2', false],
  [{ nmae: 'y' }, 'nmae: unknown; there are plugin, name, $schema, options, protocols', false],
  [{ name: 'No Name' }, "name: expected a name like 'acme.tenant', found 'No Name'", false],
  [{ options: {} }, 'options: expected a list, found an object', false],
  [withField({ width: 5 }), 'options[0].fields[0].width: expected 1, 2, 3, 4, 6 or 8, found 5'],
  [
    withField({ width: undefined }),
    "options[0].fields[0]: 'width' is missing: bytes that the value is read from",
  ],
  [withField({ offset: 3 }), 'options[0].fields[0]: takes bytes 3 to 4, but there are 4 bytes of data'],
  [
    withField({ offset: -1 }),
    'options[0].fields[0].offset: expected a whole number from 0 to 1024, found -1',
    false,
  ],
  [
    withField({ mask: 0x10000 }),
    'options[0].fields[0].mask: expected a whole number from 1 to 65535, found 65536',
  ],
  [
    withField({ format: 'float' }),
    "options[0].fields[0].format: expected dec, hex, dechex, signed, boolean, mac, ipv4, ipv6, bytes or text, found 'float'",
    false,
  ],
  [withField({ format: 'mac' }), 'options[0].fields[0].width: expected 6, found 2'],
  [withField({ format: 'text', mask: 1 }), 'options[0].fields[0].mask: a field of format text has no mask'],
  [
    withField({ enum: { one: 'x' } }),
    'options[0].fields[0].enum.one: expected a number before a name, like 3 or 0x03',
    false,
  ],
  [
    withField({ title: 'x'.repeat(201) }),
    'options[0].fields[0].title: expected at most 200 characters, found 201',
    false,
  ],
  [
    withOption({ class: 70000 }),
    'options[0].class: expected a whole number from 0 to 65535, found 70000',
    false,
  ],
  [withOption({ class: undefined }), "options[0]: 'class' is missing", false],
  [withOption({ family: 'nsh' }), "options[0].family: expected geneve.option, found 'nsh'"],
  [withOption({ length: [] }), 'options[0].length: expected at least one length', false],
  [
    withOption({ length: [4, 8], rest: { name: 'x.r', title: 'R' } }),
    'options[0].length: an option with groups or a rest has one length, of what is before them',
  ],
  [
    withOption({ groups: { title: 'G', items: [{ bit: 1, fields: [field] }] } }),
    "options[0].groups.items[0].bit: means nothing without 'present'",
  ],
  [
    withOption({ groups: { title: 'G', size: 'x.b', items: [{ fields: [field] }] } }),
    'options[0].groups.size: expected the name of a field beside it: x.a',
  ],
  [
    withOption({ groups: { title: 'G', items: [{}] } }),
    "options[0].groups.items[0]: expected either 'fields' or 'rest'",
    false,
  ],
  [
    withProtocol({ on: { 'udp.prot': 1 } }),
    "protocols[0].on['udp.prot']: no table is called 'udp.prot'; there are",
  ],
  [
    withProtocol({ on: { 'udp.port': 70000 } }),
    "protocols[0].on['udp.port']: expected a whole number from 0 to 65535, found 70000",
  ],
  [withProtocol({ on: { 'udp.port': 6081 } }), 'udp.port 6081 is claimed by geneve (tunscope) and by x (x)'],
  [withProtocol({ name: 'dns' }), 'protocol dns is claimed by tunscope and by x'],
  [
    withProtocol({ length: 0 }),
    'protocols[0].length: expected a whole number from 1 to 1024, found 0',
    false,
  ],
  [
    withProtocol({ next: { table: 'ethertype' } }),
    "protocols[0].next: expected either 'field' or 'key'",
    false,
  ],
  [
    withProtocol({ tunnel: { vni: 'x.z' } }),
    'protocols[0].tunnel.vni: expected the name of a field beside it: x.a',
  ],
  [
    withProtocol({ require: { 'x.a': 'one' } }),
    "protocols[0].require['x.a']: expected a whole number",
    false,
  ],
];

describe('a wrong document', () => {
  it.each(refused.map(([change, message, schemaToo]) => ({ change, message, schemaToo })))(
    '$message',
    async ({ change, message, schemaToo }) => {
      const document = JSON.parse(JSON.stringify({ plugin: 1, name: 'x', ...change }));
      const name = file('wrong.json', JSON.stringify(document, null, 1));
      const { status, stdout, stderr } = await tunscope(['options', '--plugin', name]);
      expect([status, stdout]).toEqual([2, '']);
      expect(stderr).toMatch(/^tunscope: wrong\.json(:\d+)?: [^\n]+\n$/);
      expect(stderr).toContain(message);
      if (schemaToo === false) expect(fitsSchema(document)).toBe(false);
    },
  );

  it('is told with its line', async () => {
    const lines = ['plugin: 1', 'name: x', 'protocols:', '  - name: x', '    title: X', '    length: 4'];
    const name = file(
      'lines.yaml',
      [
        ...lines,
        '    on: { udp.port: 1 }',
        '    fields:',
        '      - name: x.a',
        '        title: A',
        '        offset: many',
        '        width: 1',
      ].join('\n'),
    );
    expect((await tunscope(['flows', '--plugin', name, capture])).stderr).toBe(
      "tunscope: lines.yaml:11: protocols[0].fields[0].offset: expected a whole number from 0 to 1024, found 'many'\n",
    );
  });

  it.each([
    ['broken.yaml', 'plugin: 1\nname: [', /^tunscope: broken\.yaml:\d: [^\n]+\n$/],
    ['twice.yaml', 'plugin: 1\nplugin: 1\nname: x', /^tunscope: twice\.yaml:2: Map keys must be unique\n$/],
    ['empty.yaml', '', /^tunscope: empty\.yaml: expected an object, found null\n$/],
    [
      'bomb.yaml',
      `plugin: 1\nname: x\noptions:\n  - &a0 [1, 1]\n${Array.from({ length: 30 }, (_, i) => `  - &a${i + 1} [*a${i}, *a${i}, *a${i}, *a${i}]\n`).join('')}`,
      /^tunscope: bomb\.yaml: [^\n]+\n$/,
    ],
    ['deep.json', '['.repeat(200_000), /^tunscope: deep\.json[^\n]+\n$/],
    ['large.json', ' '.repeat((4 << 20) + 1), /^tunscope: large\.json: larger than 4 MiB\n$/],
    [
      'plugin.txt',
      '',
      /^tunscope: plugin\.txt: not a plug-in, whose name ends with one of \.json, [^\n]+\n$/,
    ],
    ['control.json', '{"plugin": 1, "name": "\\u001b[31m"}', /^tunscope: control\.json:1: name: [ -~]+\n$/],
    [
      'lines.json',
      '{"plugin": 1, "name": "lines", "options": [{"name": "lines.a", "class": 1, "type": 1, "length": 4, "fields": [],\n"title": "two\\nlines"}]}',
      /^tunscope: lines\.json:2: options\[0\]\.title: has line breaks or control characters: two\\x0alines\n$/,
    ],
  ])('%s', async (name, text, expected) => {
    file(name, text);
    const { status, stdout, stderr } = await tunscope(['protocols', '--plugin', name]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(expected);
  });

  it('is not there, or there twice', async () => {
    expect(await tunscope(['fields', '--plugin', 'none.yaml'])).toEqual({
      status: 2,
      stdout: '',
      stderr: 'tunscope: none.yaml: no such file\n',
    });
    expect((await tunscope(['fields', '--plugin', acme, '--plugin', acme])).stderr).toBe(
      `tunscope: ${acme}: another plug-in is called 'acme', too\n`,
    );
  });
});

it('changes nothing for packets that it is not about', async () => {
  const other = path.join(samples, 'geneve-edge.pcapng');
  const [plain, plugged] = await Promise.all([
    tunscope(['packets', '-V', other]),
    tunscope(['packets', '-V', ...both, other]),
  ]);
  expect(plugged).toEqual(plain);
});

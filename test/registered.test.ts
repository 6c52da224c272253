/** `protocols`, `fields` and `options`: the built command as a user runs it, and what it promises about packets. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { builtins } from '../dissectors/index.ts';
import { computed, u16, u32 } from '../src/core/field.ts';
import type { FieldRecord, PacketRecord } from '../src/core/record.ts';
import {
  type FieldNameRecord,
  fieldRecords,
  type OptionDecoderRecord,
  optionRecords,
  type ProtocolRecord,
  protocolRecords,
} from '../src/core/registered.ts';
import { Registry } from '../src/core/registry.ts';
import { linesOf } from './command.ts';
import { samples } from './samples.ts';

const main = path.resolve(import.meta.dirname, '../dist/bin/tunscope.js');
const run = promisify(execFile);

async function tunscope(args: string[], columns = 80): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, [main, ...args], {
    env: { COLUMNS: String(columns) },
    maxBuffer: 1 << 24,
  });
  expect(stderr).toBe('');
  return stdout;
}

const schema = JSON.parse(
  readFileSync(new URL('../docs/schema/tunscope-1.schema.json', import.meta.url), 'utf8'),
) as { $id: string };
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: true });
ajv.addSchema(schema);

describe.each([
  ['protocols', 'registeredProtocol', builtins.protocols!.length],
  ['fields', 'registeredField', null],
  ['options', 'registeredOption', builtins.options!.length],
])('%s', (command, definition, count) => {
  it('prints the same records as JSON, as lines and as CSV', async () => {
    const whole = JSON.parse(await tunscope([command, '--json'])) as Record<string, object[]>;
    for (const name of ['', `/$defs/${command}Document`]) {
      const validate = ajv.getSchema(name === '' ? schema.$id : `${schema.$id}#${name}`)!;
      expect(validate(whole), JSON.stringify(validate.errors)).toBe(true);
    }
    const records = whole[command];
    if (count !== null) expect(records).toHaveLength(count);
    const lines = linesOf(await tunscope([command, '--ndjson']));
    expect(lines.map((line) => JSON.parse(line))).toEqual(records);
    const validate = ajv.getSchema(`${schema.$id}#/$defs/${definition}`)!;
    for (const record of records) expect(validate(record), JSON.stringify(validate.errors)).toBe(true);
    expect(linesOf(await tunscope([command, '--csv']))).toHaveLength(records.length + 1);
  });

  it.each([80, 120, 200])('prints a table that fits %i columns and has every name', async (columns) => {
    const lines = linesOf(await tunscope([command], columns));
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
    const { [command]: records } = JSON.parse(await tunscope([command, '--json'])) as Record<
      string,
      { name: string }[]
    >;
    const shown = lines.slice(1).filter((line) => !line.startsWith(' '));
    expect(shown.map((line) => line.split(' ')[0])).toEqual(records.map(({ name }) => name));
  });

  it('takes no file', async () => {
    const failed = run(process.execPath, [main, command, 'capture.pcap']);
    await expect(failed).rejects.toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^tunscope: too many arguments.*see --help\n$/),
    });
  });
});

it('tells the key, the reference and the origin of protocols and options', async () => {
  const list = async <R>(command: string) =>
    linesOf(await tunscope([command, '--ndjson'])).map((line) => JSON.parse(line) as R);
  const protocols = await list<ProtocolRecord>('protocols');
  expect(protocols.find(({ name }) => name === 'vxlan')).toEqual({
    type: 'protocol',
    schema: 1,
    name: 'vxlan',
    title: 'Virtual eXtensible Local Area Network',
    reference: 'RFC 7348',
    keys: [
      { table: 'udp.port', key: 4789 },
      { table: 'udp.port', key: 8472 },
    ],
    origin: 'tunscope',
  });
  expect(protocols.find(({ name }) => name === 'tls')?.keys).toEqual([{ table: 'tcp.port', key: null }]);
  const options = await list<OptionDecoderRecord>('options');
  expect(options.find(({ name }) => name === 'int.mx')).toEqual({
    type: 'option',
    schema: 1,
    name: 'int.mx',
    title: 'INT-MX',
    reference: 'P4 INT 2.1',
    key: { table: 'geneve.option', class: 0x0103, type: 3 },
    length: 12,
    variable: true,
    fields: [
      'int.version',
      'int.flags.discard',
      'int.instructions',
      'int.ds.id',
      'int.ds.instructions',
      'int.ds.flags',
      'int.source_metadata',
    ],
    origin: 'tunscope',
  });
});

describe('fields', () => {
  const known = new Map<string, FieldNameRecord>();
  for (const field of fieldRecords(new Registry().add(builtins)))
    known.set(`${field.protocol ?? ''}/${field.option ?? ''}/${field.name}`, field);

  function complaints(fields: FieldRecord, protocol: string, option: string): string[] {
    return Object.entries(fields).flatMap(([name, value]) => {
      const field = known.get(`${protocol}/${option}/${name}`);
      if (!field) return [`${name} of ${protocol || option} is not listed`];
      if (Array.isArray(value) !== field.list) return [`${name} is ${field.list ? 'no' : 'a'} list`];
      const types = {
        uint: ['number', 'string'],
        int: ['number'],
        bool: ['boolean'],
        ether: ['string'],
        ipv4: ['string'],
        ipv6: ['string'],
        bytes: ['string'],
        string: ['string'],
      }[field.valueType];
      const wrong = [value].flat().find((one) => !types.includes(typeof one));
      return wrong === undefined ? [] : [`${name} is ${field.valueType}, not ${JSON.stringify(wrong)}`];
    });
  }

  it('lists every field of every layer and option of the samples, with its type', () => {
    const golden = path.join(samples, 'golden');
    const found = new Set<string>();
    for (const file of readdirSync(golden).filter((name) => name.endsWith('.packets.ndjson'))) {
      for (const line of linesOf(readFileSync(path.join(golden, file), 'utf8'))) {
        const { layers } = JSON.parse(line) as PacketRecord;
        for (const { protocol, fields, options = [] } of layers) {
          for (const complaint of complaints(fields, protocol, '')) found.add(complaint);
          for (const option of options) {
            for (const complaint of complaints(option.fields ?? {}, '', option.name ?? ''))
              found.add(complaint);
          }
        }
      }
    }
    expect([...found]).toEqual([]);
  });
});

describe('plug-ins', () => {
  const registry = new Registry().add(builtins).add({
    name: 'mine',
    protocols: [
      {
        name: 'mine',
        title: 'Mine',
        reference: 'none',
        fields: [u16('mine.number', 'Number', 0)],
        detailFields: [computed<string>('mine.text', 'Text', 'string', { list: true })],
        minLength: 2,
        on: [['udp.port', 7777]],
        step() {},
      },
    ],
    options: [
      {
        name: 'mine.option',
        title: 'My option',
        reference: 'none',
        table: 'geneve.option',
        class: 0xff00,
        type: 0x81,
        length: 4,
        fields: [u32('mine.word', 'Word', 0)],
      },
    ],
  });
  registry.decodeAs('udp.port', 7778, 'mine');
  registry.decodeAs('udp.port', 4789, 'mine');

  it('are named as the origin of what they bring', () => {
    const mine = <R extends { origin: string }>(records: R[]) =>
      records.filter(({ origin }) => origin === 'mine');
    expect(mine(protocolRecords(registry)).map(({ name }) => name)).toEqual(['mine']);
    expect(mine(optionRecords(registry)).map(({ name }) => name)).toEqual(['mine.option']);
    expect(mine(fieldRecords(registry)).map(({ name, list }) => [name, list])).toEqual([
      ['mine.number', false],
      ['mine.text', true],
      ['mine.word', false],
    ]);
  });

  it('take keys from others where the user says so', () => {
    const keys = (wanted: string) =>
      protocolRecords(registry)
        .find(({ name }) => name === wanted)
        ?.keys.map(({ table, key }) => `${table} ${key}`);
    expect(keys('mine')?.sort()).toEqual(['udp.port 4789', 'udp.port 7777', 'udp.port 7778']);
    expect(keys('vxlan')).toEqual(['udp.port 8472']);
  });
});

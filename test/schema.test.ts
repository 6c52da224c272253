/** What commands print must be what docs/schema promises, and the schema must be tight enough to notice. */
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { type CommandName, linesOf, runCommand } from './command.ts';
import { captures, sample } from './samples.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type JsonObject = { [key: string]: Json };

const schema = JSON.parse(
  readFileSync(new URL('../docs/schema/tunscope-1.schema.json', import.meta.url), 'utf8'),
) as JsonObject & { $id: string; $defs: { [name: string]: JsonObject } };
const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true, strictRequired: true });
ajv.addSchema(schema);

function validator(name: string): ValidateFunction {
  const validate = ajv.getSchema(name === '' ? schema.$id : `${schema.$id}#/$defs/${name}`);
  if (!validate) throw new Error(`the schema defines no ${name}`);
  return validate;
}

/** What is wrong with `value`, short enough to read where it is a document of thousands of lines. */
function complaints(validate: ValidateFunction, value: unknown): string[] {
  if (validate(value)) return [];
  return (validate.errors ?? [])
    .slice(0, 5)
    .map(
      ({ instancePath, message, params }) =>
        `${instancePath || 'record'} ${message ?? ''} ${JSON.stringify(params)}`,
    );
}

const COMMANDS: readonly [CommandName, record: string, document: string][] = [
  ['packets', 'packet', 'packetsDocument'],
  ['flows', 'flow', 'flowsDocument'],
  ['vni', 'vni', 'vniDocument'],
];

/** One real record of each kind. */
async function record(
  command: CommandName,
  file: string,
  where: (record: JsonObject) => boolean = () => true,
  options: { by?: string } = {},
) {
  const { stdout } = await runCommand(command, [sample(file)], { ndjson: true, ...options });
  const found = linesOf(stdout)
    .map((line) => JSON.parse(line) as JsonObject)
    .find(where);
  if (!found) throw new Error(`${file} has no such record`);
  return found;
}

describe.each(COMMANDS)('%s', (command, one, document) => {
  it.each(captures)('of %s prints records that fit the schema', async (file) => {
    const ndjson = await runCommand(command, [sample(file)], { ndjson: true });
    const records = linesOf(ndjson.stdout).map((line) => JSON.parse(line) as JsonObject);
    expect(records.length).toBeGreaterThan(0);
    for (const [i, record] of records.entries())
      expect(complaints(validator(one), record), `line ${i + 1}`).toEqual([]);

    const json = await runCommand(command, [sample(file)], { json: true });
    const whole = JSON.parse(json.stdout) as JsonObject;
    expect(complaints(validator(document), whole)).toEqual([]);
    expect(whole[command]).toEqual(records);
  });
});

/** Calls `visit` with every object of `value` and where it is. */
function walk(value: Json, path: string, visit: (object: JsonObject, path: string) => void): void {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) walk(item, `${path}/${i}`, visit);
  } else if (typeof value === 'object' && value !== null) {
    visit(value, path);
    for (const [key, item] of Object.entries(value)) walk(item, `${path}/${key}`, visit);
  }
}

const OPEN = /\/(fields|protocols|by|groupValues)$/;

describe('the schema', () => {
  it('takes any record or document as a whole', async () => {
    const validate = validator('');
    expect(complaints(validate, await record('packets', 'geneve-ovn.pcap'))).toEqual([]);
    expect(complaints(validate, await record('vni', 'geneve-ovn.pcap'))).toEqual([]);
    const { stdout } = await runCommand('flows', [sample('geneve-ovn.pcap')], { json: true });
    expect(complaints(validate, JSON.parse(stdout))).toEqual([]);
    expect(complaints(validate, { type: 'packet', schema: 1 })).not.toEqual([]);
  });

  it('says of every key what it means', () => {
    const silent: string[] = [];
    for (const [name, definition] of Object.entries(schema.$defs)) {
      if (typeof definition.description !== 'string') silent.push(name);
    }
    walk(schema, '', ({ properties }, path) => {
      if (typeof properties !== 'object' || properties === null || Array.isArray(properties)) return;
      for (const [key, property] of Object.entries(properties)) {
        const { description, $ref } = property as JsonObject;
        // A reference without words of its own has those of what it refers to.
        if (typeof description !== 'string' && typeof $ref !== 'string') silent.push(`${path}/${key}`);
      }
    });
    expect(silent).toEqual([]);
  });

  it('leaves no object open but maps', () => {
    const open: string[] = [];
    walk(schema, '', (object, path) => {
      if (object.type === 'object' && object.additionalProperties !== false && !OPEN.test(path))
        open.push(path);
    });
    expect(open).toEqual([]);
  });

  it('notices a missing, an extra and a wrong key at every depth of real records', async () => {
    const summary = async () => {
      const { stdout } = await runCommand('vni', [sample('damaged-cut.pcap')], { json: true });
      return (JSON.parse(stdout) as { summary: JsonObject }).summary;
    };
    const examples: [string, JsonObject][] = [
      ['packet', await record('packets', 'geneve-ovn.pcap')],
      [
        'packet',
        await record(
          'packets',
          'geneve-edge.pcapng',
          ({ remarks, comment }) => Array.isArray(remarks) && remarks.length > 0 && comment !== undefined,
        ),
      ],
      ['flow', await record('flows', 'geneve-ovn.pcap', ({ tcp }) => tcp !== undefined)],
      ['flow', await record('flows', 'geneve-ovn.pcap', ({ icmp }) => icmp !== undefined)],
      ['vni', await record('vni', 'geneve-ovn.pcap')],
      ['group', await record('flows', 'geneve-ovn.pcap', undefined, { by: 'ovn.egress_port,ip.src,tcp' })],
      ['summary', await summary()],
    ];
    const optional = new Set(['comment', 'options', 'fields', 'tcp', 'icmp']);
    for (const [name, example] of examples) {
      const validate = validator(name);
      expect(complaints(validate, example)).toEqual([]);
      walk(example, name, (object, path) => {
        if (OPEN.test(path)) return;
        object.surplus = 1;
        expect(validate(example), `${path} with an extra key`).toBe(false);
        delete object.surplus;
        for (const [key, value] of Object.entries(object)) {
          object[key] = { surplus: {} };
          // Wrong for the maps too: an empty object is neither a field's value nor a share.
          expect(validate(example), `${path}/${key} of a wrong type`).toBe(false);
          delete object[key];
          if (!optional.has(key) || (key === 'options' && name === 'flow'))
            expect(validate(example), `${path} without ${key}`).toBe(false);
          object[key] = value;
        }
      });
      expect(complaints(validate, example)).toEqual([]);
    }
  });
});

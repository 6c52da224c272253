/** `tunscope check` and `tunscope explain` as built: formats, exit statuses, what a CI system gets. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { FindingRecord } from '../../src/check/findings.ts';
import type { ProtectionRecord } from '../../src/check/protections.ts';
import { samples } from '../samples.ts';

const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');

function tunscope(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [main, ...args], { cwd: samples, env: {}, encoding: 'utf8' });
}

describe('check', () => {
  it.each([
    [['geneve-edge.pcapng'], 3],
    [['geneve-ovn.pcap'], 0],
    [['geneve-ovn.pcap', '--fail-on', 'note'], 3],
    [['tcp-trouble.pcap'], 0],
    [['tcp-trouble.pcap', '--fail-on', 'warning'], 3],
    [['tcp-trouble.pcap', '--fail-on', 'warning', '--ignore', 'OVL-13'], 0],
    [['geneve-edge.pcapng', '--rule', 'GNV-05'], 0],
    [['geneve-edge.pcapng', '--rule', 'gnv'], 3],
    [['damaged-cut.pcap'], 1],
    [['vxlan-kernel.pcap', '--fail-on', 'note'], 0],
    [['geneve-ovn.pcap', '--rule', 'XYZ-01'], 2],
    [['geneve-ovn.pcap', '--fail-on', 'never'], 2],
    [['geneve-ovn.pcap', '--rule', 'GNV-01', '--ignore', 'GNV'], 2],
    [['geneve-ovn.pcap', '--sarif', '--json'], 2],
    [['missing.pcap'], 1],
  ])('%j ends with %i', (args, status) => {
    const result = tunscope('check', ...args);
    expect(result.status).toBe(status);
    expect(result.stderr.split('\n').length).toBeLessThanOrEqual(2);
  });

  it('asks only the rules that it is told to', () => {
    const { stdout } = tunscope(
      'check',
      '--ndjson',
      '--rule',
      'GNV-05,VXL',
      '--rule',
      'gnv-01',
      'geneve-edge.pcapng',
    );
    const rules = stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as FindingRecord).rule);
    expect([...new Set(rules)].sort()).toEqual(['GNV-01', 'GNV-05']);
  });

  it.each(['geneve-edge.pcapng', 'overlay-health.pcapng', 'ipsec-macsec.pcapng', 'vxlan-kernel.pcap'])(
    'prints JSON of %s as the schema says, and the same findings as NDJSON',
    (file) => {
      const schema = JSON.parse(
        readFileSync(new URL('../../docs/schema/tunscope-1.schema.json', import.meta.url), 'utf8'),
      ) as { $id: string };
      const ajv = new Ajv2020({ allowUnionTypes: true });
      ajv.addSchema(schema);
      const whole = JSON.parse(tunscope('check', '--json', file).stdout) as { findings: FindingRecord[] };
      const validate = ajv.getSchema(`${schema.$id}#/$defs/checkDocument`)!;
      validate(whole);
      expect(validate.errors ?? []).toEqual([]);
      const lines = tunscope('check', '--ndjson', file).stdout.split('\n').slice(0, -1);
      expect(lines.map((line) => JSON.parse(line))).toEqual(whole.findings);
    },
  );

  it('prints CSV with the first packet of each finding', () => {
    const [heading, first] = tunscope('check', '--csv', 'fragments.pcap').stdout.split(/\r?\n/);
    expect(heading).toBe('rule,severity,count,text,file,packet,help');
    expect(first).toMatch(/^OVL-06,error,1,.*,fragments\.pcap,11,/);
  });

  it('can be asked with jq', () => {
    const { stdout } = tunscope('check', '--ndjson', 'overlay-health.pcapng');
    const out = execFileSync(
      'jq',
      ['-r', 'select(.severity=="error") | "\\(.rule) \\(.evidence[0].packet)"'],
      {
        input: stdout,
        encoding: 'utf8',
      },
    );
    expect(out).toBe('OVL-16 18\n');
  });

  it('shows packets in a table of 120 characters', () => {
    const { stdout } = tunscope('check', 'overlay-health.pcapng');
    expect(stdout).toMatch(/^RULE +SEVERITY +COUNT +PACKETS +FINDING$/m);
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
  });

  it('says what protects a tunnel: seen, taken off by a key, or not seen', () => {
    const tunnels = (...args: string[]) => {
      const { stdout } = tunscope('check', '--json', 'ipsec-macsec.pcapng', ...args);
      const document = JSON.parse(stdout) as { tunnels: ProtectionRecord[] };
      return document.tunnels.map(
        ({ vni, protection }) => `${vni}: ${protection.around} ${protection.protectedPackets}`,
      );
    };
    expect(tunnels()).toEqual([]);
    expect(tunnels('--esp-sa', '@ipsec-macsec.sa', '--macsec-key', '@ipsec-macsec.sak')).toEqual([
      '5010: esp,macsec 3',
      '5011: esp 1',
      'null: esp 1',
      '5012: esp 1',
      '5013: esp 1',
      '5015: macsec 1',
    ]);
  });
});

/** Required members of SARIF 2.1.0 (OASIS, sections 3.13 to 3.49), of the objects that are written here. */
const SARIF = {
  type: 'object',
  required: ['version', 'runs'],
  properties: {
    version: { const: '2.1.0' },
    runs: {
      type: 'array',
      items: {
        type: 'object',
        required: ['tool', 'results'],
        properties: {
          tool: {
            type: 'object',
            required: ['driver'],
            properties: {
              driver: {
                type: 'object',
                required: ['name', 'rules'],
                properties: {
                  rules: {
                    type: 'array',
                    uniqueItems: true,
                    items: {
                      type: 'object',
                      required: ['id'],
                      properties: {
                        shortDescription: { $ref: '#/$defs/text' },
                        fullDescription: { $ref: '#/$defs/text' },
                        help: { $ref: '#/$defs/text' },
                        defaultConfiguration: {
                          type: 'object',
                          properties: { level: { enum: ['none', 'note', 'warning', 'error'] } },
                        },
                      },
                    },
                  },
                },
              },
            },
          },
          results: {
            type: 'array',
            items: {
              type: 'object',
              required: ['message'],
              properties: {
                message: { $ref: '#/$defs/text' },
                level: { enum: ['none', 'note', 'warning', 'error'] },
                ruleIndex: { type: 'integer', minimum: 0 },
                occurrenceCount: { type: 'integer', minimum: 1 },
                locations: {
                  type: 'array',
                  items: {
                    type: 'object',
                    properties: {
                      physicalLocation: {
                        type: 'object',
                        required: ['artifactLocation'],
                        properties: {
                          artifactLocation: { type: 'object', required: ['uri'] },
                        },
                      },
                      logicalLocations: { type: 'array', uniqueItems: true, items: { type: 'object' } },
                    },
                  },
                },
              },
            },
          },
        },
      },
    },
  },
  $defs: {
    text: { type: 'object', required: ['text'], properties: { text: { type: 'string', minLength: 1 } } },
  },
};

interface Sarif {
  runs: [
    {
      tool: { driver: { rules: { id: string }[] } };
      results: { ruleId: string; ruleIndex: number; locations: { physicalLocation?: object }[] }[];
    },
  ];
}

describe('check --sarif', () => {
  it.each(['geneve-edge.pcapng', 'vxlan-kernel.pcap'])(
    'of %s has the members that SARIF requires',
    (file) => {
      const log = JSON.parse(tunscope('check', '--sarif', file).stdout) as Sarif;
      const validate = new Ajv2020().compile(SARIF);
      validate(log);
      expect(validate.errors ?? []).toEqual([]);
      const [{ tool, results }] = log.runs;
      for (const { ruleId, ruleIndex } of results) expect(tool.driver.rules[ruleIndex].id).toBe(ruleId);
    },
  );

  it('names captures by URI and packets by number', () => {
    const { stdout } = tunscope('check', '--sarif', '--rule', 'OVL-06', 'fragments.pcap');
    const [{ results }] = (JSON.parse(stdout) as Sarif).runs;
    expect(results[0].locations).toEqual([
      {
        physicalLocation: { artifactLocation: { uri: 'fragments.pcap' } },
        logicalLocations: [{ name: 'packet 11', kind: 'packet' }],
      },
    ]);
  });
});

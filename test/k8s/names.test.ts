/** Names of pods, services and nodes beside addresses. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, describe, expect, it } from 'vitest';
import { kubeNames } from '../../src/k8s/names.ts';
import { sample, samples } from '../samples.ts';

const main = path.resolve(import.meta.dirname, '../../dist/bin/tunscope.js');
const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-k8s-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const AMBIENT = 'ambient-syn-only.pcapng';
const CLIENT = 'default/client@node1';
const WEB = 'shop/web-7d4b9c-x2x9z@node2';
const ZTUNNEL = 'istio-system/ztunnel-4kq2p@node1';

function tunscope(args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, [main, ...args], { cwd: samples, env, encoding: 'utf8' });
}
const named = (...args: string[]) => tunscope([...args, '--k8s', 'pods.json']);
const records = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

const cluster = JSON.parse(readFileSync(sample('pods.json'), 'utf8')) as { items: object[] };

describe('kubeNames', () => {
  const names = kubeNames(cluster)!;

  it.each([
    ['10.244.1.10', CLIENT],
    ['fd00:10:244:1::a', CLIENT],
    // Its pod that succeeded since, and one that failed, have it no more.
    ['10.244.2.10', WEB],
    // A pod on the host's network has the node's address.
    ['172.31.0.1', 'node:node1'],
    ['10.96.12.7', 'service:shop/web'],
    ['fd00:10:96::7', 'service:shop/web'],
    ['192.0.2.80', 'service:shop/web'],
    ['10.9.9.9', null],
    ['None', null],
    ['node1', null],
  ])('knows who has %s', (address, name) => {
    expect(names.of(address)).toBe(name);
  });

  it('does not depend on the order of the list', () => {
    const reversed = kubeNames({ ...cluster, items: cluster.items.toReversed() })!;
    for (const address of ['10.244.1.10', '10.244.2.10', '172.31.0.1', '10.96.12.7'])
      expect(reversed.of(address)).toBe(names.of(address));
  });

  it('takes the latest of two running pods with one address, and a running one before a pending one', () => {
    const pod = (name: string, phase: string, startTime: string) => ({
      kind: 'Pod',
      metadata: { namespace: 'a', name },
      status: { phase, startTime, podIP: '10.0.0.1' },
    });
    const who = (...items: object[]) => kubeNames({ items })!.of('10.0.0.1');
    expect(
      who(pod('old', 'Running', '2024-01-01T00:00:00Z'), pod('new', 'Running', '2024-01-02T00:00:00Z')),
    ).toBe('a/new');
    expect(
      who(pod('on', 'Running', '2024-01-01T00:00:00Z'), pod('off', 'Pending', '2024-01-02T00:00:00Z')),
    ).toBe('a/on');
  });

  it.each([
    [null],
    [7],
    ['text'],
    [[]],
    [{}],
    [{ items: [] }],
    [{ items: [null, 3, [], { kind: 'ConfigMap' }, { kind: 'constructor' }] }],
  ])('finds none in %j', (document) => {
    expect(kubeNames(document)).toBeNull();
  });

  it('stands anything where something else is expected', () => {
    for (const odd of [null, 7, 'text', [], [7], {}, [{ ip: 7 }], { length: 3 }]) {
      const item = (kind: string) => ({ kind, metadata: odd, spec: odd, status: odd });
      const inner = {
        kind: 'Pod',
        metadata: {},
        spec: {},
        status: { podIP: odd, podIPs: odd, startTime: odd },
      };
      expect(kubeNames({ items: [item('Pod'), item('Service'), item('Node'), inner] })).not.toBeNull();
    }
  });

  it.each([
    ['10.244.1.10:80 > 10.9.9.9', `10.244.1.10:80 (${CLIENT}) > 10.9.9.9`],
    ['[fd00:10:244:1::a]:443', `[fd00:10:244:1::a]:443 (${CLIENT})`],
    ['fd00:10:244:1::a > ff02::1', `fd00:10:244:1::a (${CLIENT}) > ff02::1`],
    ['10.244.1.100 110.244.1.10 10.244.1.10.1', '10.244.1.100 110.244.1.10 10.244.1.10.1'],
    ['from 10.244.1.10, none back', `from 10.244.1.10 (${CLIENT}), none back`],
    ['00:00:0a:f4:01:0a', '00:00:0a:f4:01:0a'],
  ])('puts names into %j', (text, expected) => {
    expect(names.beside(text)).toBe(expected);
  });
});

describe('--k8s', () => {
  it('names the ends of flows in tables, CSV and JSON, and leaves addresses as they are', () => {
    const table = named('flows', AMBIENT).stdout;
    expect(table).toContain(`10.244.1.10:46952 (${CLIENT})\n`.trimEnd());
    expect(table).toContain(`> 10.244.2.10:8080 (${WEB})`);
    for (const line of table.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
    const [heading, row] = named('flows', '--csv', AMBIENT).stdout.split(/\r?\n/);
    expect(heading).toContain(',src,src_name,src_port,dst,dst_name,dst_port,');
    expect(row).toContain(`,10.244.1.10,${CLIENT},`);
    const plain = records(tunscope(['flows', '--ndjson', AMBIENT]).stdout);
    const with_ = records(named('flows', '--ndjson', AMBIENT).stdout);
    const inTunnel = with_.find(({ tunnels, protocol }) => tunnels.length > 0 && protocol === 'tcp');
    expect(inTunnel).toMatchObject({ srcName: CLIENT, dstName: WEB });
    expect(inTunnel.tunnels[0]).toMatchObject({ src: '10.244.1.1', srcName: 'node:node1', dstName: ZTUNNEL });
    const strip = (value: unknown): unknown =>
      JSON.parse(
        JSON.stringify(value, (key, item) =>
          /^(src|dst|tunnelEndpoint)Names?$/.test(key) ? undefined : item,
        ),
      );
    expect(strip(with_)).toEqual(plain);
  });

  it('names tunnel endpoints of VNIs and of check', () => {
    const [, geneve] = records(named('vni', '--ndjson', AMBIENT).stdout);
    expect(geneve.tunnelEndpointNames).toEqual([['node:node1', ZTUNNEL]]);
    expect(named('vni', '--csv', AMBIENT).stdout).toContain(`node:node1 - ${ZTUNNEL}`);
    const { tunnels } = JSON.parse(named('check', '--json', AMBIENT).stdout);
    expect(tunnels[0]).toMatchObject({
      ends: ['10.244.1.1', '10.244.1.2'],
      endNames: ['node:node1', ZTUNNEL],
    });
    expect(named('check', AMBIENT).stdout).toContain(`10.244.1.2 (${ZTUNNEL})`);
  });

  it('names addresses that packets are grouped by', () => {
    const [group] = records(named('flows', '--by', 'ip.src,frame.protocols', '--ndjson', AMBIENT).stdout);
    expect(group.names).toEqual([{ address: '10.244.1.10', name: CLIENT }]);
    expect(named('flows', '--by', 'ip.src', AMBIENT).stdout).toContain(`10.244.1.10 (${CLIENT})`);
  });

  it('names addresses of packets in lines, trees and JSON', () => {
    const packet = (...args: string[]) => named('packets', '--number', '9', ...args, AMBIENT).stdout;
    expect(named('packets', '--number', '1', AMBIENT).stdout).toContain(`10.244.1.10:46952 (${CLIENT}) > `);
    expect(packet('-V')).toContain(`    Destination Address: 10.244.1.2 (${ZTUNNEL})\n`);
    expect(records(packet('--ndjson'))[0].tunnels[0]).toMatchObject({ dst: '10.244.1.2', dstName: ZTUNNEL });
    expect(named('packets', '--csv', '-c', '1', AMBIENT).stdout).toContain(`,10.244.1.10,${CLIENT},46952,`);
  });

  it('fits the schema', () => {
    const file = new URL('../../docs/schema/tunscope-1.schema.json', import.meta.url);
    const schema = JSON.parse(readFileSync(file, 'utf8')) as { $id: string };
    const ajv = new Ajv2020({ allowUnionTypes: true });
    ajv.addSchema(schema);
    for (const command of ['packets', 'flows', 'vni', 'check', 'mesh']) {
      const validate = ajv.getSchema(`${schema.$id}#/$defs/${command}Document`)!;
      validate(JSON.parse(named(command, '--json', AMBIENT).stdout));
      expect(validate.errors ?? [], command).toEqual([]);
    }
  });

  it('escapes names', () => {
    const file = path.join(scratch, 'hostile.json');
    const pod = {
      kind: 'Pod',
      metadata: { namespace: 'a\u001b[2J', name: 'b\n\u202e' },
      status: { phase: 'Running', podIP: '10.244.1.10' },
    };
    writeFileSync(file, JSON.stringify({ items: [pod] }));
    for (const args of [
      ['flows'],
      ['flows', '--csv'],
      ['flows', '--ndjson'],
      ['packets', '-V'],
      ['packets'],
    ]) {
      const { stdout } = tunscope([...args, '--k8s', file, AMBIENT]);
      expect(stdout).toContain('[2J');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may come through
      expect(stdout).not.toMatch(/[\x00-\x09\x0b\x0c\x0e-\x1f\u202e]/);
    }
  });

  it('says in one line what it cannot read', () => {
    const broken = path.join(scratch, 'broken.json');
    writeFileSync(broken, '{"items":[');
    for (const file of [
      'missing.json',
      broken,
      sample('hbone-tls.keys'),
      sample('golden/vxlan-kernel.vni.ndjson'),
    ]) {
      const { status, stdout, stderr } = tunscope(['flows', '--k8s', file, AMBIENT]);
      expect([status, stdout, stderr.split('\n').length]).toEqual([2, '', 2]);
      expect(stderr).toMatch(/^tunscope: --k8s /);
    }
  });

  it('asks a cluster by kubectl, and says where there is none or it refuses', () => {
    const kubectl = path.join(scratch, 'kubectl');
    const script = (body: string) => writeFileSync(kubectl, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    const flows = () =>
      tunscope(['flows', '--csv', '--k8s', 'cluster', AMBIENT], { PATH: `${scratch}:/usr/bin:/bin` });
    script(`[ "$*" = "get pods,svc,nodes -A -o json" ] && cat '${sample('pods.json')}'`);
    expect(flows().stdout).toContain(CLIENT);
    script('echo "error: You must be logged in to the server (Unauthorized)" >&2; exit 1');
    expect(flows()).toMatchObject({
      status: 2,
      stderr: 'tunscope: --k8s cluster: error: You must be logged in to the server (Unauthorized)\n',
    });
    const without = tunscope(['flows', '--k8s', 'cluster', AMBIENT], { PATH: '/nonexistent' });
    expect(without.status).toBe(2);
    expect(without.stderr).toMatch(/^tunscope: --k8s cluster: kubectl is not here; .*\n$/);
  });
});

/** The package as its users import it: by name, from dist, in processes of their own. */
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import type { PacketRecord } from '../src/core/record.ts';
import type { FlowRecord } from '../src/flow/records.ts';
import { linesOf, runCommand } from './command.ts';
import { sample } from './samples.ts';

const root = path.resolve(import.meta.dirname, '..');
const run = promisify(execFile);
/** A project that has tunscope installed. */
const project = mkdtempSync(path.join(tmpdir(), 'tunscope-library-'));
beforeAll(() => {
  mkdirSync(path.join(project, 'node_modules', '@types'), { recursive: true });
  symlinkSync(root, path.join(project, 'node_modules', 'tunscope'));
  for (const name of ['@types/node', 'undici-types'])
    symlinkSync(path.join(root, 'node_modules', name), path.join(project, 'node_modules', name));
  writeFileSync(path.join(project, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(project, { recursive: true }));

/** Runs a module in the project; what it prints on standard output. */
async function runModule(name: string, source: string, cwd = project): Promise<string> {
  const file = path.join(project, name);
  writeFileSync(file, source);
  const { stdout, stderr } = await run(process.execPath, [file], { cwd });
  expect(stderr).toBe('');
  return stdout;
}

describe('importing tunscope', () => {
  it('prints nothing, starts nothing and changes nothing', async () => {
    const report = await runModule(
      'import.mjs',
      `const globals = Reflect.ownKeys(globalThis).length;
       const listeners = () => process.eventNames().flatMap((name) => process.listeners(name)).length;
       const [before, environment] = [listeners(), JSON.stringify(process.env)];
       await import('tunscope');
       const after = listeners();
       // Reached once nothing keeps the process alive; what is unreferenced would still be listed.
       process.once('beforeExit', () => {
         console.log(JSON.stringify({
         globals: Reflect.ownKeys(globalThis).length - globals,
         listeners: after - before,
         resources: process.getActiveResourcesInfo(),
         environment: JSON.stringify(process.env) === environment,
         exitCode: process.exitCode ?? null,
       }));
       });`,
    );
    // One line, its own: the import printed none.
    expect(JSON.parse(report)).toEqual({
      globals: 0,
      listeners: 0,
      resources: [],
      environment: true,
      exitCode: null,
    });
  });

  it('works inside the package by its own name too', async () => {
    const { stdout } = await run(
      process.execPath,
      ['--input-type=module', '-e', `console.log(typeof (await import('tunscope')).openCapture)`],
      { cwd: root },
    );
    expect(stdout).toBe('function\n');
  });

  it('finds everything the package exports, and only that', async () => {
    const names = Object.keys(packageJson.exports).map((name) => `tunscope${name.slice(1)}`);
    const found = JSON.parse(
      await runModule(
        'exports.mjs',
        `import { createRequire } from 'node:module';
         const { resolve } = createRequire(import.meta.url);
         console.log(JSON.stringify(${JSON.stringify(names)}.map((name) => resolve(name))));`,
      ),
    ) as string[];
    expect(found.map((file) => path.relative(root, file))).toEqual([
      path.join('dist', 'src', 'index.js'),
      path.join('docs', 'schema', 'tunscope-1.schema.json'),
      path.join('docs', 'schema', 'plugin-1.schema.json'),
      'package.json',
    ]);
    expect(found.filter((file) => !existsSync(file))).toEqual([]);
    expect(existsSync(path.join(root, packageJson.exports['.'].types))).toBe(true);
    expect(existsSync(path.join(root, packageJson.bin.tunscope))).toBe(true);
    await expect(runModule('inside.mjs', `await import('tunscope/dist/src/pipeline.js');`)).rejects.toThrow(
      /ERR_PACKAGE_PATH_NOT_EXPORTED/,
    );
  });

  it('brings types that a strict project can use', async () => {
    writeFileSync(
      path.join(project, 'types.ts'),
      `import { analyseFlows, openCapture, type FlowRecord, type PacketRecord } from 'tunscope';
       const flows: FlowRecord[] = await analyseFlows(await openCapture('x'), { vniKey: 'strict' });
       export const packets: number = flows[0].packets;
       // @ts-expect-error Without this error, the types were not found and everything is any.
       export const wrong: string = flows[0].packets;
       export const stop: PacketRecord['stop'] = 'truncated';`,
    );
    const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node'];
    const { stdout } = await run(process.execPath, [compiler, ...options, 'types.ts'], { cwd: project });
    expect(stdout).toBe('');
  });
});

describe('the library', () => {
  it('does what the README shows', async () => {
    const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
    const examples = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, source]) => source);
    expect(examples.length).toBeGreaterThan(0);
    // The examples name a capture of the reader's; here it is a sample.
    symlinkSync(sample('geneve-ovn.pcap'), path.join(project, 'node1.pcapng'));
    for (const [i, source] of examples.entries())
      expect(await runModule(`readme-${i}.mjs`, source)).toMatch(/^5001 10\.20\.0\.1 \d+$/m);
  });

  it('opens captures and accounts their flows', async () => {
    const flows = JSON.parse(
      await runModule(
        'flows.mjs',
        `import { analyseFlows, openCapture, openCaptures } from 'tunscope';
         const file = ${JSON.stringify(sample('direction-vnis.pcap'))};
         const other = ${JSON.stringify(sample('geneve-options.pcap'))};
         console.log(JSON.stringify([
           await analyseFlows(await openCapture(file)),
           await analyseFlows(await openCapture(file), { vniKey: 'strict' }),
           await analyseFlows(await openCaptures([file, other])),
         ]));`,
      ),
    ) as FlowRecord[][];
    expect(flows.map((list) => list.length)).toEqual([1, 2, 7]);
    const { stdout } = await runCommand('flows', [sample('direction-vnis.pcap')], { ndjson: true });
    expect(flows[0]).toEqual(linesOf(stdout).map((line) => JSON.parse(line)));
  });

  it('hands out the packets of a capture, batch by batch', async () => {
    const lengths = JSON.parse(
      await runModule(
        'batches.mjs',
        `import { openCapture } from 'tunscope';
         const capture = await openCapture(${JSON.stringify(sample('geneve-ovn.pcap'))});
         const lengths = [];
         for await (const batch of capture)
           for (let i = 0; i < batch.count; i++) lengths.push(batch.captured[i]);
         console.log(JSON.stringify(lengths));`,
      ),
    ) as number[];
    expect(lengths).toHaveLength(36);
    expect(lengths[0]).toBe(100);
  });

  it('makes records of packets, the same as the command prints', async () => {
    const file = sample('geneve-edge.pcapng');
    const printed = await runModule(
      'packets.mjs',
      `import { builtins, Dissector, FlowRoles, openCapture, packetRecord, Registry, run } from 'tunscope';
       const registry = new Registry().add(builtins);
       const dissector = new Dissector(registry, { application: true });
       const roles = new FlowRoles(registry);
       await run(await openCapture(${JSON.stringify(file)}), dissector, roles, {
         packet({ batch, index, interface: from, layers, outline }) {
           const record = packetRecord(dissector, roles, batch.view, batch.offset[index], layers, outline, {
             number: batch.number(index),
             seconds: batch.seconds[index],
             nanoseconds: batch.nanoseconds[index],
             file: from.file,
             interface: from.name,
             length: batch.length[index],
             captured: batch.captured[index],
             linkType: from.linkType,
             comment: batch.comments?.get(index) ?? null,
           });
           console.log(JSON.stringify(record));
         },
       });`,
    );
    const { stdout } = await runCommand('packets', [file], { ndjson: true });
    const records = (text: string) => linesOf(text).map((line) => JSON.parse(line) as PacketRecord);
    expect(records(printed)).toEqual(records(stdout));
  });

  it('throws errors that can be told apart', async () => {
    const printed = await runModule(
      'errors.mjs',
      `import { CaptureError, openCapture, Registry, UsageError } from 'tunscope';
       const failed = await openCapture('missing.pcap').catch((error) => error);
       console.log(failed instanceof CaptureError, failed.file, failed.message);
       try {
         new Registry().decodeAs('udp.port', 1, 'nope');
       } catch (error) {
         console.log(error instanceof UsageError);
       }`,
    );
    expect(linesOf(printed)).toEqual(['true missing.pcap missing.pcap: no such file', 'true']);
  });
});

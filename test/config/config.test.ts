/** Configuration files, in the working directory and in the user's own. */
import { chmodSync, chownSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { capture, plugins, scratch, tunscope } from '../plugins/run.ts';

let count = 0;
/** A directory with these files, and one that is the user's for configuration. */
function place(files: Readonly<Record<string, string>>) {
  const cwd = path.join(scratch, `place${++count}`);
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(cwd, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    chmodSync(file, 0o644);
  }
  copyFileSync(path.join(plugins, 'acme.yaml'), path.join(cwd, 'acme.yaml'));
  copyFileSync(path.join(plugins, 'seal.mjs'), path.join(cwd, 'seal.mjs'));
  for (const name of ['acme.yaml', 'seal.mjs']) chmodSync(path.join(cwd, name), 0o644);
  return {
    cwd,
    run: (...args: string[]) => tunscope(args, { cwd, env: { XDG_CONFIG_HOME: path.join(cwd, 'home') } }),
  };
}

const OWN = 'home/tunscope/tunscope.config';

describe('the working directory', () => {
  it.each(['yaml', 'json'])('has plug-ins, rules and defaults (%s)', async (ending) => {
    const { run } = place({
      [`tunscope.config.${ending}`]: JSON.stringify({
        plugins: ['acme.yaml'],
        decodeAs: ['udp.port==7770,acmetun'],
        options: { flows: { sort: 'packets', limit: 2 }, packets: { tree: true } },
      }),
    });
    const flows = await run('flows', '--ndjson', capture);
    expect([flows.status, flows.stderr]).toEqual([0, '']);
    expect(flows.stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(
      (await run('flows', '--ndjson', '--limit', '3', capture)).stdout.trimEnd().split('\n'),
    ).toHaveLength(3);
    const { stdout } = await run('packets', capture);
    expect(stdout).toContain('Acme tenant');
    expect(stdout.match(/^ {2}Acme tunnel$/gm)).toHaveLength(10);
    expect((await run('options', '--csv')).stdout).toContain('acme.origin');
    expect((await run('packets', '--no-config', '-c', '1', capture)).stdout).toMatch(/^ +1 /);
  });

  it('has code that is not run unless it is named', async () => {
    const { run } = place({
      'tunscope.config.mjs': "process.stderr.write('ran\\n'); export default { plugins: ['./seal.mjs'] };",
    });
    const unasked = await run('options', '--csv');
    expect(unasked.status).toBe(0);
    expect(unasked.stderr).toBe(
      'tunscope: tunscope.config.mjs is not used: code in the working directory is not run unasked (--config tunscope.config.mjs uses it, --no-config passes over it)\n',
    );
    expect(unasked.stdout).not.toContain('acme.seal');
    const named = await run('options', '--csv', '--config', 'tunscope.config.mjs');
    expect(named.stderr).toBe('ran\n');
    expect(named.stdout).toContain('acme.seal');
    expect((await run('options', '--no-config')).stderr).toBe('');
  });

  it('cannot name code either', async () => {
    const { run } = place({ 'tunscope.config.yaml': 'plugins: [seal.mjs]' });
    const { status, stderr } = await run('options');
    expect(status).toBe(2);
    expect(stderr).toMatch(
      /^tunscope: tunscope\.config\.yaml: plug-in \S+seal\.mjs is not loaded: code in the working directory is not run unasked; name it with --plugin\n$/,
    );
  });

  it('is passed over where others can write to it', async () => {
    const { cwd, run } = place({ 'tunscope.config.yaml': 'plugins: [acme.yaml]' });
    chmodSync(path.join(cwd, 'tunscope.config.yaml'), 0o666);
    const { status, stdout, stderr } = await run('options', '--csv');
    expect(status).toBe(0);
    expect(stdout).not.toContain('acme');
    expect(stderr).toMatch(
      /^tunscope: tunscope\.config\.yaml is not used: others than its owner can write to it [^\n]+\n$/,
    );
    chmodSync(path.join(cwd, 'tunscope.config.yaml'), 0o644);
    chmodSync(path.join(cwd, 'acme.yaml'), 0o664);
    expect((await run('options')).stderr).toMatch(
      /plug-in \S+acme\.yaml is not loaded: others than its owner can write to it/,
    );
  });

  it.skipIf(process.getuid?.() !== 0)(
    'is passed over where it belongs to somebody else (needs root)',
    async () => {
      const { cwd, run } = place({ 'tunscope.config.yaml': 'plugins: [acme.yaml]' });
      chownSync(path.join(cwd, 'tunscope.config.yaml'), 12345, 12345);
      expect((await run('options')).stderr).toMatch(
        /is not used: it belongs to user 12345, neither to the one who runs this nor to root/,
      );
    },
  );
});

describe("the user's own", () => {
  it('is found under XDG_CONFIG_HOME, may be code, and gives way to the working directory', async () => {
    const { run } = place({
      [`${OWN}.mjs`]:
        "export default { plugins: ['../../seal.mjs'], options: { flows: { limit: 1, sort: 'bytes' } } };",
      'tunscope.config.yaml': 'plugins: [acme.yaml]\noptions: { flows: { limit: 4 } }',
    });
    const { stdout } = await run('options', '--csv');
    expect(stdout).toContain('acme.seal');
    expect(stdout).toContain('acme.tenant');
    expect((await run('flows', '--ndjson', capture)).stdout.trimEnd().split('\n')).toHaveLength(4);
  });

  it('is found in ~/.config', async () => {
    const home = path.join(scratch, 'somebody');
    mkdirSync(path.join(home, '.config/tunscope'), { recursive: true });
    writeFileSync(path.join(home, '.config/tunscope/tunscope.config.yaml'), `plugins: ['~/acme.yaml']`, {
      mode: 0o600,
    });
    copyFileSync(path.join(plugins, 'acme.yaml'), path.join(home, 'acme.yaml'));
    chmodSync(path.join(home, 'acme.yaml'), 0o600);
    expect((await tunscope(['options', '--csv'], { env: { HOME: home } })).stdout).toContain('acme.tenant');
  });
});

it.each([
  ['plugin: [a]', 'tunscope.config.yaml:1: plugin: unknown; there are $schema, plugins, decodeAs, options'],
  ['plugins: [5]', 'tunscope.config.yaml:1: plugins[0]: expected text, found 5'],
  ['plugins: [none.yaml]', /^tunscope: \S+none\.yaml: no such file\n$/],
  ['decodeAs: [nonsense]', '-d nonsense: expected something like udp.port==6082,geneve'],
  ['options: { flow: {} }', 'options.flow: no command is called so'],
  [
    'options: { flows: { plugin: x } }',
    'options.flows.plugin: no default can be set for this; there are limit, names, color, progress, vniKey, workers, sort',
  ],
  ['options: { flows: { sort: size } }', 'options.flows.sort: Allowed choices are'],
  ['options: { flows: { limit: -1 } }', 'options.flows.limit: expected a whole number'],
  ['options: { packets: { tree: maybe } }', 'options.packets.tree: expected true or false'],
])('%s', async (text, message) => {
  const { run } = place({ 'tunscope.config.yaml': text });
  const { status, stdout, stderr } = await run('flows', capture);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^tunscope: [^\n]+\n$/);
  if (typeof message === 'string') expect(stderr).toContain(message);
  else expect(stderr).toMatch(message);
});

it('named but not there', async () => {
  expect(await tunscope(['fields', '--config', 'none.yaml'])).toEqual({
    status: 2,
    stdout: '',
    stderr: 'tunscope: none.yaml: no such file\n',
  });
});

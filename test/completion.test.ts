/** Completion scripts, run by the shells they are for; zsh and fish where they are installed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Argument, Command, Option } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { completionScript } from '../src/completion/scripts.ts';
import { SHELLS, type Shell } from '../src/completion/shells.ts';
import { plugins } from './plugins/run.ts';

const main = path.resolve(import.meta.dirname, '../dist/bin/tunscope.js');
const directory = mkdtempSync(path.join(tmpdir(), 'tunscope-completion-'));
afterAll(() => rmSync(directory, { recursive: true }));
writeFileSync(path.join(directory, 'a capture.pcap'), '');

const installed = (shell: Shell) => spawnSync(shell, ['-c', 'true']).status === 0;

/** What the shell offers for the last of these words, once it has read the script. */
const OFFERS: Record<Shell, (script: string, words: readonly string[]) => string[]> = {
  bash: (script, words) =>
    lines(
      execFileSync(
        'bash',
        [
          '--norc',
          '-c',
          `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); spec=$(complete -p tunscope); spec=\${spec#*-F }
\${spec% *} tunscope "\${@: -1}" "\${@: -2:1}"; printf '%s\\n' "\${COMPREPLY[@]}"`,
          script,
          ...words,
        ],
        { cwd: directory, encoding: 'utf8' },
      ),
    ),
  fish: (script, words) =>
    lines(
      execFileSync('fish', ['--no-config', '-c', `source ${script}; complete -C "$argv"`, words.join(' ')], {
        cwd: directory,
        encoding: 'utf8',
      }),
    ).map((line) => line.split('\t')[0]),
  // What its completion functions call with what they found.
  zsh: (script, words) =>
    lines(
      execFileSync(
        'zsh',
        [
          '-f',
          '-c',
          `script=$1; shift
compdef() {}; compset() { return 1 }; compadd() { print -l -- $names }
_describe() { print -l -- \${\${(P)2}%%:*} }
_arguments() { for spec in "$@"; do print -r -- $spec; done }
source $script; words=("$@"); CURRENT=$#; _tunscope`,
          'zsh',
          script,
          ...words,
        ],
        { cwd: directory, encoding: 'utf8' },
      ),
    ),
};

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function generated(shell: Shell, ...args: string[]): string {
  const script = path.join(directory, `tunscope.${shell}`);
  writeFileSync(
    script,
    execFileSync(process.execPath, [main, 'completion', shell, ...args], {
      cwd: directory,
      env: { HOME: directory },
    }),
  );
  return script;
}

it.each(SHELLS.filter((shell) => !installed(shell)))(
  '%s is not installed: its script is not tested',
  () => {},
);

describe.each(SHELLS.filter(installed))('%s', (shell) => {
  const offers = (...words: string[]) => OFFERS[shell](generated(shell), ['tunscope', ...words]);

  it('completes commands', () => {
    expect(offers('')).toEqual(
      expect.arrayContaining(['flows', 'vni', 'packets', 'protocols', 'fields', 'options', 'completion']),
    );
  });

  it.skipIf(shell === 'zsh')('completes options, values and files', () => {
    expect(offers('flows', '--so')).toEqual(['--sort']);
    expect(offers('flows', '--sort', 'p')).toEqual(['packets']);
    expect(offers('vni', '--sort', 'f')).toEqual(['flows']);
    expect(offers('flows', '--vni-key', '')).toEqual(expect.arrayContaining(['auto', 'strict', 'none']));
    expect(offers('vni', '--tr')).toEqual([]);
    expect(offers('explain', 'GNV-0')).toEqual(expect.arrayContaining(['GNV-01', 'GNV-09']));
    expect(offers('explain', 'gen')).toEqual(['geneve']);
    expect(offers('flows', '-Y', 'geneve.vn')).toEqual(['geneve.vni']);
    expect(offers('flows', '--by', 'ovn.ingress_port,ovn.eg')).toEqual(['ovn.ingress_port,ovn.egress_port']);
    expect(offers('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
    expect(offers('packets', 'a')).toEqual(['a capture.pcap']);
  });

  it.skipIf(shell !== 'zsh')('knows options and values', () => {
    expect(offers('vni', '')).toEqual(
      expect.arrayContaining([
        '*--sort[order\\: largest first; vni smallest first]:value:(bytes packets flows overhead vni)',
        '*:file:_files',
      ]),
    );
  });

  it('completes names of fields at the end of expressions', () => {
    const program = new Command('tunscope');
    program
      .command('flows')
      .argument('[FILE...]')
      .option('-Y, --filter <expression>', "it's [a] filter: any");
    program
      .command('other')
      .addArgument(new Argument('<x>').choices(['a']))
      .addOption(new Option('--hidden').hideHelp());
    const script = path.join(directory, `fields.${shell}`);
    writeFileSync(
      script,
      completionScript(shell, program, [
        'ip.src',
        'ip.dst',
        'geneve.option.gcp.vnid',
        'geneve.vni',
        'geneve.vni',
      ]),
    );
    const found = (word: string) => OFFERS[shell](script, ['tunscope', 'flows', '-Y', word]);
    if (shell === 'zsh') {
      expect(found('')).toContain("*-Y[it's \\[a\\] filter\\: any]:fields:_tunscope_fields");
      return;
    }
    expect(found('geneve.v')).toEqual(['geneve.vni']);
    expect(found('!geneve.v')).toEqual(['!geneve.vni']);
    if (shell === 'bash')
      expect(found('ip.src == 10.0.0.1 && ip.d')).toEqual(['ip.src == 10.0.0.1 && ip.dst']);
    expect(OFFERS[shell](script, ['tunscope', 'other', '--hi'])).toEqual([]);
  });

  it('has the fields of plug-ins', () => {
    const plugin = path.join(plugins, 'acme.yaml');
    expect(
      execFileSync(process.execPath, [main, 'completion', shell, '--plugin', plugin], { encoding: 'utf8' }),
    ).toContain('acme.tenant.zone');
  });
});

/** Full disks, closed pipes and places that cannot be written: one line, the status, and nothing good is lost. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { sample } from '../samples.ts';
import { inShell, mounts, root, start, tunscope, writeCapture } from './processes.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'tunscope-outputs-'));
afterAll(() => rmSync(scratch, { recursive: true }));
/** Several megabytes in every format. */
const large = writeCapture(path.join(scratch, 'large.pcap'), 10_000);
const small = sample('geneve-ovn.pcap');

const FULL = 'tunscope: standard output: no space left on the device\n';

/** Everything that prints. */
const COMMANDS = [
  ...['', '-V', '--json', '--csv', '-w -'].map((format) => `packets ${format} LARGE`),
  'packets --ndjson --workers 2 LARGE',
  ...['--ndjson', '--csv', '--by ip.src', '--json --workers 2'].map((format) => `flows ${format} LARGE`),
  'vni --json SMALL',
  'check SMALL',
  'check --sarif SMALL',
  'mesh --json SMALL',
  'explain geneve',
  'protocols',
  'fields --json',
  'options --csv',
  'completion bash',
  '--version',
  '--help',
  'help flows',
];

function wordsOf(command: string): string[] {
  const files: Record<string, string> = { LARGE: large, SMALL: small };
  return command
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => files[word] ?? word);
}

describe.concurrent('standard output', () => {
  it.each(COMMANDS)('that is full is told in one line: %s', async (command) => {
    const result = await tunscope(wordsOf(command), {
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
    });
    expect(result).toEqual({ status: 1, signal: null, stdout: '', stderr: FULL });
  });

  it.each(COMMANDS)('whose reader is gone ends the command quietly: %s', async (command) => {
    const child = start(wordsOf(command));
    child.stdout!.destroy();
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    const [status, signal] = await once(child, 'close');
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  });

  it('may fail together with standard error', async () => {
    const full = openSync('/dev/full', 'w');
    const { status, signal } = await tunscope(['flows', small], { stdio: ['ignore', full, full] });
    expect([status, signal]).toEqual([1, null]);
  });
});

describe.skipIf(!mounts)('a disk of 300 kB (needs root and mount namespaces)', () => {
  const disk = path.join(scratch, 'disk');
  mkdirSync(disk);
  const onDisk = (script: string, args: readonly string[]) =>
    inShell(
      `exec unshare -m sh -c 'mount -t tmpfs -o size=300k tmpfs "$0" && cd "$0" || exit 99; ${script}' '${disk}' "$@"`,
      args,
    );

  it.each([
    'packets --ndjson LARGE',
    'packets --ndjson --workers 2 LARGE',
    'packets -V LARGE',
    'packets -w - LARGE',
  ])('as standard output: %s', (command) => {
    const { status, stdout, stderr } = onDisk('"$@" > out; status=$?; ls; exit $status', wordsOf(command));
    expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: 'out\n', stderr: FULL });
  });

  it.each([
    'packets -w',
    'packets --decap -w',
    'flows --workers 2 -w',
    'vni --decap -w',
    'check -w',
    'mesh -w',
    'flows --by ip.src -w',
  ])('for %s: what was there stays, and the rest is where the message says', (command) => {
    const { status, stdout, stderr } = onDisk(
      'echo good > out.pcapng; "$@" > /dev/null; status=$?; cat out.pcapng; ls; exit $status',
      [...wordsOf(command), 'out.pcapng', large],
    );
    const left = / in (out\.pcapng\.\w+\.partial)$/m.exec(stderr)?.[1];
    const told = left === undefined ? '' : `; what was written before is in ${left}`;
    const files = ['out.pcapng', ...(left === undefined ? [] : [left])].map((name) => `${name}\n`);
    expect({ status, stderr, stdout }).toEqual({
      status: 1,
      stderr: `tunscope: out.pcapng: no space left on the device${told}\n`,
      stdout: ['good\n', ...files].join(''),
    });
  });
});

it('larger than files may be', () => {
  const { status, stdout, stderr } = inShell(`ulimit -f 100; "$@" > '${scratch}/limited'`, [
    'packets',
    '-V',
    large,
  ]);
  const reason = 'tunscope: standard output: larger than files may be\n';
  expect({ status, stdout, stderr }).toEqual({ status: 1, stdout: '', stderr: reason });
});

describe('-w', () => {
  function folder(name: string): string {
    const directory = path.join(scratch, name);
    mkdirSync(directory);
    return directory;
  }

  it.skipIf(!root)('into a directory of another user is refused in one line (needs root)', () => {
    const directory = folder('denied');
    const script = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"';
    const file = path.join(directory, 'out.pcapng');
    // What others may read.
    const { status, stdout, stderr } = inShell(`${script} < '${small}'`, ['flows', '-', '-w', file]);
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^tunscope: \S+out\.pcapng: permission denied\n$/),
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('refuses standard output that is appended to the capture', () => {
    const directory = folder('appended');
    const file = path.join(directory, 'a.pcap');
    writeFileSync(file, readFileSync(small));
    const { status, stderr } = inShell(`"$@" >> '${file}'`, ['packets', '-w', '-', file]);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'tunscope: -w -: is the capture that is read\n',
    });
    expect(readFileSync(file)).toEqual(readFileSync(small));
  });

  // Each fails as late as it can.
  it.each([
    ['flows', '--idle', '1', '--json'],
    ['flows', '--idle', '1', '--csv'],
    ['vni', '--idle', '1', '--interval', '1'],
    ['packets', '--tls-keys', 'no-such-file'],
    ['packets', '--tls-keys', small],
    ['mesh', '--tls-keys', 'no-such-file'],
    ['mesh', '--path', 'a>b>c'],
    ['check', '--rule', 'nonsense'],
    ['flows', '--by', 'nonsense'],
    ['flows', '--by', 'ip.src', '--sort', 'rtt'],
    ['packets', '-Y', 'nonsense'],
    ['flows', '--esp-sa', '@no-such-file'],
    ['flows', '--k8s', 'no-such-file'],
    ['flows', '--plugin', 'no-such-file.yaml'],
  ])('leaves nothing behind where the command is refused: %j %j %j %j', async (...args) => {
    const directory = folder(`refused-${args.join('-').replaceAll('/', '_')}`);
    const words = args.filter((word) => word !== undefined);
    const { status, stdout, stderr } = await tunscope([...words, '-w', 'out.pcapng', small], {
      cwd: directory,
    });
    expect({ status, stdout, stderr }).toEqual({
      status: 2,
      stdout: '',
      stderr: expect.stringMatching(/^tunscope: [^\n]+\n(?: [^\n]*\n)*$/),
    });
    expect(readdirSync(directory)).toEqual([]);
  });

  it('leaves nothing behind where the capture cannot be read', async () => {
    const directory = folder('unreadable');
    for (const file of ['no-such-file', '.', sample('README.md')]) {
      const { status } = await tunscope(['flows', file, '-w', 'out.pcapng'], { cwd: directory });
      expect(status).toBe(1);
      expect(readdirSync(directory)).toEqual([]);
    }
  });

  it('refuses a file that takes the place of the capture by way of another mount', () => {
    if (!mounts) return;
    const directory = folder('bound');
    writeFileSync(path.join(directory, 'a.pcap'), readFileSync(small));
    execFileSync('touch', [path.join(directory, 'b.pcap')]);
    const script = `exec unshare -m sh -c 'mount --bind a.pcap b.pcap || exit 99; exec "$@"' sh "$@"`;
    const { status, stderr } = inShell(script, ['flows', 'a.pcap', '-w', 'b.pcap'], directory);
    expect({ status, stderr }).toEqual({
      status: 2,
      stderr: 'tunscope: -w b.pcap: is the capture that is read\n',
    });
    expect(readFileSync(path.join(directory, 'a.pcap'))).toEqual(readFileSync(small));
  });
});

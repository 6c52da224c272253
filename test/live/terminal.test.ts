/** The view on a real terminal, that of tmux. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, Lab, main, missing } from './lab.ts';

const lacks = missing ?? (hasProgram('tmux') ? null : 'tmux');

describe.skipIf(lacks !== null)(`the view in a terminal${lacks === null ? '' : ` (needs ${lacks})`}`, () => {
  const socket = `tunscope-${process.pid}`;
  let lab: Lab;
  const tmux = (...args: string[]) =>
    execFileSync('tmux', ['-L', socket, '-f', '/dev/null', ...args], { encoding: 'utf8' });
  beforeAll(() => {
    lab = new Lab();
    // Stays when a window's command ends.
    tmux('new-session', '-d', '-s', 'keep', 'sleep 600');
  });
  afterAll(() => {
    tmux('kill-server');
    lab.remove();
  });

  /** A window of 80 by 24 characters that runs a command line, and its shell afterwards. */
  class Window {
    private readonly name: string;

    constructor(name: string, command: string, width = 80, height = 24) {
      this.name = name;
      const shell = `echo before; ${command}; echo "after: $?"; stty -a | grep -o ' icanon'; sleep 600`;
      tmux('new-session', '-d', '-s', name, '-x', String(width), '-y', String(height), shell);
    }

    get lines(): string[] {
      return tmux('capture-pane', '-p', '-t', this.name).split('\n').slice(0, -1);
    }

    keys(...keys: string[]): void {
      tmux('send-keys', '-t', this.name, ...keys);
    }

    resize(width: number, height: number): void {
      tmux('resize-window', '-t', this.name, '-x', String(width), '-y', String(height));
    }

    until(pattern: RegExp): Promise<void> {
      return expect.poll(() => this.lines.join('\n'), { timeout: 15_000 }).toMatch(pattern);
    }
  }

  it('draws, sorts, filters, pauses, resizes and leaves the screen as it was', async () => {
    const window = new Window(
      'flows',
      `LANG=C.UTF-8 '${process.execPath}' '${main}' flows -i v0 --netns ${lab.far}`,
    );
    await window.until(/^v0 .* 0 packets/);
    expect(window.lines.join()).not.toContain('before');
    await lab.send(500);
    await window.until(/ 500 packets/);
    const screen = window.lines;
    expect(screen).toHaveLength(24);
    expect(screen[1]).toBe('1 flows by rate');
    expect(screen[2]).toMatch(/^ *RATE +VNI {2}PROTO {2}CONVERSATION +BYTES$/);
    expect(screen[3]).toMatch(/[▁▂▃▄▅▆▇█] +7 {2}udp {4}10\.0\.0\.1:1111 > 10\.0\.0\.2:2222 +25\.0 kB/);
    expect(screen[23]).toMatch(/^q quit {2}space pause .* sort: r b p v t f l$/);
    window.keys('/', 'icmp');
    await window.until(/0 flows by rate {2}filter: icmp_/);
    window.keys('Escape', 'v', 'Space');
    await window.until(/1 flows by vni {2}PAUSED/);
    window.keys('Enter');
    await window.until(/tunnels\.0\.src +172\.31\.1\.1\n/);
    window.keys('Enter');
    window.resize(140, 10);
    await window.until(/f first {2}l last$/);
    expect(window.lines).toHaveLength(10);
    expect(window.lines[2]).toMatch(/BYTES +THERE . BACK +LASTED +TUNNEL/);
    window.keys('q');
    await window.until(/after: 0\n icanon/);
    expect(window.lines.join('\n')).toMatch(/\n +7 {2}udp {4}10\.0\.0\.1:1111 > 10\.0\.0\.2:2222 +500 /);
  });

  it('ends with Ctrl-C, and without block elements where the terminal has none', async () => {
    const window = new Window(
      'vni',
      `LC_ALL=C '${process.execPath}' '${main}' vni -i v0 --netns ${lab.far}`,
      60,
      12,
    );
    await window.until(/^v0 /);
    await lab.send(100);
    await window.until(/ 100 packets/);
    expect(window.lines[3]).toMatch(/# +7 {2}geneve +100/);
    window.keys('C-c');
    await window.until(/after: 0\n icanon/);
    expect(window.lines.slice(0, 3).join('\n')).toMatch(/^before\ntunscope: capturing on v0\nVNI +TUNNEL/);
  });

  it('is left as it was when the device goes', async () => {
    lab.connect('v1', 2);
    const window = new Window('gone', `'${process.execPath}' '${main}' flows -i v1 --netns ${lab.far}`);
    await window.until(/^v1 /);
    lab.disconnect('v1');
    await window.until(/after: 1\n icanon/);
    expect(window.lines.join('\n')).toContain('tunscope: v1: the interface disappeared');
  });
});

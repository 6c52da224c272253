/**
 * Watches devices going down and up, which a capture does not notice: it waits for packets that cannot come. Linux only,
 * and only where iproute2 is installed; a device that is removed ends its capture and needs no watching.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { findProgram } from './backend.ts';

/** `8: v0@vz1: <BROADCAST,UP> mtu ...` */
const LINK = /^\d+: ([^:@]+)(?:@[^:]*)?: <([^>]*)>/;

export class LinkMonitor {
  private readonly child: ChildProcess | null;
  private readonly down = new Set<string>();

  constructor(
    devices: readonly string[],
    prefix: readonly string[],
    searchPath: string | undefined,
    notify: (text: string) => void,
  ) {
    const ip = process.platform === 'linux' ? findProgram('ip', searchPath) : null;
    if (ip === null) {
      this.child = null;
      return;
    }
    const [program, ...args] = [...prefix, ip, '-o', 'monitor', 'link'];
    this.child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.child.on('error', () => {});
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      const [, device, flags] = LINK.exec(line) ?? [];
      if (device === undefined || !devices.includes(device)) return;
      const up = flags.split(',').includes('UP');
      if (up === !this.down.has(device)) return;
      if (up) this.down.delete(device);
      else this.down.add(device);
      notify(`${device}: the interface is ${up ? 'up again' : 'down'}`);
    });
  }

  close(): void {
    this.child?.kill();
  }
}

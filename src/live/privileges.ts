/**
 * Root is for opening devices only. The capture programs run as the user who called sudo, with the two capabilities
 * that capturing takes; this process, which reads what strangers sent, ends up without any.
 */
import { readFileSync } from 'node:fs';
import { CaptureError } from '../errors.ts';
import { findProgram } from './backend.ts';

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** Who called sudo, null where this process is not root or was root from the start. */
export function invokingUser(env: Readonly<Record<string, string | undefined>>): User | null {
  if (process.geteuid?.() !== 0) return null;
  const uid = Number(env.SUDO_UID);
  const gid = Number(env.SUDO_GID);
  if (!env.SUDO_USER || !Number.isInteger(uid) || uid <= 0 || !Number.isInteger(gid)) return null;
  return { uid, gid, name: env.SUDO_USER };
}

const CAPABILITIES = '+net_raw,+net_admin';

/** A command that runs another one as `user`, who can still capture; null where setpriv is not there (macOS). */
export function captureAs(user: User, searchPath: string | undefined): string[] | null {
  const setpriv = findProgram('setpriv', searchPath);
  if (setpriv === null) return null;
  return [
    setpriv,
    `--reuid=${user.uid}`,
    `--regid=${user.gid}`,
    '--init-groups',
    `--inh-caps=${CAPABILITIES}`,
    `--ambient-caps=${CAPABILITIES}`,
  ];
}

function refused(change: () => void): boolean {
  try {
    change();
    return false;
  } catch {
    return true;
  }
}

/**
 * Gives up root for good.
 *
 * @throws {CaptureError} The process could become root again.
 */
export function becomeUser(user: User): void {
  try {
    // Node has it, its types do not.
    (process as unknown as { initgroups(user: number, group: number): void }).initgroups(user.uid, user.gid);
  } catch {
    process.setgroups!([user.gid]); // a user the system has no entry for
  }
  process.setgid!(user.gid);
  process.setuid!(user.uid);
  const gone =
    refused(() => process.setuid!(0)) &&
    refused(() => process.seteuid!(0)) &&
    (user.gid === 0 || refused(() => process.setgid!(0))) &&
    !hasCapabilities();
  if (!gone) throw new CaptureError('sudo', `cannot give up the rights of root for those of ${user.name}`);
}

/** True if Linux lets this process do what others may not. */
function hasCapabilities(): boolean {
  if (process.platform !== 'linux') return false;
  const permitted = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return permitted === null || BigInt(`0x${permitted[1]}`) !== 0n;
}

/** Network namespaces of Linux, such as those of pods. Only the capture programs enter them. */
import { existsSync } from 'node:fs';
import { CaptureError, UsageError } from '../errors.ts';
import { findProgram } from './backend.ts';

/**
 * A command that runs another one in the namespace.
 *
 * @param name As `ip netns` names it, or the number of a process in it.
 */
export function enterNamespace(name: string, searchPath: string | undefined): string[] {
  if (!/^[\w.@:-]+$/.test(name) || /^\.+$/.test(name))
    throw new UsageError(`--netns ${name}: expected the name of a namespace or the number of a process`);
  const path = /^\d+$/.test(name) ? `/proc/${name}/ns/net` : `/run/netns/${name}`;
  // Of another user's process, the link is there and cannot be followed.
  if (!existsSync(path.replace(/\/ns\/net$/, '')))
    throw new CaptureError(
      `--netns ${name}`,
      /^\d+$/.test(name) ? 'no such process' : 'no such network namespace',
    );
  const nsenter = findProgram('nsenter', searchPath);
  if (nsenter === null) throw new UsageError('--netns needs nsenter (package util-linux)');
  return [nsenter, `--net=${path}`];
}

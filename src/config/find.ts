/** Which configuration files there are. Loaded with every run, hence small. */
import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

const DATA = ['json', 'yaml', 'yml'];
const MODULES = ['js', 'mjs', 'ts'];

export interface Found {
  readonly file: string;
  /** The user named it; otherwise it lay in the working directory, or among the user's own configuration. */
  readonly by: 'name' | 'directory' | 'user';
}

/** As `existsSync`, which makes an error of each file that is not there: 3 ms for all of these. */
function exists(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** The user's own, then the working directory's; of several in one place the first. */
export function findConfigs(env: Readonly<Record<string, string | undefined>>): Found[] {
  // The XDG specification has relative paths ignored.
  const base = env.XDG_CONFIG_HOME;
  const own = path.join(base && path.isAbsolute(base) ? base : path.join(homedir(), '.config'), 'tunscope');
  const find = (directory: string, by: Found['by']): Found[] =>
    [...DATA, ...MODULES]
      .map((ending) => path.join(directory, `tunscope.config.${ending}`))
      .filter(exists)
      .slice(0, 1)
      .map((file) => ({ file, by }));
  return [...find(own, 'user'), ...find('', 'directory')];
}

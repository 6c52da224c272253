/** The plug-ins that a command was given. */
import type { Plugin } from '../core/protocol.ts';

/** Their loader is only loaded where there are any. */
export async function pluginsOf(files: readonly string[] | undefined): Promise<Plugin[]> {
  return files?.length ? (await import('../plugins/load.ts')).loadPlugins(files) : [];
}

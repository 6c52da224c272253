/** `tunscope completion`: a script that teaches a shell what can be typed. */
import type { Command } from 'commander';
import { completionScript } from '../completion/scripts.ts';
import type { Shell } from '../completion/shells.ts';
import { fieldRecords } from '../core/registered.ts';
import { subjects } from '../explain/subjects.ts';
import { buildRegistry } from '../registration.ts';
import type { Context, InputOptions } from './context.ts';
import { pluginsOf } from './plugins.ts';

export async function completion(
  shell: Shell,
  options: Pick<InputOptions, 'plugin'>,
  program: Command,
  { stdout }: Context,
): Promise<number> {
  const records = fieldRecords(buildRegistry([], await pluginsOf(options.plugin)));
  const names = records.map(({ name }) => name);
  const [subject] = program.commands.find((command) => command.name() === 'explain')!.registeredArguments;
  // Known without the rules only here: they need not be loaded to read a command line.
  subject.argChoices = [...subjects];
  stdout.write(completionScript(shell, program, names));
  return 0;
}

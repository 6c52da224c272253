/** `tunscope explain`: a header, a mode of the mesh or a rule, in words. */
import { UsageError } from '../errors.ts';
import { explained } from '../explain/subjects.ts';
import type { Context } from './context.ts';

export async function explain(subject: string, { stdout }: Context): Promise<number> {
  const lines = explained(subject);
  if (lines === null)
    throw new UsageError(
      `explain ${subject}: no such subject; there are geneve, vxlan, ambient, hbone, rules, and each rule by its name`,
    );
  stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

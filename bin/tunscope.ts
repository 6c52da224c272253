#!/usr/bin/env node
/** Starts the command line; its version alone is told without loading it. */
import packageJson from '../package.json' with { type: 'json' };
import { endWithout } from './standard-output.ts';

if (process.argv.length === 3 && process.argv[2] === '--version') {
  endWithout(process.stdout, async () => {});
  process.stdout.write(`${packageJson.version}\n`);
} else {
  const { run } = await import('./command-line.ts');
  await run();
}

/** Vitest's coverage by V8, and what was counted in the processes that tests started. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import v8 from '@vitest/coverage-v8';
import type { CoverageMap } from 'istanbul-lib-coverage';
import { addProcesses, PROCESSES } from './processes.ts';

export default {
  ...v8,
  async getProvider() {
    const provider = await v8.getProvider();
    const inTests = provider.generateCoverage.bind(provider);
    rmSync(PROCESSES, { recursive: true, force: true });
    mkdirSync(PROCESSES);
    // Tests start processes of other users, too.
    chmodSync(PROCESSES, 0o1777);
    provider.generateCoverage = async (context) => {
      const coverage = (await inTests(context)) as CoverageMap;
      await addProcesses(coverage);
      rmSync(PROCESSES, { recursive: true, force: true });
      return coverage;
    };
    return provider;
  },
};

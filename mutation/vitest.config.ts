/** Test files in the order that they are named in: those first that are done soonest. */
import { defineConfig, mergeConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import tests from '../vitest.config.ts';

const order = (process.env.MUTATION_ORDER ?? '').split(' ');

class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => order.findIndex((name) => moduleId.endsWith(name));
    return [...files].sort((a, b) => rank(a) - rank(b));
  }
}

export default mergeConfig(
  { test: { ...tests.test, include: undefined } },
  defineConfig({
    test: {
      // What reaches the areas; not tests of files, terminals and interfaces.
      include: [
        'test/{check,conformance,core,dissectors,filter,flow,mesh,output}/**/*.test.ts',
        'test/{cut,registered,samples,schema}.test.ts',
      ],
      setupFiles: ['mutation/setup.ts'],
      sequence: { sequencer: InOrder },
      fileParallelism: false,
      // To load the modules once for all tests takes half the time; but then none can tell what it alone reached.
      isolate: process.env.MUTATION_REACHED !== undefined,
    },
  }),
);

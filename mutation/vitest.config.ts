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
      // Of those that do not start processes of dist/.
      include: [
        'test/{check,conformance,core,dissectors,filter,flow,mesh,output}/**/*.test.ts',
        'test/{cut,samples,schema}.test.ts',
      ],
      setupFiles: ['mutation/setup.ts'],
      sequence: { sequencer: InOrder },
      fileParallelism: false,
    },
  }),
);

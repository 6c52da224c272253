/** The whole suite with coverage: `npm run coverage`. What tests run as processes of dist/ counts, too. */
import { defineConfig, mergeConfig } from 'vitest/config';
import tests from '../../vitest.config.ts';

export default mergeConfig(
  tests,
  defineConfig({
    test: {
      setupFiles: ['test/coverage/setup.ts'],
      coverage: {
        enabled: true,
        provider: 'custom',
        customProviderModule: './test/coverage/provider.ts',
        include: ['{bin,dissectors,src}/**/*.ts'],
        // Compiled to WebAssembly, which V8 does not count, and what has types only.
        exclude: ['src/kernel/**', '**/*.d.ts', 'test/**'],
        reporter: [['text', { skipFull: true }], 'html', 'lcovonly', 'json'],
        reportOnFailure: true,
      },
    },
  }),
);

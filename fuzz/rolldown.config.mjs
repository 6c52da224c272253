/** The fuzzer in one file, in which coverage is counted. */
import { copyFileSync } from 'node:fs';
import { defineConfig } from 'rolldown';

export default defineConfig({
  input: 'fuzz/fuzz.ts',
  platform: 'node',
  external: ['cap', 'cli-table3', 'fzstd', 'prom-client', 'yaml'],
  output: { dir: 'fuzz/build', format: 'esm' },
  plugins: [
    { name: 'kernel', writeBundle: () => copyFileSync('src/flow/kernel.wasm', 'fuzz/build/kernel.wasm') },
  ],
});

/**
 * The command line and the library in few files that share what they have in common: a hundred small modules take
 * twice as long to load (docs/decisions/0007).
 */
import { copyFileSync } from 'node:fs';
import { defineConfig } from 'rolldown';

export default defineConfig({
  input: {
    'bin/tunscope': 'bin/tunscope.ts',
    'src/index': 'src/index.ts',
    'src/worker': 'src/flow/worker.ts',
    'src/cap-child': 'src/live/cap-child.ts',
  },
  platform: 'node',
  // What is not ours is loaded as installed, but for what every run needs.
  external: ['cap', 'cli-table3', 'fzstd', 'prom-client', 'yaml'],
  output: { dir: 'dist', format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'src/[name]-[hash].js' },
  plugins: [
    {
      name: 'kernel',
      // Modules find it beside themselves.
      writeBundle: () => copyFileSync('src/flow/kernel.wasm', 'dist/src/kernel.wasm'),
    },
  ],
});

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
    'src/packet-worker': 'src/output/packet-worker.ts',
    'src/cap-child': 'src/live/cap-child.ts',
  },
  platform: 'node',
  // What is not ours is loaded as installed, but for what every run needs.
  external: ['cap', 'fzstd', 'prom-client', 'yaml'],
  output: {
    dir: 'dist',
    cleanDir: true,
    format: 'esm',
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
    entryFileNames: '[name].js',
    chunkFileNames: 'src/[name]-[hash].js',
    codeSplitting: {
      groups: [
        { name: 'version', test: /package\.json$|bin.standard-output/ },
        { name: 'base', test: /src.(errors|sorts|core.text|live.names)/ },
        { name: 'command-line', test: /node_modules.commander|bin.command-line/ },
        // What nearly every run needs.
        {
          name: 'main',
          test: /dissectors|src.(core|capture.(?!gzip|zstd|lz4|zlib|xxhash|decompress|destination|rotation|.*writer)|flow.(?!worker)|output.(csv|flow-table|json|named|records|table|units|writer)|errors|sorts|pipeline|registration|plugins.ts|commands.(flows|input|context|live-output))/,
        },
      ],
    },
  },
  plugins: [
    {
      name: 'kernel',
      // Modules find it beside themselves.
      writeBundle: () => copyFileSync('src/flow/kernel.wasm', 'dist/src/kernel.wasm'),
    },
  ],
});

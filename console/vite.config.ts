import { defineConfig } from 'vitest/config';

// `npm run dev` serves the sources and passes the API on to a node, by default the fake one of `npm run fake`.
const node = process.env['PENSTOCK_URL'] ?? 'http://127.0.0.1:8098';

export default defineConfig({
  esbuild: { jsx: 'automatic' },
  server: { port: 5173, proxy: { '/api': node } },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});

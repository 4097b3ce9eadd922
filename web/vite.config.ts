import { defineConfig } from "vite";

// `npm run dev` takes data from here; the daemon's API, or dev/server.mjs with recorded answers.
const api = process.env["MARKETD_API"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  build: {
    outDir: "../src/api/static",
    emptyOutDir: true,
    target: "es2022",
    // The policy of the pages forbids data: addresses and inline scripts, so nothing is inlined.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": { target: api, ws: true } } },
});

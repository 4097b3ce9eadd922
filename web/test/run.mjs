// Runs every test/*.test.ts with Node's own test runner: Vite makes them plain JavaScript first, in node_modules/.tests.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = join(here, "..", "node_modules", ".tests");
const files = readdirSync(here).filter((name) => name.endsWith(".test.ts"));
if (files.length === 0) throw new Error("no tests found");
await build({
  configFile: false,
  logLevel: "warn",
  build: {
    ssr: true,
    outDir: out,
    emptyOutDir: true,
    rollupOptions: { input: Object.fromEntries(files.map((name) => [basename(name, ".ts"), join(here, name)])), output: { entryFileNames: "[name].mjs" } },
  },
});
const made = files.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
process.exit(spawnSync(process.execPath, ["--test", ...made], { stdio: "inherit" }).status ?? 1);

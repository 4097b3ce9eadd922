// Make package-lock.json anew (npm run lock) and take the places out that npm writes into it: neither a download address
// (.npmrc sees to that) nor where authors may be paid. The lock pins by version and hash; npm asks its own registry.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const LOCK = new URL("../package-lock.json", import.meta.url);
execFileSync("npm", ["install", "--package-lock-only", ...process.argv.slice(2)], { stdio: "inherit", cwd: new URL("..", import.meta.url) });
const lock = JSON.parse(readFileSync(LOCK, "utf8"));
for (const entry of Object.values(lock.packages)) {
  delete entry.funding;
  delete entry.resolved;
}
const text = `${JSON.stringify(lock, null, 2)}\n`;
if (text.includes("://")) throw new Error("package-lock.json names a place");
writeFileSync(LOCK, text);

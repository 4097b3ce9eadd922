import assert from "node:assert/strict";
import { test } from "node:test";
import { joined as joinedWishes, wait } from "../src/api/wishes";
import { en } from "../src/i18n/en";
import { zh } from "../src/i18n/zh";
import { joined as joinedLines } from "../src/pages/tasks/lines";

test("wishes are one wish, and all swallows some", () => {
  assert.deepEqual(joinedWishes([{ candles: ["B"] }, { candles: ["A", "B"], alerts: true }, { tasks: ["x"] }]), { candles: ["A", "B"], tasks: ["x"], alerts: true });
  assert.deepEqual(joinedWishes([{ candles: ["A"] }, { candles: "*" }]), { candles: "*", tasks: [], alerts: false });
  assert.deepEqual(joinedWishes([]), { candles: [], tasks: [], alerts: false });
});

test("a lost connection is tried again later and later, never all at the same moment", () => {
  assert.deepEqual([0, 1, 2].map((attempt) => wait(attempt, 1)), [500, 1000, 2000]);
  assert.equal(wait(0, 0), 250);
  assert.equal(wait(40, 1), 15_000);
});

test("lines of a log come once and in order, the newest of too many", () => {
  const line = (number: number) => ({ number, at_ms: 0, level: "info" as const, line: String(number) });
  assert.deepEqual(joinedLines([line(1), line(2)], [line(4), line(2), line(3)]).map((one) => one.number), [1, 2, 3, 4]);
  assert.deepEqual(joinedLines([line(1), line(2)], [line(3)], 2).map((one) => one.number), [2, 3]);
});

test("both languages fill in the same names", () => {
  const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? "").sort();
  for (const [name, text] of Object.entries(en)) assert.deepEqual(names(zh[name as keyof typeof zh]), names(text), name);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Level } from "../src/api/types";
import { caption, expected, lines, nearest } from "../src/pages/chart/levels";

const level = (id: string, price: number): Level => ({
  id, price, low: price, high: price, score: 71.26, state: "formed", pivots: 4, tests: 1, founded_at: "2026-11-01T00:00:00Z",
});
const all = lines({ support_levels: [level("a", 100), level("b", 90)], resistance_levels: [level("c", 120)] });
const where = (price: number): number | null => (price > 110 ? null : 500 - price);

test("each level is a line with its side, score and touches", () => {
  assert.deepEqual(all.map((one) => [one.id, one.side]), [["a", "support"], ["b", "support"], ["c", "resistance"]]);
  assert.equal(caption(all[0]!), "71.3 · 4×");
});

test("a click means the nearest line within reach that is in sight", () => {
  assert.equal(nearest(all, 402, where)?.id, "a");
  assert.equal(nearest(all, 407, where)?.id, "b");
  assert.equal(nearest(all, 430, where), null);
  assert.equal(nearest(all, 380, where), null, "a line out of sight is not meant");
  assert.equal(nearest([], 400, where), null);
});

test("a support is for going long, a resistance for going short", () => {
  assert.equal(expected("support"), "long");
  assert.equal(expected("resistance"), "short");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Histogram } from "../src/api/types";
import { quantile, since } from "../src/pages/overview/lateness";

const of = (...counts: number[]): Histogram => ({ bounds: [1, 2, 5, null], counts });

test("a quantile lies in its step, in proportion", () => {
  assert.equal(quantile(of(0, 100, 100, 100), 0.5), 1.5);
  assert.equal(quantile(of(100, 100, 100, 100), 1), 1);
  assert.equal(quantile(of(0, 0, 0, 7), 0.99), 5, "beyond the last bound: at least that");
  assert.equal(quantile(of(0, 0, 0, 0), 0.99), null);
  const p = [0.1, 0.5, 0.9, 0.99].map((share) => quantile(of(10, 60, 90, 100), share) ?? 0);
  assert.deepEqual([...p].sort((a, b) => a - b), p);
});

test("what happened since is the difference, unless the process is another", () => {
  assert.deepEqual(since(of(5, 7, 9, 9), of(1, 2, 3, 3)).counts, [4, 5, 6, 6]);
  assert.deepEqual(since(of(1, 1, 1, 1), of(5, 7, 9, 9)).counts, [1, 1, 1, 1]);
  assert.deepEqual(since(of(1, 1, 1, 1), null).counts, [1, 1, 1, 1]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { CoverageAnswer } from "../src/api/types";
import { account, cellAt, dayOf, geometry, mark, moved, ordered, ROW_HEIGHT, surveyed, ticks, unfolded, visible, type Coverage, type CoverageRow } from "../src/pages/overview/grid";

const row = (symbol: string, have: number[], more: Partial<CoverageRow> = {}): CoverageRow => {
  const zeros = have.map(() => 0);
  return { symbol, expected: have.map(() => 1440), have, pending: zeros, absent: zeros, expired: zeros, ...more };
};
const coverage: Coverage = {
  first_day: "2026-11-01",
  days: 3,
  unasked: 0,
  symbols: [row("BTCUSDT", [1440, 1440, 1440]), row("币安人生USDT", [1440, 0, 1430]), row("ETHUSDT", [1440, 1439, 1440], { expected: [0, 1440, 1440] })],
};

test("a cell shows what is worst in it", () => {
  const of = (have: number, more: object = {}): string => mark({ expected: 1440, have, pending: 0, absent: 0, expired: 0, missing: 1440 - have, unasked: 0, ...more });
  assert.equal(of(1440), "whole");
  assert.equal(of(1439), "few");
  assert.equal(of(1420), "some");
  assert.equal(of(1000), "many");
  assert.equal(of(0), "all");
  assert.equal(of(1430, { absent: 10, missing: 0 }), "absent");
  assert.equal(of(0, { expired: 1440, missing: 0 }), "expired");
  assert.equal(of(700, { pending: 740, missing: 0 }), "pending");
  assert.equal(of(700, { pending: 739, missing: 1 }), "few");
  assert.equal(of(0, { unasked: 1440 }), "unasked");
  assert.equal(of(1000, { unasked: 440 }), "many", "some of it was asked for once");
  assert.equal(of(0, { expected: 0, missing: 0 }), "none");
});

test("what was due is accounted for whole, and never below nothing", () => {
  const one = account(coverage, row("A", [1000], { absent: [40], pending: [300] }), 0);
  assert.equal(one.missing, 100);
  assert.equal(one.have + one.pending + one.absent + one.expired + one.missing, one.expected);
  assert.equal(account(coverage, row("A", [1500]), 0).missing, 0);
  assert.equal(account(coverage, row("A", [1]), 99).expected, 0, "a day that is not in the answer was not due");
});

test("rows are the most missing first, or by name, and can be searched", () => {
  const { rows, total } = surveyed(coverage);
  assert.deepEqual(ordered(rows, "worst", "").map((one) => [one.symbol, one.missing]), [["币安人生USDT", 1450], ["ETHUSDT", 1], ["BTCUSDT", 0]]);
  assert.deepEqual(ordered(rows, "name", "").map((one) => one.symbol), ["BTCUSDT", "ETHUSDT", "币安人生USDT"]);
  assert.deepEqual(ordered(rows, "name", " eth ").map((one) => one.symbol), ["ETHUSDT"]);
  assert.deepEqual(ordered(rows, "name", "人生").map((one) => one.symbol), ["币安人生USDT"]);
  assert.deepEqual(total, { expected: 11_520, have: 11_509, pending: 0, absent: 0, expired: 0, missing: 1451, unasked: 0 });
  assert.deepEqual(rows.map((one) => one.marks), [["whole", "whole", "whole"], ["whole", "all", "few"], ["none", "few", "whole"]]);
});

test("a point leads to its cell and back, in every cell", () => {
  const shape = geometry(1000, 740, 90);
  for (const [r, c] of [[0, 0], [739, 89], [17, 44]] as const) {
    const [x, y] = [shape.label + (c + 0.5) * shape.cell, (r + 0.5) * shape.row];
    assert.deepEqual(cellAt(shape, x, y), { row: r, column: c });
  }
  assert.equal(cellAt(shape, 5, 5)?.column, -1, "a label");
  assert.equal(cellAt(shape, 500, 740 * ROW_HEIGHT), null, "below the last row");
  assert.equal(cellAt(shape, 1001, 5), null, "right of the last day");
});

test("only rows in the window are drawn", () => {
  const shape = geometry(1000, 740, 90);
  assert.deepEqual(visible(shape, 0, 140), [0, 10]);
  assert.deepEqual(visible(shape, 7, 140), [0, 11]);
  assert.deepEqual(visible(shape, 740 * ROW_HEIGHT - 140, 140), [730, 740]);
  assert.deepEqual(visible(geometry(1000, 3, 90), 0, 500), [0, 3]);
});

test("arrow keys stay within the map", () => {
  const shape = geometry(1000, 5, 3);
  assert.deepEqual(moved({ row: 0, column: 0 }, "ArrowUp", shape), { row: 0, column: 0 });
  assert.deepEqual(moved({ row: 0, column: 0 }, "ArrowDown", shape), { row: 1, column: 0 });
  assert.deepEqual(moved({ row: 2, column: 1 }, "PageDown", shape), { row: 4, column: 1 });
  assert.deepEqual(moved({ row: 2, column: 1 }, "End", shape), { row: 2, column: 2 });
  assert.equal(moved({ row: 2, column: 1 }, "a", shape), null);
});

test("columns are UTC days", () => {
  assert.equal(dayOf(coverage, 2), Date.UTC(2026, 10, 3));
  assert.deepEqual(ticks(coverage), [{ column: 0, text: "2026-11" }]);
  assert.deepEqual(ticks({ first_day: "2026-10-20", days: 90 }).map((one) => one.text), ["2026-11", "2026-12", "2027-01"]);
});

test("runs of days become days, and what is not due yet is pending", () => {
  const answer: CoverageAnswer = {
    dataset: "candles_1m",
    first_day: "2026-11-01",
    days: 4,
    as_of_ms: Date.UTC(2026, 10, 4, 10, 5),
    asked_from_ms: 0,
    step_ms: 60_000,
    symbols: { A: [[1, 2, 1440, 1440, 0, 0], [3, 1, 1440, 600, 0, 0]], B: [[3, 1, 1440, 540, 10, 0]], C: [] },
  };
  const found = unfolded(answer);
  const of = (symbol: string, at: number) => account(found, found.symbols.find((one) => one.symbol === symbol)!, at);
  assert.deepEqual([0, 1, 2, 3].map((at) => mark(of("A", at))), ["none", "whole", "whole", "pending"]);
  assert.equal(of("A", 3).pending, 840, "ten hours are due at five past ten");
  assert.equal(of("A", 3).missing, 0);
  assert.equal(of("B", 3).missing, 50);
  assert.equal(of("C", 3).expected, 0);
  const irregular = unfolded({ ...answer, step_ms: null, symbols: { A: [[3, 1, 3, 1, 0, 0]] } });
  assert.equal(account(irregular, irregular.symbols[0]!, 3).missing, 2);
  const midnight = unfolded({ ...answer, as_of_ms: Date.UTC(2026, 10, 4, 0, 2), symbols: { A: [[2, 1, 1440, 1437, 0, 0], [3, 1, 1440, 0, 0, 0]] } });
  assert.deepEqual([2, 3].map((at) => account(midnight, midnight.symbols[0]!, at).missing), [0, 0], "the end of yesterday is not due either");
});

test("what is missing before anything is filled unasked is told apart, and ranks nobody worse", () => {
  const answer: CoverageAnswer = {
    dataset: "candles_1m",
    first_day: "2026-11-01",
    days: 4,
    as_of_ms: Date.UTC(2026, 10, 5, 1),
    asked_from_ms: Date.UTC(2026, 10, 3),
    step_ms: 60_000,
    symbols: { A: [[0, 2, 1440, 0, 0, 0], [2, 2, 1440, 1440, 0, 0]], B: [[0, 1, 1440, 1430, 0, 0], [2, 1, 1440, 0, 0, 0], [3, 1, 1440, 1440, 0, 0]] },
  };
  const found = unfolded(answer);
  assert.equal(found.unasked, 2);
  const { rows, total } = surveyed(found);
  assert.deepEqual(rows.map((one) => one.marks), [["unasked", "unasked", "whole", "whole"], ["few", "none", "all", "whole"]]);
  assert.deepEqual(ordered(rows, "worst", "").map((one) => [one.symbol, one.missing]), [["B", 1440], ["A", 0]]);
  assert.deepEqual([total.missing, total.unasked], [4330, 2890]);
  assert.equal(unfolded({ ...answer, asked_from_ms: Date.UTC(2026, 10, 3, 12) }).unasked, 2, "a day that is asked for in part is asked for");
  assert.equal(unfolded({ ...answer, asked_from_ms: 0 }).unasked, 0);
  assert.equal(unfolded({ ...answer, asked_from_ms: Date.UTC(2027, 0, 1) }).unasked, 4);
});

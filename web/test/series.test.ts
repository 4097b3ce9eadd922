import assert from "node:assert/strict";
import { test } from "node:test";
import type { Kline } from "../src/api/types";
import { grown, isBar, lacking, LONGEST_HOLE, merged, missing, withHoles, type Bar } from "../src/pages/chart/series";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const T = Date.UTC(2026, 10, 26);

const bar = (at: number, close = 10): Bar => ({ open_time: at, open: 10, high: Math.max(11, close), low: Math.min(9, close), close, volume: 1, missing_minutes: 0 });
const live = (at: number, close = 10): Kline => ({ ...bar(at, close), quote_volume: null, trade_count: null, missing_minutes: 0 });

test("merging keeps one of each, the newer one, in order", () => {
  const old = [bar(T), bar(T + MINUTE, 5), bar(T + 3 * MINUTE)];
  const found = merged(old, [bar(T + MINUTE, 7), bar(T + 2 * MINUTE)]);
  assert.deepEqual(found.map((one) => [one.open_time - T, one.close]), [[0, 10], [MINUTE, 7], [2 * MINUTE, 10], [3 * MINUTE, 10]]);
  assert.deepEqual(merged([], old), old);
  assert.deepEqual(merged(old, []), old);
  assert.deepEqual(merged(merged(old, found), found), merged(old, found), "again changes nothing");
});

test("minutes make the bar of the present, whatever their order and however often they come", () => {
  const stored = [bar(T - HOUR)];
  const minutes = [live(T, 12), live(T + MINUTE, 8), live(T + 2 * MINUTE, 11)];
  const expected = grown(stored, minutes, HOUR, T);
  assert.deepEqual(expected[1], { open_time: T, open: 10, high: 12, low: 8, close: 11, volume: 3, missing_minutes: 0 });
  assert.deepEqual(grown(stored, [...minutes, ...minutes].reverse(), HOUR, T), expected);
  assert.deepEqual(stored, [bar(T - HOUR)], "what is stored stays as it is");
});

test("minutes that are in a stored bar already count once", () => {
  const stored = [bar(T - HOUR), bar(T)];
  assert.deepEqual(grown(stored, [live(T + MINUTE, 99)], HOUR, T + HOUR), stored);
});

test("a new bar begins where its interval does", () => {
  const found = grown([bar(T)], [live(T + HOUR + 7 * MINUTE, 8)], HOUR, T + HOUR);
  assert.equal(found[1]?.open_time, T + HOUR);
});

test("a hole has a place for each bar that is not there", () => {
  const drawn = withHoles([bar(T), bar(T + MINUTE), bar(T + 4 * MINUTE)], MINUTE);
  assert.deepEqual(drawn.map((one) => (one.open_time - T) / MINUTE), [0, 1, 2, 3, 4]);
  assert.deepEqual(drawn.map(isBar), [true, true, false, false, true]);
  assert.equal(missing([bar(T), bar(T + MINUTE), bar(T + 4 * MINUTE)], MINUTE), 2);
  assert.equal(missing([], MINUTE), 0);
});

test("a hole that is too long is cut in its middle, and times still rise", () => {
  const drawn = withHoles([bar(T), bar(T + 100_000 * MINUTE)], MINUTE);
  assert.equal(drawn.length, LONGEST_HOLE + 2);
  assert.equal(drawn[1]?.open_time, T + MINUTE);
  assert.equal(drawn[drawn.length - 2]?.open_time, T + 99_999 * MINUTE);
  for (let at = 1; at < drawn.length; at++) assert.ok((drawn[at]?.open_time ?? 0) > (drawn[at - 1]?.open_time ?? 0));
});

test("a bar of minutes says how many of them are not there, up to the newest", () => {
  const minutes = [2, 3, 6].map((n) => live(T + n * MINUTE));
  assert.equal(grown([], minutes, HOUR, T)[0]?.missing_minutes, 4, "two before the first and two between");
  assert.equal(grown([], [...minutes, ...minutes].reverse(), HOUR, T)[0]?.missing_minutes, 4);
  const two = grown([], [live(T), live(T + HOUR + 5 * MINUTE)], HOUR, T);
  assert.deepEqual(two.map((one) => one.missing_minutes), [59, 5], "each bar counts its own, one that is over up to its end");
  const after = grown([bar(T)], [live(T + HOUR), live(T + 2 * HOUR)], HOUR, T + HOUR);
  assert.deepEqual(after.map((one) => one.missing_minutes), [0, 59, 0], "of what is stored the server knows");
});

test("bars that lack minutes are counted, and found from the right to the left", () => {
  const bars = [bar(T), { ...bar(T + HOUR), missing_minutes: 7 }, bar(T + 2 * HOUR), { ...bar(T + 3 * HOUR), missing_minutes: 1 }, { ...bar(T + 4 * HOUR), missing_minutes: null }];
  const found = lacking(bars);
  assert.deepEqual([found.bars, found.minutes], [2, 8]);
  assert.equal(found.before(Infinity)?.open_time, T + 3 * HOUR);
  assert.equal(found.before(T + 3 * HOUR)?.open_time, T + HOUR);
  assert.equal(found.before(T)?.open_time, T + 3 * HOUR, "and from the beginning on");
  assert.equal(lacking([bar(T)]).before(Infinity), null);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, decimals, percent, price, short, signed, whole } from "../src/format/numbers";
import { day, floor, interval, INTERVALS, isTimeframe, minute, span, TIMEFRAMES } from "../src/format/times";

const GAP = " ";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

test("whole numbers have gaps between thousands", () => {
  assert.equal(whole(1234567), `1${GAP}234${GAP}567`);
  assert.equal(whole(999), "999");
  assert.equal(whole(-1000), `−1${GAP}000`);
  assert.equal(whole(-0.2), "0");
});

test("a price has the digits it needs, whatever its size", () => {
  assert.equal(price(64231.5), "64231.5");
  assert.equal(price(0.00001234), "0.00001234");
  assert.equal(price(91000), "91000");
  assert.equal(price(100), "100");
  assert.equal(price(Number.NaN), "–");
  assert.equal(decimals(0.00001234), 11);
  assert.equal(decimals(123456789), 0);
});

test("short numbers keep three digits and their sign", () => {
  assert.equal(short(12_345_678), `12.3${GAP}M`);
  assert.equal(short(-1_500), `-1.50${GAP}k`);
  assert.equal(short(7), "7");
  assert.equal(short(0.1234), "0.123");
  assert.equal(bytes(81.3e9), `81.3${GAP}GB`);
  assert.equal(short(999_999), `1.00${GAP}M`);
  assert.equal(short(999_499), `999${GAP}k`);
  assert.equal(short(2.5e15), `2${GAP}500${GAP}T`);
  assert.equal(bytes(999_999_999), `1.00${GAP}GB`);
  assert.equal(signed(-3.456), "−3.46");
  assert.equal(signed(0), "+0.00");
});

test("only all is 100 %, only nothing is 0 %", () => {
  assert.equal(percent(1_000_000, 1_000_000), "100 %");
  assert.equal(percent(999_999_999, 1_000_000_000), "99.999 %");
  assert.equal(percent(1, 1_000_000_000), "0.001 %");
  assert.equal(percent(0, 5), "0 %");
  assert.equal(percent(0, 0), "–");
  assert.equal(percent(1, 2), "50.0 %");
});

test("times are UTC", () => {
  const at = Date.UTC(2026, 10, 27, 0, 5, 9);
  assert.equal(day(at), "2026-11-27");
  assert.equal(minute(at), "2026-11-27 00:05");
});

test("spans as marketd status says them", () => {
  assert.equal(span(42_000), "42 s");
  assert.equal(span(119_999), "119 s");
  assert.equal(span(5 * MINUTE), "5 min");
  assert.equal(span(192 * MINUTE), "3 h 12 min");
  assert.equal(span(103 * HOUR), "4 d 7 h");
  assert.equal(span(-5), "0 s");
});

test("every interval has a length, and anything else is refused", () => {
  const lengths = INTERVALS.map(interval);
  assert.deepEqual([...lengths].sort((a, b) => a - b), lengths);
  assert.deepEqual(INTERVALS.filter(isTimeframe), [...TIMEFRAMES]);
  assert.equal(interval("15m"), 15 * MINUTE);
  assert.equal(interval("1w"), 168 * HOUR);
  for (const wrong of ["", "0m", "1M", "m", "1.5h", "1h "]) assert.throws(() => interval(wrong), RangeError);
});

test("bars begin at multiples of their length, weeks on Monday", () => {
  const wednesday = Date.UTC(2026, 10, 25, 13, 47, 12);
  assert.equal(floor(wednesday, HOUR), Date.UTC(2026, 10, 25, 13));
  assert.equal(floor(wednesday, 24 * HOUR), Date.UTC(2026, 10, 25));
  const monday = floor(wednesday, 168 * HOUR);
  assert.equal(monday, Date.UTC(2026, 10, 23));
  assert.equal(new Date(monday).getUTCDay(), 1);
  assert.equal(floor(monday, 168 * HOUR), monday);
  assert.equal(floor(monday - 1, 168 * HOUR), Date.UTC(2026, 10, 16));
});

// The bars of a chart: read in pieces, grown by live minutes, with every hole in them plain to see. Pure.
import { floor } from "../../format/times";
import type { Kline } from "../../api/types";

/** One bar; times are UTC milliseconds. */
export interface Bar {
  open_time: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  /** Minutes of it that are not stored; null where nobody knows. */
  missing_minutes: number | null;
}

/** A place without a bar: nothing is stored there. */
export interface Hole {
  open_time: number;
}

/** No more places than this are drawn for one hole; a longer one is drawn as long as this. */
export const LONGEST_HOLE = 1_500;

const MINUTE_MS = 60_000;

/** Both sorted by time and one of each; where both have a bar, that of `newer`. */
export function merged<T extends { open_time: number }>(older: readonly T[], newer: readonly T[]): T[] {
  const last = older[older.length - 1];
  const first = newer[0];
  if (!last) return [...newer];
  if (!first) return [...older];
  if (first.open_time > last.open_time) return [...older, ...newer];
  const by = new Map(older.map((one) => [one.open_time, one]));
  for (const one of newer) by.set(one.open_time, one);
  return [...by.values()].sort((a, b) => a.open_time - b.open_time);
}

/**
 * The minutes that came live, as the bars of `length` milliseconds that they make on top of `stored`.
 *
 * A stored bar is complete up to when it was read: `readTo` (its minutes before that are in it already). Minutes may
 * come twice and in any order; each counts once.
 */
export function grown(stored: readonly Bar[], minutes: readonly Kline[], length: number, readTo: number): Bar[] {
  const fresh = minutes.filter((one) => one.open_time >= readTo).sort((a, b) => a.open_time - b.open_time);
  const bars = [...stored];
  let newest = -Infinity;
  for (const one of fresh) {
    if (one.open_time === newest) continue;
    const start = floor(one.open_time, length);
    // What the bar lacks up to this minute: those after the one before, or after its own beginning.
    const lacks = (one.open_time - Math.max(newest + MINUTE_MS, start)) / MINUTE_MS;
    const last = bars[bars.length - 1];
    if (last && last.open_time === start) bars[bars.length - 1] = joined(last, one, lacks);
    else if (!last || last.open_time < start) {
      if (last && newest >= last.open_time) bars[bars.length - 1] = ended(last, newest, length);
      bars.push({ ...bare(one), open_time: start, missing_minutes: lacks });
    }
    newest = one.open_time;
  }
  return bars;
}

function joined(bar: Bar, minute: Kline, lacks: number): Bar {
  return {
    open_time: bar.open_time,
    open: bar.open,
    high: Math.max(bar.high, minute.high),
    low: Math.min(bar.low, minute.low),
    close: minute.close,
    volume: bar.volume + minute.volume,
    missing_minutes: (bar.missing_minutes ?? 0) + lacks,
  };
}

/** A bar that another one follows: it lacks what should have come between its newest minute and its end, too. */
function ended(bar: Bar, newest: number, length: number): Bar {
  const lacks = (bar.open_time + length - newest - MINUTE_MS) / MINUTE_MS;
  return { ...bar, missing_minutes: (bar.missing_minutes ?? 0) + lacks };
}

function bare(one: Kline): Bar {
  const { open_time, open, high, low, close, volume, missing_minutes } = one;
  return { open_time, open, high, low, close, volume, missing_minutes };
}

/** The same with a place for every bar that is not there. */
export function withHoles<T extends { open_time: number }>(bars: readonly T[], length: number): (T | Hole)[] {
  const drawn: (T | Hole)[] = [];
  let before: number | null = null;
  for (const bar of bars) {
    if (before !== null) {
      const missing = Math.round((bar.open_time - before) / length) - 1;
      // A hole that is too long to be drawn whole is cut in the middle: both its edges are where they are.
      const shown = Math.min(missing, LONGEST_HOLE);
      const head = Math.ceil(shown / 2);
      for (let n = 1; n <= head; n++) drawn.push({ open_time: before + n * length });
      for (let n = shown - head; n >= 1; n--) drawn.push({ open_time: bar.open_time - n * length });
    }
    drawn.push(bar);
    before = bar.open_time;
  }
  return drawn;
}

export function isBar(one: Bar | Hole): one is Bar {
  return "close" in one;
}

export interface Lacking {
  bars: number;
  minutes: number;
  /** The newest of them before a moment, or the newest of all where there is none before it; null where there is none. */
  before: (ms: number) => Bar | null;
}

/** The bars that are there and lack some of their minutes. */
export function lacking(bars: readonly Bar[]): Lacking {
  const found = bars.filter((one) => (one.missing_minutes ?? 0) > 0);
  return {
    bars: found.length,
    minutes: found.reduce((sum, one) => sum + (one.missing_minutes ?? 0), 0),
    before: (ms) => found.findLast((one) => one.open_time < ms) ?? found[found.length - 1] ?? null,
  };
}

/** How many bars are not there between the first and the last. */
export function missing(bars: readonly Bar[], length: number): number {
  const first = bars[0];
  const last = bars[bars.length - 1];
  return first && last ? Math.round((last.open_time - first.open_time) / length) + 1 - bars.length : 0;
}

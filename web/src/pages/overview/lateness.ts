// How late candles are, from the histogram that the process keeps since it began. Pure.
import type { Histogram } from "../../api/types";

/** What was observed since `before`; everything where that is of another process. */
export function since(now: Histogram, before: Histogram | null): Histogram {
  if (!before || before.counts.length !== now.counts.length) return now;
  const counts = now.counts.map((count, at) => count - (before.counts[at] ?? 0));
  return counts.some((count) => count < 0) ? now : { bounds: now.bounds, counts };
}

/** Seconds below which `share` of all lie, between bounds in proportion; null without any. Counts are cumulative. */
export function quantile(histogram: Histogram, share: number): number | null {
  const all = histogram.counts[histogram.counts.length - 1] ?? 0;
  if (all === 0) return null;
  const rank = share * all;
  let lower = 0;
  let below = 0;
  for (let at = 0; at < histogram.counts.length; at++) {
    const count = histogram.counts[at] ?? 0;
    const bound = histogram.bounds[at] ?? null;
    if (count >= rank) {
      if (bound === null) return lower; // beyond the last bound: at least that
      return count === below ? bound : lower + ((bound - lower) * (rank - below)) / (count - below);
    }
    lower = bound ?? lower;
    below = count;
  }
  return lower;
}

/** How many there are in each step, for a drawing: the differences of the cumulative counts. */
export function steps(histogram: Histogram): number[] {
  return histogram.counts.map((count, at) => count - (histogram.counts[at - 1] ?? 0));
}

// What is drawn below the candles: open interest, ratios and funding, at the places of the bars. Pure.
import type { FundingRow, MetricsRow } from "../../api/types";
import { floor } from "../../format/times";
import type { Curve } from "./below";

export type Titles = Record<"interest" | "ratios" | "accounts" | "topAccounts" | "topPositions" | "taker" | "funding", string>;

/** The curves of the panes; where a bar's time has no value there is a gap. */
export function curves(
  metrics: readonly MetricsRow[],
  funding: readonly FundingRow[],
  opens: readonly number[],
  length: number,
  titles: Titles,
): Curve[] {
  const of = (pick: (row: MetricsRow) => number | null): Curve["points"] => last(metrics, (row) => row.create_time - 1, pick, opens, length);
  const found: Curve[] = [];
  if (metrics.length > 0) {
    found.push({ pane: 1, title: titles.interest, colour: "series-1", points: of((row) => row.sum_open_interest) });
    found.push({ pane: 2, title: titles.ratios, name: titles.accounts, colour: "series-1", points: of((row) => row.count_long_short_ratio) });
    found.push({ pane: 2, title: titles.ratios, name: titles.topAccounts, colour: "series-2", points: of((row) => row.count_toptrader_long_short_ratio) });
    found.push({ pane: 2, title: titles.ratios, name: titles.topPositions, colour: "series-3", points: of((row) => row.sum_toptrader_long_short_ratio) });
    found.push({ pane: 3, title: titles.taker, colour: "series-2", points: of((row) => row.sum_taker_long_short_vol_ratio) });
  }
  if (funding.length > 0) {
    const points = last(funding, (row) => row.funding_time, (row) => row.funding_rate * 100, opens, length);
    found.push({ pane: metrics.length > 0 ? 4 : 1, title: titles.funding, colour: "series-3", bars: true, points });
  }
  return found;
}

/** From when on there are rows, where that is later than what is shown begins by more than two steps; null where it is not. */
export function reach<T>(rows: readonly T[], time: (row: T) => number, first: number | null, step: number): number | null {
  const oldest = rows[0];
  return oldest !== undefined && first !== null && time(oldest) > first + 2 * step ? time(oldest) : null;
}

/** The newest value within each bar: a ratio is not summed. */
function last<T>(
  rows: readonly T[],
  time: (row: T) => number,
  pick: (row: T) => number | null,
  opens: readonly number[],
  length: number,
): Curve["points"] {
  const by = new Map<number, number>();
  for (const row of rows) {
    const value = pick(row);
    if (value !== null) by.set(floor(time(row), length), value);
  }
  return opens.map((open) => ({ time: open, value: by.get(open) ?? null }));
}

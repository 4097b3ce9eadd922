// Reading what stands below the candles, for the time that is loaded, and drawing it.
import { useEffect, useMemo } from "preact/hooks";
import { get } from "../../api/client";
import type { FundingRow, MetricsRow, Piece } from "../../api/types";
import { useRead } from "../../api/use";
import { day } from "../../format/times";
import { useText } from "../../i18n/text";
import { dark, language } from "../../state/choices";
import { useValue } from "../../state/value";
import type { Drawing } from "./drawing";
import { Cover, type ReadPiece } from "./cover";
import { curves, reach } from "./panes";
import { withHoles } from "./series";
import type { ChartData } from "./store";

const PIECE = 1_000;
const FIVE_MINUTES = 300_000;

export interface Below {
  error: unknown;
  again: () => void;
  /** Nothing at all is stored of this time. */
  nothing: boolean;
}

interface Wanted {
  symbol: string;
  interval: string;
  length: number;
  data: ChartData | null;
}

export function useBelow(drawing: { current: Drawing | null }, { symbol, interval, length, data }: Wanted): Below {
  const t = useText();
  const spoken = useValue(language);
  const isDark = useValue(dark);
  const first = data?.bars[0]?.open_time ?? null;
  const last = data?.bars[data.bars.length - 1]?.open_time ?? null;
  // In steps, so that not every bar asks again.
  const step = Math.max(length, FIVE_MINUTES);
  const range = first === null || last === null ? null : { start: first, end: Math.floor((last + length) / step) * step };
  const key = range && `${symbol}/${interval}/${range.start}/${range.end}`;
  const covers = useMemo(() => {
    const of = <T>(path: string, more: Record<string, string | null>): ReadPiece<T> =>
      (end, cursor, signal) => get<Piece<T>>(path, { symbol, end, limit: PIECE, cursor, ...more }, signal);
    // No more values than bars: of a longer bar the last one in it.
    const coarse = length > FIVE_MINUTES ? interval : null;
    return {
      metrics: new Cover<MetricsRow>(of("/api/v1/metrics5m", { step: coarse }), (row) => row.create_time),
      funding: new Cover<FundingRow>(of("/api/v1/funding", {}), (row) => row.funding_time),
    };
  }, [symbol, interval, length]);
  const none = Promise.resolve([]);
  const metrics = useRead(key, (signal) => (range ? covers.metrics.cover(range, signal) : none));
  const funding = useRead(key, (signal) => (range ? covers.funding.cover(range, signal) : none));

  useEffect(() => {
    // What was drawn stays until what was asked for instead is there.
    if (!drawing.current || !data || !metrics.data || !funding.data) return;
    const opens = withHoles(data.bars, length).map((one) => one.open_time);
    const since = (title: string, from: number | null): string => (from === null ? title : t("chart.pane.since", { title, from: day(from) }));
    const from = reach(metrics.data, (row) => row.create_time, first, step);
    const titles = {
      interest: since(t("chart.pane.interest"), from),
      ratios: since(t("chart.pane.ratios"), from),
      accounts: t("chart.pane.accounts"),
      topAccounts: t("chart.pane.topAccounts"),
      topPositions: t("chart.pane.topPositions"),
      taker: since(t("chart.pane.taker"), from),
      funding: since(t("chart.pane.funding"), reach(funding.data, (row) => row.funding_time, first, Math.max(step, 8 * 3_600_000))),
    };
    drawing.current.panes(curves(metrics.data, funding.data, opens, length, titles));
  }, [metrics.data, funding.data, spoken, isDark]);

  return {
    error: metrics.error ?? funding.error,
    again: () => (metrics.again(), funding.again()),
    nothing: metrics.data?.length === 0 && funding.data?.length === 0,
  };
}

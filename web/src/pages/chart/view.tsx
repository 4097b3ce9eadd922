// The chart in the page: its data, its panes, and what stands around it.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { get } from "../../api/client";
import type { FundingRow, MetricsRow, Piece } from "../../api/types";
import { useRead } from "../../api/use";
import { price, short, whole } from "../../format/numbers";
import { useText } from "../../i18n/text";
import { dark, language } from "../../state/choices";
import { place } from "../../state/place";
import { useValue } from "../../state/value";
import { Empty, Failure, Loading } from "../../ui/states";
import { Drawing, type Placed } from "./drawing";
import type { Line } from "./levels";
import { curves } from "./panes";
import { missing, withHoles, type Bar } from "./series";
import { ChartStore, type ChartData } from "./store";
import { LevelTags } from "./tags";

const PIECE = 1_000;
/** Of metrics: five weeks. */
const MOST_PIECES = 10;

interface ChartViewProps {
  symbol: string;
  interval: string;
  levels: Line[];
  pick: (line: Line) => void;
}

export function ChartView({ symbol, interval, levels, pick }: ChartViewProps): JSX.Element {
  const t = useText();
  const isDark = useValue(dark);
  const box = useRef<HTMLDivElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const store = useRef<ChartStore | null>(null);
  const picked = useRef(pick);
  picked.current = pick;
  const [data, setData] = useState<ChartData | null>(null);
  const [over, setOver] = useState<Bar | null>(null);
  const [tags, setTags] = useState<Placed[]>([]);

  useEffect(() => {
    if (!box.current) return;
    const chart = new Drawing(box.current, {
      over: setOver,
      level: (line) => picked.current(line),
      older: () => store.current?.older(),
      placed: setTags,
    });
    const asked = Number(place.now.query.get("at")) || null;
    let looked = false;
    const source = new ChartStore(symbol, interval, (now, newest) => {
      const drawn = withHoles(now.bars, source.length);
      if (newest) chart.grow(newest, drawn);
      else chart.show(drawn);
      if (asked !== null && !looked && now.bars.length > 0) {
        looked = true;
        chart.look(asked);
      }
      setData(now);
    });
    drawing.current = chart;
    store.current = source;
    source.open(asked);
    return () => {
      source.close();
      chart.close();
      drawing.current = store.current = null;
    };
  }, [symbol, interval]);

  useEffect(() => drawing.current?.dress(), [isDark]);
  const key = levels.map((one) => one.id).join();
  useEffect(() => drawing.current?.levels(levels), [key, symbol, interval]);
  usePanes(drawing, symbol, data, store.current?.length ?? 0);

  const shown = over ?? data?.bars[data.bars.length - 1] ?? null;
  const nothing = data !== null && data.bars.length === 0;
  const holes = data && store.current ? missing(data.bars, store.current.length) : 0;
  return (
    <>
      {data === null && <Loading />}
      {data !== null && data.error !== null && <Failure error={data.error} />}
      {nothing && data.error === null && <Empty title={t("chart.empty", { symbol })} todo={t("chart.empty.do")} />}
      <div class="chart-box" hidden={nothing}>
        {shown && <div class="chart-values">{t("chart.values", words(shown))}</div>}
        <div ref={box} style={{ height: "100%" }} />
        <LevelTags of={tags} pick={pick} />
      </div>
      <div class="chart-foot">
        <span>
          {holes > 0 && <span class="warn">{t("chart.holes", { count: whole(holes) })} </span>}
          {data?.whole === true && !nothing && t("chart.begin")}
        </span>
        <a href="https://www.tradingview.com/" target="_blank" rel="noopener noreferrer">{t("chart.attribution")}</a>
      </div>
    </>
  );
}

function words(bar: Bar): Record<string, string> {
  return { open: price(bar.open), high: price(bar.high), low: price(bar.low), close: price(bar.close), volume: short(bar.volume) };
}

/** Rows of the range, the newest pieces of them where there are too many to draw. */
async function newest<T>(path: string, symbol: string, range: { start: number; end: number } | null, time: (row: T) => number, signal: AbortSignal): Promise<T[]> {
  if (range === null) return [];
  let found: T[] = [];
  let cursor: string | number | null = null;
  for (let n = 0; n < MOST_PIECES; n++) {
    const { data, next }: Piece<T> = await get<Piece<T>>(path, { symbol, end: range.end, limit: PIECE, cursor }, signal);
    found = [...data, ...found];
    const first = data[0];
    if (next === null || first === undefined || time(first) <= range.start) break;
    cursor = next;
  }
  return found;
}

/** Read what is below the candles for the time that is loaded, in steps so that not every bar asks again. */
function usePanes(drawing: { current: Drawing | null }, symbol: string, data: ChartData | null, length: number): void {
  const t = useText();
  const spoken = useValue(language);
  const isDark = useValue(dark);
  const first = data?.bars[0]?.open_time ?? null;
  const last = data?.bars[data.bars.length - 1]?.open_time ?? null;
  const step = Math.max(length, 300_000);
  const range = first === null || last === null ? null : { start: first, end: Math.floor((last + length) / step) * step };
  const key = range && `${symbol}/${range.start}/${range.end}`;
  const metrics = useRead(key, (signal) => newest<MetricsRow>("/api/v1/metrics5m", symbol, range, (row) => row.create_time, signal));
  const funding = useRead(key, (signal) => newest<FundingRow>("/api/v1/funding", symbol, range, (row) => row.funding_time, signal));
  useEffect(() => {
    if (!drawing.current || !data) return;
    const opens = withHoles(data.bars, length).map((one) => one.open_time);
    const titles = {
      interest: t("chart.pane.interest"),
      ratios: t("chart.pane.ratios"),
      accounts: t("chart.pane.accounts"),
      topAccounts: t("chart.pane.topAccounts"),
      topPositions: t("chart.pane.topPositions"),
      taker: t("chart.pane.taker"),
      funding: t("chart.pane.funding"),
    };
    drawing.current.panes(curves(metrics.data ?? [], funding.data ?? [], opens, length, titles));
  }, [metrics.data, funding.data, spoken, isDark]);
}

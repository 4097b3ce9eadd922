// The chart in the page: its data, its panes, and what stands around it.
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { price, short, whole } from "../../format/numbers";
import { interval as lengthOf, minute } from "../../format/times";
import { useText } from "../../i18n/text";
import { dark } from "../../state/choices";
import { place } from "../../state/place";
import { useValue } from "../../state/value";
import { Empty, Failure, Loading } from "../../ui/states";
import { Drawing, type Placed } from "./drawing";
import type { Line } from "./levels";
import { lacking, missing, withHoles, type Bar } from "./series";
import { ChartStore, type ChartData } from "./store";
import { LevelTags } from "./tags";
import { useBelow } from "./use_below";

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
      newer: () => store.current?.newer(),
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
  const below = useBelow(drawing, { symbol, interval, length: lengthOf(interval), data });

  const shown = over ?? data?.bars[data.bars.length - 1] ?? null;
  const nothing = data !== null && data.bars.length === 0;
  const holes = data ? missing(data.bars, lengthOf(interval)) : 0;
  return (
    <>
      {data === null && <Loading />}
      {data !== null && data.error !== null && <Failure error={data.error} again={() => store.current?.again()} />}
      {nothing && data.error === null && <Empty title={t("chart.empty", { symbol })} todo={t("chart.empty.do")} />}
      <div class="chart-box" hidden={nothing}>
        {shown && (
          <div class="chart-values">
            {t("chart.values", words(shown))}
            {shown.missing_minutes ? <span class="warn">{"  "}{t("chart.values.lacks", { minutes: whole(shown.missing_minutes) })}</span> : null}
          </div>
        )}
        <div
          ref={box}
          class="chart-draw"
          tabIndex={0}
          role="application"
          aria-label={t("chart.about")}
          onKeyDown={(event) => {
            if (!event.ctrlKey && !event.metaKey && !event.altKey && drawing.current?.key(event.key)) event.preventDefault();
          }}
        />
        <LevelTags of={tags} pick={pick} />
      </div>
      <div class="chart-foot">
        <span>
          {holes > 0 && <span class="warn">{t("chart.holes", { count: whole(holes) })} </span>}
          {data && <Hollow bars={data.bars} drawing={drawing} />}
          {below.error !== null && <span class="bad">{t("chart.below.error")} <button type="button" class="text" onClick={below.again}>{t("state.retry")}</button> </span>}
          {below.nothing && <span>{t("chart.below.none")} </span>}
          {data?.whole === true && !nothing && t("chart.begin")}
        </span>
        <a href="https://www.tradingview.com/" target="_blank" rel="noopener noreferrer">{t("chart.attribution")}</a>
      </div>
    </>
  );
}

/** What the hollow bars are; a click shows the next one to the left. */
function Hollow({ bars, drawing }: { bars: Bar[]; drawing: { current: Drawing | null } }): JSX.Element | null {
  const t = useText();
  const found = lacking(bars);
  if (found.bars === 0) return null;
  const show = (): void => {
    const next = found.before(drawing.current?.middle() ?? Infinity);
    if (next) drawing.current?.look(next.open_time);
  };
  return (
    <button type="button" class="text hollow" title={t("chart.hollow.show")} onClick={show}>
      <i aria-hidden="true" />
      {t("chart.hollow", { bars: whole(found.bars), minutes: whole(found.minutes) })}
    </button>
  );
}

function words(bar: Bar): Record<string, string> {
  return { time: minute(bar.open_time), open: price(bar.open), high: price(bar.high), low: price(bar.low), close: price(bar.close), volume: short(bar.volume) };
}

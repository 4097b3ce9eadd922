// Chart: /chart?symbol=BTCUSDT&interval=15m, or /chart?id=123 for the result of an analysis.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { get, post } from "../../api/client";
import type { Analysis, Numbered } from "../../api/types";
import { useRead, type Read } from "../../api/use";
import { price, whole } from "../../format/numbers";
import { INTERVALS, isTimeframe, minute, TIMEFRAMES } from "../../format/times";
import { useText } from "../../i18n/text";
import { go, address, place } from "../../state/place";
import { useValue } from "../../state/value";
import { AlertForm } from "../../ui/alert_form";
import { Dialog } from "../../ui/dialog";
import { Empty, Failure, Loading, Words } from "../../ui/states";
import { SymbolInput } from "../../ui/symbol_input";
import { expected, lines, type Line } from "./levels";
import { ChartView } from "./view";

const USUAL = "1h";

export default function ChartPage(): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  const id = query.get("id");
  const byId = useRead(id, (signal) => get<Analysis>(`/api/v1/analysis/${encodeURIComponent(id ?? "")}`, {}, signal));
  const symbol = id === null ? query.get("symbol") : (byId.data?.symbol ?? null);
  const interval = INTERVALS.find((one) => one === query.get("interval")) ?? INTERVALS.find((one) => one === byId.data?.timeframe) ?? USUAL;
  return (
    <>
      <Picker key={`${symbol}/${interval}`} symbol={symbol ?? ""} interval={interval} />
      {id !== null && byId.error !== null && <Failure error={byId.error} again={byId.again} />}
      {id !== null && byId.waiting && <Loading />}
      {id === null && symbol === null && <Empty title={t("chart.pick")} todo={t("chart.pick.do")} />}
      {symbol !== null && <Chart key={`${symbol}/${interval}`} symbol={symbol} interval={interval} given={byId.data} />}
    </>
  );
}

function Picker({ symbol, interval }: { symbol: string; interval: string }): JSX.Element {
  const t = useText();
  const [wish, setWish] = useState({ symbol, interval });
  const show = (event: Event): void => {
    event.preventDefault();
    if (wish.symbol) go(address("/chart", wish));
  };
  const pick = (next: string): void => {
    setWish({ ...wish, interval: next });
    if (symbol) go(address("/chart", { symbol, interval: next }));
  };
  return (
    <form class="tools" onSubmit={show}>
      <label>
        {t("chart.symbol")}
        <SymbolInput autofocus={!symbol} value={wish.symbol} set={(next) => setWish({ ...wish, symbol: next })} />
      </label>
      <label>
        {t("chart.interval")}
        <select value={wish.interval} onChange={(event) => pick(event.currentTarget.value)}>
          {INTERVALS.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
      </label>
      <button type="submit" class="main">{t("chart.show")}</button>
    </form>
  );
}

/** The newest analysis of the series, that which was given if it is of this interval. */
function useAnalysis(symbol: string, interval: string, given: Analysis | null): { analysis: Analysis | null; known: boolean; read: Read<unknown> } {
  const fits = given?.symbol === symbol && given.timeframe === interval;
  const wanted = fits || !isTimeframe(interval) ? null : `${symbol}/${interval}`;
  const query = { symbol, timeframe: interval, market_type: "future", pageSize: 10 };
  // What has just this name comes first; the others have it as a part of theirs.
  const read = useRead(wanted, (signal) => get<Numbered<Analysis>>("/api/v1/analysis/results", query, signal));
  if (fits) return { analysis: given, known: true, read };
  const found = read.data?.data.find((one) => one.symbol === symbol);
  return { analysis: found ?? null, known: wanted === null || read.data !== null, read };
}

function Chart({ symbol, interval, given }: { symbol: string; interval: string; given: Analysis | null }): JSX.Element {
  const t = useText();
  const { analysis, known, read } = useAnalysis(symbol, interval, given);
  const [level, setLevel] = useState<Line | null>(null);
  const [made, setMade] = useState("");
  const drawn = analysis ? lines(analysis) : [];
  return (
    <>
      {made && <p class="note good" role="status">{made}</p>}
      <div class="chart-page">
        <section class="card">
          <h1 class="visually-hidden">{symbol} {interval}</h1>
          <ChartView symbol={symbol} interval={interval} levels={drawn} pick={setLevel} />
        </section>
        <aside class="card chart-side">
          <h2>{t("chart.levels")}</h2>
          {analysis && <p class="soft">{t("chart.levels.as", { time: minute(analysis.known_to_ms), bars: whole(analysis.input_limit) })}</p>}
          {read.error !== null && <Failure error={read.error} again={read.again} />}
          {known && !analysis && <Wanted symbol={symbol} interval={interval} />}
          {drawn.length > 0 && <p class="hint">{t("chart.click")}</p>}
          {[...drawn].sort((a, b) => b.price - a.price).map((line) => (
            <button type="button" class="level" key={line.id} onClick={() => setLevel(line)}>
              <b class={line.side === "support" ? "long" : "short"}>{price(line.price)}</b>
              <span>{t(`chart.${line.side}`)}</span>
              <small>{t("chart.touches", { score: line.score.toFixed(1), touches: line.touches })}</small>
            </button>
          ))}
        </aside>
      </div>
      {level && (
        <Dialog title={t("alert.new")} close={() => setLevel(null)}>
          <AlertForm
            first={{ symbol, price: level.price, direction: expected(level.side), level_id: level.id }}
            made={(alert) => {
              setLevel(null);
              setMade(t("alert.made", { symbol, price: price(alert.price) }));
            }}
          />
        </Dialog>
      )}
    </>
  );
}

function Wanted({ symbol, interval }: { symbol: string; interval: string }): JSX.Element {
  const t = useText();
  const [asked, setAsked] = useState<boolean>(false);
  const [error, setError] = useState<unknown>(null);
  if (!isTimeframe(interval)) return <p class="soft">{t("chart.levels.never", { interval, known: TIMEFRAMES.join(", ") })}</p>;
  const ask = (): void => {
    const body = { exchange: "binance", symbol, market_type: "future", timeframe: interval };
    post("/api/v1/analysis/trigger", body).then(() => setAsked(true), setError);
  };
  return (
    <>
      <p class="soft">{t("chart.levels.none", { symbol, interval })}</p>
      {asked ? <p><a href="/tasks"><Words text={t("chart.levels.asked")} /></a></p> : <button type="button" onClick={ask}>{t("chart.levels.do")}</button>}
      {error !== null && <Failure error={error} />}
    </>
  );
}

// Analysis: all results, searched by symbol, page by page; details lead to the chart.
import { Fragment, type JSX } from "preact";
import { useState } from "preact/hooks";
import { get, post } from "../../api/client";
import type { Analysis, Level, Numbered } from "../../api/types";
import { useRead } from "../../api/use";
import { price, whole } from "../../format/numbers";
import { minute, TIMEFRAMES } from "../../format/times";
import { useText } from "../../i18n/text";
import { address, place, refine } from "../../state/place";
import { useValue } from "../../state/value";
import { Pager } from "../../ui/pager";
import { Empty, Failure, Shown } from "../../ui/states";
import { SymbolInput } from "../../ui/symbol_input";

const PAGE_SIZE = 25;
const EVERY_MS = 15_000;

export default function AnalysisPage(): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  const search = query.get("search") ?? "";
  const page = Math.max(Number(query.get("page")) || 1, 1);
  const read = useRead(
    `${search}/${page}`,
    (signal) => get<Numbered<Analysis>>("/api/v1/analysis/results", { symbol: search, page, pageSize: PAGE_SIZE }, signal),
    { every: EVERY_MS },
  );
  return (
    <>
      <h1>{t("analysis.title")}</h1>
      <div class="tools">
        <label>
          {t("analysis.search")}
          <input
            type="search"
            value={search}
            onInput={(event) => refine({ search: event.isComposing ? event.currentTarget.value : tidy(event.currentTarget.value), page: null }, true)}
            onCompositionEnd={(event) => refine({ search: tidy(event.currentTarget.value), page: null }, true)}
          />
        </label>
        <Start again={read.again} />
      </div>
      <section class="card">
        <Shown
          read={read}
          show={(found) =>
            found.data.length === 0 ? (
              search ? <Empty title={t("analysis.nothing", { search })} /> : <Empty title={t("analysis.none")} todo={t("analysis.none.do")} />
            ) : (
              <>
                <Results of={found.data} />
                <Pager of={found} go={(next) => refine({ page: next === 1 ? null : String(next) })} />
              </>
            )
          }
        />
      </section>
    </>
  );
}

function tidy(text: string): string {
  return text.trim().toUpperCase();
}

function Results({ of }: { of: Analysis[] }): JSX.Element {
  const t = useText();
  const [open, setOpen] = useState<number | null>(null);
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>{t("analysis.search")}</th>
            <th>{t("analysis.interval")}</th>
            <th class="number">{t("analysis.price")}</th>
            <th>{t("analysis.supports")}</th>
            <th>{t("analysis.resistances")}</th>
            <th class="number">{t("analysis.bars")}</th>
            <th>{t("analysis.updated")}</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {of.map((one) => (
            <Fragment key={one.id}>
              <tr class={open === one.id ? "chosen" : ""}>
                <td><b>{one.symbol}</b> <span class="soft">{t(`market.${one.market_type}`)}</span></td>
                <td>{one.timeframe}</td>
                <td class="number">{price(one.last_price)}</td>
                <td class="long">{prices(one.support_levels)}</td>
                <td class="short">{prices(one.resistance_levels)}</td>
                <td class="number">{whole(one.input_limit)}</td>
                <td>{minute(one.updated_at)}</td>
                <td><span class="acts">
                  <button type="button" class="text" aria-expanded={open === one.id} onClick={() => setOpen(open === one.id ? null : one.id)}>{t("analysis.details")}</button>
                  <a href={address("/chart", { id: one.id, interval: one.timeframe })}>{t("analysis.chart")}</a>
                </span></td>
              </tr>
              {open === one.id && <tr class="chosen"><td colSpan={8}><Levels of={one} /></td></tr>}
            </Fragment>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The three best. */
function prices(levels: Level[]): string {
  return levels.slice(0, 3).map((one) => price(one.price)).join(" · ") || "–";
}

function Levels({ of }: { of: Analysis }): JSX.Element {
  const t = useText();
  const all = [
    ...of.resistance_levels.map((level) => ({ level, side: "resistance" as const })),
    ...of.support_levels.map((level) => ({ level, side: "support" as const })),
  ].sort((a, b) => b.level.price - a.level.price);
  return (
    <table>
      <thead>
        <tr>
          <th>{t("analysis.level")}</th>
          <th class="number">{t("alert.price")}</th>
          <th class="number">{t("analysis.score")}</th>
          <th class="number">{t("analysis.touches")}</th>
          <th>{t("analysis.state")}</th>
        </tr>
      </thead>
      <tbody>
        {all.map(({ level, side }) => (
          <tr key={level.id}>
            <td class={side === "support" ? "long" : "short"}>{t(`chart.${side}`)}</td>
            <td class="number">{price(level.price)}</td>
            <td class="number">{level.score.toFixed(1)}</td>
            <td class="number">{level.pivots}</td>
            <td>{t(`level.${level.state}`)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Start({ again }: { again: () => void }): JSX.Element {
  const t = useText();
  const [wish, setWish] = useState({ symbol: "", timeframe: "1h" });
  const [told, setTold] = useState("");
  const [error, setError] = useState<unknown>(null);
  const start = (event: Event): void => {
    event.preventDefault();
    setError(null);
    post<{ task_id: string }>("/api/v1/analysis/trigger", { exchange: "binance", market_type: "future", ...wish }).then(
      (answer) => (setTold(answer.task_id), again()),
      setError,
    );
  };
  return (
    <form class="tools end" onSubmit={start}>
      <label>
        {t("analysis.start")}
        <SymbolInput value={wish.symbol} set={(symbol) => setWish({ ...wish, symbol })} />
      </label>
      <label>
        {t("analysis.interval")}
        <select value={wish.timeframe} onChange={(event) => setWish({ ...wish, timeframe: event.currentTarget.value })}>
          {TIMEFRAMES.map((one) => <option key={one} value={one}>{one}</option>)}
        </select>
      </label>
      <button type="submit">{t("tasks.start")}</button>
      {told && <a href={address("/tasks", { task: told })}>{t("analysis.started", { task: told })}</a>}
      {error !== null && <Failure error={error} />}
    </form>
  );
}

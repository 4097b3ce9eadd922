// What is stored of every symbol, day by day, and what is missing in the one that was chosen.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { get } from "../../api/client";
import type { CoverageAnswer, GapRow, Piece } from "../../api/types";
import { useRead } from "../../api/use";
import { percent, whole } from "../../format/numbers";
import { DAY, day, minute } from "../../format/times";
import { useText, type Name } from "../../i18n/text";
import { address, place, refine } from "../../state/place";
import { useValue } from "../../state/value";
import { Empty, Shown, Words } from "../../ui/states";
import { account, dayOf, ordered, surveyed, unfolded, type Account, type Cell, type Mark, type Order } from "./grid";
import { CoverageMap } from "./map";

const DATASETS = ["candles_1m", "metrics_5m", "funding", "agg_trades"] as const;
const SPANS = [30, 90, 180, 365] as const;
const LEGEND: readonly Exclude<Mark, "none">[] = ["whole", "absent", "expired", "pending", "few", "some", "many", "all", "unasked"];
const REFRESH_MS = 10_000;

export function CoveragePart(): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  const dataset = DATASETS.find((one) => one === query.get("dataset")) ?? "candles_1m";
  const days = SPANS.find((one) => one === Number(query.get("days"))) ?? 90;
  const read = useRead(
    `${dataset}/${days}`,
    (signal) => get<CoverageAnswer>("/api/v1/overview/coverage", { dataset, days }, signal),
    { every: REFRESH_MS },
  );
  return (
    <section class="card" aria-labelledby="map-title">
      <h2 id="map-title">{t("map.title")}</h2>
      <div class="tools">
        <label>
          {t("map.dataset")}
          <select value={dataset} onChange={(event) => refine({ dataset: event.currentTarget.value })}>
            {DATASETS.map((one) => <option key={one} value={one}>{t(`map.dataset.${one}`)}</option>)}
          </select>
        </label>
        <label>
          {t("map.days")}
          <select value={days} onChange={(event) => refine({ days: event.currentTarget.value })}>
            {SPANS.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </label>
        <Choice />
      </div>
      <Shown read={read} show={(answer) => <Map answer={answer} dataset={dataset} />} />
    </section>
  );
}

function Choice(): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  return (
    <>
      <label>
        {t("map.order")}
        <select value={query.get("order") ?? "worst"} onChange={(event) => refine({ order: event.currentTarget.value })}>
          <option value="worst">{t("map.order.worst")}</option>
          <option value="name">{t("map.order.name")}</option>
        </select>
      </label>
      <label>
        {t("map.search")}
        <input type="search" value={query.get("search") ?? ""} onInput={(event) => refine({ search: event.currentTarget.value }, true)} />
      </label>
    </>
  );
}

function Map({ answer, dataset }: { answer: CoverageAnswer; dataset: string }): JSX.Element {
  const t = useText();
  const coverage = useMemo(() => unfolded(answer), [answer]);
  const { query } = useValue(place);
  const order: Order = query.get("order") === "name" ? "name" : "worst";
  const search = query.get("search") ?? "";
  const { rows: all, total: sum } = useMemo(() => surveyed(coverage), [coverage]);
  const rows = useMemo(() => ordered(all, order, search), [all, order, search]);
  const by = useMemo(() => new globalThis.Map(coverage.symbols.map((row) => [row.symbol, row])), [coverage]);
  const [chosen, setChosen] = useState<{ symbol: string; column: number } | null>(null);

  if (coverage.symbols.length === 0) return <Empty title={t("map.empty")} todo={t("map.empty.do")} />;
  const of = (symbol: string, column: number): Account | null => {
    const row = by.get(symbol);
    return row ? account(coverage, row, column) : null;
  };
  const words = (one: Account | null): string =>
    one?.expected ? t("map.counts", numbers(one)) + (one.unasked ? `. ${t("map.unasked.day")}` : "") : t("map.undue");
  const cell = chosen && { row: rows.findIndex((row) => row.symbol === chosen.symbol), column: chosen.column };
  const choose = (next: Cell): void => {
    const row = rows[next.row];
    if (row) setChosen({ symbol: row.symbol, column: Math.max(next.column, 0) });
  };
  return (
    <>
      <p>{t("map.total", { ...numbers(sum), due: whole(sum.expected - sum.pending), share: percent(sum.have, sum.expected - sum.pending) })}</p>
      {sum.unasked > 0 && (
        <p class="soft"><Words text={t("map.unasked", { unasked: whole(sum.unasked), from: day(answer.asked_from_ms) })} /></p>
      )}
      {rows.length === 0 ? (
        <Empty title={t("map.nothing", { search })} />
      ) : (
        <CoverageMap
          coverage={coverage}
          rows={rows}
          chosen={cell && cell.row >= 0 ? cell : null}
          choose={choose}
          tip={(at) => words(of(rows[at.row]?.symbol ?? "", at.column))}
        />
      )}
      <p class="legend">
        {LEGEND.map((mark) => <span key={mark}><i class={mark} />{t(`map.mark.${mark}` as Name)}</span>)}
        <span>{t(rows.length === 1 ? "map.shown.one" : "map.shown", { rows: whole(rows.length) })}</span>
      </p>
      {chosen && (
        <Day dataset={dataset} symbol={chosen.symbol} start={dayOf(coverage, chosen.column)} words={words(of(chosen.symbol, chosen.column))} />
      )}
    </>
  );
}

function numbers(one: Account): Record<keyof Account, string> {
  const { expected, have, pending, absent, expired, missing, unasked } = one;
  return {
    expected: whole(expected),
    have: whole(have),
    pending: whole(pending),
    absent: whole(absent),
    expired: whole(expired),
    missing: whole(missing),
    unasked: whole(unasked),
  };
}

/** The stretches of a day that are missing. */
function Day({ dataset, symbol, start, words }: { dataset: string; symbol: string; start: number; words: string }): JSX.Element {
  const t = useText();
  const read = useRead(
    `${dataset}/${symbol}/${start}`,
    (signal) => get<Piece<GapRow>>("/api/v1/gaps", { dataset, symbol, start, end: start + DAY, limit: 1000 }, signal),
    { every: REFRESH_MS },
  );
  return (
    <div class="day" aria-live="polite">
      <h2>{t("map.cell", { symbol, day: day(start) })}</h2>
      <p>{words} · <a href={address("/chart", { symbol, interval: "1m", at: start })}>{t("map.chart")}</a></p>
      <Shown
        read={read}
        show={({ data }) =>
          data.length === 0 ? (
            <p class="soft">{t("map.gaps.none")}</p>
          ) : (
            <div class="scroll">
              <table>
                <caption class="soft">{t("map.gaps")}</caption>
                <thead>
                  <tr>
                    <th>{t("map.gaps.from")}</th>
                    <th>{t("map.gaps.to")}</th>
                    <th class="number">{t("map.gaps.minutes")}</th>
                    <th>{t("map.gaps.why")}</th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((gap) => (
                    <tr key={gap.start_ms}>
                      <td>{minute(gap.start_ms)}</td>
                      <td>{minute(gap.end_ms)}</td>
                      <td class="number">{whole(gap.minutes)}</td>
                      <td class="wide">{gap.reason || gap.state}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      />
    </div>
  );
}

// Arbitrage: batches, their opportunities, the prices of both sides and the profit over time.
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { get } from "../../api/client";
import type { Batch, Numbered, Opportunity, Piece, PriceSeries, ProfitPoint } from "../../api/types";
import { useRead } from "../../api/use";
import { price, signed, whole } from "../../format/numbers";
import { minute } from "../../format/times";
import { useText } from "../../i18n/text";
import { place, refine } from "../../state/place";
import { useValue } from "../../state/value";
import { Pager } from "../../ui/pager";
import { SmallChart, type SmallLine } from "../../ui/small_chart";
import { Empty, Shown } from "../../ui/states";

const PAGE_SIZE = 50;

export default function ArbitragePage(): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  const read = useRead("batches", (signal) => get<Piece<Batch>>("/api/v1/batches", { limit: 100 }, signal), { every: 30_000 });
  const asked = query.get("batch");
  const listed = read.data?.data.find((one) => String(one.batch_id) === asked) ?? null;
  // One that is older than those of the list, and not the newest in its place.
  const isOlder = asked !== null && read.data !== null && listed === null;
  const older = useRead(isOlder ? asked : null, (signal) => get<Batch>(`/api/v1/batches/${encodeURIComponent(asked ?? "")}`, {}, signal));
  return (
    <>
      <h1>{t("arbitrage.title")}</h1>
      <Shown
        read={read}
        show={({ data }) => {
          if (isOlder) return <Shown read={older} show={(one) => <Chosen batches={[...data, one]} batch={one} />} />;
          const chosen = listed ?? data[0];
          return chosen ? <Chosen batches={data} batch={chosen} /> : <Empty title={t("arbitrage.none")} todo={t("arbitrage.none.do")} />;
        }}
      />
    </>
  );
}

function Chosen({ batches, batch }: { batches: Batch[]; batch: Batch }): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  const least = query.get("least") ?? "";
  return (
    <>
      <div class="tools">
        <label>
          {t("arbitrage.batch")}
          <select value={batch.batch_id} onChange={(event) => refine({ batch: event.currentTarget.value, page: null })}>
            {batches.map((one) => <option key={one.batch_id} value={one.batch_id}>{one.batch_id}: {one.name} ({whole(one.opportunities)})</option>)}
          </select>
        </label>
        <label>
          {t("arbitrage.least")}
          <input type="number" step="any" value={least} onChange={(event) => refine({ least: event.currentTarget.value, page: null })} />
        </label>
      </div>
      <Pictures batch={batch} />
      <Opportunities batch={batch} least={least} />
    </>
  );
}

function Pictures({ batch }: { batch: Batch }): JSX.Element {
  const t = useText();
  // What was written into the batch since is read anew.
  const key = `${batch.batch_id}/${batch.updated_ms}`;
  const prices = useRead(key, (signal) => get<PriceSeries>(`/api/v1/batches/${batch.batch_id}/prices`, {}, signal));
  const profit = useRead(key, (signal) => get<{ data: ProfitPoint[] }>(`/api/v1/batches/${batch.batch_id}/profit`, {}, signal));
  const [exchange, pool] = [t("arbitrage.exchange"), t("arbitrage.pool")];
  const both = useMemo<SmallLine[]>(() => {
    const line = (name: string, colour: string, points: PriceSeries["pool"]): SmallLine => ({
      name,
      colour,
      points: points.map((one) => ({ time_ms: one.time_ms, value: one.price })),
    });
    return prices.data
      ? [line(exchange, "series-1", prices.data.exchange), line(pool, "series-2", prices.data.pool)]
      : [];
  }, [prices.data, exchange, pool]);
  const sum = useMemo<SmallLine[]>(() => {
    let total = 0;
    return [{ name: "", colour: "main", points: (profit.data?.data ?? []).map((one) => ({ time_ms: one.time_ms, value: (total += one.profit_usdt) })) }];
  }, [profit.data]);
  return (
    <div class="two">
      <section class="card">
        <h2>{t("arbitrage.prices")}</h2>
        <Shown
          read={prices}
          show={({ interval_s }) => (interval_s === null ? <Empty title={t("arbitrage.prices.none")} todo={t("arbitrage.prices.none.do")} /> : <SmallChart lines={both} />)}
        />
      </section>
      <section class="card">
        <h2>{t("arbitrage.profit.time")}</h2>
        <Shown read={profit} show={() => <SmallChart lines={sum} />} />
        <p class="hint"><a href="https://www.tradingview.com/" target="_blank" rel="noopener noreferrer">{t("chart.attribution")}</a></p>
      </section>
    </div>
  );
}

function Opportunities({ batch, least }: { batch: Batch; least: string }): JSX.Element {
  const t = useText();
  const { query } = useValue(place);
  const page = Math.max(Number(query.get("page")) || 1, 1);
  const read = useRead(`${batch.batch_id}/${batch.updated_ms}/${least}/${page}`, (signal) =>
    get<Numbered<Opportunity>>(`/api/v1/batches/${batch.batch_id}/opportunities`, { page, pageSize: PAGE_SIZE, min_profit: least }, signal),
  );
  return (
    <section class="card">
      <h2>{t("arbitrage.opportunities")}</h2>
      <Shown
        read={read}
        show={(found) =>
          found.data.length === 0 ? (
            <Empty title={t("arbitrage.empty")} />
          ) : (
            <>
              <div class="scroll">
                <table>
                  <thead>
                    <tr>
                      <th>{t("arbitrage.time")}</th>
                      <th class="number">{t("arbitrage.profit")}</th>
                      <th>{t("arbitrage.buy")}</th>
                      <th>{t("arbitrage.sell")}</th>
                      <th>{t("arbitrage.mode")}</th>
                      <th>{t("arbitrage.status")}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {found.data.map((one) => (
                      <tr key={one.opportunity_id}>
                        <td>{minute(one.block_time)}</td>
                        <td class={`number ${(one.profit_usdt ?? 0) < 0 ? "bad" : "good"}`}>{one.profit_usdt === null ? "–" : signed(one.profit_usdt)}</td>
                        <td>{one.buy_platform} {price(one.buy_price)}</td>
                        <td>{one.sell_platform} {price(one.sell_price)}</td>
                        <td>{t(`arbitrage.mode.${one.mode}`)}</td>
                        <td>{t(`arbitrage.status.${one.status}`)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
              <Pager of={found} go={(next) => refine({ page: next === 1 ? null : String(next) })} />
              {found.data.some((one) => one.mode === "screen") && <p class="hint">{t("arbitrage.screen")}</p>}
            </>
          )
        }
      />
    </section>
  );
}

// Alerts: made by hand or from a level, and when they fired.
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get, patch, remove } from "../../api/client";
import { live } from "../../api/live";
import type { Alert, AlertEvent, Piece } from "../../api/types";
import { useRead } from "../../api/use";
import { price } from "../../format/numbers";
import { minute } from "../../format/times";
import { useText } from "../../i18n/text";
import { address, place, refine } from "../../state/place";
import { useValue } from "../../state/value";
import { AlertForm } from "../../ui/alert_form";
import { Dialog } from "../../ui/dialog";
import { Empty, Failure, Shown } from "../../ui/states";

const EVERY_MS = 30_000;
const PIECE = 500;
/** While something is on its way to a target. */
const SOON_MS = 3_000;

export default function AlertsPage(): JSX.Element {
  const t = useText();
  const [making, setMaking] = useState(false);
  const [told, setTold] = useState("");
  const alerts = useRead("alerts", everyAlert, { every: EVERY_MS });
  const { query } = useValue(place);
  const chosen = Number(query.get("alert")) || null;
  const before = query.get("before");
  const [isOnItsWay, setOnItsWay] = useState(false);
  const events = useRead(
    `events/${chosen}/${before}`,
    (signal) => get<Piece<AlertEvent>>("/api/v1/alerts/events", { alert_id: chosen, before, limit: 100 }, signal),
    { every: isOnItsWay ? SOON_MS : EVERY_MS },
  );
  useEffect(() => setOnItsWay(events.data?.data.some((event) => event.delivery === "waiting") ?? false), [events.data]);
  const one = alerts.data?.data.find((alert) => alert.alert_id === chosen) ?? events.data?.data[0];
  const both = (): void => (alerts.again(), events.again());
  useEffect(() => live.watch({ wish: { alerts: true }, hear: (frame) => void (frame.alerts?.length && both()), ready: () => undefined }), []);
  return (
    <>
      <h1>{t("alerts.title")}</h1>
      <div class="tools"><button type="button" class="main" onClick={() => setMaking(true)}>{t("alert.new")}</button></div>
      {told && <p class="note good" role="status">{told}</p>}
      <section class="card">
        <Shown
          read={alerts}
          show={({ data }) => (data.length === 0 ? <Empty title={t("alerts.none")} todo={t("alerts.none.do")} /> : <List of={data} chosen={chosen} changed={both} />)}
        />
      </section>
      <section class="card">
        <h2>
          {chosen !== null && one ? t("alerts.history.of", { symbol: one.symbol, price: price(one.price) }) : t("alerts.history")}
          {chosen !== null && <a class="beside" href="/alerts">{t("alerts.history.all")}</a>}
        </h2>
        <Shown
          read={events}
          show={({ data, next }) => (
            <>
              {data.length === 0 ? <p class="soft">{t("alerts.history.none")}</p> : <History of={data} />}
              {next !== null && <p class="pager"><button type="button" onClick={() => refine({ before: String(next) })}>{t("page.before")}</button></p>}
            </>
          )}
        />
      </section>
      {making && (
        <Dialog title={t("alert.new")} close={() => setMaking(false)}>
          <AlertForm
            first={{}}
            made={(alert) => {
              setMaking(false);
              setTold(t("alert.made", { symbol: alert.symbol, price: price(alert.price) }));
              both();
            }}
          />
        </Dialog>
      )}
    </>
  );
}

/** All of them, piece by piece: a thousand at most. */
async function everyAlert(signal: AbortSignal): Promise<Piece<Alert>> {
  const data: Alert[] = [];
  let before: Piece<Alert>["next"] = null;
  do {
    const piece: Piece<Alert> = await get<Piece<Alert>>("/api/v1/alerts", { limit: PIECE, before }, signal);
    data.push(...piece.data);
    before = piece.next;
  } while (before !== null);
  return { data, next: null };
}

function List({ of, chosen, changed }: { of: Alert[]; chosen: number | null; changed: () => void }): JSX.Element {
  const t = useText();
  const [error, setError] = useState<unknown>(null);
  const done = (work: Promise<unknown>): void => void work.then(() => (setError(null), changed()), setError);
  const drop = (id: number): void => done(remove(`/api/v1/alerts/${id}`));
  const turn = (one: Alert): void => done(patch(`/api/v1/alerts/${one.alert_id}`, { enabled: !one.enabled }));
  return (
    <div class="scroll">
      {error !== null && <Failure error={error} />}
      <table>
        <thead>
          <tr>
            <th>{t("alert.symbol")}</th>
            <th class="number">{t("alert.price")}</th>
            <th>{t("alert.direction")}</th>
            <th>{t("alert.target")}</th>
            <th>{t("alert.note")}</th>
            <th>{t("alerts.fired")}</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {of.map((one) => (
            <tr key={one.alert_id} class={`${one.enabled ? "" : "soft"} ${one.alert_id === chosen ? "chosen" : ""}`}>
              <td><a href={address("/chart", { symbol: one.symbol })}>{one.symbol}</a></td>
              <td class="number">{price(one.price)}</td>
              <td class={one.direction}>{t(`alert.${one.direction}`)}</td>
              <td>{one.target ?? "–"}</td>
              <td class="wide">{one.note}</td>
              <td>{one.last_event_ms === null ? <span class="soft">{t("alerts.never")}</span> : (
                <a href={address("/alerts", { alert: one.alert_id })} title={t("alerts.history.one")}>{t("alerts.times", { times: one.events, time: minute(one.last_event_ms) })}</a>
              )}</td>
              <td><span class="acts">
                <button type="button" class="text" onClick={() => turn(one)}>{t(one.enabled ? "alerts.off" : "alerts.on")}</button>
                <button type="button" class="text danger" onClick={() => drop(one.alert_id)}>{t("alerts.remove")}</button>
              </span></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function History({ of }: { of: AlertEvent[] }): JSX.Element {
  const t = useText();
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th>{t("alerts.minute")}</th>
            <th>{t("alert.symbol")}</th>
            <th class="number">{t("alert.price")}</th>
            <th class="number">{t("alerts.close")}</th>
            <th>{t("alert.direction")}</th>
            <th>{t("alerts.delivery")}</th>
          </tr>
        </thead>
        <tbody>
          {of.map((one) => (
            <tr key={one.event_id}>
              <td>{minute(one.bucket_ms)}</td>
              <td>{one.symbol}</td>
              <td class="number">{price(one.price)}</td>
              <td class="number">{price(one.close)}</td>
              <td class={one.direction}>{t(`alert.${one.direction}`)}</td>
              <td>
                <span class={one.delivery === "dead" ? "bad" : one.delivery === "none" ? "soft" : ""}>
                  {t(`alerts.delivery.${one.delivery}`, { target: one.target ?? "" })}
                </span>
                {one.attempts > 1 && <span class="soft">{t("alerts.delivery.attempts", { attempts: one.attempts })}</span>}
                {one.error && <span class="soft"> {one.error}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

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
import { address } from "../../state/place";
import { AlertForm } from "../../ui/alert_form";
import { Dialog } from "../../ui/dialog";
import { Empty, Failure, Shown } from "../../ui/states";

const EVERY_MS = 30_000;

export default function AlertsPage(): JSX.Element {
  const t = useText();
  const [making, setMaking] = useState(false);
  const [told, setTold] = useState("");
  const alerts = useRead("alerts", (signal) => get<Piece<Alert>>("/api/v1/alerts", { limit: 500 }, signal), { every: EVERY_MS });
  const events = useRead("events", (signal) => get<Piece<AlertEvent>>("/api/v1/alerts/events", { limit: 100 }, signal), { every: EVERY_MS });
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
          show={({ data }) => (data.length === 0 ? <Empty title={t("alerts.none")} todo={t("alerts.none.do")} /> : <List of={data} changed={both} />)}
        />
      </section>
      <section class="card">
        <h2>{t("alerts.history")}</h2>
        <Shown read={events} show={({ data }) => (data.length === 0 ? <p class="soft">{t("alerts.history.none")}</p> : <History of={data} />)} />
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

function List({ of, changed }: { of: Alert[]; changed: () => void }): JSX.Element {
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
            <tr key={one.alert_id} class={one.enabled ? "" : "soft"}>
              <td><a href={address("/chart", { symbol: one.symbol })}>{one.symbol}</a></td>
              <td class="number">{price(one.price)}</td>
              <td class={one.direction}>{t(`alert.${one.direction}`)}</td>
              <td>{one.target ?? "–"}</td>
              <td class="wide">{one.note}</td>
              <td>{one.last_event_ms === null ? <span class="soft">{t("alerts.never")}</span> : t("alerts.times", { times: one.events, time: minute(one.last_event_ms) })}</td>
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
                {one.error && <span class="soft"> {one.error}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// The smaller parts of the overview: budgets, backfill, jobs, storage.
import { Fragment, type JSX } from "preact";
import type { BackfillReport, BudgetReport, Overview } from "../../api/types";
import { bytes, percent, whole } from "../../format/numbers";
import { day, minute, span } from "../../format/times";
import { useText, word } from "../../i18n/text";
import { Words } from "../../ui/states";

export function Tiles({ of }: { of: Overview }): JSX.Element {
  const t = useText();
  return (
    <div class="tiles">
      <section class="card">
        <h2>{t("overview.limiter")}</h2>
        {of.budgets.length === 0 && <p class="soft">{t("overview.limiter.none")}</p>}
        {of.budgets.map((one) => <Budget key={one.name} of={one} />)}
      </section>
      <section class="card">
        <h2>{t("overview.backfill")}</h2>
        <ByItself of={of} />
        {of.backfills.map((one) => <Backfill key={one.id} of={one} />)}
      </section>
      <section class="card">
        <h2>{t("overview.jobs")}</h2>
        <p>{t("overview.jobs.text", { running: of.tasks.RUNNING, pending: of.tasks.PENDING, failed: of.tasks.FAILED })}</p>
        <p><a href="/tasks">{t("overview.jobs.more")}</a></p>
      </section>
      <section class="card">
        <h2>{t("overview.storage")}</h2>
        <Storage of={of.storage} />
      </section>
    </div>
  );
}

export function Bar({ share, tone = "" }: { share: number; tone?: string }): JSX.Element {
  const width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  return <div class={`bar ${tone}`} role="presentation"><span style={{ width }} /></div>;
}

function Budget({ of }: { of: BudgetReport }): JSX.Element {
  const t = useText();
  const share = of.limit ? of.used / of.limit : 0;
  const used =
    of.limit === null
      ? t("overview.limiter.uncounted", { used: whole(of.used) })
      : t("overview.limiter.used", { used: whole(of.used), limit: whole(of.limit) });
  const banned = of.banned_until_ms !== null;
  return (
    <div class="budget">
      <p class="words">
        <b>{word("budget", of.name)}</b>
        <span class={banned ? "bad" : "soft"}>
          {banned
            ? t("overview.limiter.banned", { until: minute(of.banned_until_ms ?? 0) })
            : used}
          {of.waiting > 0 && `, ${t("overview.limiter.waiting", { waiting: whole(of.waiting) })}`}
        </span>
      </p>
      {(banned || of.limit !== null) && <Bar share={banned ? 1 : share} tone={banned ? "bad" : share > 0.9 ? "warn" : ""} />}
    </div>
  );
}

/** What is being filled without a request, or that nothing is. */
function ByItself({ of }: { of: Overview }): JSX.Element {
  const t = useText();
  const { tasks_left: tasks, minutes_left: minutes, paused } = of.filling;
  const requested = of.backfills.some((one) => one.state === "running");
  const recent = of.live.missing_minutes;
  const history = tasks > 0 && !requested;
  return (
    <>
      {recent > 0 && <p>{t("overview.backfill.recent", { minutes: whole(recent) })}</p>}
      {history && <p>{t(tasks === 1 ? "overview.backfill.history.one" : "overview.backfill.history", { minutes: whole(minutes), tasks: whole(tasks) })}</p>}
      {paused.map((reason) => <p class="warn" key={reason}>{t("overview.backfill.paused", { reason: word("paused", reason) })}</p>)}
      {recent === 0 && !history && of.backfills.length === 0 && <p class="soft"><Words text={t("overview.backfill.none")} /></p>}
    </>
  );
}

function Backfill({ of }: { of: BackfillReport }): JSX.Element {
  const t = useText();
  const known = of.done !== null && of.due !== null && of.due > 0;
  // A pattern may be many symbols: the names are said, and not how many there are.
  const more = of.symbols > of.names.length ? ` + ${whole(of.symbols - of.names.length)}` : "";
  const symbols = of.names.includes("*") ? t("overview.backfill.all") : of.names.join(", ") + more;
  const left = of.seconds_left === null ? t("overview.backfill.unknown") : t("overview.backfill.left", { left: span(of.seconds_left * 1000) });
  return (
    <div class="budget">
      <p class="words">
        <span>{t("overview.backfill.row", { symbols, from: day(of.from_ms), to: day(of.to_ms) })}</span>
        <span class="soft">{known ? percent(of.done ?? 0, of.due ?? 0) : word("backfill", of.state)}</span>
      </p>
      <Bar share={known ? (of.done ?? 0) / (of.due ?? 1) : 0} />
      <p class={of.note ? "warn" : "soft"}>{of.note || left}</p>
    </div>
  );
}

function Storage({ of }: { of: Overview["storage"] }): JSX.Element {
  const t = useText();
  return (
    <>
      <p>{t("overview.storage.text", { bytes: bytes(of.reduce((sum, one) => sum + one.bytes, 0)) })}</p>
      <dl class="facts">
        {of.slice(0, 5).map((one) => (
          <Fragment key={one.name}>
            <dt class="mono">{one.name}</dt>
            <dd>{bytes(one.bytes)}</dd>
          </Fragment>
        ))}
      </dl>
    </>
  );
}

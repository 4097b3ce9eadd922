// Overview: is it healthy, is it complete, is it late.
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../../api/client";
import { live as feed } from "../../api/live";
import type { Histogram, Overview } from "../../api/types";
import { useRead } from "../../api/use";
import { whole } from "../../format/numbers";
import { minute, span } from "../../format/times";
import { useText, word } from "../../i18n/text";
import { Failure, Loading } from "../../ui/states";
import { CoveragePart } from "./coverage";
import { quantile, since } from "./lateness";
import { Tiles } from "./tiles";

const EVERY_MS = 5_000;
/** So long a stretch is "lately": some minutes' closes, so that a p99 means something. */
const LATELY_MS = 600_000;
/** A minute is committed some seconds after its end, so the newest one is hardly ever older. */
const STALE_MS = 150_000;

export default function OverviewPage(): JSX.Element {
  const t = useText();
  const read = useRead("overview", (signal) => get<Overview>("/api/v1/overview", {}, signal), { every: EVERY_MS });
  const { again } = read;
  // A frame of the live feed says that candles were just committed: what is shown is read anew then.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = feed.watch({
      wish: { candles: ["BTCUSDT"] },
      hear: () => {
        clearTimeout(timer);
        timer = setTimeout(again, 500);
      },
      ready: () => undefined,
    });
    return () => (clearTimeout(timer), end());
  }, [again]);
  return (
    <>
      <h1 class="visually-hidden">{t("overview.title")}</h1>
      {read.data ? <Report of={read.data} stale={read.error} /> : read.error !== null ? <Failure error={read.error} again={again} /> : <Loading />}
      <CoveragePart />
    </>
  );
}

function Report({ of, stale }: { of: Overview; stale: unknown }): JSX.Element {
  const t = useText();
  const running = of.runs.filter((one) => one.alive);
  const since = running.length ? Math.min(...running.map((one) => one.started_ms)) : null;
  return (
    <>
      {stale !== null && <Failure error={stale} />}
      <p class="headline">
        <span class={`verdict ${of.ready ? "good" : "bad"}`}>{t(of.ready ? "overview.ready" : "overview.notReady")}</span>
        {!of.ready && <span class="bad">{of.not_ready_reasons.map((one) => word("reason", one)).join("; ")}</span>}
        <span class="soft">
          {since === null
            ? t("overview.runs.none")
            : t("overview.runs", { runs: running.map((one) => word("role", one.role)).join(", "), version: of.version, since: minute(since) })}
        </span>
      </p>
      {!of.collects && <p class="note">{t("overview.elsewhere")}</p>}
      <div class="answers">
        <Health of={of} />
        <Completeness of={of} />
        <Lateness of={of} />
      </div>
      <Tiles of={of} />
    </>
  );
}

function Answer({ title, big, tone, children }: { title: string; big: string; tone: string; children: ComponentChildren }): JSX.Element {
  return (
    <section class="card">
      <h2>{title}</h2>
      <p class={`big ${tone}`}>{big}</p>
      {children}
    </section>
  );
}

function Health({ of }: { of: Overview }): JSX.Element {
  const t = useText();
  const one = of.live;
  const others = Object.entries(one.connections).filter(([state, count]) => state !== "live" && count > 0);
  return (
    <Answer
      title={t("overview.health")}
      big={t(one.connections["live"] === 1 ? "overview.connections.one" : "overview.connections.live", { count: one.connections["live"] ?? 0 })}
      tone={of.ready ? "" : "bad"}
    >
      {others.length > 0 && <p class="warn">{others.map(([state, count]) => `${count} ${word("connection", state)}`).join(", ")}</p>}
      <p class="soft">{t("overview.symbols", one.symbols)}</p>
      <p class={of.database_writable ? "soft" : "bad"}>{t(of.database_writable ? "overview.database.up" : "overview.database.down")}</p>
    </Answer>
  );
}

function Completeness({ of: { live: one, collects } }: { of: Overview }): JSX.Element {
  const t = useText();
  // Whoever does not collect misses nothing, and knows of nothing.
  const big = collects ? t("overview.complete.big", { minutes: whole(one.missing_minutes) }) : "–";
  const tone = !collects ? "" : one.missing_minutes ? "warn" : "good";
  const lost = one.rows.rejected + one.rows.dropped;
  const counted = Object.fromEntries(Object.entries(one.rows).map(([name, count]) => [name, whole(count)]));
  return (
    <Answer title={t("overview.complete")} big={big} tone={tone}>
      <p class="soft">{t("overview.complete.about")}</p>
      <p class={lost ? "warn" : "soft"}>{t("overview.rows.text", counted)}</p>
      <p class="soft">{t("overview.buffer.rows", { rows: whole(one.buffer.rows), capacity: whole(one.buffer.capacity_rows) })}</p>
    </Answer>
  );
}

/** When the process began whose histogram this is: only with that of the same process it can be compared. */
function began(of: Overview): number {
  return Math.max(0, ...of.runs.map((one) => one.started_ms));
}

/** The histogram as it was some minutes ago, so that what is shown is of lately. */
function useEarlier(of: Overview): { histogram: Histogram; at: number } | null {
  const [kept, setKept] = useState<{ histogram: Histogram; at: number; begun: number }[]>([]);
  useEffect(() => {
    const now = { histogram: of.close_to_commit, at: of.now_ms, begun: began(of) };
    setKept((old) => [...old.filter((one) => one.begun === now.begun && one.at >= now.at - LATELY_MS), now]);
  }, [of]);
  const first = kept[0];
  return first && of.now_ms - first.at >= 120_000 ? first : null;
}

function Lateness({ of }: { of: Overview }): JSX.Element {
  const t = useText();
  const earlier = useEarlier(of);
  const all = of.close_to_commit;
  const recent = since(all, earlier?.histogram ?? null);
  const shown = quantile(recent, 0.99) === null ? all : recent;
  const p99 = quantile(shown, 0.99);
  const newest = of.live.newest_close_ms;
  // Where nothing comes any more nothing comes late: what was counted before says nothing of now.
  const stale = newest !== null && of.now_ms - newest > STALE_MS;
  const figures = { p50: seconds(quantile(shown, 0.5)), p99: seconds(p99) };
  return (
    <Answer title={t("overview.late")} big={p99 === null ? "–" : `p99 ${seconds(p99)}`} tone={stale ? "bad" : p99 === null ? "" : p99 <= 5 ? "good" : p99 <= 15 ? "warn" : "bad"}>
      {p99 === null ? (
        <p class="soft">{t("overview.commit.none")}</p>
      ) : (
        <p>
          {earlier && shown === recent
            ? t("overview.commit.recent", { ...figures, span: span(of.now_ms - earlier.at) })
            : t("overview.commit.all", { ...figures, count: whole(all.counts[all.counts.length - 1] ?? 0) })}
        </p>
      )}
      <p class="soft">{t("overview.commit.about")}</p>
      <p class={stale ? "bad" : "soft"}>{newest === null ? t("overview.newest.never") : t("overview.newest", { age: span(of.now_ms - newest) })}</p>
    </Answer>
  );
}

function seconds(value: number | null): string {
  return value === null ? "–" : `${value.toFixed(value < 10 ? 2 : 1)} s`;
}

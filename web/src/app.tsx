// The frame of all pages: where one can go, how it looks, whether it is live; and the page that is asked for.
import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { live } from "./api/live";
import { useText, type Name } from "./i18n/text";
import { language, nextTheme, theme } from "./state/choices";
import { place } from "./state/place";
import { useValue } from "./state/value";
import { Empty, Failure, Loading } from "./ui/states";
import { TokenDialog } from "./ui/token";

type Page = ComponentType;

/** Each page is a file of its own, which is loaded when it is first seen. */
const PAGES: Record<string, { name: Name; load: () => Promise<{ default: Page }> }> = {
  "/": { name: "nav.overview", load: () => import("./pages/overview/page") },
  "/chart": { name: "nav.chart", load: () => import("./pages/chart/page") },
  "/analysis": { name: "nav.analysis", load: () => import("./pages/analysis/page") },
  "/arbitrage": { name: "nav.arbitrage", load: () => import("./pages/arbitrage/page") },
  "/tasks": { name: "nav.tasks", load: () => import("./pages/tasks/page") },
  "/alerts": { name: "nav.alerts", load: () => import("./pages/alerts/page") },
};

export function App(): JSX.Element {
  const t = useText();
  const { path } = useValue(place);
  const page = PAGES[path];
  useEffect(() => {
    document.title = page ? `${t(page.name)} – marketd` : "marketd";
  });
  return (
    <>
      <a class="skip" href="#page" data-whole="">{t("nav.skip")}</a>
      <header class="top">
        <a class="brand" href="/">marketd</a>
        <nav aria-label={t("nav.pages")}>
          {Object.entries(PAGES).map(([address, one]) => (
            <a key={address} href={address} aria-current={address === path ? "page" : undefined}>{t(one.name)}</a>
          ))}
        </nav>
        <LiveState />
        <small class="soft">{t("nav.utc")}</small>
        <Look />
      </header>
      <main id="page" tabIndex={-1}>
        {page ? <Loaded key={path} load={page.load} /> : <Missing />}
      </main>
      <TokenDialog />
    </>
  );
}

function Loaded({ load }: { load: () => Promise<{ default: Page }> }): JSX.Element {
  const [page, setPage] = useState<{ Page: Page } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const fetch = (): void => {
    setError(null);
    load().then((module) => setPage({ Page: module.default }), setError);
  };
  useEffect(fetch, []);
  if (error !== null) return <Failure error={error} again={() => location.reload()} />;
  return page ? <page.Page /> : <Loading />;
}

function LiveState(): JSX.Element {
  const t = useText();
  const state = useValue(live.state);
  // A page that shows nothing live says nothing of it.
  return <span class={`link ${state}`} role="status">{state === "off" ? "" : t(`live.${state}`)}</span>;
}

function Look(): JSX.Element {
  const t = useText();
  const chosen = useValue(theme);
  const about = t(`look.theme.${chosen}`);
  return (
    <span class="look">
      <button type="button" class="plain" onClick={nextTheme} title={about} aria-label={about}>
        {{ auto: "◐", light: "○", dark: "●" }[chosen]}
      </button>
      <button type="button" class="plain" title={t("look.language.about")} onClick={() => language.set(language.now === "zh" ? "en" : "zh")}>
        {t("look.language")}
      </button>
    </span>
  );
}

function Missing(): JSX.Element {
  const t = useText();
  return <Empty title={t("missing.title")}><p><a href="/">{t("missing.do")}</a></p></Empty>;
}

// Leads through the pages of a numbered set.
import type { JSX } from "preact";
import type { Numbered } from "../api/types";
import { whole } from "../format/numbers";
import { useText } from "../i18n/text";

export function Pager({ of, go }: { of: Numbered<unknown>; go: (page: number) => void }): JSX.Element {
  const t = useText();
  return (
    <nav class="pager">
      <button type="button" disabled={of.page <= 1} onClick={() => go(of.page - 1)}>{t("page.previous")}</button>
      <span>{t("page.of", { page: of.page, pages: Math.max(of.totalPages, 1), total: whole(of.total) })}</span>
      <button type="button" disabled={of.page >= of.totalPages} onClick={() => go(of.page + 1)}>{t("page.next")}</button>
    </nav>
  );
}

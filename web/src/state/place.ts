// Where in the pages one is: the path and its query, kept in the address so that it can be sent to somebody.
import { Value } from "./value";

export interface Place {
  path: string;
  query: URLSearchParams;
}

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

export const place = new Value<Place>(here());

export function go(address: string): void {
  history.pushState(null, "", address);
  place.set(here());
  scrollTo(0, 0);
}

/** Change some of the query of this page; null takes one away. Going back leads over it, unless `quietly`. */
export function refine(changes: Record<string, string | null>, quietly = false): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  const address = text ? `${location.pathname}?${text}` : location.pathname;
  if (quietly) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  place.set(here());
}

export function address(path: string, query: Record<string, string | number>): string {
  const text = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** Links of this site change the page without loading it again. */
export function followLinks(): void {
  addEventListener("popstate", () => place.set(here()));
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.dataset["whole"] !== undefined) return;
    event.preventDefault();
    if (link.href !== location.href) go(link.pathname + link.search);
  });
}

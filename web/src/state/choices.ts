// What a person chose for the look of the pages; kept in this browser.
import { Value } from "./value";

export type Theme = "auto" | "light" | "dark";
export type Language = "en" | "zh";

const THEMES: readonly Theme[] = ["auto", "light", "dark"];

function kept<T extends string>(name: string, known: readonly T[], otherwise: T): T {
  const text = localStorage.getItem(name);
  return known.find((one) => one === text) ?? otherwise;
}

export const theme = new Value<Theme>(kept("theme", THEMES, "auto"));
export const language = new Value<Language>(
  kept("language", ["en", "zh"], navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"),
);

export function nextTheme(): void {
  theme.set(THEMES[(THEMES.indexOf(theme.now) + 1) % THEMES.length] ?? "auto");
}

/** Whether dark is what is seen now. */
export function isDark(): boolean {
  return theme.now === "dark" || (theme.now === "auto" && darkWanted.matches);
}

const darkWanted = matchMedia("(prefers-color-scheme: dark)");

/** True while the pages are dark; canvases are drawn again when it changes. */
export const dark = new Value<boolean>(isDark());

function apply(): void {
  const root = document.documentElement;
  if (theme.now === "auto") delete root.dataset["theme"];
  else root.dataset["theme"] = theme.now;
  root.lang = language.now === "zh" ? "zh-CN" : "en";
  dark.set(isDark());
}

export function keepChoices(): void {
  theme.watch((now) => (localStorage.setItem("theme", now), apply()));
  language.watch((now) => (localStorage.setItem("language", now), apply()));
  darkWanted.addEventListener("change", apply);
  apply();
}

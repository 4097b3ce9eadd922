// Texts in the language that was chosen.
import { language } from "../state/choices";
import { useValue } from "../state/value";
import { en, type Name } from "./en";
import { words, type Group } from "./words";
import { zh } from "./zh";

export type { Name };
export type Fill = Record<string, string | number>;

export function filled(text: string, fill: Fill): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(fill[name] ?? whole));
}

export function text(name: Name, fill: Fill = {}): string {
  return filled((language.now === "zh" ? zh : en)[name], fill);
}

/** A word of marketd's own, such as the name of a kind of task, in the language that was chosen; `other` without one. */
export function word(group: Group, value: string, other = value): string {
  return words[language.now][`${group}.${value}`] ?? other;
}

/** `text`, and the part that uses it is drawn again when the language changes. */
export function useText(): typeof text {
  useValue(language);
  return text;
}

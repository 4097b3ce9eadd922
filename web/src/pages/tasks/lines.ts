// Lines of a task's log, as they are read and as they come. Pure.
import type { TaskLine } from "../../api/types";

/** Lines that are kept in the page; a task that talks more is read at its end. */
const MOST_LINES = 5_000;

/** Both in order and each once; no more than the newest so many. */
export function joined(older: readonly TaskLine[], newer: readonly TaskLine[], most = MOST_LINES): TaskLine[] {
  const by = new Map(older.map((one) => [one.number, one]));
  for (const one of newer) by.set(one.number, one);
  return [...by.values()].sort((a, b) => a.number - b.number).slice(-most);
}

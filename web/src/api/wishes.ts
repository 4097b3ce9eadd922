// What the parts of a page wish to hear, as one; and how long to wait for the next connection. Pure.
import type { LiveWish } from "./frames";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** All wishes as one; "*" swallows the names. */
export function joined(wishes: Iterable<LiveWish>): LiveWish {
  const candles = new Set<string>();
  const tasks = new Set<string>();
  let all = false;
  let alerts = false;
  for (const wish of wishes) {
    if (wish.candles === "*") all = true;
    else for (const symbol of wish.candles ?? []) candles.add(symbol);
    for (const id of wish.tasks ?? []) tasks.add(id);
    alerts ||= wish.alerts === true;
  }
  return {
    candles: all ? "*" : [...candles].sort(),
    tasks: [...tasks].sort(),
    alerts,
  };
}

/** Milliseconds before attempt number `attempt` (from 0); `chance` is 0 to 1. */
export function wait(attempt: number, chance: number): number {
  return Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_WAIT_MS) * (0.5 + chance / 2);
}

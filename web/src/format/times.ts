// Times as people read them, all UTC: what is stored is UTC, and two people who look at it mean the same minute.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

const pad = (value: number): string => String(value).padStart(2, "0");

/** 2026-11-26 */
export function day(ms: number): string {
  const at = new Date(ms);
  return `${at.getUTCFullYear()}-${pad(at.getUTCMonth() + 1)}-${pad(at.getUTCDate())}`;
}

/** 2026-11-26 14:05 */
export function minute(ms: number): string {
  const at = new Date(ms);
  return `${day(ms)} ${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}`;
}

/** 14:05:09 */
export function clock(ms: number): string {
  const at = new Date(ms);
  return `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`;
}

/** 42 s, 5 min, 3 h 12 min, 4 d 7 h; as `marketd status` says it. */
export function span(ms: number): string {
  const seconds = Math.max(Math.floor(ms / SECOND), 0);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** What a chart can be drawn in. */
export const INTERVALS = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"] as const;

/** What levels are looked for in. */
export const TIMEFRAMES = ["5m", "15m", "1h", "4h", "1d"] as const;

export function isTimeframe(name: string): boolean {
  return TIMEFRAMES.some((one) => one === name);
}

/** Milliseconds of an interval's name: 1m, 4h, 1d, 1w. Throws what is none. */
export function interval(name: string): number {
  const found = /^(\d+)([mhdw])$/.exec(name);
  const unit = found ? { m: MINUTE, h: HOUR, d: DAY, w: 7 * DAY }[found[2] as "m" | "h" | "d" | "w"] : 0;
  const length = found ? Number(found[1]) * unit : 0;
  if (!length) throw new RangeError(`${name} is no interval`);
  return length;
}

/** A Monday, where weeks begin: 1970-01-05. */
const MONDAY = 4 * DAY;

/** The start of the bar that holds the moment. Weeks begin on Monday, as the stored bars do. */
export function floor(ms: number, length: number): number {
  const origin = length % (7 * DAY) === 0 ? MONDAY : 0;
  return Math.floor((ms - origin) / length) * length + origin;
}

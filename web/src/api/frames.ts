// What /api/v1/live sends and takes, as the pages read it: compared with src/api/feed.

import type { AlertEvent, TaskLine, TaskState } from "./types";

export interface LiveWish {
  candles?: string[] | "*";
  tasks?: string[];
  alerts?: boolean;
}

/** A closed candle in the order of `columns` in the server's first message. */
export type LiveCandle = [
  symbol: string,
  open_time: number,
  open: number,
  high: number,
  low: number,
  close: number,
  volume: number,
  quote_volume: number | null,
  trade_count: number | null,
  taker_buy_volume: number | null,
  taker_buy_quote_volume: number | null,
];

/** How a task stands, and its new lines: number, UTC ms, level, line. */
export interface LiveTask {
  state: TaskState;
  share: number | null;
  lines: [number, number, TaskLine["level"], string][];
}

/** One message a flush: only what was subscribed and is new. */
export interface LiveFrame {
  type: "live";
  at_ms: number;
  candles?: LiveCandle[];
  /** Older minutes that were stored late: the first and the last of a symbol. They are read again over HTTP. */
  filled?: Record<string, [number, number]>;
  tasks?: Record<string, LiveTask>;
  alerts?: AlertEvent[];
}

export type LiveMessage =
  | LiveFrame
  | { type: "hello"; version: string; columns: string[] }
  | { type: "subscribed"; subscribe: LiveWish }
  | { type: "error"; detail: string };

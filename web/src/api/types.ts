// What the HTTP API answers, as the pages read it. One file on purpose: it is compared with the routes in src/api/routes.
// What comes over the web socket is in frames.ts.
// Times are UTC milliseconds, shares 0 to 1. What may be missing is null, never absent.

/** RFC 9457; `errors` names the fields of a request that was refused. */
export interface Problem {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  id?: string;
  errors?: { field: string; message: string }[];
}

/** A piece of a set that is read by cursor. */
export interface Piece<T> {
  data: T[];
  next: string | number | null;
}

/** A piece of a set that is read by page number. */
export interface Numbered<T> {
  data: T[];
  total: number;
  page: number;
  pageSize: number;
  totalPages: number;
}

// ---- GET /api/v1/overview ----

export interface Overview {
  now_ms: number;
  version: string;
  ready: boolean;
  not_ready_reasons: string[];
  database_writable: boolean;
  /** Whether live candles are collected by the process that answers; elsewhere `live` is all 0. */
  collects: boolean;
  /** The newest daemon of each role. */
  runs: RunReport[];
  live: LiveReport;
  /** Seconds from a minute's end to the commit of its live candle, since the process began. */
  close_to_commit: Histogram;
  budgets: BudgetReport[];
  backfills: BackfillReport[];
  filling: FillingReport;
  /** Of the last week. */
  tasks: Record<TaskState, number>;
  storage: { name: string; bytes: number }[];
}

export interface RunReport {
  role: string;
  host: string;
  pid: number;
  version: string;
  started_ms: number;
  /** Null while it runs, or when it was killed. */
  stopped_ms: number | null;
  /** Not ended, and there: who was killed, or stands by, has no session of its role in the database. */
  alive: boolean;
}

export interface LiveReport {
  newest_close_ms: number | null;
  last_commit_ms: number | null;
  symbols: { expected: number; subscribed: number; stale: number; quiet: number };
  connections: Record<string, number>;
  buffer: { rows: number; capacity_rows: number };
  rows: { received: number; committed: number; deduped: number; rejected: number; dropped: number };
  missing_minutes: number;
  clock_offset_s: number;
}

/** Counts of observations up to and including each bound; the last bound is null and stands for infinity. */
export interface Histogram {
  bounds: (number | null)[];
  counts: number[];
}

export interface BudgetReport {
  name: string;
  used: number;
  /** Null where the venue counts nothing. */
  limit: number | null;
  waiting: number;
  banned_until_ms: number | null;
}

export interface BackfillReport {
  id: number;
  /** How many names or patterns were given; `*` is all symbols. */
  symbols: number;
  /** The first three of them. */
  names: string[];
  from_ms: number;
  to_ms: number;
  state: string;
  started_ms: number | null;
  /** Missing minutes that are through, and all that are planned; null where it was not planned yet. */
  done: number | null;
  due: number | null;
  seconds_left: number | null;
  note: string;
}

/** What the process that answers fills at present, by itself or for a request. */
export interface FillingReport {
  tasks_left: number;
  minutes_left: number;
  paused: string[];
}

// ---- GET /api/v1/overview/coverage ----

export interface CoverageAnswer {
  dataset: string;
  first_day: string;
  days: number;
  as_of_ms: number;
  /** What is missing before this is filled on request only. */
  asked_from_ms: number;
  /** From one row to the next; null where rows come irregularly. */
  step_ms: number | null;
  /** Runs of days that are alike: first (counted from `first_day`), days, expected, have, absent, expired. */
  symbols: Record<string, [number, number, number, number, number, number][]>;
}

// ---- GET /api/v1/gaps ----

export interface GapRow {
  symbol: string;
  start_ms: number;
  end_ms: number;
  minutes: number;
  state: string;
  reason: string;
  next_look_ms: number | null;
}

// ---- GET /api/v1/symbols, /klines, /metrics5m, /funding, /levels ----

export interface SymbolRow {
  symbol: string;
  status: string;
  onboard_ms: number;
  end_ms: number | null;
}

export interface Kline {
  open_time: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
  quote_volume: number | null;
  trade_count: number | null;
  /** Minutes of the bar that are not stored; null where nobody knows. */
  missing_minutes: number | null;
}

/** Bars that are over; those of stored minutes that are over by `made_to_ms` are made (null of 1m, and where none is). */
export interface Klines extends Piece<Kline> {
  made_to_ms: number | null;
}

export interface MetricsRow {
  create_time: number;
  sum_open_interest: number | null;
  sum_open_interest_value: number | null;
  count_toptrader_long_short_ratio: number | null;
  sum_toptrader_long_short_ratio: number | null;
  count_long_short_ratio: number | null;
  sum_taker_long_short_vol_ratio: number | null;
}

export interface FundingRow {
  funding_time: number;
  funding_rate: number;
}

export type Side = "support" | "resistance";

/** A level as an analysis tells it. `pivots` touches made it, `tests` came later. */
export interface Level {
  id: string;
  price: number;
  low: number;
  high: number;
  score: number;
  state: "formed" | "tested" | "broken";
  pivots: number;
  tests: number;
  founded_at: string;
}

// ---- GET /api/v1/analysis/results, /analysis/{id}; POST /api/v1/analysis/trigger ----

export interface Analysis {
  id: number;
  exchange: string;
  symbol: string;
  market_type: "future" | "spot";
  timeframe: string;
  input_limit: number;
  last_price: number;
  support_levels: Level[];
  resistance_levels: Level[];
  /** The close of the last bar that was used: what it says was known then. */
  known_to_ms: number;
  created_at: number;
  updated_at: number;
}

// ---- /api/v1/tasks ----

export type TaskState = "PENDING" | "RUNNING" | "SUCCESS" | "FAILED" | "CANCELLED";

export interface Task {
  task_id: string;
  kind: string;
  parameters: Record<string, unknown>;
  state: TaskState;
  share: number | null;
  attempts: number;
  failures: number;
  error: string;
  result: Record<string, unknown> | null;
  requested_by: string;
  created_ms: number;
  started_ms: number | null;
  finished_ms: number | null;
}

export interface TaskLine {
  number: number;
  at_ms: number;
  level: "info" | "warning" | "error";
  line: string;
}

/** A kind of task; `schema` is the JSON schema of its parameters. */
export interface TaskKind {
  name: string;
  about: string;
  schema: JsonSchema;
}

export interface JsonSchema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  allOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
}

// ---- /api/v1/batches ----

export interface Batch {
  batch_id: number;
  name: string;
  opportunities: number;
  profit_usdt: number | null;
  first_ms: number | null;
  last_ms: number | null;
  created_ms: number;
  updated_ms: number;
  report: Record<string, unknown> | null;
}

export interface Opportunity {
  opportunity_id: number;
  block_time: number;
  block_number: number;
  profit_usdt: number | null;
  buy_price: number;
  sell_price: number;
  buy_platform: string;
  sell_platform: string;
  chain: string;
  pool: string;
  exchange: string;
  symbol: string;
  mode: "screen" | "execution";
  status: "screened" | "filled" | "no_block" | "no_cex_trade" | "no_base_fee" | "beyond_range";
  transaction_hash: string;
  details: Record<string, unknown>;
  risk_metrics: Record<string, unknown>;
}

export interface PricePoint {
  time_ms: number;
  price: number;
}

export interface PriceSeries {
  /** 1, 60, 3600, or several hours; null where there is no series. */
  interval_s: number | null;
  exchange: PricePoint[];
  pool: PricePoint[];
}

export interface ProfitPoint {
  time_ms: number;
  profit_usdt: number;
}

// ---- /api/v1/alerts ----

export type Direction = "long" | "short";

export interface Alert {
  alert_id: number;
  symbol: string;
  price: number;
  direction: Direction;
  note: string;
  target: string | null;
  level_id: string | null;
  enabled: boolean;
  created_ms: number;
  events: number;
  last_event_ms: number | null;
}

export interface NewAlert {
  symbol: string;
  price: number;
  direction: Direction;
  note?: string;
  target?: string;
  level_id?: string;
}

export interface AlertEvent {
  event_id: number;
  alert_id: number;
  symbol: string;
  price: number;
  direction: Direction;
  bucket_ms: number;
  close: number;
  delivery: "none" | "waiting" | "delivered" | "dead";
  target: string | null;
  attempts: number;
  error: string;
}

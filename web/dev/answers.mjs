// Invented answers in the shapes of web/src/api/types.ts.
import { bar, lastMinute, seed } from "./market.mjs";

const DAY = 86_400_000;
const LENGTHS = { m: 60_000, h: 3_600_000, d: DAY, w: 7 * DAY };
const symbols = ["BTCUSDT", "ETHUSDT", "币安人生USDT", ...Array.from({ length: 737 }, (_, n) => `${["ALPHA", "1000SHIB", "DOGE", "XRP", "LINK", "ONDO", "SUI"][n % 7]}${n}USDT`)];
const alerts = [];
const began = Date.now() - 8 * 3_600_000;

const tasks = [
  ["levels-1h-0711", "analyse_levels", "SUCCESS", 1, { timeframe: "1h" }],
  ["bars-0712", "kept_bars", "RUNNING", 0.42, { days: 90 }],
  ["uniswap-77", "collect_uniswap", "FAILED", 0.1, { pool_address: "0x88e6…5640" }],
  ["prices-3", "process_prices", "PENDING", null, { start_date: "2026-11-01" }],
].map(([task_id, kind, state, share, parameters], n) => ({
  task_id, kind, parameters, state, share, attempts: 1, failures: state === "FAILED" ? 1 : 0,
  error: state === "FAILED" ? "the node answered 429 ten times in a row" : "", result: state === "SUCCESS" ? { symbols: 528, rows: 2_640 } : null,
  requested_by: n === 1 ? "schedule" : "alice", created_ms: began + n * 600_000,
  started_ms: state === "PENDING" ? null : began + n * 600_000 + 2_000, finished_ms: ["SUCCESS", "FAILED"].includes(state) ? began + n * 600_000 + 73_000 : null,
}));

const kinds = [{
  name: "analyse_levels", about: "Support and resistance of one or all symbols, from stored bars.",
  schema: { type: "object", required: ["timeframe"], properties: {
    timeframe: { enum: ["5m", "15m", "1h", "4h", "1d"], description: "Bars that are used." },
    symbols: { anyOf: [{ type: "array", items: { type: "string" } }, { type: "null" }], default: null, description: "Which symbols; all that trade where it is empty." },
    limit: { type: "integer", default: 2000, minimum: 100, maximum: 2000, description: "How many bars of each." },
    overwrite: { type: "boolean", default: false, description: "Also where a result is there." },
  } },
}, { name: "kept_bars", about: "Bars that are kept of every symbol, up to the watermark.", schema: { type: "object", properties: {} } }];

export function answer(method, url, body, isEmpty) {
  const query = url.searchParams;
  const path = url.pathname.replace("/api/v1", "");
  if (method === "POST" && path === "/alerts") {
    if (!(body.price > 0)) return [400, { title: "Bad request", status: 400, errors: [{ field: "price", message: "must be above 0" }] }];
    const alert = { alert_id: alerts.length + 1, note: "", target: null, level_id: null, ...body, enabled: true, created_ms: Date.now(), events: 0, last_event_ms: null };
    alerts.push(alert);
    return [201, alert];
  }
  if (method === "DELETE") return [200, alerts.splice(0, 1)];
  if (method === "POST" && path === "/tasks") return [202, { ...tasks[3], kind: body.kind, parameters: body.parameters }];
  if (method === "POST") return [202, { status: "accepted", task_id: "levels-1h-0711" }];
  const parts = path.split("/").slice(1);
  const route = ROUTES[parts[0]];
  return route ? route(query, parts.slice(1), isEmpty) : [404, { title: "Not found", status: 404 }];
}

const ROUTES = { overview, gaps, symbols: symbolRows, klines, metrics5m, funding, analysis, tasks: taskRoute, batches, alerts: alertRoute };

function overview(query, [what], isEmpty) {
  if (what === "coverage") return coverage(query, isEmpty);
  const since = (Date.now() - began) / 60_000;
  const share = [0.02, 0.3, 0.72, 0.93, 0.985, 0.9995, 1, 1];
  return [200, {
    now_ms: Date.now(),
    version: "0.1.0", ready: !isEmpty, not_ready_reasons: isEmpty ? ["no candle stored yet"] : [], database_writable: true, collects: true,
    runs: isEmpty ? [] : ["ws", "metrics", "backfill", "jobs", "api"].map((role) => ({ role, host: "here", pid: 4242, version: "0.1.0", started_ms: began, stopped_ms: null, alive: true })),
    live: {
      newest_close_ms: isEmpty ? null : lastMinute() + 60_000, last_commit_ms: Date.now() - 1200,
      symbols: { expected: 740, subscribed: 740, stale: 0, quiet: 3 }, connections: { live: 4, connecting: 0, draining: 0, waiting: 0 }, buffer: { rows: 12, capacity_rows: 1_000_000 },
      rows: { received: Math.round(740 * since), committed: Math.round(740 * since) - 12, deduped: 431, rejected: 0, dropped: 0 }, missing_minutes: isEmpty ? 0 : 37, clock_offset_s: 0.012,
    },
    close_to_commit: { bounds: [0.5, 1, 2, 3, 4, 5, 15, null], counts: share.map((one) => (isEmpty ? 0 : Math.round(one * 740 * since))) },
    budgets: isEmpty ? [] : [
      { name: "fapi", used: 412, limit: 1800, waiting: 0, banned_until_ms: null }, { name: "futures_data", used: 861, limit: 900, waiting: 14, banned_until_ms: null },
      { name: "funding", used: 20, limit: 450, waiting: 0, banned_until_ms: null }, { name: "spot", used: 0, limit: 3000, waiting: 0, banned_until_ms: Date.now() + 95_000 },
    ],
    backfills: isEmpty ? [] : [{ id: 7, symbols: 1, names: ["*"], from_ms: Date.now() - 400 * DAY, to_ms: Date.now(), state: "running", started_ms: began, done: 171_000_000, due: 304_128_000, seconds_left: 5_460, note: "" }],
    tasks: isEmpty ? { PENDING: 0, RUNNING: 0, SUCCESS: 0, FAILED: 0, CANCELLED: 0 } : { PENDING: 1, RUNNING: 1, SUCCESS: 214, FAILED: 1, CANCELLED: 0 },
    storage: isEmpty ? [] : [["candles_1m", 6.2e10], ["binance_futures_metrics_5m", 1.1e10], ["bars", 6.1e9], ["agg_trades", 1.9e9], ["funding_rates", 3.1e8]].map(([name, bytes]) => ({ name, bytes })),
  }];
}

function coverage(query, isEmpty) {
  const days = Number(query.get("days") ?? 90);
  const today = Math.floor(Date.now() / DAY) * DAY;
  const first = today - (days - 1) * DAY;
  const gone = Math.floor((Date.now() - today) / 60_000);
  const runs = (symbol) => {
    const s = seed(symbol);
    const listed = s % 5 === 0 ? s % days : 0;
    const found = [];
    for (let at = listed; at < days; at++) {
      const lacks = (s + at * 7) % 997 === 0 ? 1440 : (s * 13 + at) % 211 === 0 ? 60 + (s % 300) : (s + at) % 307 === 0 ? 3 : 0;
      const absent = (s + at) % 401 === 0 ? 12 : 0;
      const due = at === days - 1 ? gone : 1440;
      found.push([at, 1, 1440, Math.max(due - absent - lacks, 0), absent, 0]);
    }
    return found;
  };
  const all = isEmpty ? [] : symbols.map((symbol) => [symbol, runs(symbol)]);
  return [200, { dataset: query.get("dataset"), first_day: new Date(first).toISOString().slice(0, 10), days, as_of_ms: Date.now(), step_ms: 60_000, symbols: Object.fromEntries(all) }];
}

function gaps(query) {
  const start = Number(query.get("start"));
  return [200, { data: [{ symbol: query.get("symbol"), start_ms: start + 3 * 3_600_000, end_ms: start + 4 * 3_600_000, minutes: 60, state: "missing", reason: "the connection was lost; asked again in 4 min" }], next: null }];
}

function symbolRows(query) {
  const found = symbols.filter((one) => one.includes(query.get("search") ?? "")).slice(0, Number(query.get("limit") ?? 1000));
  return [200, { data: found.map((symbol) => ({ symbol, status: "TRADING", onboard_ms: began - 90 * DAY, end_ms: null })), next: null }];
}

function klines(query, _rest, isEmpty) {
  const symbol = query.get("symbol");
  if (symbol === "NOSUCH") return [404, { title: "Not found", status: 404, detail: "no symbol NOSUCH" }];
  const name = query.get("interval");
  const length = Number(name.slice(0, -1)) * LENGTHS[name.at(-1)];
  const limit = Number(query.get("limit") ?? 500);
  const until = Math.min(Number(query.get("end")) || Infinity, Math.floor((lastMinute() + 60_000) / length) * length);
  const from = query.has("start") ? Math.ceil(Number(query.get("start")) / length) * length : until - limit * length;
  const data = [];
  for (let open = from; open < until && data.length < limit; open += length) {
    const hours = Math.floor(open / 3_600_000);
    if (hours % 97 < 3 && length < 4 * 3_600_000) continue; // a hole now and then
    const [open_time, o, high, low, close, volume, quote_volume, trade_count] = bar(symbol, open, length);
    const missing_minutes = hours % 41 === 0 && length > 60_000 ? 7 : 0;
    data.push({ open_time, open: o, high, low, close, volume, quote_volume, trade_count, missing_minutes });
  }
  return [200, { symbol, interval: name, made_to_ms: until, data: isEmpty ? [] : data, next: null }];
}

function spaced(query, step) {
  const start = Math.ceil((Number(query.get("start")) || 0) / step) * step;
  const times = [];
  for (let at = Math.max(start, Number(query.get("end")) - 1000 * step); at <= Number(query.get("end")); at += step) times.push(at);
  return times;
}

function metrics5m(query) {
  const step = query.get("step");
  const data = spaced(query, step ? Number(step.slice(0, -1)) * LENGTHS[step.at(-1)] : 300_000).map((at) => ({
    create_time: at, sum_open_interest: 80_000 + 9_000 * Math.sin(at / 3e7), sum_open_interest_value: 7e9, count_toptrader_long_short_ratio: 1.4 + 0.2 * Math.sin(at / 2e7),
    sum_toptrader_long_short_ratio: 1.9 + 0.3 * Math.sin(at / 4e7), count_long_short_ratio: 1.2 + 0.3 * Math.sin(at / 1.5e7), sum_taker_long_short_vol_ratio: 1 + 0.2 * Math.sin(at / 3e6),
  }));
  return [200, { data, next: null }];
}

function funding(query) {
  return [200, { data: spaced(query, 8 * 3_600_000).map((at) => ({ funding_time: at, funding_rate: 0.0001 * Math.sin(at / 9e7) })), next: null }];
}

function result(n, timeframe = "1h") {
  const symbol = symbols[n];
  const price = bar(symbol, Math.floor(Date.now() / 3_600_000) * 3_600_000, 3_600_000)[4];
  const level = (side, at, score, pivots) => ({ id: `${side}-${at}`, price: price * at, low: price * at * 0.998, high: price * at * 1.002, score, state: at < 0.97 ? "tested" : "formed", pivots, tests: 2, founded_at: "2026-11-20T00:00:00Z" });
  return {
    id: n + 1, exchange: "binance", symbol, market_type: "future", timeframe, input_limit: 2000, last_price: price,
    support_levels: [level("support", 0.985, 87.4, 6), level("support", 0.972, 61.2, 4), level("support", 0.961, 40.9, 2)],
    resistance_levels: [level("resistance", 1.012, 91.3, 8), level("resistance", 1.021, 55, 3)], created_at: began, known_to_ms: Math.floor(Date.now() / 3_600_000) * 3_600_000, updated_at: Date.now() - n * 61_000 - 30_000,
  };
}

function analysis(query, [name], isEmpty) {
  if (name !== "results") return Number(name) <= symbols.length ? [200, result(Number(name) - 1)] : [404, { title: "Not found", status: 404, detail: `no result ${name}` }];
  const found = isEmpty ? [] : symbols.map((symbol, n) => [symbol, n]).filter(([symbol]) => symbol.includes(query.get("symbol") ?? ""));
  const page = Number(query.get("page") ?? 1);
  const pageSize = Number(query.get("pageSize") ?? 10);
  const data = found.slice((page - 1) * pageSize, page * pageSize).map(([, n]) => result(n, query.get("timeframe") ?? "1h"));
  return [200, { data, total: found.length, page, pageSize, totalPages: Math.ceil(found.length / pageSize) }];
}

function taskRoute(query, [id, what], isEmpty) {
  if (!id) return [200, { data: isEmpty ? [] : tasks.filter((one) => !query.get("state") || one.state === query.get("state")), next: null }];
  if (id === "kinds") return [200, kinds];
  if (what === "logs") {
    const lines = ["read the ledger of 528 symbols", "computing 120 of 528", "computing 240 of 528, BTCUSDT had 2 bars mended since the last run"].map((line, n) => ({ number: n + 1, at_ms: began + n * 9000, level: n === 2 ? "warning" : "info", line }));
    return [200, { data: lines.filter((one) => one.number > Number(query.get("after"))), next: null }];
  }
  const task = tasks.find((one) => one.task_id === id);
  return task ? [200, task] : [404, { title: "Not found", status: 404, detail: `no task ${id}` }];
}

function batches(query, [id, what], isEmpty) {
  const span = Array.from({ length: 400 }, (_, n) => began + n * 60_000);
  if (!id) return [200, { data: isEmpty ? [] : [{ batch_id: 3, name: "WETH/USDC against ETHUSDT, November", opportunities: 143, profit_usdt: 1234.5, first_ms: began, last_ms: Date.now(), created_ms: began, updated_ms: began, report: null }], next: null }];
  if (what === "prices") return [200, { interval_s: 60, exchange: span.map((at) => ({ time_ms: at, price: bar("ETHUSDT", at, 60_000)[4] })), pool: span.map((at) => ({ time_ms: at, price: bar("ETHUSDT", at - 60_000, 60_000)[4] * 1.0008 })) }];
  if (what === "profit") return [200, { data: span.filter((_, n) => n % 3 === 0).map((at, n) => ({ time_ms: at, profit_usdt: 9 * Math.sin(n) + 4 })) }];
  const data = Array.from({ length: 50 }, (_, n) => ({
    opportunity_id: n, block_time: began + n * 480_000, block_number: 21_000_000 + n, profit_usdt: n % 9 === 4 ? null : 30 * Math.sin(n) + 12, buy_price: 3011.25 + n, sell_price: 3014.5 + n, buy_platform: "ethereum",
    sell_platform: "binance_spot", chain: "ethereum", pool: "0x88e6", exchange: "binance_spot", symbol: "ETHUSDT", mode: n % 2 ? "screen" : "execution", status: n % 9 === 4 ? "no_cex_trade" : n % 2 ? "screened" : "filled", transaction_hash: "0x", details: {}, risk_metrics: {},
  }));
  return [200, { data: data.filter((one) => !query.get("min_profit") || (one.profit_usdt ?? -1e9) >= Number(query.get("min_profit"))), total: 143, page: Number(query.get("page")), pageSize: 50, totalPages: 3 }];
}

function alertRoute(_query, [what], isEmpty) {
  if (what === "targets") return [200, { targets: ["desk", "phone"] }];
  if (what === "events") return [200, { data: isEmpty ? [] : [{ event_id: 1, alert_id: 1, symbol: "BTCUSDT", price: 90_100, direction: "long", bucket_ms: began, close: 90_080.5, delivery: "delivered", target: "desk", attempts: 1, error: "" }], next: null }];
  return [200, { data: alerts, next: null }];
}

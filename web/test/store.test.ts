import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import type { Klines } from "../src/api/types";
import { floor, interval as lengthOf } from "../src/format/times";
import { withHoles, type Bar } from "../src/pages/chart/series";
import { ChartStore, type ChartData } from "../src/pages/chart/store";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
/** A Thursday. */
const T = Date.UTC(2026, 10, 26);

/** The server: minutes that are stored, bars that are made, and the socket of the page. */
class Server {
  minutes = new Set<number>();
  made = new Map<string, Bar[]>();
  asked: URLSearchParams[] = [];
  socket: { onopen?: () => void; onmessage?: (event: { data: string }) => void } = {};

  say(message: unknown): void {
    this.socket.onmessage?.({ data: JSON.stringify(message) });
  }

  klines(query: URLSearchParams): Klines {
    this.asked.push(query);
    const name = query.get("interval") ?? "";
    const all = name === "1m" ? [...this.minutes].sort((a, b) => a - b).map((at) => bar(at)) : (this.made.get(name) ?? []);
    const start = query.get("start");
    const low = Number(query.get("cursor") ?? start ?? 0);
    const wanted = all.filter((one) => one.open_time >= low && one.open_time < Number(query.get("end") ?? Infinity));
    const data = start === null ? wanted.slice(-1000) : wanted.slice(0, 1000);
    const [first, last] = [data[0], data[data.length - 1]];
    const older = start === null && first && wanted[0] !== first ? first.open_time : null;
    const next = start === null ? older : last && wanted.length > data.length ? last.open_time + lengthOf(name) : null;
    return { made_to_ms: null, data: data.map((one) => ({ ...one, quote_volume: null, trade_count: null })), next };
  }
}

const bar = (at: number, missing_minutes = 0): Bar => ({ open_time: at, open: 1, high: 2, low: 1, close: 2, volume: 1, missing_minutes });
const numbers = (from: number, count: number): number[] => Array.from({ length: count }, (_, n) => from + n * MINUTE);
const settled = (): Promise<void> => new Promise((done) => setImmediate(() => setImmediate(() => setImmediate(done))));

let store: ChartStore | null = null;
afterEach(() => {
  store?.close();
  mock.timers.reset();
});

/** A chart that has read all there is, and hears. Its words: what it shows, and the bar that alone changed. */
async function opened(server: Server, name: string, around: number | null = null): Promise<[ChartData, Bar | null][]> {
  const told: [ChartData, Bar | null][] = [];
  class Socket {
    static OPEN = 1;
    readyState = 1;
    onopen?: () => void;
    onmessage?: (event: { data: string }) => void;
    constructor() {
      server.socket = this;
    }
    send(): void {}
    close(): void {}
  }
  const fetch = async (address: string): Promise<Response> => Response.json(server.klines(new URL(address, "http://here").searchParams));
  const browser = { fetch, WebSocket: Socket, location: { protocol: "http:", host: "here" }, sessionStorage: { getItem: () => null } };
  for (const [key, value] of Object.entries(browser)) Object.defineProperty(globalThis, key, { value, configurable: true, writable: true });
  store = new ChartStore("BTCUSDT", name, (data, newest) => told.push([data, newest]));
  store.open(around);
  await settled();
  server.socket.onopen?.();
  server.say({ type: "subscribed", subscribe: {} });
  for (let n = 0; n < 20; n++) await settled();
  return told;
}

test("a candle that comes after a later one has the chart drawn anew, the newest one only itself", async () => {
  const server = new Server();
  server.minutes = new Set([T, T + MINUTE]);
  const told = await opened(server, "1m");
  const hear = (at: number): void => server.say({ type: "live", at_ms: at, candles: [["BTCUSDT", at, 1, 2, 1, 2, 1, null, null, null, null]] });
  hear(T + 3 * MINUTE);
  assert.equal(told[told.length - 1]?.[1]?.open_time, T + 3 * MINUTE);
  hear(T + 2 * MINUTE);
  const [data, newest] = told[told.length - 1] ?? [];
  assert.equal(newest, null);
  assert.equal(withHoles(data?.bars ?? [], MINUTE).length, 4);
});

test("a long stretch that is filled late is read to its end", async () => {
  const server = new Server();
  server.minutes = new Set([T, T + 2_500 * MINUTE]);
  const told = await opened(server, "1m");
  server.minutes = new Set(numbers(T, 2_501));
  server.say({ type: "live", at_ms: T, filled: { BTCUSDT: [T + MINUTE, T + 2_499 * MINUTE] } });
  for (let n = 0; n < 20; n++) await settled();
  assert.equal(told[told.length - 1]?.[0].bars.length, 2_501);
});

test("a bar whose minutes came late is read again once it was made again", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const server = new Server();
  server.minutes = new Set(numbers(T, 55));
  server.made.set("5m", [bar(T, 3), bar(T + 5 * MINUTE)]);
  const told = await opened(server, "5m");
  assert.equal(told[told.length - 1]?.[0].bars[0]?.missing_minutes, 3);
  server.say({ type: "live", at_ms: T, filled: { BTCUSDT: [T + MINUTE, T + 3 * MINUTE] } });
  for (let n = 0; n < 20; n++) await settled();
  assert.equal(told[told.length - 1]?.[0].bars[0]?.missing_minutes, 3, "it is not made again yet");
  server.made.set("5m", [bar(T), bar(T + 5 * MINUTE)]);
  mock.timers.tick(7 * MINUTE);
  for (let n = 0; n < 20; n++) await settled();
  assert.equal(told[told.length - 1]?.[0].bars[0]?.missing_minutes, 0);
});

test("of minutes of the bar that is not over which come late, the bar is made anew", async () => {
  const server = new Server();
  server.minutes = new Set([...numbers(T, 60), ...numbers(T + 100 * MINUTE, 5)]);
  server.made.set("1h", [bar(T)]);
  const told = await opened(server, "1h");
  assert.equal(told[told.length - 1]?.[0].bars[1]?.missing_minutes, 40);
  server.minutes = new Set(numbers(T, 105));
  server.say({ type: "live", at_ms: T, filled: { BTCUSDT: [T + 60 * MINUTE, T + 99 * MINUTE] } });
  for (let n = 0; n < 20; n++) await settled();
  assert.equal(told[told.length - 1]?.[0].bars[1]?.missing_minutes, 0);
});

test("where no week is over yet, the week of the stored minutes is shown", async () => {
  const server = new Server();
  const first = floor(T, 7 * DAY) + 60 * MINUTE;
  server.minutes = new Set(numbers(first, 3_000));
  const told = await opened(server, "1w");
  const bars = told[told.length - 1]?.[0].bars ?? [];
  assert.deepEqual(bars.map((one) => [one.open_time, one.volume, one.missing_minutes]), [[floor(T, 7 * DAY), 3_000, 60]]);
});

/** A server that has every minute before `to`, more of them than a chart reads at once. */
class Far extends Server {
  to = T;

  override klines(query: URLSearchParams): Klines {
    const start = query.get("cursor") ?? query.get("start");
    const low = start === null ? Number(query.get("end") ?? this.to) - 1000 * MINUTE : Number(start);
    const data = numbers(low, Math.min(1000, (this.to - low) / MINUTE)).map((at) => bar(at));
    const end = low + 1000 * MINUTE;
    const next = start === null ? low : end < this.to ? end : null;
    return { made_to_ms: null, data: data.map((one) => ({ ...one, quote_volume: null, trade_count: null })), next };
  }
}

test("a past that is too far off to be read up to the present has no hole before the candle that comes live", async () => {
  const server = new Far();
  const told = await opened(server, "1m", T - 150_000 * MINUTE);
  const shown = (): Bar[] => told[told.length - 1]?.[0].bars ?? [];
  const newest = (): number => shown()[shown().length - 1]?.open_time ?? 0;
  const holes = (): number => withHoles(shown(), MINUTE).length - shown().length;
  for (let n = 0; n < 1_000 && shown().length < 50_000; n++) await settled();
  assert.ok(newest() < T - MINUTE, "all was read at once: this shows nothing");
  server.to = T + MINUTE;
  server.say({ type: "live", at_ms: T, candles: [["BTCUSDT", T, 1, 2, 1, 2, 1, null, null, null, null]] });
  assert.equal(holes(), 0);
  for (let n = 0; n < 1_000 && newest() < T; n++) {
    store?.newer();
    await settled();
  }
  assert.deepEqual([newest(), holes()], [T, 0]);
});

test("a candle that comes while nothing could be read yet is not shown as all there is, and has it read again", async () => {
  const server = new Server();
  server.minutes = new Set(numbers(T, 10));
  let away = true;
  const read = server.klines.bind(server);
  server.klines = (query) => {
    if (away) throw new Error("no answer");
    return read(query);
  };
  const told = await opened(server, "1m");
  const hear = (at: number): void => server.say({ type: "live", at_ms: at, candles: [["BTCUSDT", at, 1, 2, 1, 2, 1, null, null, null, null]] });
  hear(T + 9 * MINUTE);
  for (let n = 0; n < 20; n++) await settled();
  assert.equal(told[told.length - 1]?.[0].bars.length, 0);
  assert.notEqual(told[told.length - 1]?.[0].error, null);
  away = false;
  hear(T + 9 * MINUTE);
  for (let n = 0; n < 20; n++) await settled();
  assert.deepEqual([told[told.length - 1]?.[0].bars.length, told[told.length - 1]?.[0].error], [10, null]);
});

// What a chart shows, read from the API and grown by the live feed: newest first, older pieces as one scrolls.
import { get } from "../../api/client";
import { live } from "../../api/live";
import type { Kline, LiveCandle, Piece } from "../../api/types";
import { floor, interval as lengthOf } from "../../format/times";
import { grown, merged, type Bar } from "./series";

const PIECE = 1_000;
const MINUTE_MS = 60_000;

export interface ChartData {
  bars: Bar[];
  /** Nothing is stored before the first bar. */
  whole: boolean;
  error: unknown;
}

/** One symbol in one interval. `changed` is called with what is there now, and the newest bar where only it changed. */
export class ChartStore {
  readonly length: number;
  #stored: Bar[] = [];
  #minutes: Kline[] = [];
  #readTo = 0;
  #whole = false;
  #reading = false;
  #end: () => void = () => undefined;
  readonly #ending = new AbortController();

  constructor(
    readonly symbol: string,
    readonly interval: string,
    readonly changed: (data: ChartData, newest: Bar | null) => void,
  ) {
    this.length = lengthOf(interval);
  }

  /** Read what is newest, or the time around `around`, and hear what comes. */
  open(around: number | null): void {
    void this.#read({ end: around === null ? null : around + 300 * this.length });
    this.#end = live.watch({
      wish: { candles: [this.symbol] },
      hear: (frame) => {
        for (const one of frame.candles ?? []) if (one[0] === this.symbol) this.#heard(kline(one));
        const filled = frame.filled?.[this.symbol];
        if (filled) void this.#mend(filled);
      },
      // What was committed while nobody listened: from the newest bar on, over HTTP.
      ready: () => void this.#catchUp(),
    });
  }

  close(): void {
    this.#end();
    this.#ending.abort();
  }

  /** Read a piece of what is before the first bar; nothing while one is being read. */
  older(): void {
    const first = this.#stored[0];
    if (first && !this.#whole) void this.#read({ end: first.open_time });
  }

  async #read(range: { end?: number | null; start?: number }): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    try {
      const bars = await this.#piece(range);
      if (range.start === undefined && bars.length === 0) this.#whole = true;
      const isFirst = this.#stored.length === 0;
      this.#take(bars);
      this.#tell(null);
      if (isFirst && range.start === undefined) await this.#catchUp();
    } catch (error) {
      if (!this.#ending.signal.aborted) this.changed({ bars: this.#all(), whole: this.#whole, error }, null);
    } finally {
      this.#reading = false;
    }
  }

  /** Everything from the newest stored bar on: bars, and the minutes that are not a whole bar yet. */
  async #catchUp(): Promise<void> {
    try {
      let last = this.#stored[this.#stored.length - 1];
      while (last) {
        const bars = await this.#piece({ start: last.open_time });
        this.#take(bars);
        const newest = bars[bars.length - 1];
        if (bars.length < PIECE || !newest || newest.open_time === last.open_time) break;
        last = newest;
      }
      if (this.length > MINUTE_MS && last) await this.#minutesSince(this.#readTo);
      this.#tell(null);
    } catch {
      // What is shown stays; the next connection or the next bar catches up.
    }
  }

  async #minutesSince(start: number): Promise<void> {
    for (let from = start; ; ) {
      const minutes = await this.#piece({ start: from }, "1m");
      this.#minutes.push(...minutes);
      const last = minutes[minutes.length - 1];
      if (minutes.length < PIECE || !last) return;
      from = last.open_time + MINUTE_MS;
    }
  }

  /** Minutes that were stored late: the bars that hold them are read again. */
  async #mend([first, last]: [number, number]): Promise<void> {
    const oldest = this.#stored[0];
    if (!oldest || last < oldest.open_time) return;
    const start = floor(Math.max(first, oldest.open_time), this.length);
    this.#take(await this.#piece({ start, end: last + 1 }).catch(() => []));
    this.#tell(null);
  }

  async #piece(range: { end?: number | null; start?: number }, interval = this.interval): Promise<Kline[]> {
    const query = { symbol: this.symbol, interval, limit: PIECE, start: range.start, end: range.end };
    const answer = await get<Piece<Kline>>("/api/v1/klines", query, this.#ending.signal);
    return answer.data;
  }

  #take(bars: Bar[]): void {
    // A bar that is not over yet is made of its minutes, which go on coming.
    this.#stored = merged(this.#stored, bars.filter((one) => one.open_time + this.length <= Date.now() + MINUTE_MS / 2));
    const last = this.#stored[this.#stored.length - 1];
    if (last) this.#readTo = Math.max(this.#readTo, last.open_time + this.length);
    this.#minutes = this.#minutes.filter((one) => one.open_time >= this.#readTo);
  }

  #heard(one: Kline): void {
    if (one.open_time < this.#readTo && this.length > MINUTE_MS) return;
    if (this.length === MINUTE_MS) this.#stored = merged(this.#stored, [one]);
    else this.#minutes.push(one);
    const bars = this.#all();
    this.#tell(bars[bars.length - 1] ?? null);
  }

  #all(): Bar[] {
    return grown(this.#stored, this.#minutes, this.length, this.#readTo);
  }

  #tell(newest: Bar | null): void {
    if (!this.#ending.signal.aborted) this.changed({ bars: this.#all(), whole: this.#whole, error: null }, newest);
  }
}

function kline([, open_time, open, high, low, close, volume, quote_volume, trade_count]: LiveCandle): Kline {
  return { open_time, open, high, low, close, volume, quote_volume, trade_count };
}

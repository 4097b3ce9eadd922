// What a chart shows, read from the API and grown by the live feed: newest first, older pieces as one scrolls.
import { get } from "../../api/client";
import { live } from "../../api/live";
import type { Kline, Klines, LiveCandle } from "../../api/types";
import { floor, interval as lengthOf } from "../../format/times";
import { grown, merged, type Bar } from "./series";

const PIECE = 1_000;
/** Pieces in a row that catch up; who was away for longer sees a hole that the next connection fills. */
const MOST_PIECES = 50;
const MINUTE_MS = 60_000;

interface Range {
  start?: number;
  end?: number | null;
}

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
  /** Something was read: what comes can be put behind it. */
  #begun = false;
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
    const end = around === null ? null : around + 300 * this.length;
    void this.#older(end);
    this.#end = live.watch({
      wish: { candles: [this.symbol] },
      hear: (frame) => {
        for (const one of frame.candles ?? []) if (one[0] === this.symbol) this.#heard(kline(one));
        const filled = frame.filled?.[this.symbol];
        if (filled) void this.#mend(filled);
      },
      // What was committed while nobody listened: from the newest bar on, over HTTP.
      ready: () => void (this.#begun ? this.#catchUp() : this.#older(end)),
    });
  }

  close(): void {
    this.#end();
    this.#ending.abort();
  }

  /** Read a piece of what is before the first bar; nothing while one is being read. */
  older(): void {
    const first = this.#stored[0];
    if (first && !this.#whole) void this.#older(first.open_time);
  }

  async #older(end: number | null): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    const isFirst = !this.#begun;
    try {
      const { data, next } = await this.#piece({ end });
      this.#take(data);
      if (isFirst && data.length === 0) await this.#unmade(end);
      else this.#whole = next === null;
      this.#begun = true;
      this.#tell(null);
      if (isFirst) await this.#catchUp();
    } catch (error) {
      if (!this.#ending.signal.aborted) this.changed({ bars: this.#all(), whole: this.#whole, error }, null);
    } finally {
      this.#reading = false;
    }
  }

  /** No bar of this length is made yet: they are made here, of the newest minutes. */
  async #unmade(end: number | null): Promise<void> {
    if (this.length === MINUTE_MS) return;
    const { data, next } = await this.#piece({ end }, "1m");
    const first = data[0];
    if (!first) return;
    const begins = floor(first.open_time, this.length);
    this.#readTo = next === null || begins === first.open_time ? begins : begins + this.length;
    this.#minutes = data;
    this.#whole = next === null;
  }

  /** Everything from the newest stored bar on: bars, and the minutes that are not a whole bar yet. */
  async #catchUp(): Promise<void> {
    try {
      const last = this.#stored[this.#stored.length - 1];
      if (last) this.#take(await this.#from(last.open_time, this.interval));
      if (this.length > MINUTE_MS && this.#readTo > 0) this.#minutes.push(...(await this.#from(this.#readTo, "1m")));
      this.#tell(null);
    } catch {
      // What is shown stays; the next connection or the next bar catches up.
    }
  }

  async #from(start: number, interval: string): Promise<Kline[]> {
    const found: Kline[] = [];
    let cursor: string | number | null = null;
    for (let n = 0; n < MOST_PIECES; n++) {
      const { data, next }: Klines = await this.#piece({ start }, interval, cursor);
      found.push(...data);
      if (next === null || next === cursor) break;
      cursor = next;
    }
    return found;
  }

  /** Minutes that were stored late: the bars that hold them are read again. */
  async #mend([first, last]: [number, number]): Promise<void> {
    const oldest = this.#stored[0];
    if (!oldest || last < oldest.open_time) return;
    const start = floor(Math.max(first, oldest.open_time), this.length);
    const found = await this.#piece({ start, end: last + 1 }).catch(() => null);
    if (found) this.#take(found.data);
    this.#tell(null);
  }

  #piece(range: Range, interval = this.interval, cursor: string | number | null = null): Promise<Klines> {
    const query = { symbol: this.symbol, interval, limit: PIECE, start: range.start, end: range.end, cursor };
    return get<Klines>("/api/v1/klines", query, this.#ending.signal);
  }

  /** Bars from the API are over; the one of the present is made of its minutes, which go on coming. */
  #take(bars: Bar[]): void {
    this.#stored = merged(this.#stored, bars);
    const last = this.#stored[this.#stored.length - 1];
    if (last) this.#readTo = Math.max(this.#readTo, floor(last.open_time, this.length) + this.length);
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
  return { open_time, open, high, low, close, volume, quote_volume, trade_count, missing_minutes: 0 };
}

// What a chart shows, read from the API and grown by the live feed: newest first, older pieces as one scrolls.
import { get } from "../../api/client";
import { live } from "../../api/live";
import type { LiveCandle } from "../../api/frames";
import type { Kline, Klines } from "../../api/types";
import { floor, interval as lengthOf } from "../../format/times";
import { grown, merged, type Bar } from "./series";

const PIECE = 1_000;
/** Pieces in a row that catch up; what lies farther off is read on as one moves there. */
const MOST_PIECES = 50;
const MINUTE_MS = 60_000;
/** Bars whose minutes came late are made again by a task, every five minutes, and an answer may be a minute old. */
const REMADE_MS = 7 * MINUTE_MS;

interface Range {
  start?: number;
  end?: number | null;
}

interface Read {
  data: Kline[];
  /** Nothing of the range is left to be read. */
  all: boolean;
}

/** The first and the last of some minutes. */
type Span = [number, number];

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
  /** Where what is read first ends. */
  #first: number | null = null;
  /** Between the newest bar and the present there is more than was read: what comes live would stand behind a hole that
   * is none, and waits. */
  #behind = false;
  #catching = 0;
  #waiting: Kline[] = [];
  #late: Span | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
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
    this.#first = around === null ? null : around + 300 * this.length;
    this.#behind = around !== null;
    void this.#older(this.#first);
    this.#end = live.watch({
      wish: { candles: [this.symbol] },
      hear: (frame) => {
        for (const one of frame.candles ?? []) if (one[0] === this.symbol) this.#heard(kline(one));
        const filled = frame.filled?.[this.symbol];
        if (!filled) return;
        void this.#mend(filled);
        this.#later(filled);
      },
      // What was committed while nobody listened: from the newest bar on, over HTTP.
      ready: () => this.again(),
    });
  }

  /** Read what is newest again, or what could not be read at first. */
  again(): void {
    void (this.#begun ? this.#catchUp() : this.#older(this.#first));
  }

  close(): void {
    this.#end();
    clearTimeout(this.#timer);
    this.#ending.abort();
  }

  /** Read a piece of what is before the first bar; nothing while one is being read. */
  older(): void {
    const first = this.#stored[0];
    if (first && !this.#whole) void this.#older(first.open_time);
  }

  /** Read on towards the present, where that was too far off to be read at once. */
  newer(): void {
    if (this.#begun && this.#behind && this.#catching === 0) void this.#catchUp();
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
    const last = data[data.length - 1];
    if (!first || !last) return;
    const begins = floor(first.open_time, this.length);
    const isWhole = next === null || begins === first.open_time;
    // A bar may be longer than a piece: then it is the only one, and read whole.
    const isOne = !isWhole && floor(last.open_time, this.length) === begins;
    this.#minutes = isOne ? (await this.#from({ start: begins }, "1m")).data : data;
    this.#readTo = isWhole || isOne ? begins : begins + this.length;
    this.#whole = next === null;
  }

  /** Everything from the newest stored bar on: bars, and the minutes that are not a whole bar yet. */
  async #catchUp(): Promise<void> {
    this.#catching++;
    this.#waiting = [];
    try {
      const last = this.#stored[this.#stored.length - 1];
      const { data, all } = last ? await this.#from({ start: last.open_time }) : { data: [], all: true };
      this.#take(data);
      if (all && this.length > MINUTE_MS && this.#readTo > 0) this.#minutes.push(...(await this.#from({ start: this.#readTo }, "1m")).data);
      this.#behind = !all;
      this.#tell(null);
      if (all) for (const one of this.#waiting.splice(0)) this.#heard(one);
    } catch {
      // What is shown stays; the next connection or the next bar catches up.
    } finally {
      this.#catching--;
    }
  }

  /** What there is of a range, from its start on. */
  async #from(range: Range, interval = this.interval): Promise<Read> {
    const found: Kline[] = [];
    let cursor: string | number | null = null;
    for (let n = 0; n < MOST_PIECES; n++) {
      const { data, next }: Klines = await this.#piece(range, interval, cursor);
      found.push(...data);
      if (next === null || next === cursor) return { data: found, all: true };
      cursor = next;
    }
    return { data: found, all: false };
  }

  /** Minutes that were stored late: the bars that hold them are read again. */
  async #mend([first, last]: Span): Promise<void> {
    const oldest = this.#stored[0];
    const until = this.#behind ? Math.min(last + 1, this.#readTo) : last + 1;
    if (oldest && last >= oldest.open_time && first < until) {
      const start = floor(Math.max(first, oldest.open_time), this.length);
      this.#take(await this.#from({ start, end: until }).then(({ data }) => data, () => []));
    }
    // Of the bar that is not over yet the minutes are needed themselves.
    if (last >= this.#readTo && this.length > MINUTE_MS && !this.#behind) await this.#catchUp();
    else this.#tell(null);
  }

  /** Read again what holds these minutes, and those said before, once bars of them had time to be made again. */
  #later([first, last]: Span): void {
    if (this.length === MINUTE_MS) return;
    const span: Span = this.#late ? [Math.min(first, this.#late[0]), Math.max(last, this.#late[1])] : [first, last];
    this.#late = span;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#late = null;
      void this.#mend(span);
    }, REMADE_MS);
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
    // By itself it would stand there as all that is stored.
    if (!this.#begun) return this.again();
    if (this.#behind) {
      // Only those that come while the rest is read are needed: what was stored before is in the answer.
      if (this.#catching > 0) this.#waiting.push(one);
      return;
    }
    if (one.open_time < this.#readTo && this.length > MINUTE_MS) return;
    if (this.length === MINUTE_MS) this.#stored = merged(this.#stored, [one]);
    else this.#minutes.push(one);
    const bars = this.#all();
    const last = bars[bars.length - 1];
    // One that comes after a later one changes a bar before the newest, or fills a gap: all is drawn anew.
    this.#tell(last && floor(one.open_time, this.length) === last.open_time ? last : null);
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

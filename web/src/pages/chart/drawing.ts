// The chart itself, on lightweight-charts: candles with volume, levels as dashed lines, and panes below.
import {
  CandlestickSeries,
  ColorType,
  createChart,
  HistogramSeries,
  LineStyle,
  type CandlestickData,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type MouseEventParams,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { decimals } from "../../format/numbers";
import { isBar, type Bar, type Hole } from "./series";
import { caption, nearest, type Line } from "./levels";
import { at, Below, type Colours, type Curve } from "./below";

export interface ChartEvents {
  /** The bar under the pointer, or none. */
  over: (bar: Bar | null) => void;
  /** A click near a level. */
  level: (line: Line) => void;
  /** The left edge is near: older bars are wanted. */
  older: () => void;
  /** The right edge is near: newer ones are wanted, where there are any that were not read. */
  newer: () => void;
  /** Where the lines of levels are now; only those in sight. */
  placed: (all: Placed[]) => void;
}

/** The line of a level, and how far below the top of the chart it is drawn, in pixels. */
export interface Placed {
  line: Line;
  y: number;
}

/** Room to the right of the newest bar. */
const RIGHT_BARS = 6;
/** Of what is seen: how far an arrow key moves, and how much more or less plus and minus show. */
const STEP = 0.1;
const ZOOM = 1.25;
const LEAST_BARS = 10;

/** Bars beside what is seen below which more are asked for. */
const MARGIN_BARS = 60;

export class Drawing {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  readonly #below: Below;
  #lines: { line: Line; drawn: IPriceLine }[] = [];
  #placed: Placed[] = [];
  #bars: readonly (Bar | Hole)[] = [];
  #first: number | null = null;
  #digits = -1;
  #closed = false;

  constructor(
    box: HTMLElement,
    readonly events: ChartEvents,
  ) {
    this.#chart = createChart(box, {
      autoSize: true,
      // The logo brings a style element of its own, which the policy of the pages forbids; the page names and links
      // the makers in words, beside the chart.
      layout: { attributionLogo: false, panes: { enableResize: true } },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: RIGHT_BARS },
      crosshair: { mode: 0 },
    });
    this.#below = new Below(this.#chart);
    this.#candles = this.#chart.addSeries(CandlestickSeries, { priceLineVisible: false });
    this.#volume = this.#chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, priceScaleId: "volume", priceLineVisible: false, lastValueVisible: false });
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.#chart.subscribeCrosshairMove((event) => events.over(this.#barAt(event)));
    this.#chart.subscribeClick((event) => this.#clicked(event));
    // Nothing is drawn by it: it is asked whenever the picture changes, also when only the scale of prices did.
    this.#candles.attachPrimitive({ updateAllViews: () => queueMicrotask(() => this.#place()) });
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (!range || this.#bars.length === 0) return;
      if (range.from < MARGIN_BARS) events.older();
      if (range.to > this.#bars.length - MARGIN_BARS) events.newer();
    });
    this.dress();
  }

  /** Take the colours of the style sheet, as they are now. */
  dress(): void {
    const style = this.#colours();
    this.#chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: style("surface") }, textColor: style("soft"), panes: { separatorColor: style("line") } },
      grid: { vertLines: { color: style("raised") }, horzLines: { color: style("raised") } },
      rightPriceScale: { borderColor: style("line") },
      timeScale: { borderColor: style("line") },
    });
    const [up, down] = [style("up"), style("down")];
    this.#candles.applyOptions({ upColor: up, downColor: down, wickUpColor: up, wickDownColor: down, borderUpColor: up, borderDownColor: down });
    this.#drawBars(style);
    for (const { line, drawn } of this.#lines) drawn.applyOptions({ color: style(line.side === "support" ? "up" : "down") });
  }

  /** Show these bars; what is seen stays where it is when older ones came in front. */
  show(bars: readonly (Bar | Hole)[]): void {
    const before = this.#chart.timeScale().getVisibleLogicalRange();
    const first = bars[0]?.open_time ?? null;
    const added = this.#first === null ? 0 : bars.findIndex((one) => one.open_time === this.#first);
    this.#bars = bars;
    this.#first = first;
    this.#precision();
    this.#drawBars(this.#colours());
    if (before && added > 0) {
      this.#chart.timeScale().setVisibleLogicalRange({ from: before.from + added, to: before.to + added });
    }
  }

  /** The newest bar changed, or one came; without drawing the others anew. */
  grow(bar: Bar, all: readonly (Bar | Hole)[]): void {
    if (all.length > this.#bars.length + 1) return this.show(all); // bars between are missing: their places are new too
    this.#bars = all;
    const style = this.#colours();
    this.#candles.update(this.#candle(bar, style));
    this.#volume.update(this.#column(bar, style));
  }

  /** Bring a moment into view. */
  look(ms: number): void {
    const place = this.#bars.findIndex((one) => one.open_time >= ms);
    if (place >= 0) this.#chart.timeScale().setVisibleLogicalRange({ from: place - 60, to: place + 60 });
  }

  /** The moment in the middle of what is seen; null while nothing is. */
  middle(): number | null {
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    return (range && this.#bars[Math.round((range.from + range.to) / 2)]?.open_time) ?? null;
  }

  /** What a key does: arrows and pages move through time, plus and minus show less and more of it. False: nothing. */
  key(name: string): boolean {
    const scale = this.#chart.timeScale();
    const range = scale.getVisibleLogicalRange();
    if (!range) return false;
    const width = range.to - range.from;
    const shift = { ArrowLeft: -STEP, ArrowRight: STEP, PageUp: -1, PageDown: 1 }[name];
    const zoom = { "+": 1 / ZOOM, "=": 1 / ZOOM, "-": ZOOM }[name];
    if (shift !== undefined) {
      // Not further than half of what is seen beyond the first and the last bar.
      const least = -width / 2;
      const from = Math.min(Math.max(range.from + shift * width, least), Math.max(this.#bars.length + least, least));
      scale.setVisibleLogicalRange({ from, to: from + width });
    } else if (zoom !== undefined) {
      const half = (Math.max(width * zoom, LEAST_BARS) - width) / 2;
      scale.setVisibleLogicalRange({ from: range.from - half, to: range.to + half });
    } else if (name === "End") scale.scrollToPosition(RIGHT_BARS, false);
    else if (name === "Home") scale.setVisibleLogicalRange({ from: 0, to: width });
    else return false;
    return true;
  }

  levels(lines: readonly Line[]): void {
    const style = this.#colours();
    for (const { drawn } of this.#lines) this.#candles.removePriceLine(drawn);
    this.#lines = lines.map((line) => ({
      line,
      drawn: this.#candles.createPriceLine({
        id: line.id,
        price: line.price,
        color: style(line.side === "support" ? "up" : "down"),
        // The style called Dashed has dashes of two pixels, which look like dots.
        lineStyle: LineStyle.LargeDashed,
        lineWidth: 1,
        axisLabelVisible: true,
        title: caption(line),
      }),
    }));
  }

  /** The panes below; pane 0 is that of the candles. */
  panes(curves: readonly Curve[]): void {
    this.#below.show(curves, this.#colours());
  }

  /** Where a price is drawn, in pixels from the top; null where it is out of sight. */
  where(price: number): number | null {
    return this.#candles.priceToCoordinate(price);
  }

  close(): void {
    this.#closed = true;
    this.#chart.remove();
  }

  #place(): void {
    if (this.#closed) return;
    const height = this.#chart.panes()[0]?.getHeight() ?? 0;
    const now = this.#lines.flatMap(({ line }) => {
      const y = this.where(line.price);
      return y !== null && y >= 0 && y <= height ? [{ line, y }] : [];
    });
    const before = this.#placed;
    if (now.length === before.length && now.every((one, at) => one.line.id === before[at]?.line.id && one.y === before[at]?.y)) return;
    this.#placed = now;
    this.events.placed(now);
  }

  #clicked(event: MouseEventParams<Time>): void {
    if (!event.point || (event.paneIndex ?? 0) !== 0) return;
    const lines = this.#lines.map((one) => one.line);
    const found = nearest(lines, event.point.y, (price) => this.where(price));
    if (found) this.events.level(found);
  }

  #barAt(event: MouseEventParams<Time>): Bar | null {
    if (event.time === undefined || event.logical === undefined) return null;
    const one = this.#bars.find((bar) => at(bar.open_time) === event.time);
    return one && isBar(one) ? one : null;
  }

  #precision(): void {
    const last = this.#bars.findLast(isBar);
    const digits = last ? Math.min(decimals(last.close), 8) : 2;
    if (digits === this.#digits) return;
    this.#digits = digits;
    this.#candles.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
  }

  #drawBars(style: Colours): void {
    this.#candles.setData(this.#bars.map((one) => (isBar(one) ? this.#candle(one, style) : { time: at(one.open_time) })));
    this.#volume.setData(this.#bars.map((one) => (isBar(one) ? this.#column(one, style) : { time: at(one.open_time) })));
  }

  /** Hollow where minutes of it are missing: its high, low and volume may be other than they were. */
  #candle({ open_time, open, high, low, close, missing_minutes }: Bar, style: Colours): CandlestickData<UTCTimestamp> {
    const bar = { time: at(open_time), open, high, low, close };
    return missing_minutes ? { ...bar, color: style("surface"), borderColor: style("warn"), wickColor: style("warn") } : bar;
  }

  #column(bar: Bar, style: Colours): { time: UTCTimestamp; value: number; color: string } {
    return { time: at(bar.open_time), value: bar.volume, color: style(bar.close >= bar.open ? "volume-up" : "volume-down") };
  }

  #colours(): Colours {
    const probe = document.createElement("i");
    document.body.append(probe);
    const known = new Map<string, string>();
    for (const name of ["surface", "soft", "line", "raised", "up", "down", "warn", "volume-up", "volume-down", "series-1", "series-2", "series-3"]) {
      probe.style.color = `var(--${name})`;
      known.set(name, getComputedStyle(probe).color);
    }
    probe.remove();
    return (name) => known.get(name) ?? "grey";
  }
}

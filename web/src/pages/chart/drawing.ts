// The chart itself, on lightweight-charts: candles with volume, levels as dashed lines, and panes below.
import {
  CandlestickSeries,
  ColorType,
  createChart,
  createTextWatermark,
  HistogramSeries,
  LineSeries,
  LineStyle,
  type IChartApi,
  type IPriceLine,
  type ITextWatermarkPluginApi,
  type ISeriesApi,
  type MouseEventParams,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { decimals } from "../../format/numbers";
import { isBar, type Bar, type Hole } from "./series";
import { caption, nearest, type Line } from "./levels";

/** A line of a pane below the candles; time in milliseconds. */
export interface Curve {
  pane: number;
  /** What the pane shows, said at its top. */
  title: string;
  /** What the curve is where its pane has several: said at its newest value. */
  name?: string;
  colour: string;
  /** Drawn as steps from zero. */
  bars?: boolean;
  points: { time: number; value: number | null }[];
}

export interface ChartEvents {
  /** The bar under the pointer, or none. */
  over: (bar: Bar | null) => void;
  /** A click near a level. */
  level: (line: Line) => void;
  /** The left edge is near: older bars are wanted. */
  older: () => void;
  /** Where the lines of levels are now; only those in sight. */
  placed: (all: Placed[]) => void;
}

/** The line of a level, and how far below the top of the chart it is drawn, in pixels. */
export interface Placed {
  line: Line;
  y: number;
}

/** Bars to the left of what is seen below which older ones are asked for. */
const MARGIN_BARS = 60;
const PANE_SHARE = 0.22;

const at = (ms: number): UTCTimestamp => (ms / 1000) as UTCTimestamp;

export class Drawing {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick">;
  readonly #volume: ISeriesApi<"Histogram">;
  #curves: ISeriesApi<"Line" | "Histogram">[] = [];
  #titles: ITextWatermarkPluginApi<Time>[] = [];
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
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: 6 },
      crosshair: { mode: 0 },
    });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineVisible: false });
    this.#volume = this.#chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, priceScaleId: "volume", priceLineVisible: false, lastValueVisible: false });
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.82, bottom: 0 } });
    this.#chart.subscribeCrosshairMove((event) => events.over(this.#barAt(event)));
    this.#chart.subscribeClick((event) => this.#clicked(event));
    // Nothing is drawn by it: it is asked whenever the picture changes, also when only the scale of prices did.
    this.#candles.attachPrimitive({ updateAllViews: () => queueMicrotask(() => this.#place()) });
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range && range.from < MARGIN_BARS && this.#bars.length > 0) events.older();
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
    this.#candles.applyOptions({ upColor: style("up"), downColor: style("down"), wickUpColor: style("up"), wickDownColor: style("down") });
    this.#drawVolume(style);
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
    this.#candles.setData(bars.map((one) => (isBar(one) ? { ...one, time: at(one.open_time) } : { time: at(one.open_time) })));
    this.#drawVolume(this.#colours());
    if (before && added > 0) {
      this.#chart.timeScale().setVisibleLogicalRange({ from: before.from + added, to: before.to + added });
    }
  }

  /** The newest bar changed, or one came; without drawing the others anew. */
  grow(bar: Bar, all: readonly (Bar | Hole)[]): void {
    if (all.length > this.#bars.length + 1) return this.show(all); // bars between are missing: their places are new too
    this.#bars = all;
    this.#candles.update({ ...bar, time: at(bar.open_time) });
    this.#volume.update(this.#column(bar, this.#colours()));
  }

  /** Bring a moment into view. */
  look(ms: number): void {
    const place = this.#bars.findIndex((one) => one.open_time >= ms);
    if (place >= 0) this.#chart.timeScale().setVisibleLogicalRange({ from: place - 60, to: place + 60 });
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
    const style = this.#colours();
    for (const series of this.#curves) this.#chart.removeSeries(series);
    this.#curves = curves.map((curve) => {
      const look = { color: style(curve.colour), priceLineVisible: false, title: curve.name ?? "" };
      const series = curve.bars
        ? this.#chart.addSeries(HistogramSeries, look, curve.pane)
        : this.#chart.addSeries(LineSeries, { ...look, lineWidth: 1 }, curve.pane);
      const largest = curve.points.reduce((most, one) => Math.max(most, Math.abs(one.value ?? 0)), 0);
      const digits = largest >= 1_000 ? 0 : Math.min(decimals(largest), 4);
      series.applyOptions({ priceFormat: digits === 0 ? { type: "volume" } : { type: "price", precision: digits, minMove: 10 ** -digits } });
      series.setData(curve.points.map((one) => (one.value === null ? { time: at(one.time) } : { time: at(one.time), value: one.value })));
      return series;
    });
    this.#entitle(new Map(curves.map((curve) => [curve.pane, curve.title])), style);
    this.#chart.panes().forEach((pane, number) => pane.setStretchFactor(number === 0 ? 1 : PANE_SHARE));
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

  #entitle(titles: ReadonlyMap<number, string>, style: (name: string) => string): void {
    for (const one of this.#titles) one.detach();
    this.#titles = this.#chart.panes().flatMap((pane, number) => {
      const text = titles.get(number);
      const line = { text: text ?? "", color: style("soft"), fontSize: 11 };
      return text ? [createTextWatermark(pane, { horzAlign: "left", vertAlign: "top", lines: [line] })] : [];
    });
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

  #drawVolume(style: (name: string) => string): void {
    this.#volume.setData(this.#bars.map((one) => (isBar(one) ? this.#column(one, style) : { time: at(one.open_time) })));
  }

  #column(bar: Bar, style: (name: string) => string): { time: UTCTimestamp; value: number; color: string } {
    return { time: at(bar.open_time), value: bar.volume, color: style(bar.close >= bar.open ? "volume-up" : "volume-down") };
  }

  #colours(): (name: string) => string {
    const probe = document.createElement("i");
    document.body.append(probe);
    const known = new Map<string, string>();
    for (const name of ["surface", "soft", "line", "raised", "up", "down", "volume-up", "volume-down", "series-1", "series-2", "series-3"]) {
      probe.style.color = `var(--${name})`;
      known.set(name, getComputedStyle(probe).color);
    }
    probe.remove();
    return (name) => known.get(name) ?? "grey";
  }
}

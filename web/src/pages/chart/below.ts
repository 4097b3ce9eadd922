// What is drawn in the panes below the candles.
import {
  createTextWatermark,
  HistogramSeries,
  LineSeries,
  type IChartApi,
  type ISeriesApi,
  type ITextWatermarkPluginApi,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";
import { decimals } from "../../format/numbers";

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

/** A colour of the style sheet by its name. */
export type Colours = (name: string) => string;

const PANE_SHARE = 0.22;

/** Between the line above a pane and its title. */
const AIR = { text: " ", fontSize: 1, lineHeight: 4 };

export const at = (ms: number): UTCTimestamp => (ms / 1000) as UTCTimestamp;

export class Below {
  #series: ISeriesApi<"Line" | "Histogram">[] = [];
  #titles: ITextWatermarkPluginApi<Time>[] = [];
  #shape = "";

  constructor(readonly chart: IChartApi) {}

  /** Show these curves. Panes are made anew only where there are others: it moves everything that is seen. */
  show(curves: readonly Curve[], style: Colours): void {
    const shape = JSON.stringify(curves.map(({ pane, bars }) => [pane, bars]));
    if (shape !== this.#shape) this.#remake(curves);
    this.#shape = shape;
    curves.forEach((curve, number) => this.#fill(this.#series[number], curve, style));
    this.#entitle(new Map(curves.map((curve) => [curve.pane, curve.title])), style);
  }

  #remake(curves: readonly Curve[]): void {
    for (const series of this.#series) this.chart.removeSeries(series);
    this.#series = curves.map(({ bars, pane }) =>
      bars
        ? this.chart.addSeries(HistogramSeries, { priceLineVisible: false }, pane)
        : this.chart.addSeries(LineSeries, { priceLineVisible: false, lineWidth: 1 }, pane),
    );
    this.chart.panes().forEach((pane, number) => pane.setStretchFactor(number === 0 ? 1 : PANE_SHARE));
  }

  #fill(series: ISeriesApi<"Line" | "Histogram"> | undefined, curve: Curve, style: Colours): void {
    const largest = curve.points.reduce((most, one) => Math.max(most, Math.abs(one.value ?? 0)), 0);
    const digits = largest >= 1_000 ? 0 : Math.min(decimals(largest), 4);
    series?.applyOptions({
      color: style(curve.colour),
      title: curve.name ?? "",
      priceFormat: digits === 0 ? { type: "volume" } : { type: "price", precision: digits, minMove: 10 ** -digits },
    });
    series?.setData(curve.points.map((one) => (one.value === null ? { time: at(one.time) } : { time: at(one.time), value: one.value })));
  }

  #entitle(titles: ReadonlyMap<number, string>, style: Colours): void {
    for (const one of this.#titles) one.detach();
    this.#titles = this.chart.panes().flatMap((pane, number) => {
      const text = titles.get(number);
      const line = { text: text ?? "", color: style("soft"), fontSize: 11 };
      return text ? [createTextWatermark(pane, { horzAlign: "left", vertAlign: "top", lines: [AIR, line] })] : [];
    });
  }
}

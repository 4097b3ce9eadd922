// A small chart of one or two lines over time.
import { ColorType, createChart, LineSeries, type UTCTimestamp } from "lightweight-charts";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { dark } from "../state/choices";
import { useValue } from "../state/value";

export interface SmallLine {
  name: string;
  colour: string;
  points: { time_ms: number; value: number }[];
}

export function SmallChart({ lines }: { lines: SmallLine[] }): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const isDark = useValue(dark);
  useEffect(() => {
    if (!box.current) return;
    const style = getComputedStyle(box.current);
    const probe = box.current.appendChild(document.createElement("i"));
    const colour = (name: string): string => ((probe.style.color = `var(--${name})`), getComputedStyle(probe).color);
    const chart = createChart(box.current, {
      autoSize: true,
      layout: { attributionLogo: false, background: { type: ColorType.Solid, color: colour("surface") }, textColor: colour("soft"), fontFamily: style.fontFamily },
      grid: { vertLines: { visible: false }, horzLines: { color: colour("raised") } },
      rightPriceScale: { borderColor: colour("line") },
      timeScale: { timeVisible: true, borderColor: colour("line") },
    });
    for (const line of lines) {
      const series = chart.addSeries(LineSeries, { color: colour(line.colour), lineWidth: 1, priceLineVisible: false, title: line.name });
      series.setData(rising(line.points).map((one) => ({ time: (one.time_ms / 1000) as UTCTimestamp, value: one.value })));
    }
    chart.timeScale().fitContent();
    probe.remove();
    return () => chart.remove();
  }, [lines, isDark]);
  return <div class="small-chart" ref={box} />;
}

/** The last value of each second: the chart takes only times that rise. */
export function rising<T extends { time_ms: number }>(points: readonly T[]): T[] {
  const by = new Map<number, T>();
  for (const one of points) by.set(Math.floor(one.time_ms / 1000), { ...one, time_ms: Math.floor(one.time_ms / 1000) * 1000 });
  return [...by.entries()].sort(([a], [b]) => a - b).map(([, one]) => one);
}

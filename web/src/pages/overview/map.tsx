// The heat map: one canvas the size of the window it is seen through, drawn anew while it is scrolled.
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { day } from "../../format/times";
import { useText } from "../../i18n/text";
import { dark } from "../../state/choices";
import { useValue } from "../../state/value";
import { AXIS_HEIGHT, drawAxis, drawRows, palette, type Palette } from "./drawing";
import { cellAt, dayOf, geometry, moved, ROW_HEIGHT, type Cell, type Coverage, type Row } from "./grid";

const LEAST_ROWS = 6;

interface MapProps {
  coverage: Coverage;
  rows: Row[];
  chosen: Cell | null;
  choose: (cell: Cell) => void;
  tip: (cell: Cell) => string;
}

export function CoverageMap({ coverage, rows, chosen, choose, tip }: MapProps): JSX.Element {
  const t = useText();
  const isDark = useValue(dark);
  const frame = useRef<HTMLDivElement>(null);
  const window_ = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const axis = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [hover, setHover] = useState<{ cell: Cell; x: number; y: number } | null>(null);
  const shape = useMemo(() => geometry(size.width, rows.length, coverage.days), [size.width, rows.length, coverage.days]);
  const colours = useMemo<Palette | null>(() => (typeof document === "undefined" ? null : palette()), [isDark]);

  useLayoutEffect(() => {
    const seen = window_.current;
    if (!seen) return;
    const measure = (): void => setSize({ width: seen.clientWidth, height: seen.clientHeight });
    const watcher = new ResizeObserver(measure);
    watcher.observe(seen);
    measure();
    return () => watcher.disconnect();
  }, []);

  useEffect(() => {
    const seen = window_.current;
    if (!seen || !canvas.current || !axis.current || !colours || size.width === 0) return;
    drawAxis(axis.current, shape, coverage, colours, size.width);
    let waiting = 0;
    const draw = (): void => {
      waiting = 0;
      if (canvas.current) drawRows(canvas.current, shape, rows, chosen, colours, seen.scrollTop, size);
    };
    const soon = (): void => void (waiting ||= requestAnimationFrame(draw));
    draw();
    seen.addEventListener("scroll", soon, { passive: true });
    return () => {
      seen.removeEventListener("scroll", soon);
      cancelAnimationFrame(waiting);
    };
  }, [shape, rows, coverage, chosen, colours, size]);

  const at = (event: MouseEvent): Cell | null => {
    const seen = window_.current;
    if (!seen) return null;
    const box = seen.getBoundingClientRect();
    return cellAt(shape, event.clientX - box.left, event.clientY - box.top + seen.scrollTop);
  };
  const over = (event: MouseEvent): void => {
    const cell = at(event);
    const box = frame.current?.getBoundingClientRect();
    if (!cell || cell.column < 0 || !box) return setHover(null);
    setHover({ cell, x: event.clientX - box.left, y: event.clientY - box.top });
  };
  const key = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = moved(chosen ?? { row: 0, column: coverage.days - 1 }, event.key, shape);
    const seen = window_.current;
    if (!next || !seen) return;
    event.preventDefault();
    const top = next.row * shape.row;
    if (top < seen.scrollTop) seen.scrollTop = top;
    else if (top + shape.row > seen.scrollTop + size.height) seen.scrollTop = top + shape.row - size.height;
    choose(next);
  };
  return (
    <div class="map-frame" ref={frame} onMouseLeave={() => setHover(null)}>
      <canvas class="map-axis" ref={axis} height={AXIS_HEIGHT} aria-hidden="true" />
      <div
        class="map-scroll"
        style={{ height: `min(34rem, 62vh, ${Math.max(rows.length, LEAST_ROWS) * ROW_HEIGHT}px)` }}
        ref={window_}
        tabIndex={0}
        role="application"
        aria-label={t("map.about")}
        onKeyDown={key}
        onMouseMove={over}
        onClick={(event) => {
          const cell = at(event);
          if (cell && cell.column >= 0) choose(cell);
        }}
      >
        <canvas ref={canvas} aria-hidden="true" />
        <div style={{ height: `${Math.max(shape.row * shape.rows - size.height, 0)}px` }} />
      </div>
      {hover && (
        <div class="map-tip" style={place(hover.x, hover.y, size.width)}>
          <b>{t("map.cell", { symbol: rows[hover.cell.row]?.symbol ?? "", day: day(dayOf(coverage, hover.cell.column)) })}</b>
          <br />
          {tip(hover.cell)}
        </div>
      )}
    </div>
  );
}

/** Beside the pointer, on the side where there is room. */
function place(x: number, y: number, width: number): Record<string, string> {
  const top = `${y + 14}px`;
  return x < width / 2 ? { left: `${x + 14}px`, top } : { right: `${width - x + 14}px`, top };
}

// Drawing the heat map. Only what is seen is drawn, cells of one colour in a row as one rectangle.
import { ticks, visible, type Cell, type Coverage, type Geometry, type Mark, type Row } from "./grid";

export const AXIS_HEIGHT = 20;

const MARKS: readonly Mark[] = ["whole", "absent", "expired", "pending", "few", "some", "many", "all", "unasked"];

export interface Palette {
  marks: Record<Mark, string>;
  ink: string;
  soft: string;
  surface: string;
  focus: string;
}

/** The colours of the style sheet, as they are now. */
export function palette(): Palette {
  const probe = document.createElement("i");
  document.body.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const marks = Object.fromEntries(MARKS.map((mark) => [mark, colour(`mark-${mark}`)])) as Record<Mark, string>;
  const found = { marks: { ...marks, none: "transparent" }, ink: colour("ink"), soft: colour("soft"), surface: colour("surface"), focus: colour("focus") };
  probe.remove();
  return found;
}

/** The canvas at the sharpness of the screen, cleared. */
export function prepared(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D | null {
  const scale = devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen?.setTransform(scale, 0, 0, scale, 0, 0);
  pen?.clearRect(0, 0, width, height);
  return pen;
}

export function drawAxis(canvas: HTMLCanvasElement, shape: Geometry, coverage: Coverage, colours: Palette, width: number): void {
  const pen = prepared(canvas, width, AXIS_HEIGHT);
  if (!pen) return;
  pen.fillStyle = colours.soft;
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  let free = 0;
  for (const { column, text } of ticks(coverage)) {
    const x = shape.label + column * shape.cell;
    if (x < free || x + pen.measureText(text).width > width) continue;
    pen.fillText(text, x + 2, AXIS_HEIGHT / 2);
    free = x + pen.measureText(text).width + 10;
  }
}

export function drawRows(
  canvas: HTMLCanvasElement,
  shape: Geometry,
  rows: readonly Row[],
  chosen: Cell | null,
  colours: Palette,
  top: number,
  size: { width: number; height: number },
): void {
  const pen = prepared(canvas, size.width, size.height);
  if (!pen) return;
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const [from, to] = visible(shape, top, size.height);
  for (let at = from; at < to; at++) {
    const row = rows[at];
    if (!row) continue;
    const y = at * shape.row - top;
    pen.fillStyle = chosen?.row === at ? colours.ink : colours.soft;
    pen.fillText(fitted(pen, row.symbol, shape.label - 12), 6, y + shape.row / 2 + 0.5);
    drawMarks(pen, shape, row.marks, y, colours);
  }
  if (chosen && chosen.row >= from && chosen.row < to) {
    pen.strokeStyle = colours.focus;
    pen.lineWidth = 2;
    const x = shape.label + chosen.column * shape.cell;
    pen.strokeRect(x - 1, chosen.row * shape.row - top, Math.max(shape.cell, 4) + 1, shape.row);
  }
}

function drawMarks(pen: CanvasRenderingContext2D, shape: Geometry, marks: readonly Mark[], y: number, colours: Palette): void {
  const gap = shape.cell >= 5 ? 1 : 0;
  for (let column = 0; column < marks.length; ) {
    const mark = marks[column] ?? "none";
    let end = column + 1;
    if (!gap) while (end < marks.length && marks[end] === mark) end++;
    if (mark !== "none") {
      pen.fillStyle = colours.marks[mark];
      const x = shape.label + column * shape.cell;
      pen.fillRect(x, y + 1, (end - column) * shape.cell - gap, shape.row - 2);
    }
    column = end;
  }
}

function fitted(pen: CanvasRenderingContext2D, text: string, width: number): string {
  if (pen.measureText(text).width <= width) return text;
  let cut = text;
  while (cut.length > 1 && pen.measureText(`${cut}…`).width > width) cut = cut.slice(0, -1);
  return `${cut}…`;
}

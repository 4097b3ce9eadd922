// The heat map of what is stored: which symbol and day is where, and how much of it is missing. Pure.
import { DAY, day as dayText } from "../../format/times";
import type { CoverageAnswer } from "../../api/types";

/** What is stored of each symbol: a list has one number a day from `first_day` on. What is in no list is missing. */
export interface Coverage {
  first_day: string;
  days: number;
  /** How many of the days, from the first on, nobody fills unasked. */
  unasked: number;
  symbols: CoverageRow[];
}

export interface CoverageRow {
  symbol: string;
  expected: number[];
  have: number[];
  pending: number[];
  absent: number[];
  expired: number[];
}

/** What is worst in a symbol's day, as `marketd coverage` marks it. */
export type Mark = "none" | "whole" | "absent" | "expired" | "pending" | "few" | "some" | "many" | "all" | "unasked";

export interface Account {
  expected: number;
  have: number;
  pending: number;
  absent: number;
  expired: number;
  missing: number;
  /** Of what is missing: what is filled on request only. */
  unasked: number;
}

export interface Row {
  symbol: string;
  marks: Mark[];
  /** What is missing and asked for. */
  missing: number;
}

export type Order = "worst" | "name";

/** A row is due so long after its period ended; until then it is pending, as for `marketd coverage`. */
const GRACE_MS = 300_000;

/** The answer with a number for each day, and what is not due yet told apart. */
export function unfolded(answer: CoverageAnswer): Coverage {
  const early = Array.from({ length: answer.days }, (_, at) => notDue(answer, at));
  const symbols = Object.entries(answer.symbols).map(([symbol, runs]) => {
    const zeros = (): number[] => new Array<number>(answer.days).fill(0);
    const row: CoverageRow = { symbol, expected: zeros(), have: zeros(), pending: zeros(), absent: zeros(), expired: zeros() };
    for (const [first, days, expected, have, absent, expired] of runs) {
      for (let at = first; at < first + days; at++) {
        row.expected[at] = expected;
        row.have[at] = have;
        row.absent[at] = absent;
        row.expired[at] = expired;
        row.pending[at] = Math.min(early[at] ?? 0, Math.max(expected - have - absent - expired, 0));
      }
    }
    return row;
  });
  return { first_day: answer.first_day, days: answer.days, unasked: unaskedDays(answer), symbols };
}

/** Days that end before anything is filled unasked. */
function unaskedDays(answer: CoverageAnswer): number {
  return Math.min(Math.max(Math.floor((answer.asked_from_ms - dayOf(answer, 0)) / DAY), 0), answer.days);
}

/** How many rows of a day cannot be there yet. */
function notDue(answer: CoverageAnswer, at: number): number {
  if (answer.step_ms === null) return 0;
  const end = dayOf(answer, at + 1);
  return Math.min(Math.max(Math.ceil((end - (answer.as_of_ms - GRACE_MS)) / answer.step_ms), 0), DAY / answer.step_ms);
}

export function account(coverage: Pick<Coverage, "unasked">, row: CoverageRow, at: number): Account {
  return filled({ ...NOTHING }, coverage, row, at);
}

const NOTHING: Readonly<Account> = { expected: 0, have: 0, pending: 0, absent: 0, expired: 0, missing: 0, unasked: 0 };

/** `one` as the account of a day: the same object for every day of every symbol, for there are 270,000 of them. */
function filled(one: Account, { unasked }: Pick<Coverage, "unasked">, row: CoverageRow, at: number): Account {
  one.expected = row.expected[at] ?? 0;
  one.have = row.have[at] ?? 0;
  one.pending = row.pending[at] ?? 0;
  one.absent = row.absent[at] ?? 0;
  one.expired = row.expired[at] ?? 0;
  one.missing = Math.max(one.expected - one.have - one.pending - one.absent - one.expired, 0);
  one.unasked = at < unasked ? one.missing : 0;
  return one;
}

export function mark(one: Account): Mark {
  if (one.expected === 0) return "none";
  const share = one.missing / one.expected;
  if (share >= 1) return one.unasked > 0 ? "unasked" : "all";
  if (share >= 0.1) return "many";
  if (share >= 0.01) return "some";
  if (share > 0) return "few";
  if (one.pending > 0) return "pending";
  if (one.expired > 0) return "expired";
  return one.absent > 0 ? "absent" : "whole";
}

/** The map and what it adds up to. */
export interface Survey {
  rows: Row[];
  total: Account;
}

/** One pass over all symbols and days. */
export function surveyed(coverage: Coverage): Survey {
  const total = { ...NOTHING };
  const one = { ...NOTHING };
  const rows = coverage.symbols.map((row) => {
    const marks = new Array<Mark>(coverage.days);
    let missing = 0;
    for (let at = 0; at < coverage.days; at++) {
      marks[at] = mark(filled(one, coverage, row, at));
      missing += one.missing - one.unasked;
      total.missing += one.missing;
      total.unasked += one.unasked;
      total.expected += one.expected;
      total.have += one.have;
      total.pending += one.pending;
      total.absent += one.absent;
      total.expired += one.expired;
    }
    return { symbol: row.symbol, marks, missing };
  });
  return { rows, total };
}

/** The rows whose name is looked for, in order. */
export function ordered(all: readonly Row[], order: Order, search: string): Row[] {
  const wanted = search.trim().toUpperCase();
  const byName = (a: Row, b: Row): number => (a.symbol < b.symbol ? -1 : a.symbol > b.symbol ? 1 : 0);
  return all
    .filter((row) => row.symbol.toUpperCase().includes(wanted))
    .sort(order === "name" ? byName : (a, b) => b.missing - a.missing || byName(a, b));
}

/** Where cells lie in a canvas as wide as the window it is seen through; heights are in CSS pixels. */
export interface Geometry {
  label: number;
  cell: number;
  row: number;
  rows: number;
  columns: number;
}

export const ROW_HEIGHT = 14;
export const LABEL_WIDTH = 132;

export function geometry(width: number, rowCount: number, columns: number): Geometry {
  const label = Math.min(LABEL_WIDTH, width / 3);
  return { label, cell: Math.max((width - label) / Math.max(columns, 1), 1), row: ROW_HEIGHT, rows: rowCount, columns };
}

export interface Cell {
  row: number;
  column: number;
}

/** The cell at a point of the whole map (scrolled distance included); null beside it. A label is column -1. */
export function cellAt(shape: Geometry, x: number, y: number): Cell | null {
  const row = Math.floor(y / shape.row);
  const column = x < shape.label ? -1 : Math.floor((x - shape.label) / shape.cell);
  return row >= 0 && row < shape.rows && column < shape.columns && x >= 0 ? { row, column } : null;
}

/** The rows that are seen through a window `height` high, scrolled by `top`: from, and up to but not with. */
export function visible(shape: Geometry, top: number, height: number): [number, number] {
  const from = Math.max(Math.floor(top / shape.row), 0);
  return [Math.min(from, shape.rows), Math.min(Math.ceil((top + height) / shape.row), shape.rows)];
}

/** The cell that an arrow key leads to; the same at an edge. */
export function moved(cell: Cell, key: string, shape: Geometry): Cell | null {
  const step: Record<string, [number, number]> = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    PageUp: [-20, 0],
    PageDown: [20, 0],
    Home: [0, -shape.columns],
    End: [0, shape.columns],
  };
  const by = step[key];
  if (!by) return null;
  const within = (value: number, count: number): number => Math.min(Math.max(value, 0), Math.max(count - 1, 0));
  return { row: within(cell.row + by[0], shape.rows), column: within(cell.column + by[1], shape.columns) };
}

/** UTC milliseconds of the start of a column's day. */
export function dayOf(coverage: Pick<Coverage, "first_day">, column: number): number {
  return Date.parse(`${coverage.first_day}T00:00:00Z`) + column * DAY;
}

/** Where days are named above the map: the first of each month, or every so many days when few are shown. */
export function ticks(coverage: Pick<Coverage, "first_day" | "days">): { column: number; text: string }[] {
  const found = [];
  for (let column = 0; column < coverage.days; column++) {
    const text = dayText(dayOf(coverage, column));
    const first = text.endsWith("-01");
    if (coverage.days > 62 ? first : first || column % 7 === 0) found.push({ column, text: first ? text.slice(0, 7) : text.slice(5) });
  }
  return found;
}

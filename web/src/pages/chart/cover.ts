// Rows of a stretch of time, each read once: as the stretch grows only what lies before and after is asked for.
import type { Piece } from "../../api/types";

/** Pieces in a row; the next asking goes on where this one ended. */
const MOST_PIECES = 10;

export interface Stretch {
  start: number;
  end: number;
}

/** The piece of rows that ends before `end`, and with the cursor that it gave the one before. */
export type ReadPiece<T> = (end: number, cursor: string | number | null, signal: AbortSignal) => Promise<Piece<T>>;

export class Cover<T> {
  #rows: readonly T[] = [];
  /** Every row from `#from` on is here that was there when `#to` was asked for. */
  #from = Infinity;
  #to = -Infinity;

  constructor(
    readonly read: ReadPiece<T>,
    readonly time: (row: T) => number,
  ) {}

  /** The rows of the stretch, from the oldest to the newest. */
  async cover({ start, end }: Stretch, signal: AbortSignal): Promise<readonly T[]> {
    const last = this.#rows[this.#rows.length - 1];
    if (last === undefined) {
      [this.#rows, this.#from] = await this.#newest(start, end, signal);
      this.#to = end;
      return this.#rows;
    }
    // The newest row is read again: it may be of a step that is not over, and rows behind it may come late.
    const known = this.time(last);
    if (end > this.#to) {
      const [newer, from] = await this.#newest(known, end, signal);
      this.#rows = from > known ? newer : [...this.#rows.filter((row) => this.time(row) < known), ...newer];
      this.#from = from > known ? from : this.#from;
      this.#to = end;
    }
    if (start < this.#from) {
      const [older, from] = await this.#newest(start, this.#from, signal);
      this.#rows = [...older, ...this.#rows];
      this.#from = from;
    }
    return this.#rows;
  }

  /** The rows in [start, end), and from when on they are all of them. */
  async #newest(start: number, end: number, signal: AbortSignal): Promise<[T[], number]> {
    let found: T[] = [];
    let cursor: string | number | null = null;
    for (let n = 0; n < MOST_PIECES; n++) {
      const { data, next }: Piece<T> = await this.read(end, cursor, signal);
      found = [...data, ...found];
      const first = data[0];
      if (next === null || first === undefined || this.time(first) <= start) return [found.filter((row) => this.time(row) >= start), start];
      cursor = next;
    }
    const first = found[0];
    return [found, first === undefined ? start : this.time(first)];
  }
}

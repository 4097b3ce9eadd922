// Levels on the chart, and which of them a click means. Pure.
import type { Analysis, Direction, Level, Side } from "../../api/types";

export interface Line {
  id: string;
  side: Side;
  price: number;
  score: number;
  touches: number;
}

export function lines(analysis: Pick<Analysis, "support_levels" | "resistance_levels">): Line[] {
  const of = (side: Side) => (level: Level): Line => ({
    id: level.id,
    side,
    price: level.price,
    score: level.score,
    touches: level.pivots,
  });
  return [...analysis.support_levels.map(of("support")), ...analysis.resistance_levels.map(of("resistance"))];
}

/** What stands at the line: its score and how often the price turned there. */
export function caption(line: Line): string {
  return `${line.score.toFixed(1)} · ${line.touches}×`;
}

/** The line within `reach` pixels of `y` that is nearest; null where none is. `where` gives a price's pixel. */
export function nearest(all: readonly Line[], y: number, where: (price: number) => number | null, reach = 8): Line | null {
  let found: Line | null = null;
  let distance = reach;
  for (const line of all) {
    const at = where(line.price);
    if (at === null || Math.abs(at - y) > distance) continue;
    distance = Math.abs(at - y);
    found = line;
  }
  return found;
}

/** At a support one expects the price to rise, at a resistance to fall. */
export function expected(side: Side): Direction {
  return side === "support" ? "long" : "short";
}

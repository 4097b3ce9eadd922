// Numbers as people read them. No locale: the same everywhere, with a thin gap between thousands.

const GAP = " ";

/** 1234567 as 1 234 567. */
export function whole(value: number): string {
  const text = Math.abs(Math.round(value)).toString();
  return (value < -0.5 ? "−" : "") + text.replace(/\B(?=(\d{3})+(?!\d))/g, GAP);
}

/** As many digits as a price of this size needs, none that say nothing: 64231.5, 0.00001234. */
export function price(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return trimmed(value, decimals(value));
}

/** Decimals that show seven significant digits of `value`, 0 to 12. */
export function decimals(value: number): number {
  if (value === 0) return 2;
  return Math.min(Math.max(6 - Math.floor(Math.log10(Math.abs(value))), 0), 12);
}

function trimmed(value: number, digits: number): string {
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/** `value` as three digits and one of the units, the largest first; null where it is smaller than all of them. */
function inUnits(value: number, units: readonly (readonly [number, string])[]): string | null {
  for (const [unit, name] of units) {
    const count = value / unit;
    // What three digits round up to 1000 is one of the next unit; of the largest there may be more.
    if (Math.abs(count) >= 0.9995) return `${Math.abs(count) >= 999.5 ? whole(count) : count.toPrecision(3)}${GAP}${name}`;
  }
  return null;
}

/** 12345678 as 12.3 M. */
export function short(value: number): string {
  const size = Math.abs(value);
  const large = inUnits(value, [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]);
  if (large !== null) return large;
  return size >= 100 || Number.isInteger(value) ? whole(value) : trimmed(value, 3);
}

export function bytes(value: number): string {
  return inUnits(value, [[1e12, "TB"], [1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) ?? `${value}${GAP}B`;
}

/** A share as percent; 100 only where all of it is there, 0 only where nothing is. */
export function percent(part: number, all: number): string {
  if (all === 0) return "–";
  if (part === all) return "100 %";
  if (part === 0) return "0 %";
  const value = Math.min(Math.max((100 * part) / all, 0.001), 99.999);
  return `${value.toFixed(value > 99 || value < 1 ? 3 : 1)} %`;
}

/** With its sign, so that a loss is seen as one. */
export function signed(value: number, digits = 2): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

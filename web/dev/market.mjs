// An invented market: the same price for the same symbol and minute, every time.
const MINUTE = 60_000;

export const lastMinute = () => Math.floor(Date.now() / MINUTE) * MINUTE - MINUTE;

export function seed(text) {
  let value = 7;
  for (const char of text) value = (value * 31 + char.codePointAt(0)) >>> 0;
  return value;
}

const noise = (n) => {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return x - Math.floor(x);
};

function priceAt(symbol, at) {
  const s = seed(symbol) % 1000;
  const base = symbol.startsWith("BTC") ? 91_000 : symbol.startsWith("1000") ? 0.01234 : 5 + s;
  const t = at / MINUTE;
  return base * (1 + 0.03 * Math.sin(t / 900 + s) + 0.012 * Math.sin(t / 170 + s) + 0.004 * Math.sin(t / 31) + 0.0015 * (noise(t + s) - 0.5));
}

/** open_time, open, high, low, close, volume, quote_volume, trade_count */
export function bar(symbol, open, length) {
  const first = priceAt(symbol, open);
  const last = priceAt(symbol, open + length);
  const mid = priceAt(symbol, open + length / 2);
  const spread = first * 0.0006 * Math.sqrt(length / MINUTE) * (0.5 + noise(open / length));
  const volume = (length / MINUTE) * (20 + 120 * noise(open / length + 3));
  return [open, first, Math.max(first, last, mid) + spread, Math.min(first, last, mid) - spread, last, volume, volume * last, Math.round(volume * 3)];
}

export const minuteOf = (symbol, open) => bar(symbol, open, MINUTE);

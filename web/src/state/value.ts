// A value that parts of a page look at: set it, and whoever shows it is drawn again.
import { useEffect, useState } from "preact/hooks";

export class Value<T> {
  #now: T;
  readonly #watchers = new Set<(now: T) => void>();

  constructor(first: T) {
    this.#now = first;
  }

  get now(): T {
    return this.#now;
  }

  set(next: T): void {
    if (Object.is(next, this.#now)) return;
    this.#now = next;
    for (const tell of [...this.#watchers]) tell(next);
  }

  /** Called with every later value; the answer ends that. */
  watch(tell: (now: T) => void): () => void {
    this.#watchers.add(tell);
    return () => void this.#watchers.delete(tell);
  }
}

export function useValue<T>(value: Value<T>): T {
  const [now, setNow] = useState(value.now);
  useEffect(() => {
    setNow(() => value.now); // it may have changed between drawing and this
    return value.watch((next) => setNow(() => next));
  }, [value]);
  return now;
}

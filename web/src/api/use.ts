// Reading from the API inside a page: what was read, that it is being read, or why it could not be.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { useValue } from "../state/value";
import { locked, tokens } from "./client";

export interface Read<T> {
  data: T | null;
  error: unknown;
  /** True until the first answer to what is asked for now. */
  waiting: boolean;
  again: () => void;
}

interface Options {
  /** Ask again every so many milliseconds while the page is seen. */
  every?: number;
}

/**
 * Read what `load` gets, anew whenever `key` changes (null: nothing to read). What is there stays while the same is
 * read again, and through an error of such a later reading.
 */
export function useRead<T>(key: string | null, load: (signal: AbortSignal) => Promise<T>, options: Options = {}): Read<T> {
  const [state, setState] = useState<{ key: string | null; data: T | null; error: unknown }>({ key: null, data: null, error: null });
  const [round, setRound] = useState(0);
  const version = useValue(tokens);
  const latest = useRef(load);
  latest.current = load;
  const again = useCallback(() => setRound((n) => n + 1), []);

  useEffect(() => {
    if (key === null) return;
    const ending = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = async (): Promise<void> => {
      try {
        const data = await latest.current(ending.signal);
        if (!ending.signal.aborted) setState({ key, data, error: null });
      } catch (error) {
        if (!ending.signal.aborted) setState((old) => ({ key, data: old.key === key ? old.data : null, error }));
      }
      if (options.every && !ending.signal.aborted && !locked.now) timer = setTimeout(seen, options.every);
    };
    // A hidden page asks nothing; it asks at once when it is seen again.
    const seen = (): void => {
      if (!document.hidden) return void turn();
      document.addEventListener("visibilitychange", () => void (ending.signal.aborted || turn()), { once: true, signal: ending.signal });
    };
    void turn();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [key, round, version, options.every]);

  const current = state.key === key;
  return {
    data: current ? state.data : null,
    error: current ? state.error : null,
    waiting: key !== null && !current,
    again,
  };
}

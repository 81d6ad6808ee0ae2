// What is asked once for a page, and again when that is wanted.

import { useCallback, useEffect, useRef, useState } from "react";
import { wordsOf } from "./client";

export interface Asked<T> {
  /** The newest answer; null: there is none yet. */
  value: T | null;
  /** Why the newest try failed. */
  problem: string | null;
  again: () => void;
}

/**
 * Asks when `key` changes: what was answered under another key is forgotten. `renewMs` of the answer: it is asked again that much
 * later, as long as somebody looks.
 */
export function useAsked<T>(key: string, ask: () => Promise<T>, renewMs?: (value: T) => number): Asked<T> {
  const [state, setState] = useState<{ key: string; value: T | null; problem: string | null }>({
    key,
    value: null,
    problem: null,
  });
  const [turn, setTurn] = useState(0);
  const newest = useRef(ask);
  newest.current = ask;
  const renew = useRef(renewMs);
  renew.current = renewMs;
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = (after: number) => {
      timer = setTimeout(() => {
        if (document.hidden) later(after);
        else setTurn((turn) => turn + 1);
      }, after);
    };
    newest.current().then(
      (value) => {
        if (!current) return;
        setState({ key, value, problem: null });
        if (renew.current) later(renew.current(value));
      },
      (error: unknown) => {
        if (!current) return;
        setState((state) => ({ key, value: state.key === key ? state.value : null, problem: wordsOf(error) }));
        if (renew.current) later(30_000);
      },
    );
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [key, turn]);
  const again = useCallback(() => setTurn((turn) => turn + 1), []);
  const fits = state.key === key;
  return { value: fits ? state.value : null, problem: fits ? state.problem : null, again };
}

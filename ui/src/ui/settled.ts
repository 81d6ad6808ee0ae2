// A value that changes all the time, taken now and then: for what is dear to make of it.

import { useEffect, useRef, useState } from "react";

const every = 2000;

/** The newest `value`, or while `dear`, one that is at most two seconds old. */
export function useSettled<T>(value: T, dear: boolean): T {
  const [, show] = useState<T>();
  const newest = useRef(value);
  newest.current = value;
  const shown = useRef(value);
  const wasDear = useRef(false);
  // The value that makes it dear is shown still: what stood before it may be nothing at all.
  if (!dear || !wasDear.current) shown.current = value;
  wasDear.current = dear;
  useEffect(() => {
    if (!dear) return;
    const timer = setInterval(() => {
      shown.current = newest.current;
      // Renders again only if it is another.
      show(newest.current);
    }, every);
    return () => clearInterval(timer);
  }, [dear]);
  return shown.current;
}

/** Beyond this many tasks, what is made of all of them is dear. */
export const manyTasks = 20_000;

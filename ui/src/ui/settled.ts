// A value that changes all the time, taken now and then: for what is dear to make of it.

import { useEffect, useRef, useState } from "react";

const every = 2000;

/** The newest `value`, or while `dear`, one that is at most two seconds old. */
export function useSettled<T>(value: T, dear: boolean): T {
  const [taken, take] = useState(value);
  const newest = useRef(value);
  newest.current = value;
  useEffect(() => {
    if (!dear) return;
    const timer = setInterval(() => take(newest.current), every);
    return () => clearInterval(timer);
  }, [dear]);
  return dear ? taken : value;
}

/** Beyond this many tasks, what is made of all of them is dear. */
export const manyTasks = 20_000;

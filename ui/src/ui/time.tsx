// How long ago, renewed by one clock for all.

import { useSyncExternalStore } from "react";
import { duration, moment } from "../lib/format";

let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void) {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const listener of listeners) listener();
  }, 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

export const useNow = () => useSyncExternalStore(subscribe, () => now);

/** `3 min`, with the moment itself at hand. */
export function Since({ at, ago }: { at: number; ago?: boolean }) {
  const now = useNow();
  return (
    <time dateTime={new Date(at).toISOString()} title={moment(at)} className="number">
      {duration(now - at)}
      {ago && " ago"}
    </time>
  );
}

// What was done, or why not: short words at the edge, read aloud, gone by themselves unless they tell of a failure.

import { useSyncExternalStore } from "react";
import { Icon } from "./icons";

interface Toast {
  id: number;
  words: string;
  remedy: string | null;
  bad: boolean;
}

let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();
const shownMs = 5000;

function set(next: readonly Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}

const dismiss = (id: number) => set(toasts.filter((toast) => toast.id !== id));

export function toast(words: string, bad = false, remedy: string | null = null) {
  last += 1;
  const id = last;
  set([...toasts, { id, words, bad, remedy }].slice(-4));
  if (!bad) setTimeout(() => dismiss(id), shownMs);
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export function Toasts() {
  const shown = useSyncExternalStore(subscribe, () => toasts);
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={`toast ${toast.bad ? "bad" : ""}`}>
          <div>
            {toast.words}
            {toast.remedy && <div className="soft">{toast.remedy}</div>}
          </div>
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

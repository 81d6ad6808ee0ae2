// The URL holds what is selected, so that a view can be sent to somebody else and Back works.

import { useCallback, useSyncExternalStore } from "react";

const changed = "hansa:url";

function subscribe(listener: () => void) {
  window.addEventListener("popstate", listener);
  window.addEventListener(changed, listener);
  return () => {
    window.removeEventListener("popstate", listener);
    window.removeEventListener(changed, listener);
  };
}

/** One parameter of the URL's query, and how to set it (null removes it). */
export function useParam(name: string): [string | null, (value: string | null) => void] {
  const query = useSyncExternalStore(subscribe, () => window.location.search);
  const set = useCallback(
    (value: string | null) => {
      const params = new URLSearchParams(window.location.search);
      if (value === null) params.delete(name);
      else params.set(name, value);
      const text = params.toString();
      window.history.pushState(null, "", text ? `?${text}` : window.location.pathname);
      window.dispatchEvent(new Event(changed));
    },
    [name],
  );
  return [new URLSearchParams(query).get(name), set];
}

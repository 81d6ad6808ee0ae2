// Where we are: `/ui/<page>?<what is selected>`, the overview at `/`. The URL holds all of it, so that a view can be sent to somebody else and Back
// works. What is selected stands in the query, not in the path: the master answers paths with a dot in their last part as
// files, and ids of tasks and names of machines have dots.

import { useSyncExternalStore } from "react";

export const pages = [
  "overview",
  "services",
  "service",
  "create",
  "edit",
  "deployments",
  "tasks",
  "task",
  "machines",
  "machine",
  "frameworks",
  "framework",
  "jobs",
  "catalog",
  "roles",
  "events",
] as const;

export type Page = (typeof pages)[number];

export type Params = Readonly<Record<string, string | null | undefined>>;

export interface Place {
  /** Null: there is no such page. */
  page: Page | null;
  params: URLSearchParams;
}

const root = "/ui/";

/** What a path and a query mean. */
export function parse(path: string, query: string): Place {
  const name = path.replace(/^\/(ui\/?)?/, "").replace(/\/$/, "");
  const page = name === "" ? "overview" : (pages.find((page) => page === name) ?? null);
  return { page, params: new URLSearchParams(query) };
}

/** The address of a page. Slashes and commas stay legible. */
export function href(page: Page, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value) query.set(name, value);
  const text = query.toString().replaceAll("%2F", "/").replaceAll("%2C", ",");
  return (page === "overview" ? "/" : root + page) + (text && `?${text}`);
}

const changed = "hansa:place";

function subscribe(listener: () => void) {
  window.addEventListener("popstate", listener);
  window.addEventListener(changed, listener);
  return () => {
    window.removeEventListener("popstate", listener);
    window.removeEventListener(changed, listener);
  };
}

let known: { url: string; place: Place } | null = null;

function snapshot(): Place {
  const url = window.location.pathname + window.location.search;
  if (known?.url !== url) known = { url, place: parse(window.location.pathname, window.location.search) };
  return known.place;
}

export const usePlace = () => useSyncExternalStore(subscribe, snapshot);

/** Goes to an address of ours; `replace` leaves no trace in the history, for what is typed. */
export function go(to: string, replace = false) {
  if (replace) window.history.replaceState(null, "", to);
  else window.history.pushState(null, "", to);
  window.dispatchEvent(new Event(changed));
}

/** One parameter of the page that is shown, and how to set it (null or empty removes it). */
export function useParam(name: string): [string | null, (value: string | null, replace?: boolean) => void] {
  const { params } = usePlace();
  const set = (value: string | null, replace = false) => {
    const { page, params } = snapshot();
    const now = { ...Object.fromEntries(params), [name]: value };
    go(href(page ?? "overview", now), replace);
  };
  return [params.get(name), set];
}

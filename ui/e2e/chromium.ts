// Where the console is, and how its browser is started.

/** Where the console is served, with its API beside it. */
export const base = (process.env.HANSA_CONSOLE_URL ?? "").replace(/\/+$/, "");

if (!base) throw new Error("HANSA_CONSOLE_URL names no running master, such as http://127.0.0.1:8080");

/** Debian's Chromium. */
export const executablePath = process.env.HANSA_CHROMIUM ?? "/usr/bin/chromium";

/** Nothing but the pages. */
export const quiet = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

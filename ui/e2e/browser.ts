// The browser for the tests: Debian's Chromium, driven by playwright-core. A page that complains on its console, or throws,
// fails the test that opened it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium, type Browser, type Page } from "playwright-core";
import { expect } from "vitest";

/** Where the console is served, with its API beside it. */
export const base = (process.env.HANSA_CONSOLE_URL ?? "").replace(/\/+$/, "");

if (!base) throw new Error("HANSA_CONSOLE_URL names no running master, such as http://127.0.0.1:8080");

const quiet = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const open = (): Promise<Browser> =>
  chromium.launch({ executablePath: process.env.HANSA_CHROMIUM ?? "/usr/bin/chromium", args: quiet });

export const desktop = { width: 1440, height: 900 };
export const phone = { width: 390, height: 844 };

export interface Look {
  viewport?: { width: number; height: number };
  colorScheme?: "light" | "dark";
}

export interface Opened {
  page: Page;
  /** Closes it; what it complained of is a failure. `but`: complaints that belong to the test. */
  close: (but?: RegExp) => Promise<void>;
}

export async function visit(browser: Browser, path: string, look: Look = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: desktop, ...look });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(`${base}/ui/${path}`);
  return {
    page,
    close: async (but) => {
      await context.close();
      expect(complaints.filter((complaint) => !but?.test(complaint))).toEqual([]);
    },
  };
}

/** The master is asked for what the browser's log calls an error: an answer of 4xx that the test wants. */
export const refusals = /Failed to load resource: the server responded with a status of 4\d\d/;

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
  id: string;
  nodes: { html: string; failureSummary: string }[];
}

/** What axe finds wrong, in words. */
export async function violations(page: Page): Promise<string[]> {
  // Not as a script of the page, which its policy forbids.
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: (options: object) => Promise<{ violations: Violation[] }> } };
    return (await axe.run({ resultTypes: ["violations"] })).violations;
  });
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary}`));
}

/** Asks the master itself. */
export async function ask<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(base + path, {
    method,
    headers: { "Content-Type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text || "null") as T;
}

/** Asks again and again until it holds. */
export async function eventually(what: string, holds: () => Promise<boolean>, patience = 30_000) {
  const end = Date.now() + patience;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

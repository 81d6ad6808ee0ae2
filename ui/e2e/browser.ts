// The browser for the tests: Debian's Chromium, driven by playwright-core. A page that complains on its console, or throws,
// fails the test that opened it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium, type Browser, type Page } from "playwright-core";
import { expect, inject } from "vitest";
import { base } from "./chromium";

/** The browser that all tests share. */
export const open = (): Promise<Browser> => chromium.connect(inject("browser"));

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

/** Of a page; the first one stands at the root. */
export const addressOf = (path: string) => `${base}${path === "" || path.startsWith("?") ? "/" : "/ui/"}${path}`;

export async function visit(browser: Browser, path: string, look: Look = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: desktop, ...look });
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning")
      complaints.push(`${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.goto(addressOf(path));
  return {
    page,
    close: async (but) => {
      // What the page asks once the answers are gone that a test gave itself is not its fault.
      const all = [...complaints];
      // Some may be under way.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await context.close();
      expect(all.filter((complaint) => !but?.test(complaint))).toEqual([]);
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

/** What axe finds wrong, in words; by all of its rules if none is named. */
export async function violations(page: Page, ...rules: string[]): Promise<string[]> {
  // Not as a script of the page, which its policy forbids.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe);
  const found = await page.evaluate(async (rules) => {
    const { axe } = window as unknown as { axe: { run: (options: object) => Promise<{ violations: Violation[] }> } };
    const only = rules.length > 0 ? { runOnly: { type: "rule", values: rules } } : {};
    return (await axe.run({ resultTypes: ["violations"], ...only })).violations;
  }, rules);
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary}`),
  );
}

/** Wide and narrow by every rule; in dark only colours can be wrong that were right in light. */
export async function accessible(page: Page) {
  expect(await violations(page), "wide").toEqual([]);
  await page.emulateMedia({ colorScheme: "dark" });
  expect(await violations(page, "color-contrast"), "dark").toEqual([]);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(phone);
  expect(await violations(page), "narrow").toEqual([]);
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

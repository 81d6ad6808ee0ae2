// Pictures of every page and dialog, wide and narrow, light and dark, to be looked at: `npm run screenshots`, with a running
// cluster at HANSA_CONSOLE_URL. They go to HANSA_SCREENSHOTS, by default `screenshots/` here, which is not in the repository.
// HANSA_SCREENSHOTS_AS_IT_IS=yes puts nothing into the cluster: for an empty one, and for a large one.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { test } from "vitest";
import { desktop, open, phone, visit } from "./browser";
import { clear, fill, tasksOf, web } from "./cluster";
import { dialogs, pages, scenes } from "./pages";
import { firsts, plain } from "./plain";
import { scene } from "./scene";
import { states } from "./states";

const folder = process.env.HANSA_SCREENSHOTS || "screenshots";
/** `narrow` or `wide`: only those. */
const onlySize = process.env.HANSA_SCREENSHOTS_SIZE;
const asItIs = process.env.HANSA_SCREENSHOTS_AS_IT_IS === "yes";
const only = process.env.HANSA_SCREENSHOTS_ONLY?.split(",") ?? [];

test("every page and dialog", async () => {
  mkdirSync(folder, { recursive: true });
  const browser = await open();
  const shot = async (page: Page, name: string) => {
    // All of it, also what one scrolls to; without the bars that would stand in the middle of it then.
    const fullPage = await page.evaluate(() => document.documentElement.scrollHeight > window.innerHeight);
    const style = fullPage ? ".bottom-bar { display: none } .sticky-foot { position: static !important }" : "";
    await page.screenshot({ path: join(folder, `${name}.png`), fullPage, style });
  };
  const wanted = (name: string) => only.length === 0 || only.includes(name);
  const all = async (views: { name: string; path: string; ready: (page: Page) => Promise<unknown> }[]) => {
    for (const [size, viewport] of Object.entries({ wide: desktop, narrow: phone })) {
      if (onlySize && onlySize !== size) continue;
      for (const { name, path, ready } of views) {
        if (!wanted(name)) continue;
        const { page, close } = await visit(browser, path, { viewport });
        // One that fails is no reason to have none of the others.
        await ready(page).catch((error: unknown) => console.log(`${name}-${size}: ${String(error)}`));
        // Charts and lists that come a moment later.
        await page.waitForLoadState("load");
        await page.waitForTimeout(400);
        await shot(page, `${name}-${size}-light`);
        await page.emulateMedia({ colorScheme: "dark" });
        await shot(page, `${name}-${size}-dark`);
        await close(/./);
      }
    }
  };
  if (asItIs) {
    const first = await firsts();
    await all(
      Object.entries(plain).flatMap(([name, { path, opens }]) => {
        const there = path(first);
        const ready = async (page: Page) => {
          await page.getByRole("heading", { level: 1 }).waitFor();
          await page.getByText(/still reading/i).waitFor({ state: "detached" });
          await opens?.(page);
          await page.waitForTimeout(1000);
        };
        return there === undefined ? [] : [{ name, path: there, ready }];
      }),
    );
    return browser.close();
  }
  await fill();
  const [first] = await tasksOf(web);
  await all([
    ...Object.entries(pages).map(([name, { path, filled }]) => ({ name, path: path(first), ready: filled })),
    ...Object.entries(dialogs).map(([name, { path, opens }]) => ({ name: `dialog-${name}`, path: path(first), ready: opens })),
    ...Object.entries(states).map(([name, { path, filled }]) => ({ name: `state-${name}`, path: path(first), ready: filled })),
  ]);
  const played = Object.entries(scenes).filter(([name]) => wanted(`scene-${name}`));
  if (played.length > 0) {
    const about = await scene();
    await all(played.map(([name, { path, filled }]) => ({ name: `scene-${name}`, path: path(about), ready: filled })));
    await about.clear();
  }
  await clear();
  await browser.close();
});

// Pictures of every page and dialog, wide and narrow, light and dark, to be looked at: `npm run screenshots`, with a running
// cluster at HANSA_CONSOLE_URL. They go to HANSA_SCREENSHOTS, by default `screenshots/` here, which is not in the repository.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { test } from "vitest";
import { desktop, open, phone, visit } from "./browser";
import { clear, fill, tasksOf, web } from "./cluster";
import { dialogs, pages } from "./pages";
import { states } from "./states";

const folder = process.env.HANSA_SCREENSHOTS || "screenshots";
/** `narrow` or `wide`: only those. */
const onlySize = process.env.HANSA_SCREENSHOTS_SIZE;
const only = process.env.HANSA_SCREENSHOTS_ONLY?.split(",") ?? [];

test("every page and dialog", async () => {
  mkdirSync(folder, { recursive: true });
  const browser = await open();
  await fill();
  const [first] = await tasksOf(web);
  const shot = (page: Page, name: string) => page.screenshot({ path: join(folder, `${name}.png`) });
  const wanted = (name: string) => only.length === 0 || only.includes(name);
  const all = [
    ...Object.entries(pages).map(([name, { path, filled }]) => ({ name, path, ready: filled })),
    ...Object.entries(dialogs).map(([name, { path, opens }]) => ({ name: `dialog-${name}`, path, ready: opens })),
    ...Object.entries(states).map(([name, { path, filled }]) => ({ name: `state-${name}`, path, ready: filled })),
  ];
  for (const [size, viewport] of Object.entries({ wide: desktop, narrow: phone })) {
    if (onlySize && onlySize !== size) continue;
    for (const { name, path, ready } of all) {
      if (!wanted(name)) continue;
      const { page, close } = await visit(browser, path(first), { viewport });
      await ready(page);
      // Charts and lists that come a moment later.
      await page.waitForLoadState("load");
      await page.waitForTimeout(400);
      await shot(page, `${name}-${size}-light`);
      await page.emulateMedia({ colorScheme: "dark" });
      await shot(page, `${name}-${size}-dark`);
      await close(/./);
    }
  }
  await clear();
  await browser.close();
});

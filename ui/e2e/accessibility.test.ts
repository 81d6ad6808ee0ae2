// Every page, in light and dark, wide and narrow: no violation of accessibility's rules, no complaint on the console.

import { expect, test } from "vitest";
import { accessible, visit } from "./browser";
import { web } from "./cluster";
import { filled } from "./filled";
import { dialogs, pages } from "./pages";

const all = filled();

test.concurrent.each(Object.entries(pages))("%s", async (_, { path, filled }) => {
  const { page, close } = await visit(all.browser, path(all.task));
  await filled(page);
  await accessible(page);
  await close();
});

test.concurrent.each(Object.entries(dialogs))("the dialog %s", async (_, { path, opens }) => {
  const { page, close } = await visit(all.browser, path(all.task));
  await opens(page);
  await accessible(page);
  // Escape closes it, and nothing has happened.
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await close();
});

test("all of a page is reached by the Tab key, and where one is can be seen", async () => {
  const { page, close } = await visit(all.browser, `service?id=${web}`);
  await page.getByRole("table").first().waitFor();
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to content");
  const reached = new Set<string>();
  for (let i = 0; i < 60; i++) {
    const [name, outlined] = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      const { outlineStyle } = getComputedStyle(element);
      return [element.textContent?.trim() ?? "", outlineStyle !== "none" || element.className === "skip"] as const;
    });
    expect(outlined, `"${name}" shows that it has the focus`).toBe(true);
    reached.add(name);
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement === document.body)) break;
  }
  for (const name of ["Services", "Scale", "Edit", "Restart", "Delete", "Versions", "Definition"]) {
    expect(
      [...reached].some((text) => text.startsWith(name)),
      name,
    ).toBe(true);
  }
  await close();
});

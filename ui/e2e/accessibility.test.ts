// Every page, in light and dark, wide and narrow: no violation of accessibility's rules, no complaint on the console.

import { expect, test } from "vitest";
import { accessible, addressOf, visit } from "./browser";
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

test("a new page's field has the focus, and what opened a dialog has it again", async () => {
  const { page, close } = await visit(all.browser, "services");
  await page.getByRole("link", { name: "Create" }).focus();
  await page.keyboard.press("Enter");
  const name = page.getByLabel("Name", { exact: true });
  await name.waitFor();
  expect(await name.evaluate((field) => field === document.activeElement)).toBe(true);
  // What is wrong with it has it, once it is sent.
  await name.fill("/fine");
  await page.getByRole("button", { name: "Create", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("status").getByText("1 thing to be put right").waitFor();
  const command = page.getByLabel("Command", { exact: true });
  expect(await command.evaluate((field) => field === document.activeElement)).toBe(true);
  await page.goto(addressOf(`service?id=${web}`));
  for (const opener of ["Scale", "Delete"]) {
    const button = page.getByRole("button", { name: opener, exact: true });
    await button.focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    expect(await button.evaluate((button) => button === document.activeElement), opener).toBe(true);
  }
  await close();
});

test("what the palette opened gives the focus back to what had it before the palette", async () => {
  const { page, close } = await visit(all.browser, `service?id=${web}`);
  await page.getByRole("table").first().waitFor();
  const dialog = page.getByRole("dialog");
  const does = async (words: string) => {
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox").waitFor();
    await page.keyboard.type(`${words} ${web}`);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: new RegExp(`^${words} ${web}`, "i") }).waitFor();
    // What a dialog asks comes first: the palette stays away.
    await page.keyboard.press("Control+k");
    expect(await dialog.count()).toBe(1);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  };
  const has = (selector: string) => page.evaluate((selector) => document.activeElement?.matches(selector), selector);
  // Nothing had it: the page's content has it then, not the end of the page.
  await does("scale");
  expect(await has("main")).toBe(true);
  const edit = page.getByRole("link", { name: "Edit", exact: true });
  for (const words of ["scale", "restart", "delete"]) {
    await edit.focus();
    await does(words);
    expect(await edit.evaluate((link) => link === document.activeElement), words).toBe(true);
  }
  // And one that closes itself without a choice.
  await edit.focus();
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor();
  await page.keyboard.press("Control+k");
  await dialog.waitFor({ state: "detached" });
  expect(await edit.evaluate((link) => link === document.activeElement)).toBe(true);
  // A page that it leads to begins at its top.
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor();
  await page.keyboard.type("machines");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: /Machines/ }).waitFor();
  expect(await has("main, main *")).toBe(true);
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

// Every page, in light and dark, wide and narrow: no violation of accessibility's rules, no complaint on the console.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accessible, open, visit } from "./browser";
import { big, broken, clear, fill, group, tasksOf, web } from "./cluster";

let browser: Browser;
let task = "";
let machine = "";

beforeAll(async () => {
  browser = await open();
  await fill();
  const [first] = await tasksOf(web);
  task = first?.id ?? "";
  machine = first?.hostname ?? "";
});

afterAll(async () => {
  await clear();
  await browser?.close();
});

/** Pages, and what shows that each is filled. */
const pages: Record<string, () => [string, (page: Page) => Promise<unknown>]> = {
  overview: () => ["", (page) => page.getByRole("region", { name: "What needs attention" }).waitFor()],
  services: () => ["services", (page) => page.getByRole("table").waitFor()],
  list: () => ["services?view=list&sort=-cpus", (page) => page.getByRole("table").waitFor()],
  service: () => [`service?id=${web}`, (page) => page.getByRole("table").waitFor()],
  pending: () => [`service?id=${big}`, (page) => page.getByText(/can take it/).waitFor()],
  failing: () => [`service?id=${broken}`, (page) => page.getByText("Fails again and again").first().waitFor()],
  placement: () => [`service?id=${web}&tab=placement`, (page) => page.getByText("One instance needs").waitFor()],
  versions: () => [`service?id=${web}&tab=versions`, (page) => page.getByText("now", { exact: true }).waitFor()],
  definition: () => [`service?id=${web}&tab=definition`, (page) => page.getByText('"made"').waitFor()],
  create: () => [`create?group=${group}`, (page) => page.getByLabel("Command", { exact: true }).waitFor()],
  json: () => [`create?as-json=yes`, (page) => page.getByText("acceptedResourceRoles").waitFor()],
  edit: () => [`edit?id=${web}`, (page) => page.getByLabel("Command", { exact: true }).waitFor()],
  deployments: () => ["deployments", (page) => page.getByRole("heading", { name: "Under way" }).waitFor()],
  tasks: () => ["tasks", (page) => page.getByRole("table").waitFor()],
  task: () => [
    `task?id=${task}`,
    (page) =>
      page
        .getByText(/^line \d+$/)
        .first()
        .waitFor(),
  ],
  machines: () => ["machines", (page) => page.getByRole("table").waitFor()],
  machine: () => [`machine?id=${machine}`, (page) => page.getByRole("table").waitFor()],
  about: () => [`machine?id=${machine}&tab=about`, (page) => page.getByText("Attributes").first().waitFor()],
  images: () => [
    `machine?id=${machine}&tab=images`,
    (page) => page.getByRole("heading", { name: "Container images" }).waitFor(),
  ],
  roles: () => ["roles?role=*", (page) => page.getByRole("heading", { name: "Services of *" }).waitFor()],
  events: () => ["events", (page) => page.getByText("joined").first().waitFor()],
  nothing: () => ["nothing-there", (page) => page.getByText("The address leads nowhere").waitFor()],
};

test.concurrent.each(Object.keys(pages))("%s", async (name) => {
  const [path, filled] = pages[name]?.() ?? ["", async () => {}];
  const { page, close } = await visit(browser, path);
  await filled(page);
  await accessible(page);
  await close();
});

const dialogs: Record<string, (page: Page) => Promise<unknown>> = {
  palette: (page) => page.keyboard.press("Control+k"),
  scale: (page) => page.getByRole("button", { name: "Scale", exact: true }).click(),
  question: (page) => page.getByRole("button", { name: "Delete", exact: true }).click(),
};

test.concurrent.each(Object.keys(dialogs))("the dialog %s", async (name) => {
  const { page, close } = await visit(browser, `service?id=${web}`);
  await page.getByRole("table").waitFor();
  await dialogs[name]?.(page);
  await page.getByRole("dialog").waitFor();
  await accessible(page);
  // Escape closes it, and nothing has happened.
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await close();
});

test("all of a page is reached by the Tab key, and where one is can be seen", async () => {
  const { page, close } = await visit(browser, `service?id=${web}`);
  await page.getByRole("table").waitFor();
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

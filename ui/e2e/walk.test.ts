// A newcomer's walk with nothing but the console: a service from a definition that Marathon's documents give, broken, understood,
// mended, scaled, its machine emptied, and the line of its crash found afterwards. At a desk and on a phone.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ask, desktop, eventually, open, phone, refusals, visit } from "./browser";
import { clear, group, service, tasksOf } from "./cluster";

const id = `${group}/hello`;
const definition = {
  id,
  cmd: "while [ true ] ; do echo 'Hello Marathon' ; sleep 1 ; done",
  cpus: 0.1,
  mem: 10,
  instances: 1,
};

let browser: Browser;

beforeAll(async () => {
  browser = await open();
  await clear();
});

afterAll(async () => {
  await clear();
  await browser?.close();
});

/** To one of the main pages: on a phone by the bar at the foot. */
async function to(page: Page, name: string) {
  const names = page.getByRole("navigation", { name: "Pages" }).or(page.getByRole("navigation", { name: "Main pages" }));
  await names.getByRole("link", { name }).click();
}

test.each([
  ["at a desk", desktop],
  ["on a phone", phone],
])("from a definition to the line of a crash, %s", async (_, viewport) => {
  await clear();
  const { page, close } = await visit(browser, "", { viewport });
  const settled = () =>
    eventually("its deployment has ended", async () => {
      const deployments = await ask<{ affectedApps: string[] }[]>("GET", "/v2/deployments");
      return !deployments.some(({ affectedApps }) => affectedApps.includes(id));
    });

  // Create it.
  await page.getByRole("link", { name: /^Create (a|the first) service$/ }).first().click();
  await page.getByText("A definition written for Marathon?").waitFor();
  await page.getByRole("button", { name: "JSON" }).click();
  await page.getByLabel("Definition", { exact: true }).fill(JSON.stringify(definition, null, 2));
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("heading", { level: 1, name: "hello" }).waitFor();
  const instances = page.getByRole("region", { name: "Instances", exact: true });
  await instances.getByText("running").first().waitFor();
  await instances.getByRole("row").nth(1).getByRole("link").first().click();
  await page.getByRole("region", { name: "stdout of the task" }).getByText("Hello Marathon").first().waitFor();
  await settled();

  // Break it.
  await page.getByRole("link", { name: id }).click();
  await page.getByRole("link", { name: "Edit" }).click();
  await page.getByLabel("Command", { exact: true }).fill("echo cannot reach the database >&2; exit 7");
  await page.getByRole("button", { name: "Review the change" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
  await page.getByRole("heading", { level: 1, name: "hello" }).waitFor();

  // Find out why, from the first page on.
  await to(page, "Overview");
  const matters = page.getByRole("region", { name: "What needs attention" });
  await matters.getByText("failing").first().waitFor();
  await matters.getByRole("link", { name: id }).click();
  await page.getByText(/Fails again and again/).waitFor();
  await page.getByRole("link", { name: "What it wrote" }).click();
  await page.getByRole("region", { name: "stderr of the task" }).getByText("cannot reach the database").waitFor();

  // Mend it: back to the version that ran, which is then in sight. The deployment that cannot end gives way.
  await page.getByRole("link", { name: id }).click();
  await page.getByRole("link", { name: "Earlier versions" }).click();
  const back = page.getByRole("button", { name: "Go back to this version" });
  await back.waitFor();
  await eventually("it is in sight", () => back.evaluate((button) => button.getBoundingClientRect().bottom < window.innerHeight));
  await back.click();
  await page.getByRole("dialog").getByRole("button", { name: "Go back" }).click();
  const force = page.getByRole("dialog").getByRole("button", { name: "Force" });
  const done = page.locator(".toast").getByText("goes back");
  await force.or(done).first().waitFor();
  if (await force.isVisible()) await force.click();
  await done.waitFor();
  await settled();
  await page.getByRole("heading", { level: 1, name: "hello" }).waitFor();
  await page.getByText("healthy", { exact: true }).first().waitFor();

  // Scale it, told beforehand where to.
  await page.getByRole("button", { name: "Scale", exact: true }).click();
  const scale = page.getByRole("dialog");
  await scale.getByRole("textbox", { name: "Instances" }).fill("3");
  await scale.getByText(/There is room: /).waitFor();
  await scale.getByRole("button", { name: "Scale" }).click();
  await eventually("three run", async () => (await service(id))?.running === 3);
  await settled();

  // Empty the machine of one.
  const machine = (await tasksOf(id)).find(({ state }) => state === "TASK_RUNNING")?.hostname ?? "";
  await to(page, "Machines");
  await page.getByRole("region", { name: "Machines", exact: true }).getByRole("link", { name: machine, exact: true }).click();
  await page.getByRole("button", { name: "Drain" }).click();
  const preview = page.getByRole("region", { name: "What will move" });
  await preview.getByRole("cell", { name: id }).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Drain" }).click();
  await page.getByText("It is empty and can be taken away.").waitFor();
  expect((await tasksOf(id)).filter(({ hostname, state }) => hostname === machine && state === "TASK_RUNNING")).toEqual([]);
  await page.getByRole("button", { name: "Reactivate" }).click();
  await page.getByRole("button", { name: "Drain" }).waitFor();

  // The line of the crash, long after it.
  await to(page, "Tasks");
  await page.getByRole("button", { name: "Ended" }).click();
  await page.getByRole("searchbox").fill(id);
  const failed = page.getByRole("row").filter({ hasText: "failed" }).first();
  await failed.getByRole("link").first().click();
  await page.getByRole("region", { name: "stderr of the task" }).getByText("cannot reach the database").waitFor();
  await close(refusals);
});

// The pages of frameworks and of what they have: with a scheduler of our own, and, for what is not made in a moment, with answers of
// the shape that crates/hansa-api/src/framework.rs gives them.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { accessible, ask, eventually, open, visit } from "./browser";
import { clear, role } from "./cluster";
import { batch, kept, limited, scene } from "./scene";

let browser: Browser;

beforeAll(async () => {
  browser = await open();
});

afterAll(() => browser?.close());

const none = { cpus_milli: 0, mem: 0, disk: 0, gpus_milli: 0 };
const unbound = { cpus_milli: null, mem: null, disk: null, gpus_milli: null };

const framework = {
  id: "f-1",
  name: "chronos",
  principal: "ops",
  user: "root",
  roles: ["batch"],
  suppressed: [],
  state: "disconnected",
  since: 1_795_000_000_000,
  given_up_at: 1_795_000_600_000,
  tasks: 3,
  offers: 1,
  allocated: { ...none, cpus_milli: 1500, mem: 2 ** 30 },
  share_ppm: 125_000,
  dominant: "cpus",
};

const inRole = {
  role: "batch",
  suppressed: false,
  allocated: framework.allocated,
  offered: none,
  share_ppm: 125_000,
  weight_milli: 1000,
  guarantee: unbound,
  limit: unbound,
  role_used: framework.allocated,
  role_share_ppm: 125_000,
};

const answers: Record<string, unknown> = {
  "/hansa/v1/openapi.json": { paths: { "/hansa/v1/frameworks": {} } },
  "/hansa/v1/frameworks": {
    frameworks: [framework, { ...framework, id: "f-2", name: "spark", state: "connected", given_up_at: null }],
  },
  "/hansa/v1/frameworks/f-1": {
    ...framework,
    hostname: "host1",
    webui_url: null,
    capabilities: ["PARTITION_AWARE"],
    checkpoint: true,
    failover_timeout_ms: 600_000,
    registered_at: framework.since,
    reregistered_at: null,
    executors: 1,
    unreachable_tasks: 1,
    completed_tasks: 40,
    in_roles: [inRole],
    outstanding: [
      { id: "o-1", role: "batch", node: "n", hostname: "node1", resources: "cpus:4;mem:1024", expires_at: null },
    ],
    filters: [{ role: "batch", node: "n", hostname: "node2", refused: "cpus:1", until: 1_795_000_005_000 }],
  },
  "/hansa/v1/frameworks/f-1/explain": {
    id: "f-1",
    name: "chronos",
    summary: "its scheduler is away, so it is offered nothing",
    roles: [
      {
        ...inRole,
        words: "batch is below its fair share",
        last_offer: { at: framework.since, node: "n", hostname: "node1" },
        obstacles: [{ words: "declined until 12:00", machines: 2, examples: ["node2", "node3"] }],
      },
    ],
  },
};

async function opened(path: string) {
  // The first page is one that asks nothing about frameworks; then the answers are in place.
  const { page, close } = await visit(browser, "events");
  const asked: string[] = [];
  await page.route(/\/hansa\/v1\/(frameworks|openapi\.json)/, (route) => {
    const { pathname } = new URL(route.request().url());
    asked.push(`${route.request().method()} ${pathname}`);
    return route.fulfill({ json: route.request().method() === "DELETE" ? { index: 1 } : (answers[pathname] ?? {}) });
  });
  await page.goto(new URL(`/ui/${path}`, page.url()).href);
  return { page, close, asked };
}

const inSight = (page: Page) => page.getByText("its scheduler is away, so it is offered nothing").waitFor();

test("frameworks are listed, and one tells why it is offered what it is offered", async () => {
  const { page, close } = await opened("frameworks");
  const table = page.getByRole("table");
  await table
    .getByRole("row", { name: /chronos/ })
    .getByText("disconnected")
    .waitFor();
  await table
    .getByRole("row", { name: /chronos/ })
    .getByText("13 %")
    .waitFor();
  await page.getByRole("link", { name: "chronos" }).click();
  await inSight(page);
  await page.getByText("It is given up with all its tasks at").waitFor();
  await page.getByText("2 machines: declined until 12:00 (node2, node3)").waitFor();
  await page.getByText("4 cpus, 1 GiB").waitFor();
  await page.getByText("1 out of reach").waitFor();
  await close();
});

test("one is torn down once that is asked", async () => {
  const { page, close, asked } = await opened("framework?id=f-1");
  await inSight(page);
  await page.getByRole("button", { name: "Tear down" }).click();
  await page.getByRole("dialog").getByText("gone for good").waitFor();
  expect(asked).not.toContain("DELETE /hansa/v1/frameworks/f-1");
  await page.getByRole("dialog").getByRole("button", { name: "Tear down" }).click();
  await page.locator(".toast").getByText("chronos is torn down").waitFor();
  expect(asked).toContain("DELETE /hansa/v1/frameworks/f-1");
  await close();
});

test("they are accessible", async () => {
  const { page, close } = await opened("frameworks");
  await page.getByRole("table").waitFor();
  await accessible(page);
  await page.goto(new URL("/ui/framework?id=f-1", page.url()).href);
  await inSight(page);
  await accessible(page);
  await close();
});

test("a framework tells what it runs, holds and declined, and is torn down", async () => {
  await clear();
  const about = await scene();
  const { id } = about.framework;
  try {
    const { page, close } = await visit(browser, "frameworks");
    const row = page.getByRole("row", { name: /nightly-batch/ });
    await row.getByText("connected").waitFor();
    await page.getByRole("row", { name: /chronos/ }).getByText("disconnected").waitFor();
    await row.getByRole("link", { name: "nightly-batch" }).click();
    const tasks = page.getByRole("region", { name: "Tasks", exact: true });
    await tasks.getByRole("row", { name: /mail/ }).getByText("running").waitFor();
    await page.getByRole("region", { name: "Declined for a while" }).getByText(`for ${batch}, until`).first().waitFor();
    await accessible(page);
    await page.setViewportSize({ width: 1440, height: 900 });

    // Its tasks are found like those of services, and lead back.
    await tasks.getByRole("link", { name: about.task }).click();
    await page.getByRole("region", { name: "stdout of the task" }).getByText("a page is written").first().waitFor();
    await page.getByRole("navigation", { name: "You are here" }).getByRole("link", { name: "nightly-batch" }).click();
    await tasks.waitFor();
    await page.keyboard.press("Control+k");
    await page.keyboard.type("nightly-batch");
    await page.getByRole("option", { name: /^nightly-batch framework$/ }).waitFor();
    await page.keyboard.press("Escape");

    await page.getByRole("button", { name: "Tear down" }).click();
    await page.getByRole("dialog").getByText("2 tasks").or(page.getByRole("dialog").getByText("3 tasks")).waitFor();
    await page.keyboard.press("Escape");
    await close();

    // What of the machine is set apart, by whom, and who has it.
    const machine = await visit(browser, `machine?id=${about.machine}`);
    await machine.page.getByRole("navigation", { name: "About the machine" }).getByRole("link", { name: "Resources" }).click();
    const shares = machine.page.getByRole("region", { name: "Who may have it" }).getByRole("table");
    await shares.getByRole("row", { name: /^anybody/ }).waitFor();
    await shares.getByRole("row", { name: new RegExp(`^${batch}.*0\\.1 of 0\\.2.*batch-team`) }).waitFor();
    await shares.getByRole("row", { name: new RegExp(`^${kept}.*0 of 0\\.1.*ops`) }).waitFor();
    const volumes = machine.page.getByRole("region", { name: "Volumes that stay when their tasks end" });
    await volumes.getByRole("row", { name: /^pgdata.*32 MiB.*nobody/ }).waitFor();
    await accessible(machine.page);
    await machine.page.setViewportSize({ width: 1440, height: 900 });
    await volumes.getByRole("row", { name: /^orders/ }).getByRole("link", { name: about.task }).click();
    await machine.page.getByRole("heading", { level: 1, name: about.task }).waitFor();
    await machine.close();

    const limit = await visit(browser, `service?id=${limited}`);
    await limit.page.getByRole("region", { name: "Why it is pending" }).getByText(new RegExp(role)).first().waitFor();
    await limit.close();
  } finally {
    await about.clear();
    await clear();
  }
  await eventually("it is gone", async () => {
    const { frameworks } = await ask<{ frameworks: { id: string }[] }>("GET", "/hansa/v1/frameworks");
    return !frameworks.some((framework) => framework.id === id);
  });
});

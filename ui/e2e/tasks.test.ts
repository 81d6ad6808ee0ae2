// What is at hand beside a task: its files, a terminal, its states, what it uses; and what is remembered of those that ended.

import { expect, test } from "vitest";
import { addressOf, ask, eventually, refusals, violations, visit } from "./browser";
import { broken, group, service, web } from "./cluster";
import { filled } from "./filled";

const all = filled();

test("the sandbox's files are listed, read and downloaded", async () => {
  const { page, close } = await visit(all.browser, `task?id=${all.task?.id}`);
  await page.getByRole("navigation", { name: "About the task" }).getByRole("link", { name: "Files" }).click();
  const files = page.getByRole("region", { name: "Files" }).getByRole("table");
  await files.getByRole("link", { name: "logs/" }).click();
  await files.getByRole("link", { name: "app.log", exact: true }).click();
  const content = page.getByRole("region", { name: "Content of app.log" });
  expect(await content.textContent()).toBe("kept\n");
  const waiting = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  expect((await waiting).suggestedFilename()).toBe("app.log");
  const trail = page.getByRole("navigation", { name: "Where in the sandbox" });
  await trail.getByRole("link", { name: "sandbox" }).click();
  await files.getByRole("link", { name: "stdout", exact: true }).waitFor();
  await page.goBack();
  await content.waitFor();
  await close();
});

test("a file that is not there is told", async () => {
  const { page, close } = await visit(all.browser, `task?id=${all.task?.id}&tab=files&view=none/such`);
  await page.getByText("A sandbox stays on its machine for some time").waitFor();
  await close(refusals);
});

test("a terminal runs a shell, belongs to the keyboard, and lets it go", async () => {
  const { page, close } = await visit(all.browser, `task?id=${all.task?.id}&tab=terminal`);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  const panel = page.getByRole("region", { name: "Terminal" });
  await panel.getByText("shell", { exact: true }).waitFor();
  const screen = panel.locator(".xterm-rows");
  await page.keyboard.type("echo six times seven is $((6*7)); cat logs/app.log\n");
  await screen.getByText("six times seven is 42").waitFor();
  await screen.getByText("kept").waitFor();
  expect(await violations(page)).toEqual([]);
  // The program there has the keys that the console has elsewhere.
  await page.keyboard.press("Control+k");
  expect(await page.getByRole("dialog").count()).toBe(0);
  // The terminal there is as wide as the one here.
  const columns = async () => {
    await page.keyboard.type("clear; echo width=$(stty size | cut -d' ' -f2).\n");
    await screen.getByText(/^width=\d+\./).waitFor();
    return Number(/width=(\d+)\./.exec((await screen.textContent()) ?? "")?.[1]);
  };
  const wide = await columns();
  await page.setViewportSize({ width: 900, height: 800 });
  await eventually("it is told of the other width", async () => (await columns()) !== wide, 20_000);
  await page.keyboard.press("Shift+Tab");
  expect(await page.evaluate(() => document.activeElement?.closest(".terminal"))).toBeNull();
  await panel.locator("textarea").focus();
  await page.keyboard.type("exit 3\n");
  await panel.getByText("ended with status 3").waitFor();
  await panel.getByRole("button", { name: "Close" }).click();
  await page.getByLabel("Command").fill("echo only this");
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await panel.getByText("ended with status 0").waitFor();
  await screen.getByText("only this").waitFor();
  await close();
});

test("what is on the clipboard is pasted into a terminal, and runs when it is told to", async () => {
  const { page, close } = await visit(all.browser, `task?id=${all.task?.id}&tab=terminal`);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  const panel = page.getByRole("region", { name: "Terminal" });
  await panel.getByText("shell", { exact: true }).waitFor();
  const screen = panel.locator(".xterm-rows");
  await page.evaluate(() => navigator.clipboard.writeText("echo pasted $((40+2))"));
  await panel.locator("textarea").focus();
  await page.keyboard.press("Control+Shift+V");
  await screen.getByText("echo pasted $((40+2))").waitFor();
  expect(await screen.getByText("pasted 42").count()).toBe(0);
  await page.keyboard.press("Enter");
  await screen.getByText("pasted 42").waitFor();
  await close();
});

test("a task tells its states and what it uses", async () => {
  const { page, close } = await visit(all.browser, `task?id=${all.task?.id}&tab=usage`);
  const states = page.getByRole("region", { name: "States" });
  await states.getByText("staging").waitFor();
  await states.getByText("running").waitFor();
  const use = page.getByRole("region", { name: "Use against what it asks for" });
  await use.getByRole("img", { name: /CPU/ }).waitFor();
  await use.getByRole("button", { name: "1 day" }).click();
  expect(page.url()).toContain("span=1d");
  await use.getByText("−1 d").or(use.getByText("nothing measured yet")).first().waitFor();
  await close();
});

test("those that ended are remembered, and lead to what they wrote", async () => {
  const { page, close } = await visit(all.browser, `service?id=${broken}`);
  const ended = page.getByRole("region", { name: "Ended", exact: true }).first();
  await ended.getByText("status 3: no database").filter({ visible: true }).first().waitFor();
  await page.getByRole("link", { name: "What it wrote" }).click();
  // Of one that failed the errors are shown first.
  await page.getByRole("region", { name: "stderr of the task" }).getByText("no database").waitFor();
  await page.getByRole("region", { name: "States" }).getByText("failed, status 3").waitFor();
  await page.goto(new URL(`/ui/tasks?state=ended&service=${broken}`, page.url()).href);
  await page.getByRole("table").getByText("failed").first().waitFor();
  await close();
});

test("a service's use stands against what it asks for", async () => {
  const { page, close } = await visit(all.browser, `service?id=${web}&tab=usage`);
  await page.getByRole("region", { name: "All instances together" }).getByRole("img", { name: /Memory/ }).waitFor();
  await page.getByRole("region", { name: /Each instance/ }).waitFor();
  await close();
});

test("a service is given the size that is suggested", async () => {
  const id = `${group}/sized`;
  const asks = async () => (await ask<{ app: { cpus: number; mem: number } }>("GET", `/v2/apps${id}`)).app;
  await ask("POST", "/v2/apps", { id, cmd: "sleep 1000", cpus: 0.2, mem: 96 });
  await eventually("it runs", async () => (await service(id))?.running === 1);
  const { page, close } = await visit(all.browser, "");
  // The master suggests nothing before five minutes of use are known: here, the answer has it already.
  const spread = { p50: 1, p95: 2, max: 3 };
  const mib = 1 << 20;
  await page.route(`**/hansa/v1/usage${id}*`, async (route) => {
    const answer = (await (await route.fetch()).json()) as object;
    const suggestion = { cpus_milli: 50, mem: 48 * mib, words: "A fifth is added to what was used." };
    const used = { cpus_milli: spread, mem: { p50: 30 * mib, p95: 38 * mib, max: 40 * mib } };
    await route.fulfill({ json: { ...answer, used, suggestion } });
  });
  await page.goto(addressOf(`service?id=${id}&tab=usage`));
  const hint = page.getByRole("region", { name: "Right size" });
  await hint.getByText("0.05 cpus").waitFor();
  await hint.getByText("48 MiB").waitFor();
  await hint.getByRole("button", { name: "Let it ask for that" }).click();
  const dialog = page.getByRole("dialog", { name: `Let ${id} ask for what it needs?` });
  expect(await dialog.locator(".diff .added").allTextContents()).toEqual([
    expect.stringContaining('"cpus": 0.05'),
    expect.stringContaining('"mem": 48'),
  ]);
  // Not before it is said so.
  expect(await asks()).toMatchObject({ cpus: 0.2, mem: 96 });
  await dialog.getByRole("button", { name: "Change it" }).click();
  await page.locator(".toast").getByText(`${id} asks for what it needs`).waitFor();
  await eventually("it is changed", async () => (await asks()).mem === 48);
  expect(await asks()).toMatchObject({ cpus: 0.05, mem: 48 });
  await close();
});

test("the pool's history has its span in the address, and its query for Prometheus", async () => {
  const { page, close } = await visit(all.browser, "?span=3h");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  const cpu = page.getByRole("region", { name: "CPU", exact: true });
  await cpu.getByText("−3 h").waitFor();
  await cpu.getByRole("button", { name: /Copy as Prometheus query/ }).click();
  await page.locator(".toast").getByText("copied").waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('hansa_resources_allocated{kind="cpus"}');
  await close();
});

test("services are found by their labels", async () => {
  const { page, close } = await visit(all.browser, `service?id=${web}`);
  await page.getByRole("link", { name: "made=by-tests" }).click();
  await page.getByRole("heading", { name: /Services 1 of/ }).waitFor();
  await close();
});

test("events of before the console was opened are found", async () => {
  const { events } = await ask<{ events: { subject: string }[] }>("GET", `/hansa/v1/events/history?q=${web}&limit=1`);
  expect(events).toHaveLength(1);
  const { page, close } = await visit(all.browser, `events?q=${web}&kind=service`);
  await page.getByRole("region", { name: "Events, newest first" }).getByRole("link", { name: web }).first().waitFor();
  await close();
});

test("earlier events are read page by page", async () => {
  const { page, close } = await visit(all.browser, "services");
  // Pages of a few, so that there are several of them.
  const asked: string[] = [];
  await page.route("**/hansa/v1/events/history?*", async (route) => {
    const url = new URL(route.request().url());
    asked.push(url.searchParams.get("before") ?? "");
    url.searchParams.set("limit", "5");
    await route.continue({ url: url.href });
  });
  await page.goto(addressOf("events"));
  const list = page.getByRole("region", { name: "Events, newest first" });
  await list.getByRole("listitem").first().waitFor();
  const before = await list.getByRole("listitem").count();
  const more = page.getByRole("button", { name: "Earlier", exact: true });
  for (const pages of [1, 2]) {
    await more.click();
    // Others may happen meanwhile.
    await eventually(`page ${pages}`, async () => (await list.getByRole("listitem").count()) >= before + 5 * pages);
  }
  // Each goes on where the one before it ended.
  const { events } = await ask<{ events: { id: string }[] }>("GET", "/hansa/v1/events/history?limit=1000");
  const places = asked.filter(Boolean).map((id) => events.findIndex((event) => event.id === id));
  expect(places).toHaveLength(2);
  expect((places[1] ?? 0) - (places[0] ?? 0)).toBe(5);
  await close();
});

test("jobs and packages are told to come, with what does today", async () => {
  const { page, close } = await visit(all.browser, "jobs");
  await page.getByText("runs no jobs yet").waitFor();
  await page.goto(new URL("/ui/catalog", page.url()).href);
  await page.getByRole("link", { name: "Paste a definition" }).click();
  await page.getByLabel("Definition", { exact: true }).waitFor();
  await close();
});

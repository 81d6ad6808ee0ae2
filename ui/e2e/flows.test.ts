// Every flow of the console, in a real browser against a real cluster.

import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { addressOf, ask, eventually, phone, refusals, visit } from "./browser";
import { big, broken, group, role, service, tasksOf, web } from "./cluster";
import { filled } from "./filled";

const all = filled();

const heading = (page: Page, name: string | RegExp) => page.getByRole("heading", { level: 1, name }).waitFor();
const toast = (page: Page, words: string | RegExp) => page.locator(".toast").getByText(words).waitFor();

test("the overview tells what is wrong and leads there", async () => {
  const { page, close } = await visit(all.browser, "");
  await heading(page, "Overview");
  for (const name of ["CPU", "Memory", "Disk"]) await page.getByRole("region", { name, exact: true }).waitFor();
  await page.getByText(/would be enough for what is given out|all machines are needed/).waitFor();
  await page.getByRole("region", { name: "What needs attention" }).getByRole("link", { name: broken }).click();
  await page.getByText("Fails again and again").first().waitFor();
  expect(new URL(page.url()).searchParams.get("id")).toBe(broken);
  await page.goBack();
  await heading(page, "Overview");
  await close();
});

test("the palette finds and does, by keyboard alone", async () => {
  const { page, close } = await visit(all.browser, "events");
  await heading(page, /Events/);
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").waitFor();
  await page.keyboard.type(web);
  await page.getByRole("option", { name: new RegExp(`^${web} *service`) }).waitFor();
  await page.keyboard.press("Enter");
  await heading(page, "web");
  await page.keyboard.press("Control+k");
  await page.keyboard.type(`scale ${web}`);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: `Scale ${web}` });
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  await page.keyboard.press("Control+k");
  await page.keyboard.type("no such thing at all");
  await page.getByText("Nothing fits").waitFor();
  await close();
});

test("the tree of services opens, closes, filters and keeps it in the address", async () => {
  const { page, close } = await visit(all.browser, "services");
  const table = page.getByRole("region", { name: "Services" }).getByRole("table");
  await table.getByRole("link", { name: "web", exact: true }).first().waitFor();
  const link = (id: string) => table.locator(`a[href="/ui/service?id=${id}"]`);
  await page.getByRole("button", { name: `Close ${group}/nested` }).click();
  await link(big).waitFor({ state: "detached" });
  await page.getByRole("button", { name: `Open ${group}/nested` }).click();
  await link(big).waitFor();
  await page.keyboard.press("/");
  await page.keyboard.type("e2e/broken");
  await link(web).waitFor({ state: "detached" });
  await page.reload();
  await table.getByRole("link", { name: "broken" }).waitFor();
  expect(await table.getByRole("link").count()).toBe(1);
  await page.getByRole("searchbox", { name: /^Filter by name/ }).fill("nothing has this");
  await page.getByText("No service matches.").waitFor();
  await close();
});

test("why a service is pending, in words and as a table", async () => {
  const { page, close } = await visit(all.browser, `service?id=${big}`);
  const panel = page.getByRole("region", { name: "Why it is pending" });
  await panel.getByText(/None of \d+ machines? can take it/).waitFor();
  await panel.getByText("4,000 cpus").waitFor();
  await panel.getByRole("columnheader", { name: "What is in the way" }).waitFor();
  await panel
    .getByRole("cell", { name: /cpus short/ })
    .first()
    .waitFor();
  await panel.getByText("Step by step").click();
  await panel.getByText("too little CPU").waitFor();
  // Its deployment is under way: its steps are told, and it can be paused and resumed.
  const under = page.getByRole("region", { name: "Under way" });
  await under.getByText(`start or stop instances of ${big}`).waitFor();
  await under.getByRole("button", { name: "Pause" }).click();
  await under.getByRole("button", { name: "Resume" }).click();
  await under.getByRole("button", { name: "Pause" }).waitFor();
  await close();
});

test("a service is created by form, checked while it is typed, scaled, suspended and deleted", async () => {
  const id = `${group}/made`;
  const { page, close } = await visit(all.browser, `create?group=${group}`);
  await page.getByLabel("Name", { exact: true }).fill(`${group}/Made`);
  await page
    .getByText(/lower-case letters/)
    .first()
    .waitFor();
  await page.getByLabel("Name", { exact: true }).fill(id);
  await page.getByLabel("Command", { exact: true }).fill("sleep 1000");
  await page.getByLabel("CPUs").fill("0.05x");
  await page.getByText("must be a number").first().waitFor();
  await page.getByLabel("CPUs").fill("0.05");
  await page.getByLabel("Memory").fill("32");
  await page.getByRole("button", { name: "Add to environment" }).click();
  await page.getByLabel("Name 0 in environment").fill("STAGE");
  await page.getByLabel("Value 0 in environment").fill("test");
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await heading(page, "made");
  await eventually("it runs", async () => (await service(id))?.running === 1);
  const made = await ask<{ app: { env: unknown; cpus: number } }>("GET", `/v2/apps${id}`);
  expect([made.app.env, made.app.cpus]).toEqual([{ STAGE: "test" }, 0.05]);

  await page.getByText("healthy").first().waitFor();
  await page.getByRole("button", { name: "Scale", exact: true }).click();
  await page.getByRole("textbox", { name: "Instances" }).fill("2");
  await page.getByText("1 instance more: 0.05 cpus and 32 MiB on top.").waitFor();
  await page.getByRole("dialog").getByText(/There is room: 1 on \S+\./).waitFor();
  // More than all machines together have.
  await page.getByRole("textbox", { name: "Instances" }).fill("90001");
  await page.getByRole("dialog").getByText(/Only \d+ of the first 1,000 fit now/).waitFor();
  await page.getByRole("textbox", { name: "Instances" }).fill("2");
  await page.getByRole("dialog").getByRole("button", { name: "Scale" }).click();
  await toast(page, "is asked for 2 instances");
  await eventually("two run", async () => (await service(id))?.running === 2);
  // The page hears of it a moment after whoever asks.
  await page.getByText("2 / 2", { exact: true }).waitFor();

  await page.getByRole("button", { name: "Restart" }).click();
  await page.getByRole("dialog").getByText("All 2 instances are replaced").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Restart" }).click();
  await toast(page, `${id} restarts`);
  await eventually("restarted", async () => {
    const deployments = await ask<{ affectedApps: string[] }[]>("GET", "/v2/deployments");
    return !deployments.some((deployment) => deployment.affectedApps.includes(id));
  });

  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await page.getByText("It is suspended: it asks for no instances.").waitFor();

  await page.getByRole("button", { name: "Delete" }).click();
  // Once it is asked, keeping it is the first choice.
  await page.getByRole("button", { name: "Keep it as it is" }).click();
  expect(await service(id)).toBeDefined();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await heading(page, /Services/);
  await eventually("it is gone", async () => !(await service(id)));
  await close();
});

test("a service is created as JSON, and the server's refusal stands at its field", async () => {
  const { page, close } = await visit(all.browser, "create?as-json=yes");
  const definition = page.getByLabel("Definition", { exact: true });
  await definition.fill('{\n  "id": "/x",\n  "cpus": \n}');
  await page.getByText(/Line [34]:/).waitFor();
  await definition.fill(JSON.stringify({ id: `${group}/json`, cmd: "sleep 1", instnaces: 1 }));
  await page.getByText("is not known; did you mean instances?").first().waitFor();
  // What is right is said to be.
  const status = page.getByRole("status").filter({ hasText: "Valid" });
  expect(await status.count()).toBe(0);
  await definition.fill(JSON.stringify({ id: `${group}/json`, cmd: "sleep 1", instances: 2, cpus: 0.5, mem: 128 }));
  await status.getByText("Valid: 2 instances of 0.5 cpus, 128 MiB").waitFor();
  // The schema lets this pass, the server does not.
  await definition.fill(JSON.stringify({ id: `${group}/json`, cmd: "sleep 1", constraints: [["hostname", "NEAR"]] }));
  await page.getByRole("button", { name: "Create", exact: true }).click();
  await page.getByRole("alert").getByText("The master refuses").waitFor();
  expect(await status.count()).toBe(0);
  await page
    .getByRole("region", { name: "To be put right" })
    .getByText(/^constraints/)
    .waitFor();
  await page.getByRole("button", { name: "Form" }).click();
  await page.getByRole("group", { name: "Where it may run" }).locator(".fault").waitFor();
  expect(await service(`${group}/json`)).toBeUndefined();
  await close(refusals);
});

test("a change shows its difference before it is applied, and a version goes back", async () => {
  const { page, close } = await visit(all.browser, `edit?id=${web}`);
  await page.getByText("Nothing is changed yet.").waitFor();
  await page.getByLabel("Memory").fill("48");
  await page.getByRole("button", { name: "Review the change" }).click();
  const review = page.getByRole("dialog", { name: "Review the change" });
  await review.getByText("A deployment replaces all 2 instances").waitFor();
  expect(await review.locator(".diff .added").textContent()).toContain('"mem": 48');
  expect(await review.locator(".diff .removed").textContent()).toContain('"mem": 32');
  await review.getByRole("button", { name: "Apply" }).click();
  await heading(page, "web");
  const mem = async () => (await ask<{ app: { mem: number; labels: unknown } }>("GET", `/v2/apps${web}`)).app;
  await eventually("it is changed", async () => (await mem()).mem === 48);
  expect((await mem()).labels).toEqual({ made: "by-tests" });
  const quiet = async () =>
    (await ask<{ affectedApps: string[] }[]>("GET", "/v2/deployments")).every(
      ({ affectedApps }) => !affectedApps.includes(web),
    );
  await eventually("the deployment has ended", quiet);

  await page.getByRole("link", { name: "Versions" }).click();
  await page.getByRole("button", { name: "Go back to this version" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Go back" }).click();
  await toast(page, "goes back");
  await eventually("it is as before", async () => (await mem()).mem === 32);
  await eventually("the deployment has ended", quiet);
  await close();
});

test("a deployment is rolled back", async () => {
  const { page, close } = await visit(all.browser, "deployments");
  const item = page
    .getByRole("listitem")
    .filter({ hasText: big })
    .filter({ has: page.getByRole("button", { name: "Roll back" }) });
  await item.getByRole("button", { name: "Roll back" }).first().click();
  await page.getByRole("dialog").getByText("a new deployment brings back what ran before").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Roll back" }).click();
  await toast(page, "rolling back");
  await eventually("it never was", async () => !(await service(big)));
  await page.getByRole("region", { name: "Ended lately" }).getByRole("link", { name: big }).first().waitFor();
  await ask("POST", "/v2/apps", { id: big, cpus: 4000, mem: 32, cmd: "sleep 1000" });
  await close();
});

test("tasks are filtered, and one's output is followed, searched and downloaded", async () => {
  const { page, close } = await visit(all.browser, `tasks?service=${web}`);
  await page.getByRole("region", { name: "Tasks" }).getByRole("link", { name: web }).first().waitFor();
  const [first] = await tasksOf(web);
  await page.getByRole("searchbox").fill(first?.id ?? "");
  await page.getByRole("heading", { name: /Tasks 1 of/ }).waitFor();
  await page.getByRole("region", { name: "Tasks" }).locator("tbody a").first().click();
  const log = page.getByRole("region", { name: "stdout of the task" });
  await log
    .getByText(/^line \d+$/)
    .first()
    .waitFor();
  const newest = async () =>
    Math.max(...(await log.getByText(/^line \d+$/).allTextContents()).map((line) => Number(line.slice(5))));
  const before = await newest();
  await eventually("it follows", async () => (await newest()) > before + 3);
  await page.getByRole("searchbox", { name: "Find in the output" }).fill("line 3");
  await page.getByRole("region", { name: "Output" }).getByText(/1 of \d+/).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  expect(await page.getByRole("checkbox", { name: "Follow" }).isChecked()).toBe(false);
  const waiting = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download" }).click();
  expect((await waiting).suggestedFilename()).toMatch(/stdout\.txt$/);
  await page.getByRole("region", { name: "States" }).getByText("running").waitFor();
  await close();
});

test("a crash is found in the output of a task that has ended", async () => {
  const { page, close } = await visit(all.browser, `service?id=${broken}&tab=events`);
  const events = page.getByRole("region", { name: "Events, newest first" });
  await page.getByRole("button", { name: "Try again now" }).click({ timeout: 60_000 });
  await events.getByText("an instance failed: command exited with status 3").first().waitFor();
  await events.locator("li").filter({ hasText: /failed on/ }).getByRole("link").first().click();
  await page.getByRole("button", { name: "stderr" }).click();
  await page.getByRole("region", { name: "stderr of the task" }).getByText("no database").waitFor();
  await close(refusals);
});

test("a task is killed, and another takes its place", async () => {
  const [task] = await tasksOf(web);
  const { page, close } = await visit(all.browser, `task?id=${task?.id}`);
  await page.getByRole("button", { name: "Kill", exact: true }).click();
  await page.getByRole("dialog").getByText("starts another in its place").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Kill" }).click();
  await toast(page, "being killed");
  await eventually("another runs", async () => {
    const tasks = await tasksOf(web);
    return (
      !tasks.some(({ id, state }) => id === task?.id && state === "TASK_RUNNING") && (await service(web))?.running === 2
    );
  });
  await close(refusals);
});

test("a machine is drained with a preview of what moves, and comes back", async () => {
  const [task] = await tasksOf(web);
  const name = task?.hostname ?? "";
  const { page, close } = await visit(all.browser, "machines");
  await page.getByRole("searchbox").fill(name);
  await page.getByRole("region", { name: "Machines", exact: true }).getByRole("link", { name, exact: true }).click();
  await heading(page, name);
  // What the server says of tasks that come and go is other a moment later.
  const answer = page.waitForResponse((response) => response.url().endsWith("/drain-preview"));
  await page.getByRole("button", { name: "Drain" }).click();
  const said = (await (await answer).json()) as { summary: string };
  const preview = page.getByRole("region", { name: "What will move" });
  const row = preview.getByRole("row").filter({ hasText: web });
  await row.getByRole("cell", { name: /^(to \S+|nowhere yet .*)$/ }).first().waitFor();
  // The dialog and the server say the same.
  await page.getByRole("dialog").getByText(said.summary).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Drain" }).click();
  await toast(page, `${name} drains`);
  await page.getByText("draining").first().waitFor();
  await page.getByRole("button", { name: "Reactivate" }).click();
  await toast(page, `${name} takes tasks again`);
  await page.getByRole("button", { name: "Deactivate" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Deactivate" }).click();
  await page.getByText("deactivated").first().waitFor();
  await page.getByRole("button", { name: "Reactivate" }).click();
  await page.getByRole("button", { name: "Drain" }).waitFor();
  await eventually("all run again", async () => (await service(web))?.running === 2);
  await close();
});

test("the heat map and the table of machines", async () => {
  const { page, close } = await visit(all.browser, "machines");
  const cells = page.getByRole("region", { name: "How full" }).getByRole("link");
  await cells.first().waitFor();
  const { nodes } = await ask<{ nodes: unknown[] }>("GET", "/hansa/v1/nodes");
  expect(await cells.count()).toBe(nodes.length);
  await page.getByRole("button", { name: "Really used" }).click();
  await page.getByRole("button", { name: "Memory", exact: true }).first().click();
  await page
    .getByRole("link", { name: /% of Memory used/ })
    .first()
    .waitFor();
  await page.getByRole("columnheader").getByRole("button", { name: "Tasks" }).click();
  await page
    .getByRole("columnheader", { name: "Tasks", exact: false })
    .and(page.locator('[aria-sort="ascending"]'))
    .waitFor();
  expect(page.url()).toContain("sort=tasks");
  await close();
});

test("a role is set, with what is wrong told at its field", async () => {
  const { page, close } = await visit(all.browser, "roles");
  await heading(page, /Roles/);
  await page.getByRole("button", { name: "Set up a role" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill(role);
  await dialog.getByLabel("Weight").fill("2");
  await dialog.getByRole("group", { name: "Guaranteed" }).getByLabel("CPUs").fill("2");
  await dialog.getByRole("group", { name: "Never more" }).getByLabel("CPUs").fill("1");
  await dialog.getByText("more than the limit").waitFor();
  expect(await dialog.getByRole("button", { name: "Set" }).isDisabled()).toBe(true);
  await dialog.getByRole("group", { name: "Guaranteed" }).getByLabel("CPUs").fill("0.5");
  await dialog.getByRole("button", { name: "Set" }).click();
  await toast(page, `The role ${role} is set`);
  const { roles } = await ask<{ roles: { name: string; weight_milli: number }[] }>("GET", "/hansa/v1/roles");
  expect(roles.find(({ name }) => name === role)?.weight_milli).toBe(2000);
  await page.getByRole("button", { name: role, exact: true }).click();
  await page.getByRole("region", { name: `Services of ${role}` }).waitFor();
  const past = page.getByRole("region", { name: `Use of ${role} over time` });
  await past.getByRole("img", { name: /CPU/ }).waitFor();
  await past.getByText("of at most 1 cpu").waitFor();
  await past.getByRole("button", { name: "1 day" }).click();
  expect(page.url()).toContain("span=1d");
  await close();
});

test("what others set of a role shows at once, and its settings are deleted once that is asked", async () => {
  const { page, close } = await visit(all.browser, "roles");
  const row = page.getByRole("row", { name: new RegExp(role) });
  await row.waitFor();
  const asked: string[] = [];
  page.on("request", (request) => request.url().endsWith("/hansa/v1/roles") && asked.push(request.url()));
  await ask("PUT", `/hansa/v1/roles/${role}`, { weight_milli: 7500 });
  await row.getByRole("cell", { name: "7.5" }).waitFor();
  expect(asked).toEqual([]);
  await row.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByText("What runs in it runs on").waitFor();
  await page.getByRole("button", { name: "Keep it as it is" }).click();
  await row.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete the settings" }).click();
  await toast(page, `The settings of ${role} are deleted`);
  await row.waitFor({ state: "detached" });
  const { roles } = await ask<{ roles: { name: string; weight_milli: number }[] }>("GET", "/hansa/v1/roles");
  expect(roles.find(({ name }) => name === role)?.weight_milli ?? 1000).toBe(1000);
  await close();
});

test("events are told as they happen, searched and held", async () => {
  const { page, close } = await visit(all.browser, "events");
  await heading(page, /Events/);
  // What happened before is there only once all is read.
  const list = page.getByRole("region", { name: "Events, newest first" });
  await list.getByRole("listitem").first().waitFor();
  await page.getByRole("searchbox").fill(`${web} scaled`);
  await ask("PUT", `/v2/apps${web}`, { instances: 3 });
  await list.getByText("scaled from 2 to 3").waitFor();
  await eventually("three run", async () => (await service(web))?.running === 3);
  await page.getByRole("button", { name: "Hold" }).click();
  await ask("PUT", `/v2/apps${web}`, { instances: 2 });
  await eventually("two run", async () => (await service(web))?.running === 2);
  expect(await list.getByText("scaled from 3 to 2").count()).toBe(0);
  await page.getByRole("button", { name: "Go on" }).click();
  await list.getByText("scaled from 3 to 2").waitFor();
  await close();
});

test("a phone has everything in reach, and nothing is wider than it", async () => {
  const { page, close } = await visit(all.browser, "", { viewport: phone });
  await heading(page, "Overview");
  await page.getByRole("button", { name: "More" }).click();
  await page.getByRole("dialog", { name: "All pages" }).getByRole("link", { name: "Events" }).click();
  await heading(page, /Events/);
  for (const path of [
    "",
    "services",
    `service?id=${web}`,
    "create",
    "tasks",
    "machines",
    "roles",
    "events",
    "deployments",
  ]) {
    await page.goto(addressOf(path));
    await page.getByRole("heading", { level: 1 }).waitFor();
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(wider, path).toBeLessThanOrEqual(0);
  }
  await close();
});

test("what is not there is told, with a way on", async () => {
  const { page, close } = await visit(all.browser, "service?id=/none/such");
  await page.getByText("There is no service /none/such").waitFor();
  await page.goto(new URL("/ui/nonsense", page.url()).href);
  await heading(page, "There is no such page");
  await page.getByRole("button", { name: "To the overview" }).click();
  await heading(page, "Overview");
  await close();
});

// What pages look like when something is amiss, under way, searched for or not there: for pictures.

import type { Page } from "playwright-core";
import { big, broken, group, web } from "./cluster";
import type { View } from "./pages";

const text = (page: Page, words: string | RegExp) => page.getByText(words).first().waitFor();
const at = (path: string) => () => path;

/** A field of the form, by its name. */
const field = (page: Page, name: string) => page.getByLabel(name, { exact: true });

export const states: Record<string, View> = {
  "all-pages": {
    path: at("tasks"),
    // Only a phone has them behind a button.
    filled: async (page) => {
      const more = page.getByRole("button", { name: "More", exact: true });
      if (await more.isVisible()) await more.click();
    },
  },
  "palette-does": {
    path: at(""),
    filled: async (page) => {
      await text(page, "What needs attention");
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox").fill("console-e2e");
      await page.getByRole("option").first().waitFor();
    },
  },
  "palette-finds-nothing": {
    path: at(""),
    filled: async (page) => {
      await text(page, "What needs attention");
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox").fill("no such thing");
      await text(page, "Nothing fits");
    },
  },
  "create-faults": {
    path: at(`create?group=${group}`),
    filled: async (page) => {
      await field(page, "Name").fill("/Shop/My Web");
      await page.getByLabel("CPUs").fill("0.1x");
      await page.getByRole("button", { name: "Create", exact: true }).click();
      await text(page, "To be put right");
    },
  },
  "json-faults": {
    path: at("create?as-json=yes"),
    filled: async (page) => {
      await field(page, "Definition").fill('{\n  "id": "/x",\n  "instnaces": 2,\n  "cpus": "many"\n}');
      await text(page, "To be put right");
    },
  },
  "json-broken": {
    path: at("create?as-json=yes"),
    filled: async (page) => {
      await field(page, "Definition").fill('{\n  "id": "/x",\n  "cpus": \n}');
      await text(page, /Line [34]:/);
    },
  },
  refused: {
    path: at("create?as-json=yes"),
    filled: async (page) => {
      const definition = { id: `${group}/json`, cmd: "sleep 1", constraints: [["hostname", "NEAR"]] };
      await field(page, "Definition").fill(JSON.stringify(definition, null, 2));
      await page.getByRole("button", { name: "Create", exact: true }).click();
      await text(page, "The master refuses");
    },
  },
  "held-by-deployment": {
    path: at(`service?id=${big}`),
    filled: async (page) => {
      await page.getByRole("button", { name: "Restart" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Restart" }).click();
      await text(page, "A deployment holds this service");
    },
  },
  "scale-too-far": {
    path: at(`service?id=${web}`),
    filled: async (page) => {
      await page.getByRole("button", { name: "Scale", exact: true }).click();
      await page.getByRole("dialog").getByRole("textbox", { name: "Instances" }).fill("90000");
      await page.waitForTimeout(1500);
    },
  },
  "filtered-to-nothing": {
    path: at("services?q=nothing-has-this"),
    filled: (page) => text(page, "No service matches"),
  },
  "no-such-service": { path: at("service?id=/none/such"), filled: (page) => text(page, "There is no service") },
  "no-such-task": { path: at("task?id=none.such"), filled: (page) => page.waitForTimeout(1500) },
  "no-such-machine": { path: at("machine?id=none"), filled: (page) => page.waitForTimeout(1000) },
  "no-such-framework": { path: at("framework?id=none"), filled: (page) => page.waitForTimeout(1000) },
  "no-such-role": { path: at("roles?role=none"), filled: (page) => page.waitForTimeout(1000) },
  "no-such-edit": { path: at("edit?id=/none/such"), filled: (page) => page.waitForTimeout(1000) },
  "delete-group": {
    path: at(`services?group=${group}`),
    filled: async (page) => {
      await page.getByRole("button", { name: "Delete group" }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  "no-events": { path: at("events?q=nothing-has-this"), filled: (page) => page.waitForTimeout(1500) },
  "no-tasks": { path: at("tasks?q=nothing-has-this"), filled: (page) => page.waitForTimeout(500) },
  "no-file": {
    path: (task) => `task?id=${task?.id}&tab=files&view=none/such`,
    filled: (page) => text(page, "A sandbox stays"),
  },
  "found-in-output": {
    path: (task) => `task?id=${task?.id}`,
    filled: async (page) => {
      await text(page, /^line \d+$/);
      await page.getByRole("searchbox", { name: "Find in the output" }).fill("line 3");
      await page.getByRole("button", { name: "Next" }).click();
    },
  },
  "terminal-open": {
    path: (task) => `task?id=${task?.id}&tab=terminal`,
    filled: async (page) => {
      await page.getByRole("button", { name: "Open", exact: true }).click();
      const panel = page.getByRole("region", { name: "Terminal" });
      await panel.getByText("shell", { exact: true }).waitFor();
      await page.keyboard.type("ls -l; cat logs/app.log\n");
      await panel.locator(".xterm-rows").getByText("kept").waitFor();
    },
  },
  crash: {
    path: at(`service?id=${broken}`),
    filled: async (page) => {
      await page.getByRole("link", { name: "What it wrote" }).click();
      await text(page, "no database");
    },
  },
  "end-of-life": {
    path: at(`service?id=${broken}&tab=events`),
    filled: (page) => text(page, /failed/),
  },
  "wrong-definition-diff": {
    path: at(`edit?id=${broken}`),
    filled: async (page) => {
      await field(page, "Command").fill("while true; do date; sleep 1; done");
      await page.getByRole("button", { name: "Review the change" }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  "pending-placement": { path: at(`service?id=${big}&tab=placement`), filled: (page) => text(page, /can take it/) },
  "failing-versions": { path: at(`service?id=${broken}&tab=versions`), filled: (page) => page.waitForTimeout(500) },
  "failing-use": { path: at(`service?id=${broken}&tab=usage`), filled: (page) => page.waitForTimeout(800) },
  toast: {
    path: (task) => `machine?id=${task?.hostname}`,
    filled: async (page) => {
      await page.getByRole("button", { name: "Deactivate" }).click();
      await page.getByRole("dialog").getByRole("button", { name: "Deactivate" }).click();
      await page.locator(".toast").first().waitFor();
    },
  },
  "out-of-service": {
    path: at("machines"),
    filled: (page) => page.locator(".state", { hasText: "deactivated" }).first().waitFor(),
  },
  reactivated: {
    path: (task) => `machine?id=${task?.hostname}`,
    filled: async (page) => {
      await page.getByRole("button", { name: "Reactivate" }).click();
      await page.getByRole("button", { name: "Drain" }).waitFor();
    },
  },
  "role-faults": {
    path: at("roles"),
    filled: async (page) => {
      await page.getByRole("button", { name: "Set up a role" }).click();
      const dialog = page.getByRole("dialog");
      await dialog.getByLabel("Name").fill("shop");
      await dialog.getByRole("group", { name: "Guaranteed" }).getByLabel("CPUs").fill("2");
      await dialog.getByRole("group", { name: "Never more" }).getByLabel("CPUs").fill("1");
    },
  },
  "no-connection": {
    path: at(""),
    filled: async (page) => {
      await text(page, "What needs attention");
      await page.route(/\/hansa\/v1\//, (route) => route.abort());
      await page.reload();
      await page.getByRole("alert").first().waitFor();
    },
  },
};

// Every page and dialog of the console, and what shows that each is filled.

import type { Page } from "playwright-core";
import { big, broken, group, role, web } from "./cluster";
import { batch, limited, type Scene } from "./scene";

interface SomeTask {
  id: string;
  hostname: string;
}

export interface View {
  /** Of one of the running tasks, where it needs one. */
  path: (task?: SomeTask) => string;
  filled: (page: Page) => Promise<unknown>;
}

const table = (page: Page) => page.getByRole("table").first().waitFor();
const text = (words: string | RegExp) => (page: Page) => page.getByText(words).first().waitFor();
const heading = (name: string | RegExp) => (page: Page) => page.getByRole("heading", { name }).first().waitFor();
const at = (path: string) => () => path;
const ofTask = (more: string) => (task?: SomeTask) => `task?id=${task?.id}${more}`;
const ofMachine = (more: string) => (task?: SomeTask) => `machine?id=${task?.hostname}${more}`;

export const pages: Record<string, View> = {
  overview: {
    path: at(""),
    filled: (page) => page.getByRole("region", { name: "What needs attention" }).waitFor(),
  },
  services: { path: at("services"), filled: table },
  list: { path: at("services?view=list&sort=-cpus"), filled: table },
  service: { path: at(`service?id=${web}`), filled: table },
  pending: { path: at(`service?id=${big}`), filled: text(/can take it/) },
  failing: { path: at(`service?id=${broken}`), filled: text("Fails again and again") },
  use: { path: at(`service?id=${web}&tab=usage`), filled: heading("All instances together") },
  placement: { path: at(`service?id=${web}&tab=placement`), filled: text("One instance needs") },
  versions: { path: at(`service?id=${web}&tab=versions`), filled: (page) => page.getByText("now", { exact: true }).first().waitFor() },
  history: { path: at(`service?id=${web}&tab=events`), filled: heading("Events") },
  definition: { path: at(`service?id=${web}&tab=definition`), filled: text('"made"') },
  create: {
    path: at(`create?group=${group}`),
    filled: (page) => page.getByLabel("Command", { exact: true }).waitFor(),
  },
  json: { path: at("create?as-json=yes"), filled: text("acceptedResourceRoles") },
  edit: { path: at(`edit?id=${web}`), filled: (page) => page.getByLabel("Command", { exact: true }).waitFor() },
  deployments: { path: at("deployments"), filled: heading("Under way") },
  tasks: { path: at("tasks"), filled: table },
  ended: { path: at("tasks?state=ended"), filled: table },
  task: { path: ofTask(""), filled: text(/^line \d+$/) },
  files: { path: ofTask("&tab=files"), filled: table },
  file: { path: ofTask("&tab=files&view=stdout"), filled: (page) => page.getByRole("region", { name: "Content of stdout" }).waitFor() },
  terminal: { path: ofTask("&tab=terminal"), filled: (page) => page.getByRole("button", { name: "Open" }).waitFor() },
  metered: { path: ofTask("&tab=usage"), filled: heading("Use against what it asks for") },
  machines: { path: at("machines"), filled: table },
  machine: { path: ofMachine(""), filled: table },
  resources: { path: ofMachine("&tab=resources"), filled: text("anybody") },
  about: { path: ofMachine("&tab=about"), filled: text("Attributes") },
  images: { path: ofMachine("&tab=images"), filled: heading("Container images") },
  jobs: { path: at("jobs"), filled: text("runs no jobs yet") },
  catalog: { path: at("catalog"), filled: text("has no packages yet") },
  "no-frameworks": { path: at("frameworks"), filled: heading("Frameworks") },
  roles: { path: at("roles?role=*"), filled: heading("Services of *") },
  events: { path: at("events"), filled: (page) => page.locator(".entries > li").first().waitFor() },
  nothing: { path: at("nothing-there"), filled: text("The address leads nowhere") },
};

/** What there is with frameworks and reservations. */
export interface SceneView {
  path: (scene: Scene) => string;
  filled: (page: Page) => Promise<unknown>;
}

const ofFramework = ({ framework }: Scene) => `framework?id=${framework.id}`;

export const scenes: Record<string, SceneView> = {
  frameworks: { path: () => "frameworks", filled: table },
  framework: { path: ofFramework, filled: text("Why it is offered what it is offered") },
  "framework-task": { path: ({ taskId }) => `task?id=${taskId}`, filled: text("a page is written") },
  "framework-down": {
    path: ofFramework,
    filled: async (page) => {
      await page.getByRole("button", { name: "Tear down" }).click();
      await page.getByRole("dialog").waitFor();
    },
  },
  "framework-tasks": { path: () => "tasks?q=nightly", filled: table },
  "framework-events": {
    path: () => "events?kind=framework",
    filled: (page) => page.locator(".entries > li").first().waitFor(),
  },
  "machine-apart": { path: ({ machine }) => `machine?id=${machine}&tab=resources`, filled: text("pgdata") },
  "machine-drain": {
    path: ({ machine }) => `machine?id=${machine}`,
    filled: async (page) => {
      await page.getByRole("button", { name: "Drain" }).click();
      await page.getByRole("region", { name: "What will move" }).waitFor();
    },
  },
  "role-at-limit": { path: () => `roles?role=${role}`, filled: heading(`Services of ${role}`) },
  "role-of-frameworks": { path: () => `roles?role=${batch}`, filled: heading(`Services of ${batch}`) },
  limited: { path: () => `service?id=${limited}`, filled: text("Why it is pending") },
};

interface DialogView {
  path: (task?: SomeTask) => string;
  opens: (page: Page) => Promise<unknown>;
}

const press = (name: string) => async (page: Page) => {
  await page.getByRole("button", { name, exact: true }).click();
  await page.getByRole("dialog").waitFor();
};

export const dialogs: Record<string, DialogView> = {
  palette: {
    path: at(`service?id=${web}`),
    opens: async (page) => {
      await table(page);
      await page.keyboard.press("Control+k");
      await page.getByRole("dialog").waitFor();
    },
  },
  scale: { path: at(`service?id=${web}`), opens: press("Scale") },
  question: { path: at(`service?id=${web}`), opens: press("Delete") },
  diff: {
    path: at(`edit?id=${web}`),
    opens: async (page) => {
      await page.getByLabel("Memory").fill("48");
      await press("Review the change")(page);
    },
  },
  drain: {
    path: ofMachine(""),
    opens: async (page) => {
      await press("Drain")(page);
      await page.getByRole("region", { name: "What will move" }).waitFor();
    },
  },
  role: { path: at("roles"), opens: press("Set up a role") },
  unset: { path: at("roles"), opens: press(`Delete the settings of ${role}`) },
};

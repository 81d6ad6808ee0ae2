// The calls that the console makes; it has no powers of its own.

import type { Schemas as Described } from "../lib/schema";
import { address, call, get, refusal } from "./call";
import type { App, MarathonDeployment, Node, QueueItem, RoleSettings } from "./types";
import type { Schemas as Marathon } from "./schema-marathon";

export { ApiError, wordsOf } from "./call";

// Hansa's own API.

export const cluster = () => get("/hansa/v1/cluster");
export const nodes = async () => (await get("/hansa/v1/nodes")).nodes;

/** One machine, with what of it is set apart. */
export const node = (node: string) => get("/hansa/v1/nodes/{node}", { path: { node } });

type Used = Pick<Node, "id" | "used" | "machine">;

/** Only what machines use: all of them, or one. */
export async function usages(node: string | null): Promise<Used[]> {
  const query = { fields: "id,used,machine" };
  if (node) return [await get("/hansa/v1/nodes/{node}", { path: { node }, query })];
  return (await get("/hansa/v1/nodes", { query })).nodes;
}
export const services = async () => (await get("/hansa/v1/services")).services;
export const deployments = async () => (await get("/hansa/v1/deployments")).deployments;
export const roles = async () => (await get("/hansa/v1/roles")).roles;
/** Where one more instance would go; where several would, if their number is given. */
export const explain = (service: string, instances?: number) =>
  get("/hansa/v1/explain/{path}", { path: { path: service }, query: { instances: instances ?? null } });
/** So many can be asked about at once. */
export const mostInstances = 1000;
export const drainPreview = (node: string) => get("/hansa/v1/nodes/{node}/drain-preview", { path: { node } });
export const task = (task: string) => get("/hansa/v1/tasks/{task}", { path: { task } });
export const images = (node: string) => get("/hansa/v1/images", { query: { node } });

/** One page of tasks; most of what the server gives at once. */
export const tasks = (after: string | null) => get("/hansa/v1/tasks", { query: { limit: 10000, after } });

export const frameworks = async () => (await get("/hansa/v1/frameworks", { query: { all: true } })).frameworks;
export const framework = (framework: string) => get("/hansa/v1/frameworks/{framework}", { path: { framework } });
export const explainFramework = (framework: string) =>
  get("/hansa/v1/frameworks/{framework}/explain", { path: { framework } });

export const tearDownFramework = (framework: string) =>
  call("delete", "/hansa/v1/frameworks/{framework}", { path: { framework } });

/** The paths that this master has, from its own description: what it cannot do is not offered. Read once. */
let described: Promise<ReadonlySet<string>> | null = null;
export const paths = () => {
  described ??= get("/hansa/v1/openapi.json").then(
    ({ paths }) => new Set(Object.keys(paths as Record<string, unknown>)),
  );
  described.catch(() => {
    described = null;
  });
  return described;
};

export type MachineOrder = "deactivate" | "reactivate" | "drain" | "gone";
export const orderMachine = (node: string, order: MachineOrder) =>
  call("post", "/hansa/v1/nodes/{node}/{order}", { path: { node, order } });

export type DeploymentOrder = "pause" | "resume" | "cancel";
export const orderDeployment = (deployment: string, order: DeploymentOrder, force = false) =>
  call("post", "/hansa/v1/deployments/{deployment}/{order}", { path: { deployment, order }, query: { force } });

export const removeRole = (role: string) => call("delete", "/hansa/v1/roles/{role}", { path: { role } });
export const setRole = (role: string, settings: RoleSettings) =>
  call("put", "/hansa/v1/roles/{role}", { path: { role }, body: settings });

// Marathon's API, where services are defined and changed. What was typed is sent as it is: whether it is a definition the master
// says.

export const app = async (app: string): Promise<App> =>
  ((await get("/v2/apps/{app}", { path: { app } })) as { app: App }).app;
export const apps = async () => (await get("/v2/apps")).apps as App[];
export const appVersions = async (app: string) => (await get("/v2/apps/{app}/versions", { path: { app } })).versions;
export const appVersion = async (app: string, version: string) =>
  (await get("/v2/apps/{app}/versions/{version}", { path: { app, version } })) as App;
export const createApp = (app: App) => call("post", "/v2/apps", { body: app as Marathon["App"] });
/** The whole definition: what is not in it gets its default. */
export const replaceApp = (id: string, app: App, force = false) =>
  call("put", "/v2/apps/{app}", {
    path: { app: id },
    query: { partialUpdate: false, force },
    body: app as Marathon["AppUpdate"],
  });
/** Only the fields that are given. */
export const changeApp = (id: string, change: App, force = false) =>
  call("put", "/v2/apps/{app}", { path: { app: id }, query: { force }, body: change as Marathon["AppUpdate"] });
export const restartApp = (app: string, force = false) =>
  call("post", "/v2/apps/{app}/restart", { path: { app }, query: { force } });
export const deleteApp = (app: string, force = false) =>
  call("delete", "/v2/apps/{app}", { path: { app }, query: { force } });
export const deleteGroup = (group: string, force = false) =>
  call("delete", "/v2/groups/{group}", { path: { group }, query: { force } });
export const queue = async () => (await get("/v2/queue")).queue as QueueItem[];
export const endDelay = (app: string) => call("delete", "/v2/queue/{app}/delay", { path: { app } });
export const marathonDeployments = async () => (await get("/v2/deployments")) as MarathonDeployment[];
export const killTask = (id: string, scale: boolean) =>
  call("post", "/v2/tasks/delete", { query: { scale }, body: { ids: [id] } });

/** The schemas of Marathon's API, as the master describes them itself. Read once. */
let document: Promise<Described> | null = null;
export const schemas = () => {
  document ??= get("/hansa/v1/openapi-marathon.json").then(
    ({ components }) => (components as { schemas: Described }).schemas,
  );
  document.catch(() => {
    document = null;
  });
  return document;
};

// Output of tasks.

export type Output = "stdout" | "stderr";

interface Part {
  /** Where it ran, for a task that the master has forgotten. */
  node: string | null;
  /** The first byte; negative: from the end. */
  offset?: number;
  follow?: boolean;
}

export const logPath = (task: string, stream: Output, query: Part) =>
  address("/hansa/v1/tasks/{task}/logs/{stream}", { path: { task, stream }, query });

/** Reads the end of a log and then what is added to it, until `signal` aborts. */
export async function followLog(
  task: string,
  file: Output,
  node: string | null,
  tail: number,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(logPath(task, file, { node, offset: -tail, follow: true }), { signal });
  if (!response.ok || !response.body) throw await refusal(response, "the log");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onText(value);
  }
}

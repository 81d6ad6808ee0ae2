// Plain calls of the public API; the console has no powers of its own.

import { ownPath, serverWords, type Fault, type Schemas } from "../lib/schema";
import type {
  App,
  Cluster,
  Deployment,
  Explanation,
  Framework,
  FrameworkDetail,
  FrameworkExplanation,
  Image,
  MarathonDeployment,
  Node,
  QueueItem,
  Role,
  Service,
  Task,
} from "./types";

/** A refusal, in the words of whichever surface gave it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** What to do about it. */
    readonly remedy: string | null = null,
    /** What is wrong field by field. */
    readonly faults: readonly Fault[] = [],
    /** Deployments that stand in the way; with force they do not. */
    readonly deployments: readonly string[] = [],
  ) {
    super(message);
  }

  /** Whether the same again with `force` would go through. */
  get locked() {
    return this.status === 409 && this.deployments.length > 0;
  }
}

export const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

interface Problem {
  error?: { message: string; field?: string; remedy?: string };
  message?: string;
  details?: { path: string; errors: string[] }[] | string;
  deployments?: { id: string }[];
}

export async function refusal(response: Response, path: string): Promise<ApiError> {
  const body = (await response.json().catch(() => null)) as Problem | null;
  const { error } = body ?? {};
  if (error) {
    const faults = error.field ? [{ path: ownPath(error.field.replaceAll(".", "/")), words: error.message }] : [];
    return new ApiError(response.status, error.message, error.remedy ?? null, faults);
  }
  const details = Array.isArray(body?.details) ? body.details : [];
  const faults = details.flatMap(({ path, errors }) =>
    errors.map((words) => ({ path: ownPath(path), words: serverWords(words) })),
  );
  const deployments = (body?.deployments ?? []).map(({ id }) => id);
  const general = body?.message ?? `${path}: the master answers ${response.status}`;
  const locked = response.status === 409 && deployments.length > 0;
  const message = locked ? "A deployment under way holds the service." : general;
  return new ApiError(response.status, message, null, faults, deployments);
}

async function ask<T>(method: string, path: string, body?: unknown): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...(body !== undefined && { "Content-Type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, "The master does not answer.", "see whether it runs, and whether this machine reaches it");
  }
  if (!response.ok) throw await refusal(response, path);
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

export const get = <T>(path: string) => ask<T>("GET", path);
export const part = encodeURIComponent;
const flag = (force: boolean) => (force ? "?force=true" : "");

// Hansa's own API.

export const cluster = () => get<Cluster>("/hansa/v1/cluster");
export const nodes = async () => (await get<{ nodes: Node[] }>("/hansa/v1/nodes")).nodes;
/** Only what machines use: all of them, or one. */
export async function usages(node: string | null) {
  type Used = Pick<Node, "id" | "used" | "machine">;
  const fields = "fields=id,used,machine";
  if (node) return [await get<Used>(`/hansa/v1/nodes/${part(node)}?${fields}`)];
  return (await get<{ nodes: Used[] }>(`/hansa/v1/nodes?${fields}`)).nodes;
}
export const services = async () => (await get<{ services: Service[] }>("/hansa/v1/services")).services;
export const deployments = async () => (await get<{ deployments: Deployment[] }>("/hansa/v1/deployments")).deployments;
export const roles = async () => (await get<{ roles: Role[] }>("/hansa/v1/roles")).roles;
export const explain = (service: string) => get<Explanation>(`/hansa/v1/explain${encodeURI(service)}`);
export const task = (id: string) => get<Task>(`/hansa/v1/tasks/${part(id)}`);
export const images = (node: string) =>
  get<{ images: Image[]; silent: { node: string; why: string }[] }>(`/hansa/v1/images?node=${part(node)}`);

/** One page of tasks; most of what the server gives at once. */
export const tasks = (after: string | null) =>
  get<{ tasks: Task[]; next: string | null }>(`/hansa/v1/tasks?limit=10000${after ? `&after=${part(after)}` : ""}`);

export const frameworks = async () =>
  (await get<{ frameworks: Framework[] }>("/hansa/v1/frameworks?all=true")).frameworks;
export const framework = (id: string) => get<FrameworkDetail>(`/hansa/v1/frameworks/${part(id)}`);
export const explainFramework = (id: string) => get<FrameworkExplanation>(`/hansa/v1/frameworks/${part(id)}/explain`);

export const tearDownFramework = (id: string) => ask("DELETE", `/hansa/v1/frameworks/${part(id)}`);

/** The paths that this master has, from its own description: what it cannot do is not offered. Read once. */
let described: Promise<ReadonlySet<string>> | null = null;
export const paths = () => {
  described ??= get<{ paths: Record<string, unknown> }>("/hansa/v1/openapi.json").then(
    ({ paths }) => new Set(Object.keys(paths)),
  );
  described.catch(() => {
    described = null;
  });
  return described;
};

export type MachineOrder = "deactivate" | "reactivate" | "drain" | "gone";
export const orderMachine = (node: string, order: MachineOrder) =>
  ask("POST", `/hansa/v1/nodes/${part(node)}/${order}`);

export type DeploymentOrder = "pause" | "resume" | "cancel";
export const orderDeployment = (id: string, order: DeploymentOrder, force = false) =>
  ask("POST", `/hansa/v1/deployments/${part(id)}/${order}${flag(force)}`);

export const removeRole = (name: string) => ask("DELETE", `/hansa/v1/roles/${part(name)}`);
export const setRole = (role: Omit<Role, "allocated">) => ask("PUT", `/hansa/v1/roles/${part(role.name)}`, role);

// Marathon's API, where services are defined and changed.

const appPath = (id: string) => `/v2/apps${encodeURI(id)}`;

export const app = async (id: string) => (await get<{ app: App }>(appPath(id))).app;
export const apps = async () => (await get<{ apps: App[] }>("/v2/apps")).apps;
export const appVersions = async (id: string) =>
  (await get<{ versions: string[] }>(`${appPath(id)}/versions`)).versions;
export const appVersion = (id: string, version: string) => get<App>(`${appPath(id)}/versions/${part(version)}`);
export const createApp = (app: App) => ask<App>("POST", "/v2/apps", app);
/** The whole definition: what is not in it gets its default. */
export const replaceApp = (id: string, app: App, force = false) =>
  ask("PUT", `${appPath(id)}?partialUpdate=false${force ? "&force=true" : ""}`, app);
/** Only the fields that are given. */
export const changeApp = (id: string, change: App, force = false) => ask("PUT", appPath(id) + flag(force), change);
export const restartApp = (id: string, force = false) => ask("POST", `${appPath(id)}/restart${flag(force)}`);
export const deleteApp = (id: string, force = false) => ask("DELETE", appPath(id) + flag(force));
export const deleteGroup = (id: string, force = false) => ask("DELETE", `/v2/groups${encodeURI(id)}${flag(force)}`);
export const queue = async () => (await get<{ queue: QueueItem[] }>("/v2/queue")).queue;
export const endDelay = (id: string) => ask("DELETE", `/v2/queue${encodeURI(id)}/delay`);
export const marathonDeployments = () => get<MarathonDeployment[]>("/v2/deployments");
export const killTask = (id: string, scale: boolean) =>
  ask("POST", `/v2/tasks/delete${scale ? "?scale=true" : ""}`, { ids: [id] });

/** The schemas of Marathon's API, as the master describes them itself. Read once. */
let document: Promise<Schemas> | null = null;
export const schemas = () => {
  document ??= get<{ components: { schemas: Schemas } }>("/hansa/v1/openapi-marathon.json").then(
    ({ components }) => components.schemas,
  );
  document.catch(() => {
    document = null;
  });
  return document;
};

// Output of tasks.

export type Output = "stdout" | "stderr";

/** `node`: where it ran, for a task that the master has forgotten. */
export const logPath = (task: string, file: Output, node: string | null) =>
  `/hansa/v1/tasks/${part(task)}/logs/${file}?${node ? `node=${part(node)}&` : ""}`;

/** Reads the end of a log and then what is added to it, until `signal` aborts. */
export async function followLog(
  task: string,
  file: Output,
  node: string | null,
  tail: number,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(`${logPath(task, file, node)}offset=-${tail}&follow=true`, { signal });
  if (!response.ok || !response.body) throw await refusal(response, "the log");
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onText(value);
  }
}

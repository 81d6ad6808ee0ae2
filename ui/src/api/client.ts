// Plain calls of the public API; the console has no powers of its own.

import type { Cluster, Deployment, Explanation, Node, Service, Task } from "./types";

export class ApiError extends Error {}

async function get<T>(path: string): Promise<T> {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  if (!response.ok) {
    const body = await response.json().catch(() => null);
    throw new ApiError(body?.error?.message ?? `${path}: ${response.status}`);
  }
  return response.json() as Promise<T>;
}

export const cluster = () => get<Cluster>("/hansa/v1/cluster");
export const nodes = async () => (await get<{ nodes: Node[] }>("/hansa/v1/nodes")).nodes;
export const services = async () => (await get<{ services: Service[] }>("/hansa/v1/services")).services;
export const deployments = async () => (await get<{ deployments: Deployment[] }>("/hansa/v1/deployments")).deployments;
export const explain = (service: string) => get<Explanation>(`/hansa/v1/explain${encodeURI(service)}`);

/** All tasks, page by page, but at most `limit`. */
export async function tasks(limit = 10_000): Promise<Task[]> {
  const all: Task[] = [];
  let after = "";
  while (all.length < limit) {
    const query = new URLSearchParams({ limit: "1000", ...(after && { after }) });
    const page = await get<{ tasks: Task[]; next: string | null }>(`/hansa/v1/tasks?${query}`);
    all.push(...page.tasks);
    if (!page.next) break;
    after = page.next;
  }
  return all;
}

export const logPath = (task: string, file: "stdout" | "stderr") =>
  `/hansa/v1/tasks/${encodeURIComponent(task)}/logs/${file}`;

/** Reads the end of a log and then what is added to it, until `signal` aborts. */
export async function followLog(
  task: string,
  file: "stdout" | "stderr",
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const response = await fetch(`${logPath(task, file)}?offset=-16384&follow=true`, { signal });
  if (!response.ok || !response.body) {
    const body = await response.json().catch(() => null);
    throw new ApiError(body?.error?.message ?? `the log cannot be read: ${response.status}`);
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onText(value);
  }
}

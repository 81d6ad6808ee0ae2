// What was, as the master and its agents remember it: use over time, states of a task, ended tasks, events.

import { get } from "./call";
import type { Schemas } from "./schema";

export const spans = ["15m", "3h", "1d"] as const;
export type Span = (typeof spans)[number];

export type History = Schemas["History"];
/** The average over one step that began at `at`. */
export type Point = Schemas["Point"];
export type PastState = Schemas["PastState"];
export type PastEvent = Schemas["PastEvent"];
/** Half of the values are at most `p50`, 95 of 100 at most `p95`. */
export type Spread = Schemas["Spread"];
/** What a service asks for against what it uses. */
export type ServiceUsage = Schemas["ServiceUsage"];

/** `of`: `cluster`, `node:ID`, `role:NAME`, `service:/path` or `task:ID`. */
export const history = (of: string, span: Span) => get("/hansa/v1/history", { query: { of, span } });

/** The states that a task was in, oldest first. */
export const taskStates = async (task: string) =>
  (await get("/hansa/v1/tasks/{task}/history", { path: { task } })).states;

/** Tasks that ended, newest first. */
export const endedTasks = (wanted: { app?: string; node?: string; q?: string; after?: string; limit: number }) =>
  get("/hansa/v1/tasks", { query: { ended: true, ...wanted } });

/** Newest first; `before`: the `next` of the answer with newer ones. */
export const pastEvents = (wanted: { q?: string; only?: string; before?: string; limit: number }) =>
  get("/hansa/v1/events/history", { query: wanted });

export const serviceUsage = (service: string, span: Span) =>
  get("/hansa/v1/usage/{path}", { path: { path: service }, query: { span } });

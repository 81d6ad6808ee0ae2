// What was, as the master and its agents remember it: use over time, states of a task, ended tasks, events. As
// crates/hansa-api/src/past.rs defines it.

import { get, part } from "./client";
import type { Exit, Task, Totals } from "./types";

export const spans = ["15m", "3h", "1d"] as const;
export type Span = (typeof spans)[number];

/** Of what: `cluster`, `node:ID`, `role:NAME`, `service:/path` or `task:ID`. */
export interface History {
  of: string;
  step_ms: number;
  until: number;
  total: Totals | null;
  points: Point[];
  /** What else there is to say, such as that not all instances were asked. */
  words: string;
}

/** The average over one step that began at `at`. */
export interface Point {
  at: number;
  used: Totals | null;
  allocated: Totals | null;
}

export const history = (of: string, span: Span) => get<History>(`/hansa/v1/history?of=${part(of)}&span=${span}`);

export interface PastState {
  state: string;
  at: number;
  message: string;
  reason: string | null;
  healthy: boolean | null;
  exit: Exit | null;
}

/** The states that a task was in, oldest first. */
export const taskStates = async (task: string) =>
  (await get<{ states: PastState[] }>(`/hansa/v1/tasks/${part(task)}/history`)).states;

/** Tasks that ended, newest first. */
export const endedTasks = (wanted: { app?: string; node?: string; q?: string; after?: string; limit: number }) => {
  const query = new URLSearchParams({ ended: "true" });
  for (const [name, value] of Object.entries(wanted)) if (value) query.set(name, String(value));
  return get<{ tasks: Task[]; next: string | null }>(`/hansa/v1/tasks?${query}`);
};

export interface PastEvent {
  id: string;
  at: number;
  name: string;
  subject: string;
  words: string;
  service?: string;
  hostname?: string;
}

/** Newest first; `before`: the `next` of the answer with newer ones. */
export const pastEvents = (wanted: { q?: string; only?: string; before?: string; limit: number }) => {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) if (value) query.set(name, String(value));
  return get<{ events: PastEvent[]; next: string | null }>(`/hansa/v1/events/history?${query}`);
};

/** Half of the values are at most `p50`, 95 of 100 at most `p95`. */
export interface Spread {
  p50: number;
  p95: number;
  max: number;
}

export interface Usage {
  cpus_milli: Spread;
  mem: Spread;
}

/** What a service asks for against what it uses. */
export interface ServiceUsage {
  span_ms: number;
  until: number;
  cpus_milli: number;
  mem: number;
  used: Usage | null;
  instances: (Usage & { task: string; node: string; hostname: string; points: number })[];
  running: number;
  silent: { node: string; why: string }[];
  suggestion: { cpus_milli: number; mem: number; words: string } | null;
  words: string;
}

export const serviceUsage = (service: string, span: Span) =>
  get<ServiceUsage>(`/hansa/v1/usage${encodeURI(service)}?span=${span}`);

// What happened, in words: made of the difference between a frame and what was known before it. The master keeps no history of
// events yet: of what was before the console was opened the journal has what the lists tell.

import { taskState } from "../lib/format";
import type { Params } from "../lib/route";
import type { Tone } from "../ui/tone";
import type { Frame, Picture } from "./picture";
import type { Task } from "./types";

export type EntryKind = "task" | "service" | "machine" | "deployment" | "alarm";

export interface Entry {
  /** Counts up. */
  id: number;
  at: number;
  kind: EntryKind;
  /** Id of the task, service or deployment, host name of the machine, code of the alarm. */
  subject: string;
  /** Services it concerns, to find it by. */
  services: readonly string[];
  words: string;
  tone: Tone;
  /** The page that tells more. */
  to: readonly ["task" | "service" | "machine" | "deployments", Params] | null;
}

let last = 0;

/** Moments of before the console was opened are taken from this many of the newest. */
const mostPast = 1000;

/** What the lists tell of the time before, oldest first: when machines joined, services changed and failed, tasks began. */
export function past({ nodes, services, tasks }: Pick<Picture, "nodes" | "services" | "tasks">): Entry[] {
  const found: Omit<Entry, "id">[] = [];
  for (const node of nodes.values()) {
    const base = { kind: "machine", subject: node.hostname, services: [], to: ["machine", { id: node.hostname }] } as const;
    found.push({ ...base, at: node.registered_at, words: "joined", tone: "good" });
    if (node.state !== "active") found.push({ ...base, at: node.since, words: node.state, tone: node.state === "unreachable" ? "bad" : "calm" });
  }
  for (const service of services.values()) {
    const base = { kind: "service", subject: service.id, services: [service.id], to: ["service", { id: service.id }] } as const;
    found.push({ ...base, at: service.version, words: "has its present version", tone: "calm" });
    if (service.last_failure_at) found.push({ ...base, at: service.last_failure_at, words: `an instance failed: ${service.last_failure}`, tone: "bad" });
  }
  for (const task of tasks.values()) {
    if (!task.started_at) continue;
    const to = ["task", { id: task.id, on: task.hostname }] as const;
    const words = `running on ${task.hostname}`;
    found.push({ at: task.started_at, kind: "task", subject: task.id, services: task.app ? [task.app] : [], words, tone: "good", to });
  }
  found.sort((a, b) => a.at - b.at);
  return found.slice(-mostPast).map((entry) => {
    last += 1;
    return { id: last, ...entry };
  });
}

/** The entry that a frame is worth; null: nothing that a person follows. */
export function told(before: Picture, frame: Frame, now: number): Entry | null {
  const entry = tell(before, frame);
  if (!entry) return null;
  last += 1;
  return { id: last, at: now, ...entry };
}

type Told = Omit<Entry, "id" | "at">;

function tell(before: Picture, frame: Frame): Told | null {
  switch (frame.name) {
    case "task":
      return taskTold(before, frame.data);
    case "service": {
      const service = frame.data;
      const known = before.services.get(service.id);
      const to = ["service", { id: service.id }] as const;
      const base = { kind: "service", subject: service.id, services: [service.id], to } as const;
      if (!known) return { ...base, words: "created", tone: "calm" };
      if (!known.failing && service.failing) {
        return { ...base, words: `fails again and again: ${service.failing.last}`, tone: "bad" };
      }
      if (known.instances !== service.instances) {
        return { ...base, words: `scaled from ${known.instances} to ${service.instances}`, tone: "calm" };
      }
      if (known.version !== service.version) return { ...base, words: "has a new version", tone: "calm" };
      if (service.last_failure_at !== known.last_failure_at && service.last_failure) {
        return { ...base, words: `an instance failed: ${service.last_failure}`, tone: "bad" };
      }
      if (known.health === service.health) return null;
      const tone = service.health === "unhealthy" ? "bad" : service.health === "healthy" ? "good" : "calm";
      return { ...base, words: `${known.health} → ${service.health}`, tone };
    }
    case "task_removed": {
      // Often the last that is heard of a task: it is forgotten as soon as it has ended.
      const task = before.tasks.get(frame.data.id);
      if (!task || isTerminal(task.state)) return null;
      const to = ["task", { id: task.id, on: task.hostname }] as const;
      return { kind: "task", subject: task.id, services: task.app ? [task.app] : [], words: `ended on ${task.hostname}`, tone: "calm", to };
    }
    case "service_removed": {
      const { id } = frame.data;
      return before.services.has(id)
        ? { kind: "service", subject: id, services: [id], words: "removed", tone: "calm", to: null }
        : null;
    }
    case "node": {
      const node = frame.data;
      const known = before.nodes.get(node.id);
      if (known?.state === node.state) return null;
      const words = known ? `${known.state} → ${node.state}` : `joined, ${node.state}`;
      const tone = node.state === "unreachable" ? "bad" : node.state === "active" ? "good" : "calm";
      const to = ["machine", { id: node.hostname }] as const;
      return { kind: "machine", subject: node.hostname, services: [], words, tone, to };
    }
    case "node_removed": {
      const known = before.nodes.get(frame.data.id);
      return known
        ? { kind: "machine", subject: known.hostname, services: [], words: "forgotten", tone: "calm", to: null }
        : null;
    }
    case "deployment": {
      const { id, services, state, step, steps, waiting_for } = frame.data;
      const known = before.deployments.get(id);
      if (known && known.state === state && known.step === step) return null;
      const words =
        state === "running"
          ? `step ${Math.min(step + 1, steps)} of ${steps}${waiting_for ? `: ${waiting_for}` : ""}`
          : state;
      const tone = state === "succeeded" ? "good" : state === "failed" || state === "failing" ? "bad" : "calm";
      return { kind: "deployment", subject: id, services, words, tone, to: ["deployments", { id }] };
    }
    case "alarm": {
      const { code, message } = frame.data;
      return { kind: "alarm", subject: code, services: [], words: message, tone: "bad", to: null };
    }
    default:
      return null;
  }
}

const isTerminal = (state: string) => !/^TASK_(STAGING|STARTING|RUNNING|KILLING|UNREACHABLE)$/.test(state);

function taskTold(before: Picture, task: Task): Told | null {
  const known = before.tasks.get(task.id);
  // While lists are read anew, a task that is new here may be an old one.
  if (known?.state === task.state && known.healthy === task.healthy) return null;
  const moved = known?.state !== task.state;
  const health = task.healthy === null ? null : task.healthy ? "healthy" : "unhealthy";
  const message = task.message ? `: ${task.message}` : "";
  const words = moved ? `${taskState(task.state)}${message}` : (health ?? "health unknown");
  const bad = (moved && /FAILED|ERROR|LOST|UNREACHABLE|GONE|DROPPED|UNKNOWN/.test(task.state)) || (!moved && task.healthy === false);
  const good = moved ? task.state === "TASK_RUNNING" : task.healthy === true;
  return {
    kind: "task",
    subject: task.id,
    services: task.app ? [task.app] : [],
    words: `${words}${moved && task.hostname ? ` on ${task.hostname}` : ""}`.replace(/^(\S+): (.*) on (\S+)$/, "$1 on $3: $2"),
    tone: bad ? "bad" : good ? "good" : "calm",
    to: ["task", { id: task.id, on: task.hostname }],
  };
}

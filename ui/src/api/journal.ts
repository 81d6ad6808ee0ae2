// What happened, in words: of the time before the console was opened as the master remembers it, and then made of the difference
// between a frame and what was known before it.

import { hasSettings, sameSettings } from "../lib/bounds";
import { taskState } from "../lib/format";
import type { Params } from "../lib/route";
import type { Tone } from "../ui/tone";
import type { PastEvent } from "./past";
import type { Frame, Picture } from "./picture";
import type { Task } from "./types";

export type EntryKind = "task" | "service" | "machine" | "deployment" | "role" | "framework" | "alarm";

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
  to: readonly ["task" | "service" | "machine" | "deployments" | "roles" | "framework", Params] | null;
}

let last = 0;

const kindOf: Record<string, EntryKind> = { node: "machine" };
const bad = /\b(fail(s|ed|ing)?|lost|unreachable|out of reach|unhealthy|error|gone|dropped|given up(?!: replaced)|no nearer|alarm)\b/i;
const good = /\b(running|joined|healthy|succeeded|done|active)\b/i;

/** An event that the master remembers. */
export function remembered(event: PastEvent): Entry {
  const { name, subject, at, service, hostname } = event;
  // Of tasks the master says `is TASK_KILLED on node2: why`; others it names, whose names stand beside the words here.
  const framework = name === "framework" ? /^framework (.+) (subscribed|went away|is .+)$/.exec(event.words) : null;
  const deployment = name === "deployment" ? /^deployment of ([^\s,]+(?:, [^\s,]+)*)(?: and \d+ more)? (.+)$/.exec(event.words) : null;
  const words =
    framework?.[2] ??
    deployment?.[2]?.replace(/(replaced by) deployment [0-9a-f-]{36}$/, "$1 another").replace(/^/, "deployment ") ??
    event.words.replace(/^is (TASK_\w+)/, (_, state: string) => taskState(state)).replace(/^node \S+ /, "");
  const kind = kindOf[name] ?? (name as EntryKind);
  last += 1;
  return {
    id: last,
    at,
    kind,
    subject: framework?.[1] ?? (kind === "machine" ? (hostname ?? subject) : subject),
    services: deployment?.[1]?.split(", ") ?? (service ? [service] : []),
    words,
    tone: kind === "alarm" || (bad.test(words) && !framework) ? "bad" : good.test(words) ? "good" : "calm",
    to: placeOf(kind, subject, hostname),
  };
}

function placeOf(kind: EntryKind, subject: string, hostname: string | undefined): Entry["to"] {
  switch (kind) {
    case "task":
      return ["task", { id: subject, on: hostname ?? null }];
    case "service":
      return ["service", { id: subject }];
    case "machine":
      return ["machine", { id: hostname ?? subject }];
    case "deployment":
      return ["deployments", { id: subject }];
    case "role":
      return ["roles", { role: subject }];
    case "framework":
      return ["framework", { id: subject }];
    default:
      return null;
  }
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
      const known = before.tasks.get(frame.data.id);
      if (!known || isTerminal(known.state)) return null;
      const task = frame.data.last ?? known;
      const to = ["task", { id: task.id, on: task.hostname }] as const;
      return {
        kind: "task",
        subject: task.id,
        services: task.app ? [task.app] : [],
        words: `${isTerminal(task.state) ? taskState(task.state) : "ended"} on ${task.hostname}${task.message ? `: ${task.message}` : ""}`,
        tone: /FAILED|ERROR|LOST|GONE|DROPPED/.test(task.state) ? "bad" : "calm",
        to,
      };
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
      const words = known ? `${known.state} → ${node.state}` : "joined";
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
          ? `deployment at step ${Math.min(step + 1, steps)} of ${steps}${waiting_for ? `: ${waiting_for}` : ""}`
          : `deployment ${state}`;
      const tone = state === "succeeded" ? "good" : state === "failed" || state === "failing" ? "bad" : "calm";
      return { kind: "deployment", subject: id, services, words, tone, to: ["deployments", { id }] };
    }
    case "role": {
      const role = frame.data;
      const known = before.roles.get(role.name);
      if (known ? sameSettings(known, role) : !hasSettings(role)) return null;
      const to = ["roles", { role: role.name }] as const;
      return { kind: "role", subject: role.name, services: [], words: "has new settings", tone: "calm", to };
    }
    case "framework": {
      const { id, name, state } = frame.data;
      const known = before.frameworks.get(id);
      if (known?.state === state) return null;
      const away = state === "disconnected";
      const words = known ? (away ? "went away" : `is ${state}`) : "subscribed";
      return { ...ofFramework(id, name, words), tone: "calm" };
    }
    case "framework_removed": {
      const known = before.frameworks.get(frame.data.id);
      return known ? { ...ofFramework(known.id, known.name, "is gone for ever"), tone: "calm" } : null;
    }
    case "alarm": {
      const { code, message } = frame.data;
      return { kind: "alarm", subject: code, services: [], words: message, tone: "bad", to: null };
    }
    default:
      return null;
  }
}

const ofFramework = (id: string, name: string, words: string) =>
  ({ kind: "framework", subject: name, services: [], words, to: ["framework", { id }] }) as const;

const isTerminal = (state: string) => !/^TASK_(STAGING|STARTING|RUNNING|KILLING|UNREACHABLE)$/.test(state);

function taskTold(before: Picture, task: Task): Told | null {
  const known = before.tasks.get(task.id);
  // While lists are read anew, a task that is new here may be an old one.
  if (known?.state === task.state && known.healthy === task.healthy) return null;
  const moved = known?.state !== task.state;
  const health = task.healthy === null ? null : task.healthy ? "healthy" : "unhealthy";
  const message = task.message ? `: ${task.message}` : "";
  const words = moved ? `${taskState(task.state)}${message}` : (health ?? "health unknown");
  const bad =
    (moved && /FAILED|ERROR|LOST|UNREACHABLE|GONE|DROPPED|UNKNOWN/.test(task.state)) ||
    (!moved && task.healthy === false);
  const good = moved ? task.state === "TASK_RUNNING" : task.healthy === true;
  return {
    kind: "task",
    subject: task.id,
    services: task.app ? [task.app] : [],
    words: `${words}${moved && task.hostname ? ` on ${task.hostname}` : ""}`.replace(
      /^(\S+): (.*) on (\S+)$/,
      "$1 on $3: $2",
    ),
    tone: bad ? "bad" : good ? "good" : "calm",
    to: ["task", { id: task.id, on: task.hostname }],
  };
}

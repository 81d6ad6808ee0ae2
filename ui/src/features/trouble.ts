// What is wrong or waits, in the order in which a person should look at it.

import { trouble, type Picture } from "../api/picture";
import type { Progress, Service } from "../api/types";
import { brief, clock, counted, duration } from "../lib/format";
import type { Page, Params } from "../lib/route";
import type { Tone } from "../ui/tone";
import { frameworkTone, isWaiting } from "./words";

export interface Matter {
  key: string;
  tone: Tone;
  /** What it is about. */
  subject: string;
  word: string;
  why: string;
  to: readonly [Page, Params];
}

/** Whether a service will not become right by itself. */
export const needsPerson = (service: Service, deployments: ReadonlyMap<string, Progress>) =>
  service.health === "unhealthy" || trouble(service, deployments) === "failing";

/** How many tasks of each service fail their health check. */
export function unwellTasks(tasks: Picture["tasks"]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { healthy, app } of tasks.values())
    if (healthy === false && app) counts.set(app, (counts.get(app) ?? 0) + 1);
  return counts;
}

export function matters(picture: Picture, unwell: ReadonlyMap<string, number>, now: number): Matter[] {
  const { services, nodes, deployments, journal, frameworks } = picture;
  const bad: Matter[] = [];
  const busy: Matter[] = [];
  for (const node of nodes.values()) {
    const to = ["machine", { id: node.hostname }] as const;
    const base = { key: `machine ${node.id}`, subject: node.hostname, word: node.state, to };
    if (node.state === "unreachable" || node.state === "disconnected") {
      const lost = node.state === "unreachable";
      const why = `for ${duration(now - node.since)}, ${counted(node.tasks, "task")} there`;
      (lost ? bad : busy).push({ ...base, tone: lost ? "bad" : "busy", why });
    } else if (node.state === "draining") {
      busy.push({
        ...base,
        tone: "busy",
        why: node.tasks ? `${counted(node.tasks, "task")} there until others run elsewhere` : "empty now",
      });
    }
  }
  for (const framework of frameworks.values()) {
    const { id, name, state, since, tasks, given_up_at } = framework;
    if (state !== "disconnected") continue;
    const tone = frameworkTone(framework);
    const away = `its scheduler is away for ${duration(now - since)}`;
    const why = given_up_at ? `${away}; at ${clock(given_up_at)} it is given up with ${counted(tasks, "task")}` : away;
    const matter = { key: `framework ${id}`, subject: name, word: state, why, tone, to: ["framework", { id }] as const };
    (tone === "bad" ? bad : busy).push(matter);
  }
  for (const service of services.values()) {
    const to = ["service", { id: service.id }] as const;
    const base = { key: `service ${service.id}`, subject: service.id, to };
    const word = trouble(service, deployments);
    if (needsPerson(service, deployments)) {
      bad.push({ ...base, tone: "bad", word: word ?? service.health, why: whyBad(service) });
    } else if (word === "paused") {
      busy.push({ ...base, tone: "busy", word, why: "its deployment waits to be resumed or rolled back" });
    } else if (isWaiting(service) && service.running + service.staged < service.instances) {
      busy.push({
        ...base,
        tone: "busy",
        word: "pending",
        why: service.waiting_for ? brief(service.waiting_for) : `${service.running} of ${service.instances} run`,
      });
    }
  }
  const known = new Set(bad.map((matter) => matter.subject));
  for (const [app, number] of unwell) {
    if (known.has(app)) continue;
    const why = `${counted(number, "instance")} of it fail${number === 1 ? "s" : ""} the health check`;
    bad.push({ key: `tasks ${app}`, subject: app, word: "unhealthy", why, tone: "bad", to: ["service", { id: app }] });
  }
  // What is known of a deployment stands at its services.
  const failing = [...deployments.values()].filter(({ state }) => state === "failing").map(({ id }) => id);
  const told = (words: string) => failing.some((id) => words.includes(id));
  const alarms = journal.filter((entry) => entry.kind === "alarm" && !told(entry.words)).slice(-3);
  for (const { id, subject, words } of alarms) {
    bad.push({
      key: `alarm ${id}`,
      subject,
      word: "alarm",
      why: words,
      tone: "bad",
      to: ["events", { kind: "alarm" }],
    });
  }
  return [...bad, ...busy];
}

function whyBad(service: Service): string {
  const { failing, last_failure, unhealthy, waiting_for } = service;
  if (failing) return `failed ${counted(failing.count, "time")}, last: ${brief(failing.last)}`;
  if (unhealthy > 0)
    return `${counted(unhealthy, "instance")} of it fail${unhealthy === 1 ? "s" : ""} the health check`;
  return brief(last_failure ?? waiting_for ?? "");
}

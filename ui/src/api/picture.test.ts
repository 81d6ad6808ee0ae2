import { expect, test } from "vitest";
import { none } from "../lib/sums";
import { remembered } from "./journal";
import { complete, emptyPicture, fold, trouble, withLists, withTasks, type Frame } from "./picture";
import type { PastEvent } from "./past";
import type { Cluster, Deployment, Framework, Node, Progress, Role, Service, Task } from "./types";

const task = (id: string, change: Partial<Task> = {}) =>
  ({ id, state: "TASK_RUNNING", app: "/web", healthy: null, message: "", ...change }) as Task;
const node = (change: Partial<Node> = {}) =>
  ({ id: "a", hostname: "a", state: "active", used: null, machine: null, ...change }) as Node;
const service = (change: Partial<Service> = {}) =>
  ({
    id: "/web",
    deployments: ["d"],
    failing: null,
    health: "healthy",
    version: 1,
    instances: 1,
    ...change,
  }) as Service;
const progress: Progress = { id: "d", services: ["/web"], step: 0, steps: 1, waiting_for: "", state: "running" };
const lists = { cluster: {} as Cluster, nodes: [], services: [], deployments: [], roles: [], frameworks: [] };

test("frames replace and remove items, and what ended is remembered for a while", () => {
  let picture = fold(emptyPicture, [{ name: "task", data: task("t") }], 0);
  picture = fold(picture, [{ name: "task", data: task("t", { state: "TASK_FAILED", message: "exit 1" }) }], 1);
  expect(picture.tasks.get("t")?.state).toBe("TASK_FAILED");
  picture = fold(picture, [{ name: "task_removed", data: { id: "t", last: null } }], 2);
  expect(picture.tasks.size).toBe(0);
  expect(picture.ended.get("t")?.message).toBe("exit 1");
});

test("many frames at once are as one after another, and what was is left as it was", () => {
  const frames: Frame[] = [
    { name: "node", data: node() },
    { name: "usage", data: { id: "a", used: { ...none, mem: 7 }, machine: none } },
    { name: "usage", data: { id: "unknown", used: none, machine: none } },
    { name: "task", data: task("x") },
    { name: "task", data: task("y") },
    { name: "task_removed", data: { id: "x", last: null } },
    { name: "node", data: node({ state: "draining" }) },
  ];
  const before = fold(emptyPicture, [{ name: "task", data: task("z") }], 0);
  const at_once = fold(before, frames, 0);
  const one_by_one = frames.reduce((picture, frame) => fold(picture, [frame], 0), before);
  expect([...at_once.tasks.keys()]).toEqual(["z", "y"]);
  expect(at_once.tasks).toEqual(one_by_one.tasks);
  expect(at_once.nodes).toEqual(one_by_one.nodes);
  // Usage survives a node's frame that does not know it.
  expect(at_once.nodes.get("a")?.used?.mem).toBe(7);
  expect(at_once.nodes.size).toBe(1);
  expect([...before.tasks.keys()]).toEqual(["z"]);
});

test("pages of tasks that are read while frames come do not bring back what is older", () => {
  let picture = withTasks(emptyPicture, [task("old"), task("moved")], new Set());
  picture = withLists(picture, lists);
  // Heard while reading: one moved, one went.
  picture = fold(picture, [{ name: "task", data: task("moved", { state: "TASK_KILLED" }) }], 0);
  const newer = new Set(["moved", "went"]);
  picture = withTasks(picture, [task("moved"), task("went"), task("fresh")], newer);
  picture = complete(picture, new Set(["moved", "went", "fresh"]), newer);
  expect([...picture.tasks.keys()].sort()).toEqual(["fresh", "moved"]);
  expect(picture.tasks.get("moved")?.state).toBe("TASK_KILLED");
  expect(picture.complete).toBe(true);
});

test("a deployment is shown as paused or failing until it goes on or ends", () => {
  const listed = {
    ...progress,
    paused: { since: 1, words: "the canary stands" },
    failing: null,
  } as unknown as Deployment;
  let picture = withLists(emptyPicture, { ...lists, deployments: [listed] });
  const moved = (state: Progress["state"]) => fold(picture, [{ name: "deployment", data: { ...progress, state } }], 0);
  expect(trouble(service(), picture.deployments)).toBe("paused");
  picture = moved("running");
  expect(trouble(service(), picture.deployments)).toBeNull();
  picture = moved("failing");
  expect(trouble(service(), picture.deployments)).toBe("failing");
  expect(trouble(service({ deployments: [] }), picture.deployments)).toBeNull();
  picture = moved("succeeded");
  expect(picture.deployments.size).toBe(0);
});

test("a restart loop is shown without a deployment", () => {
  const failing = { since: 0, count: 4, last: "command exited with status 7", delay_ms: 1000 };
  expect(trouble(service({ deployments: [], failing }), new Map())).toBe("failing");
});

test("what the master remembers has its place, its tone and its services", () => {
  const event: PastEvent = { id: "1-1", at: 5, name: "node", subject: "a1", hostname: "n1", words: "n1 is unreachable" };
  const node = remembered(event);
  expect([node.kind, node.subject, node.tone, node.to]).toEqual(["machine", "n1", "bad", ["machine", { id: "n1" }]]);
  const task = remembered({ ...event, name: "task", subject: "t", service: "/web", words: "running on n1" });
  expect([task.kind, task.services, task.tone]).toEqual(["task", ["/web"], "good"]);
  expect(task.to).toEqual(["task", { id: "t", on: "n1" }]);
  expect(task.id).toBeGreaterThan(node.id);
});

test("a task's last words are kept, also of one that was never read", () => {
  const last = task("t", { state: "TASK_FAILED", message: "exit 1", hostname: "n1" });
  const picture = fold(emptyPicture, [{ name: "task_removed", data: { id: "t", last } }], 1);
  expect(picture.ended.get("t")?.message).toBe("exit 1");
});

test("the journal tells what changed, once, and not what stayed", () => {
  const frames: Frame[] = [
    { name: "task", data: task("t", { state: "TASK_STAGING", hostname: "n1" }) },
    { name: "task", data: task("t", { hostname: "n1" }) },
    { name: "task", data: task("t", { hostname: "n1" }) },
    { name: "task", data: task("t", { hostname: "n1", healthy: false }) },
    { name: "task", data: task("t", { hostname: "n1", state: "TASK_FAILED", message: "exit 1", healthy: false }) },
    { name: "task_removed", data: { id: "t", last: null } },
    { name: "task", data: task("u", { hostname: "n2" }) },
    { name: "task_removed", data: { id: "u", last: null } },
    { name: "service", data: service() },
    { name: "service", data: service({ health: "unhealthy" }) },
    { name: "service", data: service({ health: "unhealthy", last_failure: "exit 1", last_failure_at: 4 }) },
    {
      name: "service",
      data: service({ health: "unhealthy", last_failure: "exit 1", last_failure_at: 4, version: 2, instances: 3 }),
    },
    { name: "node", data: node() },
    { name: "node", data: node({ state: "unreachable" }) },
    { name: "usage", data: { id: "a", used: none, machine: none } },
    { name: "deployment", data: progress },
    { name: "deployment", data: { ...progress, state: "succeeded" } },
    { name: "alarm", data: { code: "store", message: "slow" } },
  ];
  const { journal } = fold(emptyPicture, frames, 5);
  expect(journal.map((entry) => `${entry.kind} ${entry.subject} ${entry.tone}: ${entry.words}`)).toEqual([
    "task t calm: staging on n1",
    "task t good: running on n1",
    "task t bad: unhealthy",
    "task t bad: failed on n1: exit 1",
    "task u good: running on n2",
    "task u calm: ended on n2",
    "service /web calm: created",
    "service /web bad: healthy → unhealthy",
    "service /web bad: an instance failed: exit 1",
    "service /web calm: scaled from 1 to 3",
    "machine a good: joined",
    "machine a bad: active → unreachable",
    "deployment d calm: deployment at step 1 of 1",
    "deployment d good: deployment succeeded",
    "alarm store bad: slow",
  ]);
  expect(new Set(journal.map(({ id }) => id)).size).toBe(journal.length);
});

const bare = { guarantee: {}, limit: {}, allocated: none, offered: none, reserved: none };
const role = (change: Partial<Role> = {}): Role => ({ name: "batch", weight_milli: 1000, ...bare, ...change });

test("roles are kept by their frames, and only new settings are news", () => {
  const has = role({ allocated: { ...none, mem: 1 } });
  const set = role({ limit: { mem: 5 } });
  const picture = fold(emptyPicture, [role(), has, set, { ...set, limit: { mem: 5, disk: null } }].map(roleFrame), 3);
  expect(picture.roles.get("batch")?.limit.mem).toBe(5);
  expect(picture.journal.map(({ subject, words }) => `${subject} ${words}`)).toEqual(["batch has new settings"]);
});

test("a role that is listed no more goes, and only it", () => {
  const frames: Frame[] = [roleFrame(role()), roleFrame(role({ name: "web" }))];
  const picture = fold(emptyPicture, [...frames, { name: "role_removed", data: { name: "batch" } }], 3);
  expect([...picture.roles.keys()]).toEqual(["web"]);
  expect(fold(picture, [{ name: "role_removed", data: { name: "never-heard-of" } }], 4).roles.size).toBe(1);
});

const roleFrame = (data: Role): Frame => ({ name: "role", data });

test("a framework that is removed stays among those that are over", () => {
  const framework = { id: "f", name: "spark", state: "connected", tasks: 2 } as Framework;
  const frames: Frame[] = [
    { name: "framework", data: framework },
    { name: "framework", data: { ...framework, tasks: 3 } },
    { name: "framework", data: { ...framework, state: "disconnected" } },
    { name: "framework_removed", data: { id: "f" } },
  ];
  const picture = fold(emptyPicture, frames, 0);
  expect(picture.frameworks.get("f")).toMatchObject({ state: "completed", tasks: 0 });
  expect(picture.journal.map(({ subject, words }) => `${subject} ${words}`)).toEqual([
    "spark subscribed",
    "spark went away",
    "spark is gone for ever",
  ]);
});

test("what the master remembers says once whom it is about", () => {
  const past = (name: string, subject: string, words: string, hostname?: string) => {
    const event = { id: "1", at: 1, name, subject, words, ...(hostname && { hostname }) } as PastEvent;
    const entry = remembered(event);
    return `${entry.subject} [${entry.services}] ${entry.tone}: ${entry.words}`;
  };
  expect(past("deployment", "d", "deployment of /a, /b and 2 more is done")).toBe("d [/a,/b] good: deployment is done");
  expect(past("deployment", "d", "deployment of /a was given up: no room")).toBe("d [/a] bad: deployment was given up: no room");
  const other = "deployment of /a was given up: replaced by deployment 6241f85b-174c-8620-98fb-d091900f0f5f";
  expect(past("deployment", "d", other)).toBe("d [/a] calm: deployment was given up: replaced by another");
  expect(past("framework", "f", "framework my jobs is gone for ever")).toBe("my jobs [] calm: is gone for ever");
  expect(past("node", "n", "node host1 joined", "host1")).toBe("host1 [] good: joined");
  expect(past("task", "t", "is TASK_KILLED on host1: why")).toBe("t [] calm: killed on host1: why");
});

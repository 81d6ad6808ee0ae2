import { expect, test } from "vitest";
import { emptyPicture, fold, fromLists, totals, trouble } from "./picture";
import type { Cluster, Deployment, Node, Progress, Service, Task } from "./types";

const zero = { cpus_milli: 0, mem: 0, disk: 0, gpus_milli: 0 };
const node = (id: string, change: Partial<Node> = {}): Node => ({
  id,
  hostname: id,
  address: "",
  state: "active",
  since: 0,
  total: { cpus_milli: 4000, mem: 1024, disk: 0, gpus: [1000], ports: [] },
  allocated: { ...zero, cpus_milli: 1000 },
  used: null,
  machine: null,
  tasks: 0,
  attributes: {},
  region: null,
  zone: null,
  version: "",
  registered_at: 0,
  missing_isolation: [],
  ...change,
});

test("frames replace and remove items", () => {
  const task = { id: "t", state: "TASK_RUNNING" } as Task;
  let picture = fold(emptyPicture, "task", task, 0);
  picture = fold(picture, "task", { ...task, state: "TASK_FAILED" }, 0);
  expect(picture.tasks.get("t")?.state).toBe("TASK_FAILED");
  picture = fold(picture, "task_removed", { id: "t" }, 0);
  expect(picture.tasks.size).toBe(0);
});

test("usage survives a node's frame that does not know it", () => {
  let picture = fold(emptyPicture, "node", node("a"), 0);
  picture = fold(picture, "usage", { id: "a", used: { ...zero, mem: 7 }, machine: zero }, 0);
  picture = fold(picture, "usage", { id: "unknown", used: zero, machine: zero }, 0);
  picture = fold(picture, "node", node("a", { state: "draining" }), 0);
  expect(picture.nodes.get("a")?.used?.mem).toBe(7);
  expect(picture.nodes.get("a")?.state).toBe("draining");
  expect(picture.nodes.size).toBe(1);
});

test("machines out of reach do not count", () => {
  const sums = totals([node("a"), node("b", { state: "unreachable" })]);
  expect(sums.total.cpus_milli).toBe(4000);
  expect(sums.total.gpus_milli).toBe(1000);
  expect(sums.allocated.cpus_milli).toBe(1000);
});

const service = (change: Partial<Service>) => ({ id: "/web", deployments: ["d"], failing: null, ...change }) as Service;
const progress: Progress = { id: "d", services: ["/web"], step: 0, steps: 1, waiting_for: "", state: "running" };

test("a deployment is shown as paused or failing until it goes on or ends", () => {
  const listed = { ...progress, paused: { since: 1, words: "the canary stands" }, failing: null } as unknown as Deployment;
  let picture = fromLists({} as Cluster, [], [], [], [listed]);
  expect(trouble(service({}), picture.deployments)).toBe("paused");
  picture = fold(picture, "deployment", progress, 0);
  expect(trouble(service({}), picture.deployments)).toBeNull();
  picture = fold(picture, "deployment", { ...progress, state: "failing" }, 0);
  expect(trouble(service({}), picture.deployments)).toBe("failing");
  expect(trouble(service({ deployments: [] }), picture.deployments)).toBeNull();
  picture = fold(picture, "deployment", { ...progress, state: "succeeded" }, 0);
  expect(picture.deployments.size).toBe(0);
});

test("a restart loop is shown without a deployment", () => {
  const failing = { since: 0, count: 4, last: "command exited with status 7", delay_ms: 1000 };
  expect(trouble(service({ deployments: [], failing }), new Map())).toBe("failing");
});

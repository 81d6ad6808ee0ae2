import { expect, test } from "vitest";
import type { Node } from "../api/types";
import { dominant, enough, none, totals } from "./sums";

export const node = (id: string, change: Partial<Node> = {}): Node => ({
  id,
  hostname: id,
  address: "",
  state: "active",
  since: 0,
  total: { cpus_milli: 4000, mem: 1024, disk: 0, gpus: [1000], ports: [] },
  allocated: { ...none, cpus_milli: 1000 },
  reserved: none,
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

test("machines out of reach do not count", () => {
  const sums = totals([node("a"), node("b", { state: "unreachable" })]);
  expect(sums.total.cpus_milli).toBe(4000);
  expect(sums.total.gpus_milli).toBe(1000);
  expect(sums.allocated.cpus_milli).toBe(1000);
});

const task = (cpus_milli: number, mem = 1) => ({ cpus_milli, mem });

test("as many machines as tasks need when packed", () => {
  const machines = [node("a"), node("b"), node("c")];
  expect(enough(machines, [])).toBe(0);
  expect(enough(machines, [task(1000), task(1000)])).toBe(1);
  // 3 + 1, 3: sums alone would say 2 machines of 4, and packing agrees; three of 3 need three.
  expect(enough(machines, [task(3000), task(1000), task(3000)])).toBe(2);
  expect(enough(machines, [task(3000), task(3000), task(3000)])).toBe(3);
  expect(enough(machines, [task(5000)])).toBeNull();
  expect(enough(machines, [task(1, 1024), task(1, 1024)])).toBe(2);
});

test("many tasks are counted by what is given out", () => {
  const many = Array.from({ length: 6000 }, () => task(1, 0));
  const half = { allocated: { ...none, cpus_milli: 3000 } };
  expect(enough([node("a", half), node("b", half)], many)).toBe(2);
  expect(enough([node("a", half), node("b")], null)).toBe(1);
  expect(enough([node("a", { allocated: none })], null)).toBe(0);
  expect(enough([node("a", { allocated: { ...none, cpus_milli: 9000 } })], null)).toBeNull();
});

test("the dominant share", () => {
  const whole = { cpus_milli: 100, mem: 100, disk: 0, gpus_milli: 0 };
  expect(dominant({ ...none, cpus_milli: 10, mem: 30, disk: 5 }, whole)).toEqual({ kind: "mem", share: 0.3 });
});

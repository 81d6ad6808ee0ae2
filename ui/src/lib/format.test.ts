import { expect, test } from "vitest";
import { brief, bytes, clock, cpus, duration, every, legible, localTimes, natural, offered, percent, shortTask, taskState } from "./format";

test("amounts have three digits and a unit", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(512 * 2 ** 20)).toBe("512 MiB");
  expect(bytes(1.5 * 2 ** 30)).toBe("1.5 GiB");
  expect(bytes(1023 * 2 ** 20)).toBe("1 GiB");
  expect(cpus(100)).toBe("0.1");
  expect(cpus(1250)).toBe("1.25");
  expect(cpus(64000)).toBe("64");
  expect(cpus(105_000_000)).toBe("105,000");
  expect(cpus(4)).toBe("0.004");
  expect(legible("4 machines: 3999 to 3999.3 cpus short, node 2026 has 12288 MiB")).toBe(
    "4 machines: 3,999 to 3,999.3 cpus short, node 2026 has 12,288 MiB",
  );
  expect([every(1), every(3)]).toEqual(["its only instance", "all 3 instances"]);
});

test("names sort by their numbers", () => {
  const names = ["node10", "node2", "a-1-9", "a-1-10"];
  expect(names.sort((a, b) => (natural(a) < natural(b) ? -1 : 1))).toEqual(["a-1-9", "a-1-10", "node2", "node10"]);
});

test("shares of nothing are nothing", () => {
  expect(percent(1, 3)).toBe(33);
  expect(percent(0, 0)).toBe(0);
});

test("times and ids are short", () => {
  expect(duration(-5)).toBe("0 s");
  expect(duration(61_000)).toBe("1 min");
  expect(duration(90_000_000)).toBe("1 d");
  expect(taskState("TASK_GONE_BY_OPERATOR")).toBe("gone by operator");
  expect(shortTask("web.instance-0123abcd-0000-8000-8000-0000deadbeef._app.1")).toBe("deadbeef");
  expect(shortTask("nightly-report-4")).toBe("nightly-report-4");
  expect(shortTask("ct:1795000000000:0:a-very-long-name-of-a-job:")).toBe("ct:17950000000…-a-job:");
});

test("of a failure and of a wait the point is told, and other words stay", () => {
  expect(brief("command exited with status 3; it wrote to stderr: no database")).toBe("status 3: no database");
  expect(brief("2 of 2 instances do not run yet, 2 instances wait for a place: 4 machines: 1 cpu short")).toBe(
    "no place for 2 instances; 4 machines: 1 cpu short",
  );
  expect(brief("its instance does not run yet, 1 instance waits until 19:00")).toBe(
    "its instance does not run yet, 1 instance waits until 19:00",
  );
  expect(brief("command exited with status 3")).toBe("command exited with status 3");
});

test("times in the master's words are told as they are here", () => {
  const at = Date.UTC(2026, 10, 22, 12, 49, 7);
  expect(localTimes("refused until 2026-11-22T12:49:07.976Z; no more")).toBe(`refused until ${clock(at)}; no more`);
});

test("resources that Mesos writes are said in our words, without what there is nothing of", () => {
  expect(offered("cpus:0.5;mem:1024;disk:0;ports:[31000-31100,31200-31200]")).toBe(
    "0.5 cpus, 1 GiB, ports 31000–31100, 31200",
  );
  expect(offered("ports:[33666-33666]")).toBe("port 33666");
  expect(offered("cpus(db):2;disk:64;gpus:1")).toBe("2 cpus (db), 64 MiB disk, gpus:1");
  expect(offered("something else")).toBe("something else");
});

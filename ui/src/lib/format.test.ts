import { expect, test } from "vitest";
import { bytes, cpus, duration, percent, shortTask, taskState } from "./format";

test("amounts have three digits and a unit", () => {
  expect(bytes(0)).toBe("0 B");
  expect(bytes(512 * 2 ** 20)).toBe("512 MiB");
  expect(bytes(1.5 * 2 ** 30)).toBe("1.5 GiB");
  expect(bytes(1023 * 2 ** 20)).toBe("1 GiB");
  expect(cpus(100)).toBe("0.1");
  expect(cpus(1250)).toBe("1.25");
  expect(cpus(64000)).toBe("64");
  expect(cpus(105_000_000)).toBe("105,000");
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
});

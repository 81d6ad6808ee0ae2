import { expect, test } from "vitest";
import type { App } from "../api/types";
import {
  argsText,
  asks,
  checkOf,
  definitionOf,
  fresh,
  imageOf,
  mapOf,
  missing,
  numberOf,
  pairsOf,
  putCheck,
  putImage,
} from "./app";

test("what the server only shows is no part of the definition", () => {
  const app = { id: "/a", cmd: "x", tasks: [], version: "v", tasksRunning: 1, labels: { a: "b" } };
  expect(definitionOf(app)).toEqual({ id: "/a", cmd: "x", labels: { a: "b" } });
});

test("an image comes and goes without harm to the rest of the container", () => {
  const app: App = {
    id: "/a",
    container: { type: "DOCKER", docker: { image: "old", privileged: true }, volumes: [1] },
  };
  const changed = putImage(app, "new");
  expect(changed.container).toEqual({ type: "DOCKER", docker: { image: "new", privileged: true }, volumes: [1] });
  expect(imageOf(changed)).toBe("new");
  expect(putImage(changed, "").container).toEqual({ type: "DOCKER", volumes: [1] });
  expect(putImage(putImage({ id: "/a" }, "x"), "").container).toBeUndefined();
});

test("the form changes what it shows of a check and keeps the rest", () => {
  const app: App = {
    healthChecks: [{ protocol: "MESOS_HTTP", path: "/a", gracePeriodSeconds: 5, portIndex: 0 }, { protocol: "TCP" }],
  };
  expect(checkOf(app)).toEqual({ protocol: "HTTP", target: "/a" });
  expect(putCheck(app, { protocol: "HTTP", target: "/b" }).healthChecks).toEqual([
    { protocol: "MESOS_HTTP", path: "/b", gracePeriodSeconds: 5, portIndex: 0 },
    { protocol: "TCP" },
  ]);
  expect(putCheck(app, { protocol: "COMMAND", target: "true" }).healthChecks).toEqual([
    { protocol: "COMMAND", command: { value: "true" }, gracePeriodSeconds: 5 },
    { protocol: "TCP" },
  ]);
  expect(checkOf({ healthChecks: [{ protocol: "HTTPS" }] })).toBeNull();
  expect(putCheck({ healthChecks: [{}] as unknown[] }, { protocol: "none", target: "" }).healthChecks).toBeUndefined();
});

test("secrets stay secrets", () => {
  const env = { A: "1", S: { secret: "key" } };
  expect(mapOf(pairsOf(env))).toEqual(env);
  expect(mapOf([["", "x"]])).toBeUndefined();
});

test("numbers as they are typed", () => {
  expect([numberOf("0.5"), numberOf(" 2 "), numberOf(""), numberOf("2x")]).toEqual([0.5, 2, undefined, "2x"]);
});

test("what cannot run is told before it is sent", () => {
  const paths = (app: App) => missing(app).map(({ path }) => path);
  expect(paths({ ...fresh("/shop/web.v2"), cmd: "run" })).toEqual([]);
  expect(paths(fresh(""))).toEqual(["id", "cmd"]);
  for (const id of ["/Shop", "/a b", "/a//b", "/-a", "a_b"]) expect(paths({ id, cmd: "x" })).toEqual(["id"]);
  expect(paths({ id: "/a", container: { docker: { image: "nginx" } } })).toEqual([]);
});

test("arguments as a shell's user writes them", () => {
  expect(argsText(["run", "a b", 'say "x"'])).toBe('run "a b" "say \\"x\\""');
});

test("what a definition asks for is said in words, with what the server takes for granted", () => {
  expect(asks({ id: "/a", cmd: "x", instances: 2, cpus: 0.5, mem: 128 })).toBe("2 instances of 0.5 cpus, 128 MiB");
  expect(asks({ id: "/a", cmd: "x" })).toBe("1 instance of 1 cpu, 128 MiB");
  expect(asks({ instances: 1000, cpus: 2, mem: 2048, disk: 512, gpus: 1 })).toBe(
    "1,000 instances of 2 cpus, 2 GiB, 512 MiB of disk, 1 GPU",
  );
});

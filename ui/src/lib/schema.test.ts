import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { faults, jsonFault, ownPath, type Schemas } from "./schema";

// The document that the master serves.
const schemas: Schemas = JSON.parse(readFileSync("../docs/openapi-marathon.json", "utf8")).components.schemas;
const check = (app: unknown) =>
  faults(app, { $ref: "#/components/schemas/App" }, schemas).map(({ path, words }) => `${path} ${words}`);

test("a whole app is right", () => {
  expect(
    check({
      id: "/web",
      cmd: "sleep 1",
      cpus: 0.5,
      mem: 32,
      instances: 2,
      env: { A: "b", S: { secret: "s" } },
      constraints: [["hostname", "UNIQUE"]],
      container: { type: "DOCKER", docker: { image: "nginx" }, portMappings: [{ containerPort: 80 }] },
      healthChecks: [{ protocol: "HTTP", path: "/" }],
    }),
  ).toEqual([]);
});

test("each mistake is told at its place", () => {
  expect(check({ id: "/web", cpus: -1 })).toEqual(["cpus must be at least 0"]);
  expect(check({ id: "/web", cpus: "1" })).toEqual(["cpus must be a number"]);
  expect(check({ id: "/web", instances: 1.5 })).toEqual(["instances must be a whole number"]);
  expect(check({ id: "/web", instnaces: 1 })).toEqual(["instnaces is not known; did you mean instances?"]);
  expect(check({ id: "/web", healthchecks: [] })).toEqual(["healthchecks is not known; did you mean healthChecks?"]);
  expect(check({ id: "/web", env: { A: 1 } })[0]).toMatch(/^env\/A must be/);
  expect(check({ id: "/web", healthChecks: [{ protocol: "FOO" }] })[0]).toMatch(
    /^healthChecks\/0\/protocol must be one of HTTP/,
  );
  expect(check([])).toEqual([" must be an object"]);
});

test("the server's paths are ours", () => {
  expect(ownPath("/healthChecks(0)/protocol")).toBe("healthChecks/0/protocol");
  expect(ownPath("/cpus")).toBe("cpus");
});

test("what is no JSON is told with its line", () => {
  expect(jsonFault('{"a": 1}')).toBeNull();
  expect(jsonFault('{\n  "a": 1,\n  b\n}')?.line).toBe(3);
  expect(jsonFault('{\n  "a": 1')?.line).toBe(2);
  // Not that of the last one, and without a piece of the text.
  expect(jsonFault('{\n  "id": "/x",\n  "cpus": \n}\n')).toEqual({ line: 4, words: "'}' is not expected here" });
  expect(jsonFault('{\n  "cpus": ,\n  "mem": 32,\n  "disk": 0\n}')).toEqual({
    line: 2,
    words: "',' is not expected here",
  });
});

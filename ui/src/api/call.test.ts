import { afterEach, expect, test, vi } from "vitest";
import { address, call, get } from "./call";

afterEach(() => vi.unstubAllGlobals());

function answering(body: string) {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (path: string, { method, body: sent }: RequestInit) => {
    asked.push(`${method} ${path}${sent ? ` ${sent as string}` : ""}`);
    return new Response(body);
  });
  return asked;
}

test("ids of the tree keep their slashes, other names do not, and what is not said is left out", () => {
  expect(address("/hansa/v1/explain/{path}", { path: { path: "/a b/web" } })).toBe("/hansa/v1/explain/a%20b/web");
  const part = { path: { task: "a/b" }, query: { path: "logs/x", node: null, offset: 0, download: false } };
  expect(address("/hansa/v1/tasks/{task}/files/content", part)).toBe(
    "/hansa/v1/tasks/a%2Fb/files/content?path=logs%2Fx&offset=0&download=false",
  );
  expect(address("/hansa/v1/nodes")).toBe("/hansa/v1/nodes");
});

test("method, query and body arrive, and an empty answer is null", async () => {
  const asked = answering("");
  const put = call("put", "/v2/apps/{app}", { path: { app: "/web" }, query: { partialUpdate: false }, body: { cpus: 1 } });
  expect(await put).toBe(null);
  expect(asked).toEqual(['PUT /v2/apps/web?partialUpdate=false {"cpus":1}']);
});

test("what the document does not have is an error of types", () => {
  answering("{}");
  // @ts-expect-error no such path
  void get("/hansa/v1/machines");
  // @ts-expect-error no such method
  void call("delete", "/hansa/v1/nodes");
  // @ts-expect-error the path needs its parameter
  void get("/hansa/v1/nodes/{node}");
  // @ts-expect-error no such parameter
  void get("/hansa/v1/tasks", { query: { machine: "a" } });
  // @ts-expect-error the body is needed
  void call("put", "/hansa/v1/roles/{role}", { path: { role: "a" } });
  // @ts-expect-error a weight is a number
  void call("put", "/hansa/v1/roles/{role}", { path: { role: "a" }, body: { weight_milli: "1" } });
});

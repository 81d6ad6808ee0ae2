import { expect, test } from "vitest";
import type { Service } from "../api/types";
import { groupsOf, rows } from "./tree";

const services = ["/shop/web", "/single", "/shop/data/db", "/a/x"].map((id) => ({ id }) as Service);
const shown = (closed: string[]) => rows(services, new Set(closed)).map((row) => `${" ".repeat(row.depth)}${row.name}${row.kind === "group" ? "/" : ""}`);

test("groups first, then services, each by name", () => {
  expect(shown([])).toEqual(["a/", " x", "shop/", " data/", "  db", " web", "single"]);
});

test("closed groups keep what is in them to themselves, and still know it", () => {
  expect(shown(["/shop"])).toEqual(["a/", " x", "shop/", "single"]);
  const shop = rows(services, new Set(["/shop"])).find((row) => row.id === "/shop");
  expect(shop?.kind === "group" && shop.services.length).toBe(2);
});

test("the groups that a service is in", () => {
  expect(groupsOf("/shop/data/db")).toEqual(["/shop", "/shop/data"]);
  expect(groupsOf("/single")).toEqual([]);
});

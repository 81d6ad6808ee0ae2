import { expect, test } from "vitest";
import { href, parse } from "./route";

test("addresses mean what they were made of", () => {
  const address = href("service", { id: "/shop/web.v2", tab: "versions", q: "", none: null });
  expect(address).toBe("/ui/service?id=/shop/web.v2&tab=versions");
  const place = parse("/ui/service", address.split("?")[1] ?? "");
  expect(place.page).toBe("service");
  expect(place.params.get("id")).toBe("/shop/web.v2");
  const odd = "a&b=c+d%2F é";
  expect(new URLSearchParams(href("tasks", { q: odd }).split("?")[1]).get("q")).toBe(odd);
});

test("the root is the overview, and what is unknown is said to be so", () => {
  for (const path of ["/", "/ui", "/ui/"]) expect(parse(path, "").page).toBe("overview");
  expect(href("overview")).toBe("/");
  expect(parse("/ui/tasks/", "").page).toBe("tasks");
  expect(parse("/ui/nothing", "").page).toBeNull();
});

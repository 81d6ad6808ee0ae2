import { expect, test } from "vitest";
import { best, has, score } from "./search";

test("beginnings before middles before scattered letters", () => {
  const list = ["drain node7", "/shop/web", "web-1", "/shop/cobweb", "weird robot"];
  expect(best("web", list, (text) => text, 10)).toEqual(["web-1", "/shop/web", "/shop/cobweb", "weird robot"]);
  expect(score("restart web", "Restart /shop/web")).toBeGreaterThan(0);
  expect(score("restart db", "Restart /shop/web")).toBe(0);
  expect(best("", list, (text) => text, 2)).toHaveLength(2);
});

test("a filter wants every word, in any case and order", () => {
  expect(has("WEB shop")("/shop/web")).toBe(true);
  expect(has("web x")("/shop/web")).toBe(false);
  expect(has(" ")("anything")).toBe(true);
});

import { expect, test } from "vitest";
import { diff, folded, lines } from "./diff";

const text = (before: unknown, after: unknown) =>
  folded(diff(lines(before), lines(after)), 0)
    .map((line) => (line ? { same: " ", added: "+", removed: "-" }[line.kind] + line.text.trim() : "…"))
    .join("\n");

test("what was changed, added and removed is told, the rest is left out", () => {
  const before = { id: "/a", cpus: 1, labels: { x: "1" }, cmd: "run" };
  expect(text(before, { ...before, cpus: 2, mem: 5 })).toBe('…\n-"cpus": 1,\n+"cpus": 2,\n…\n-}\n+},\n+"mem": 5\n…');
});

test("order of fields is no difference, order in lists is", () => {
  expect(text({ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 })).toBe("…");
  expect(text([1, 2], [2, 1])).toContain("+");
});

test("nothing and something", () => {
  expect(diff([], ["a"])).toEqual([{ kind: "added", text: "a" }]);
  expect(diff(["a"], [])).toEqual([{ kind: "removed", text: "a" }]);
  expect(diff([], [])).toEqual([]);
});

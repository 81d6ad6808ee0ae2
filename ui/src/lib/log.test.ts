import { expect, test } from "vitest";
import { append, find, noLines } from "./log";

test("lines come in pieces", () => {
  let log = append(noLines, "one\ntw", 10);
  log = append(log, "o\r\nthree\n", 10);
  expect(log.lines).toEqual(["one", "two", "three", ""]);
});

test("only so many are kept, and it is known how many are not", () => {
  const log = append(noLines, "a\nb\nc\nd", 2);
  expect(log).toEqual({ lines: ["c", "d"], dropped: 2 });
});

test("colours are left out, and a progress bar shows its last state", () => {
  expect(append(noLines, "\u001b[31mred\u001b[0m", 5).lines).toEqual(["red"]);
  expect(append(noLines, "10 %\r20 %\r30 %", 5).lines).toEqual(["30 %"]);
});

test("lines are found in any case", () => {
  expect(find(["Error: x", "fine", "an error"], "error")).toEqual([0, 2]);
  expect(find(["a"], "")).toEqual([]);
});

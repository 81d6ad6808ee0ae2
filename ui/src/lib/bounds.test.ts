import { expect, test } from "vitest";
import { boundOf, crossed, typedOf } from "./bounds";

const none = { cpus_milli: null, mem: null, disk: null, gpus_milli: null };

test("what is typed is what is meant", () => {
  const { bound, wrong } = boundOf({ cpus_milli: "1.5", mem: " 2 ", disk: "", gpus_milli: "0" });
  expect(bound).toEqual({ cpus_milli: 1500, mem: 2 * 2 ** 30, disk: null, gpus_milli: 0 });
  expect(wrong).toEqual([]);
  expect(typedOf(bound)).toEqual({ cpus_milli: "1.5", mem: "2", disk: "", gpus_milli: "0" });
});

test("what is no amount is told", () => {
  expect(boundOf({ cpus_milli: "x", mem: "-1", disk: "1", gpus_milli: "" }).wrong).toEqual(["cpus_milli", "mem"]);
});

test("a guarantee above the limit is told", () => {
  expect(crossed({ ...none, mem: 5, cpus_milli: 1 }, { ...none, mem: 4 })).toEqual(["mem"]);
});

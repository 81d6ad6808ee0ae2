// Sums over machines and tasks: how full, how many would be enough.

import type { Node, Task, Totals } from "../api/types";
import { unitWords } from "./format";

export const kinds = ["cpus_milli", "mem", "disk", "gpus_milli"] as const;

export type Kind = (typeof kinds)[number];

export const kindNames: Record<Kind, string> = { cpus_milli: "CPU", mem: "Memory", disk: "Disk", gpus_milli: "GPU" };

/** Amounts in words, such as `0.5 cpus, 64 MiB, 1 GiB disk`; of nothing no words. `zero`: an amount of 0 is said, too. */
export const inWords = (of: Partial<Record<Kind, number | null>>, zero = false): string =>
  kinds
    .flatMap((kind) => {
      const value = of[kind];
      const said = typeof value === "number" && (value > 0 || zero);
      return said ? [`${unitWords(kind, value)}${kind === "disk" ? " disk" : ""}`] : [];
    })
    .join(", ");

export const none: Totals = { cpus_milli: 0, mem: 0, disk: 0, gpus_milli: 0 };

/** What a machine has, as plain sums. */
export const totalOf = (node: Node): Totals => ({
  cpus_milli: node.total.cpus_milli,
  mem: node.total.mem,
  disk: node.total.disk,
  gpus_milli: node.total.gpus.reduce((sum, milli) => sum + milli, 0),
});

export interface Sums {
  total: Totals;
  allocated: Totals;
  used: Totals;
  /** Whether any of them tells its use. */
  measured: boolean;
}

/** Sums over the machines that are not out of reach. */
export function totals(nodes: Iterable<Node>): Sums {
  const sums = { total: { ...none }, allocated: { ...none }, used: { ...none }, measured: false };
  for (const node of nodes) {
    if (node.state === "unreachable") continue;
    const total = totalOf(node);
    sums.measured ||= node.used !== null;
    for (const kind of kinds) {
      sums.total[kind] += total[kind];
      sums.allocated[kind] += node.allocated[kind];
      sums.used[kind] += node.used?.[kind] ?? 0;
    }
  }
  return sums;
}

/** Beyond this many tasks the answer is the lower bound that sums give. */
const packed = 5000;

type Small = Pick<Task, "cpus_milli" | "mem">;

/**
 * How many of the machines would hold all live tasks: each task, the largest first, goes to the first machine with room, the
 * largest machine first. Null: they do not all fit that way. Constraints and ports are not looked at, so it is an estimate; of
 * very many tasks (null: too many to name) only the sums are.
 */
export function enough(nodes: readonly Node[], tasks: readonly Small[] | null): number | null {
  const largest = (a: { cpus_milli: number; mem: number }, b: { cpus_milli: number; mem: number }) =>
    b.cpus_milli - a.cpus_milli || b.mem - a.mem;
  const free = nodes
    .filter((node) => node.state !== "unreachable")
    .map((node) => ({ cpus_milli: node.total.cpus_milli, mem: node.total.mem }))
    .sort(largest);
  if (!tasks || tasks.length > packed) return bySums(free, totals(nodes).allocated);
  let used = 0;
  for (const task of [...tasks].sort(largest)) {
    const at = free.findIndex((machine) => machine.cpus_milli >= task.cpus_milli && machine.mem >= task.mem);
    const machine = free[at];
    if (!machine) return null;
    machine.cpus_milli -= task.cpus_milli;
    machine.mem -= task.mem;
    used = Math.max(used, at + 1);
  }
  return used;
}

function bySums(free: readonly Small[], allocated: Totals): number | null {
  let { cpus_milli: cpus, mem } = allocated;
  if (cpus === 0 && mem === 0) return 0;
  for (const [index, machine] of free.entries()) {
    cpus -= machine.cpus_milli;
    mem -= machine.mem;
    if (cpus <= 0 && mem <= 0) return index + 1;
  }
  return null;
}

/** The share of the kind of resource that something has most of, and which that is. */
export function dominant(part: Totals, whole: Totals): { kind: Kind; share: number } {
  const shares = kinds.map((kind) => ({ kind, share: whole[kind] > 0 ? part[kind] / whole[kind] : 0 }));
  return shares.reduce((most, one) => (one.share > most.share ? one : most));
}

// A role's guarantee and limit as they are typed and shown: CPUs and GPUs as numbers, memory and disk in GiB.

import type { Bound, Role } from "../api/types";
import { kinds, type Kind } from "./sums";

export type Typed = Record<Kind, string>;

const unit: Record<Kind, number> = { cpus_milli: 1000, mem: 2 ** 30, disk: 2 ** 30, gpus_milli: 1000 };

/** Their fields. */
export const fieldNames: Record<Kind, string> = {
  cpus_milli: "CPUs",
  mem: "Memory, GiB",
  disk: "Disk, GiB",
  gpus_milli: "GPUs",
};

export const typedOf = (bound: Bound): Typed => {
  const text = (kind: Kind) => {
    const value = bound[kind];
    return value === null || value === undefined ? "" : String(Number((value / unit[kind]).toFixed(6)));
  };
  return { cpus_milli: text("cpus_milli"), mem: text("mem"), disk: text("disk"), gpus_milli: text("gpus_milli") };
};

/** The amount of a text; null: no bound; undefined: it is no amount. */
export function amountOf(kind: Kind, text: string): number | null | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  const value = Number(trimmed);
  return Number.isFinite(value) && value >= 0 ? Math.round(value * unit[kind]) : undefined;
}

/** The bound of what was typed, and what of it is no amount or below another bound. */
export function boundOf(typed: Typed): { bound: Bound; wrong: Kind[] } {
  const bound: Bound = { cpus_milli: null, mem: null, disk: null, gpus_milli: null };
  const wrong: Kind[] = [];
  for (const kind of kinds) {
    const value = amountOf(kind, typed[kind]);
    if (value === undefined) wrong.push(kind);
    else bound[kind] = value;
  }
  return { bound, wrong };
}

/** Kinds where more is guaranteed than ever allowed. */
export const crossed = (guarantee: Bound, limit: Bound): Kind[] =>
  kinds.filter((kind) => {
    const [least, most] = [guarantee[kind] ?? null, limit[kind] ?? null];
    return least !== null && most !== null && least > most;
  });

type Settings = Pick<Role, "weight_milli" | "guarantee" | "limit">;

/** Whether two roles are set alike. */
export const sameSettings = (a: Settings, b: Settings): boolean =>
  a.weight_milli === b.weight_milli &&
  kinds.every(
    (kind) =>
      (a.guarantee[kind] ?? null) === (b.guarantee[kind] ?? null) && (a.limit[kind] ?? null) === (b.limit[kind] ?? null),
  );

/** Whether anything was set: a role has the weight 1 and no bounds by itself. */
export const hasSettings = (role: Settings): boolean =>
  !sameSettings(role, { weight_milli: 1000, guarantee: {}, limit: {} });

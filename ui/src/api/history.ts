// A short memory of how much was used, for the charts: as long as the page is open, and bounded.

import { totals, type Sums } from "../lib/sums";
import type { Node, Totals } from "./types";

export interface Sample {
  at: number;
  used: Totals;
  allocated: Totals;
}

/** 15 minutes of samples. */
const every = 3000;
const most = 300;

let cluster: readonly (Sample & Pick<Sums, "total">)[] = [];
const machines = new Map<string, readonly Sample[]>();
let last = 0;

/** Takes a sample if it is time for one. */
export function record(nodes: ReadonlyMap<string, Node>, now: number) {
  if (now - last < every || nodes.size === 0) return;
  last = now;
  cluster = [...cluster, { at: now, ...totals(nodes.values()) }].slice(-most);
  for (const id of machines.keys()) if (!nodes.has(id)) machines.delete(id);
  for (const { id, used, allocated } of nodes.values()) {
    if (used) machines.set(id, [...(machines.get(id) ?? []), { at: now, used, allocated }].slice(-most));
  }
}

export const clusterHistory = () => cluster;
export const machineHistory = (id: string) => machines.get(id) ?? [];

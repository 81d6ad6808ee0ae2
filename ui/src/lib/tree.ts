// Services as a tree of groups, flattened into the rows that are shown.

import { natural } from "./format";
import type { Service } from "../api/types";

export interface GroupRow {
  kind: "group";
  id: string;
  name: string;
  depth: number;
  open: boolean;
  /** Services in it, at any depth. */
  services: Service[];
}

export interface ServiceRow {
  kind: "service";
  id: string;
  name: string;
  depth: number;
  service: Service;
}

export type Row = GroupRow | ServiceRow;

interface Group {
  id: string;
  name: string;
  groups: Map<string, Group>;
  services: Service[];
  all: Service[];
}

/** The rows of the tree, groups before services, each in order of name; what is in `closed` groups is left out. */
export function rows(services: Iterable<Service>, closed: ReadonlySet<string>): Row[] {
  const root: Group = { id: "/", name: "", groups: new Map(), services: [], all: [] };
  for (const service of services) {
    let group = root;
    const names = service.id.split("/").filter(Boolean);
    for (const [index, name] of names.slice(0, -1).entries()) {
      const id = `/${names.slice(0, index + 1).join("/")}`;
      const next: Group = group.groups.get(name) ?? { id, name, groups: new Map(), services: [], all: [] };
      group.groups.set(name, next);
      next.all.push(service);
      group = next;
    }
    group.services.push(service);
  }
  const found: Row[] = [];
  collect(root, 0, closed, found);
  return found;
}

/** By name, numbers in it by their value. */
export const byName = (a: { id: string }, b: { id: string }) => {
  const [one, other] = [natural(a.id), natural(b.id)];
  return one < other ? -1 : one > other ? 1 : 0;
};

function collect(group: Group, depth: number, closed: ReadonlySet<string>, found: Row[]) {
  for (const one of [...group.groups.values()].sort(byName)) {
    const open = !closed.has(one.id);
    found.push({ kind: "group", id: one.id, name: one.name, depth, open, services: one.all });
    if (open) collect(one, depth + 1, closed, found);
  }
  for (const service of [...group.services].sort(byName)) {
    found.push({ kind: "service", id: service.id, name: service.id.split("/").at(-1) ?? service.id, depth, service });
  }
}

/** The groups that a path is in, outermost first: `/a/b/c` is in `/a` and `/a/b`. */
export function groupsOf(id: string): string[] {
  const names = id.split("/").filter(Boolean);
  return names.slice(0, -1).map((_, index) => `/${names.slice(0, index + 1).join("/")}`);
}

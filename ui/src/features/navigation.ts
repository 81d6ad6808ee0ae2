// The pages that navigation leads to.

import { useEffect, useState } from "react";
import { paths } from "../api/client";
import type { Page } from "../lib/route";
import type { IconName } from "../ui/icons";

export interface Item {
  page: Page;
  name: string;
  icon: IconName;
  /** Left out if the master does not have this path of the API. */
  needs?: string;
  /** Pages that belong to it. */
  also?: readonly Page[];
}

const all: readonly Item[] = [
  { page: "overview", name: "Overview", icon: "overview" },
  { page: "services", name: "Services", icon: "services", also: ["service", "create", "edit"] },
  { page: "tasks", name: "Tasks", icon: "tasks", also: ["task"] },
  { page: "machines", name: "Machines", icon: "machines", also: ["machine"] },
  { page: "deployments", name: "Deployments", icon: "deployments" },
  { page: "jobs", name: "Jobs", icon: "jobs" },
  { page: "catalog", name: "Catalog", icon: "catalog" },
  { page: "frameworks", name: "Frameworks", icon: "frameworks", needs: "/hansa/v1/frameworks", also: ["framework"] },
  { page: "roles", name: "Roles and quota", icon: "roles" },
  { page: "events", name: "Events", icon: "events" },
];

/** Nothing as long as the master has not said: almost every one has all of them, and nothing jumps. */
let known: ReadonlySet<string> | null = null;

const offered = () => all.filter((item) => !item.needs || !known || known.has(item.needs));

/** Those that this master can fill. */
export function useNavigation(): readonly Item[] {
  const [items, setItems] = useState(offered);
  useEffect(() => {
    paths().then(
      (paths) => {
        known = paths;
        setItems(offered());
      },
      () => {},
    );
  }, []);
  return items;
}

/** The same, once. */
export const navigationNow = offered;

/** The name of a page, whether it is offered or not. */
export const nameOf = (page: Page) => all.find((item) => item.page === page || item.also?.includes(page))?.name;

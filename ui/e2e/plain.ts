// The pages of a cluster as it is, whatever it has: an empty one says what to do next, a large one does not burst. For pictures.

import type { Page } from "playwright-core";
import { ask } from "./browser";

/** What is looked at singly: the first of each kind, or what is not there. */
interface First {
  service?: string;
  task?: string;
  machine?: string;
}

export async function firsts(): Promise<First> {
  const { services } = await ask<{ services: { id: string }[] }>("GET", "/hansa/v1/services");
  const { nodes } = await ask<{ nodes: { hostname: string }[] }>("GET", "/hansa/v1/nodes");
  const service = services[0]?.id;
  const { tasks } = service ? await ask<{ tasks: { id: string }[] }>("GET", `/hansa/v1/tasks?app=${service}`) : { tasks: [] };
  return { service, task: tasks[0]?.id, machine: nodes[0]?.hostname };
}

interface PlainView {
  /** Nothing if the cluster has none of that kind. */
  path: (first: First) => string | undefined;
  opens?: (page: Page) => Promise<unknown>;
}

const at = (path: string) => ({ path: () => path });
const of = (page: string, kind: keyof First, more = "") => ({
  path: (first: First) => first[kind] && `${page}?id=${first[kind]}${more}`,
});

const find = (words: string) => async (page: Page) => {
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill(words);
};

export const plain: Record<string, PlainView> = {
  overview: at(""),
  services: at("services"),
  list: at("services?view=list&sort=-cpus"),
  create: at("create"),
  json: at("create?as-json=yes"),
  deployments: at("deployments"),
  tasks: at("tasks"),
  ended: at("tasks?state=ended"),
  machines: at("machines"),
  "machines-used": at("machines?of=used&heat=mem"),
  jobs: at("jobs"),
  catalog: at("catalog"),
  frameworks: at("frameworks"),
  roles: at("roles"),
  role: at("roles?role=*"),
  events: at("events"),
  service: of("service", "service"),
  "service-use": of("service", "service", "&tab=usage"),
  "service-placement": of("service", "service", "&tab=placement"),
  "service-versions": of("service", "service", "&tab=versions"),
  "service-events": of("service", "service", "&tab=events"),
  task: of("task", "task"),
  machine: of("machine", "machine"),
  "machine-resources": of("machine", "machine", "&tab=resources"),
  "machine-about": of("machine", "machine", "&tab=about"),
  "machine-images": of("machine", "machine", "&tab=images"),
  palette: { path: () => "", opens: (page) => page.keyboard.press("Control+k") },
  "palette-finds": { path: () => "", opens: find("1") },
  drain: {
    ...of("machine", "machine"),
    opens: (page) => page.getByRole("button", { name: "Drain", exact: true }).click(),
  },
};

// The console's picture of the cluster: read once, then kept by the event stream. Nothing polls.

import type {
  Cluster,
  Deployment,
  Framework,
  Node,
  Progress,
  Role,
  Service,
  StreamEvents,
  StreamName,
  Task,
} from "./types";
import { told, type Entry } from "./journal";

export interface Picture {
  /** Whether the stream is open and the lists are read. */
  live: boolean;
  /** Why not, if something is wrong. */
  problem: string | null;
  cluster: Cluster | null;
  nodes: ReadonlyMap<string, Node>;
  services: ReadonlyMap<string, Service>;
  tasks: ReadonlyMap<string, Task>;
  /** Whether all tasks are read; many take a while, and the rest does not wait for them. */
  complete: boolean;
  /** Tasks that ended while the console was open, the last of them. */
  ended: ReadonlyMap<string, Task>;
  /** Those under way. */
  deployments: ReadonlyMap<string, Progress>;
  /** By their names. */
  roles: ReadonlyMap<string, Role>;
  /** Outside ones, also those that are over. What they hold is as of when the list was read last. */
  frameworks: ReadonlyMap<string, Framework>;
  /** What happened, oldest first. */
  journal: readonly Entry[];
  /** Where the master's memory goes on before the journal; null: it has nothing earlier. */
  earlier: string | null;
}

export const emptyPicture: Picture = {
  live: false,
  problem: null,
  cluster: null,
  nodes: new Map(),
  services: new Map(),
  tasks: new Map(),
  complete: false,
  ended: new Map(),
  deployments: new Map(),
  roles: new Map(),
  frameworks: new Map(),
  journal: [],
  earlier: null,
};

/** Ended tasks and entries of the journal that are kept. */
const mostEnded = 500;
const mostEntries = 5000;

const by = <T extends { id: string }>(list: readonly T[]) => new Map(list.map((item) => [item.id, item]));

export interface Lists {
  cluster: Cluster;
  nodes: readonly Node[];
  services: readonly Service[];
  deployments: readonly Deployment[];
  roles: readonly Role[];
  frameworks: readonly Framework[];
}

/** The picture after the lists were read anew; tasks come later. */
export function withLists(picture: Picture, { cluster, nodes, services, deployments, roles, frameworks }: Lists): Picture {
  return {
    ...picture,
    live: true,
    problem: null,
    cluster,
    nodes: by(nodes),
    services: by(services),
    deployments: by(deployments.map(progress)),
    roles: new Map(roles.map((role) => [role.name, role])),
    frameworks: by(frameworks),
  };
}

/** The picture after a page of tasks; those in `newer` were heard of meanwhile, so the page says nothing new about them. */
export function withTasks(picture: Picture, page: readonly Task[], newer: ReadonlySet<string>): Picture {
  const tasks = new Map(picture.tasks);
  for (const task of page) if (!newer.has(task.id)) tasks.set(task.id, task);
  return { ...picture, tasks };
}

/** The picture after the last page: tasks that were neither read nor heard of are gone. */
export function complete(picture: Picture, read: ReadonlySet<string>, newer: ReadonlySet<string>): Picture {
  const stale = [...picture.tasks.keys()].filter((id) => !read.has(id) && !newer.has(id));
  const tasks = new Map(picture.tasks);
  for (const id of stale) tasks.delete(id);
  return { ...picture, tasks, complete: true };
}

/** The picture after the frameworks alone were read anew. */
export const withFrameworks = (picture: Picture, frameworks: readonly Framework[]): Picture => ({
  ...picture,
  frameworks: by(frameworks),
});

/** As the stream tells of a deployment. */
function progress({ id, services, step, steps, waiting_for, paused, failing }: Deployment): Progress {
  const state = paused ? "paused" : failing ? "failing" : "running";
  return { id, services, step, steps, waiting_for, state };
}

/** What a service's state column says beyond its health: that its deployment stands still, or that it fails for ever. */
export function trouble(service: Service, deployments: ReadonlyMap<string, Progress>): "paused" | "failing" | null {
  const states = service.deployments.map((id) => deployments.get(id)?.state);
  if (states.includes("paused")) return "paused";
  return service.failing || states.includes("failing") ? "failing" : null;
}

export type Frame = { [N in StreamName]: { name: N; data: StreamEvents[N] } }[StreamName];

/** A picture that is being changed: each map is copied at most once, however many frames there are. */
class Draft {
  private own = new Set<string>();

  constructor(public picture: Picture) {}

  map<K extends "nodes" | "services" | "tasks" | "deployments" | "ended" | "roles" | "frameworks">(
    key: K,
  ): Picture[K] extends ReadonlyMap<string, infer T> ? Map<string, T> : never {
    if (!this.own.has(key)) {
      this.own.add(key);
      this.picture = { ...this.picture, [key]: new Map(this.picture[key] as ReadonlyMap<string, never>) };
    }
    return this.picture[key] as never;
  }

  apply(frame: Frame) {
    switch (frame.name) {
      case "node": {
        const node = frame.data;
        // A node's frame may know less about its usage than the frames that report it.
        const known = this.picture.nodes.get(node.id);
        this.map("nodes").set(node.id, {
          ...node,
          used: node.used ?? known?.used ?? null,
          machine: node.machine ?? known?.machine ?? null,
        });
        return;
      }
      case "node_removed":
        return this.map("nodes").delete(frame.data.id);
      case "usage": {
        const { id, used, machine } = frame.data;
        const node = this.picture.nodes.get(id);
        return node && this.map("nodes").set(id, { ...node, used, machine });
      }
      case "service":
        return this.map("services").set(frame.data.id, frame.data);
      case "service_removed":
        return this.map("services").delete(frame.data.id);
      case "task":
        return this.map("tasks").set(frame.data.id, frame.data);
      case "task_removed": {
        const { id, last } = frame.data;
        const known = this.picture.tasks.get(id);
        if (known) this.map("tasks").delete(id);
        const task = last ?? known;
        if (!task) return;
        const ended = this.map("ended");
        ended.set(id, task);
        const oldest = ended.keys().next().value;
        return ended.size > mostEnded && oldest && ended.delete(oldest);
      }
      case "deployment": {
        const deployment = frame.data;
        const over = deployment.state === "succeeded" || deployment.state === "failed";
        const deployments = this.map("deployments");
        return over ? deployments.delete(deployment.id) : deployments.set(deployment.id, deployment);
      }
      case "role":
        return this.map("roles").set(frame.data.name, frame.data);
      case "role_removed":
        return this.map("roles").delete(frame.data.name);
      case "framework":
        return this.map("frameworks").set(frame.data.id, frame.data);
      case "framework_removed": {
        const known = this.picture.frameworks.get(frame.data.id);
        const over = { state: "completed", tasks: 0, offers: 0, given_up_at: null } as const;
        return known && this.map("frameworks").set(known.id, { ...known, ...over });
      }
    }
  }
}

/** The picture after frames of the stream. Every frame carries a whole item, so repeating one does no harm. */
export function fold(picture: Picture, frames: readonly Frame[], now: number): Picture {
  const draft = new Draft(picture);
  const entries: Entry[] = [];
  for (const frame of frames) {
    const entry = told(draft.picture, frame, now);
    if (entry) entries.push(entry);
    draft.apply(frame);
  }
  if (entries.length === 0) return draft.picture;
  return { ...draft.picture, journal: [...draft.picture.journal, ...entries].slice(-mostEntries) };
}

// The console's picture of the cluster: read once, then kept by the event stream. Nothing polls.

import type { Cluster, Deployment, Node, Progress, Service, StreamEvents, StreamName, Task, Totals } from "./types";

export interface Alarm {
  code: string;
  message: string;
  at: number;
}

export interface Picture {
  /** Whether the stream is open and the lists are read. */
  live: boolean;
  /** Why not, if something is wrong. */
  problem: string | null;
  cluster: Cluster | null;
  nodes: ReadonlyMap<string, Node>;
  services: ReadonlyMap<string, Service>;
  tasks: ReadonlyMap<string, Task>;
  /** Those under way. */
  deployments: ReadonlyMap<string, Progress>;
  alarms: readonly Alarm[];
}

export const emptyPicture: Picture = {
  live: false,
  problem: null,
  cluster: null,
  nodes: new Map(),
  services: new Map(),
  tasks: new Map(),
  deployments: new Map(),
  alarms: [],
};

const by = <T extends { id: string }>(list: T[]) => new Map(list.map((item) => [item.id, item]));

/** The picture that freshly read lists give. */
export function fromLists(
  cluster: Cluster,
  nodes: Node[],
  services: Service[],
  tasks: Task[],
  deployments: Deployment[],
): Picture {
  return {
    ...emptyPicture,
    live: true,
    cluster,
    nodes: by(nodes),
    services: by(services),
    tasks: by(tasks),
    deployments: by(deployments.map(progress)),
  };
}

/** As the stream tells of a deployment. */
function progress({ paused, failing, ...rest }: Deployment): Progress {
  return { ...rest, state: paused ? "paused" : failing ? "failing" : "running" };
}

/** What a service's state column says beyond its health: that its deployment stands still, or that it fails for ever. */
export function trouble(
  service: Service,
  deployments: ReadonlyMap<string, Progress>,
): "paused" | "failing" | null {
  const states = service.deployments.map((id) => deployments.get(id)?.state);
  if (states.includes("paused")) return "paused";
  return service.failing || states.includes("failing") ? "failing" : null;
}

function put<T extends { id: string }>(map: ReadonlyMap<string, T>, item: T): ReadonlyMap<string, T> {
  return new Map(map).set(item.id, item);
}

function without<T>(map: ReadonlyMap<string, T>, id: string): ReadonlyMap<string, T> {
  const copy = new Map(map);
  copy.delete(id);
  return copy;
}

/** The picture after one frame of the stream. Every frame carries a whole item, so repeating one does no harm. */
export function fold<N extends StreamName>(picture: Picture, name: N, data: StreamEvents[N], now: number): Picture {
  switch (name) {
    case "node": {
      const node = data as StreamEvents["node"];
      // A node's frame may know less about its usage than the frames that report it.
      const known = picture.nodes.get(node.id);
      const whole = { ...node, used: node.used ?? known?.used ?? null, machine: node.machine ?? known?.machine ?? null };
      return { ...picture, nodes: put(picture.nodes, whole) };
    }
    case "node_removed":
      return { ...picture, nodes: without(picture.nodes, (data as StreamEvents["node_removed"]).id) };
    case "usage": {
      const usage = data as StreamEvents["usage"];
      const node = picture.nodes.get(usage.id);
      if (!node) return picture;
      return { ...picture, nodes: put(picture.nodes, { ...node, used: usage.used, machine: usage.machine }) };
    }
    case "service":
      return { ...picture, services: put(picture.services, data as StreamEvents["service"]) };
    case "service_removed":
      return { ...picture, services: without(picture.services, (data as StreamEvents["service_removed"]).id) };
    case "task":
      return { ...picture, tasks: put(picture.tasks, data as StreamEvents["task"]) };
    case "task_removed":
      return { ...picture, tasks: without(picture.tasks, (data as StreamEvents["task_removed"]).id) };
    case "deployment": {
      const deployment = data as StreamEvents["deployment"];
      const over = deployment.state === "succeeded" || deployment.state === "failed";
      const deployments = over
        ? without(picture.deployments, deployment.id)
        : put(picture.deployments, deployment);
      return { ...picture, deployments };
    }
    case "alarm":
      return {
        ...picture,
        alarms: [{ ...(data as StreamEvents["alarm"]), at: now }, ...picture.alarms].slice(0, 20),
      };
    default:
      return picture;
  }
}

const none: Totals = { cpus_milli: 0, mem: 0, disk: 0, gpus_milli: 0 };

/** Sums over the machines that are not out of reach. */
export function totals(nodes: Iterable<Node>): { total: Totals; allocated: Totals; used: Totals } {
  const sums = { total: { ...none }, allocated: { ...none }, used: { ...none } };
  for (const node of nodes) {
    if (node.state === "unreachable") continue;
    sums.total.cpus_milli += node.total.cpus_milli;
    sums.total.mem += node.total.mem;
    sums.total.disk += node.total.disk;
    sums.total.gpus_milli += node.total.gpus.reduce((sum, milli) => sum + milli, 0);
    for (const kind of ["cpus_milli", "mem", "disk", "gpus_milli"] as const) {
      sums.allocated[kind] += node.allocated[kind];
      sums.used[kind] += node.used?.[kind] ?? 0;
    }
  }
  return sums;
}

// The wire types of /hansa/v1, as crates/hansa-api/src/hansa.rs defines them. Times are milliseconds since 1970,
// CPU and GPU amounts thousandths, memory and disk bytes.

export interface Totals {
  cpus_milli: number;
  mem: number;
  disk: number;
  gpus_milli: number;
}

export interface Resources {
  cpus_milli: number;
  mem: number;
  disk: number;
  gpus: number[];
  ports: [number, number][];
}

export interface Cluster {
  id: string;
  version: string;
  term: number;
  index: number;
  started_at: number;
  nodes: Record<string, number>;
  tasks: Record<string, number>;
  services: number;
  deployments: number;
  total: Totals;
  allocated: Totals;
  used: Totals;
}

export type NodeState = "active" | "deactivated" | "draining" | "disconnected" | "unreachable";

export interface Node {
  id: string;
  hostname: string;
  address: string;
  state: NodeState;
  since: number;
  total: Resources;
  allocated: Totals;
  used: Totals | null;
  machine: Totals | null;
  tasks: number;
  attributes: Record<string, string>;
  region: string | null;
  zone: string | null;
  version: string;
  registered_at: number;
  missing_isolation: string[];
}

export type Health = "healthy" | "deploying" | "waiting" | "unhealthy" | "suspended";

export interface Service {
  id: string;
  health: Health;
  instances: number;
  running: number;
  staged: number;
  healthy: number;
  unhealthy: number;
  version: number;
  cpus_milli: number;
  mem: number;
  command: string;
  deployments: string[];
  waiting_for: string | null;
  last_failure: string | null;
  last_failure_at: number | null;
  failing: Failing | null;
}

/** A restart loop. */
export interface Failing {
  since: number;
  count: number;
  last: string;
  delay_ms: number;
}

/** Since when something does not move, and why. */
export interface Standstill {
  since: number;
  words: string;
}

export interface Deployment {
  id: string;
  services: string[];
  step: number;
  steps: number;
  waiting_for: string;
  remedy: string;
  paused: Standstill | null;
  failing: Standstill | null;
}

export type DeploymentState = "running" | "paused" | "failing" | "succeeded" | "failed";

/** What the first page shows of a deployment under way. */
export interface Progress {
  id: string;
  services: string[];
  step: number;
  steps: number;
  waiting_for: string;
  state: DeploymentState;
}

export interface Task {
  id: string;
  app: string | null;
  version: number | null;
  state: string;
  healthy: boolean | null;
  reason: string | null;
  message: string;
  node: string;
  hostname: string;
  ports: number[];
  cpus_milli: number;
  mem: number;
  staged_at: number;
  started_at: number | null;
  updated_at: number;
}

export interface ObstacleGroup {
  machines: number;
  examples: string[];
  words: string;
}

export interface Explanation {
  machines: number;
  fitting: number;
  choice: string | null;
  groups: ObstacleGroup[];
  nearest: string | null;
  summary: string;
}

/** Frames of /hansa/v1/events by the name of their event. */
export interface StreamEvents {
  resync: { index: number };
  node: Node;
  node_removed: { id: string };
  usage: { id: string; used: Totals; machine: Totals };
  service: Service;
  service_removed: { id: string };
  task: Task;
  task_removed: { id: string };
  deployment: Progress;
  alarm: { code: string; message: string };
}

export type StreamName = keyof StreamEvents;

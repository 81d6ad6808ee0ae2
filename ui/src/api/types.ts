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
  /** Masters of before do not tell it. */
  role?: string;
  labels?: Record<string, string>;
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
  version: number;
  started_at: number;
  doing: string[];
  waiting_since: number;
  rolls_back: string | null;
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
  health: HealthResult[];
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
  ended_at: number | null;
  exit: Exit | null;
}

/** How a process ended. */
export type Exit = { code: number } | { signal: number };

/** What a health check last said. */
export interface HealthResult {
  alive: boolean | null;
  consecutive_failures: number;
  first_success: number | null;
  last_success: number | null;
  last_failure: number | null;
  last_failure_cause: string | null;
}

/** A bound per kind of resource; null: not bounded. */
export type Bound = { [kind in keyof Totals]: number | null };

export interface Role {
  name: string;
  weight_milli: number;
  guarantee: Bound;
  limit: Bound;
  allocated: Totals;
}

export interface Image {
  node: string;
  references: string[];
  digest: string;
  bytes: number;
  pulled_at: number;
  used_at: number;
  used_by: string[];
}

export interface ObstacleGroup {
  machines: number;
  examples: string[];
  obstacles: { kind: string }[];
  words: string;
}

export interface Explanation {
  choice_hostname: string | null;
  demand: { cpus_milli: number; mem: number; disk: number; gpus: { count: number; milli: number } };
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
  task_removed: { id: string; last?: Task | null };
  deployment: Progress;
  alarm: { code: string; message: string };
}

// Of Marathon's API, `/v2`.

/** An app's definition, or some of its fields. The form knows these; what else there is is kept as it is. */
export interface App {
  id?: string;
  cmd?: string | null;
  args?: string[] | null;
  cpus?: number;
  mem?: number;
  disk?: number;
  gpus?: number;
  instances?: number;
  role?: string;
  version?: string;
  env?: Record<string, unknown>;
  labels?: Record<string, string>;
  constraints?: string[][];
  container?: Record<string, unknown> | null;
  [field: string]: unknown;
}

export interface MarathonDeployment {
  id: string;
  /** From 1. */
  currentStep: number;
  steps: { actions: { action: string; app?: string; pod?: string }[] }[];
}

export interface QueueItem {
  app: App;
  count: number;
  delay: { overdue: boolean; timeLeftSeconds: number };
  since: string;
  processedOffersSummary: {
    processedOffersCount: number;
    unusedOffersCount: number;
    rejectSummaryLaunchAttempt: { reason: string; declined: number; processed: number }[];
  };
}

// Of outside frameworks, as crates/hansa-api/src/framework.rs defines them.

export interface Framework {
  id: string;
  name: string;
  principal: string | null;
  user: string;
  roles: string[];
  suppressed: string[];
  state: "connected" | "disconnected" | "recovered" | "completed";
  since: number;
  given_up_at: number | null;
  tasks: number;
  offers: number;
  allocated: Totals;
  share_ppm: number;
  dominant: string | null;
}

export interface FrameworkRole {
  role: string;
  suppressed: boolean;
  allocated: Totals;
  offered: Totals;
  share_ppm: number;
  weight_milli: number;
  guarantee: Bound;
  limit: Bound;
  role_used: Totals;
  role_share_ppm: number;
}

export interface FrameworkDetail extends Framework {
  hostname: string;
  webui_url: string | null;
  capabilities: string[];
  checkpoint: boolean;
  failover_timeout_ms: number;
  registered_at: number;
  executors: number;
  unreachable_tasks: number;
  completed_tasks: number;
  in_roles: FrameworkRole[];
  outstanding: { id: string; role: string; hostname: string; resources: string; expires_at: number | null }[];
  filters: { role: string; hostname: string; refused: string; until: number }[];
}

export interface FrameworkExplanation {
  summary: string;
  roles: (FrameworkRole & {
    words: string;
    last_offer: { at: number; hostname: string } | null;
    obstacles: { words: string; machines: number; examples: string[] }[];
  })[];
}

export type StreamName = keyof StreamEvents;

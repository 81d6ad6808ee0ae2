// Made of docs/openapi.json by `npm run generate`; changes go there.

export interface Schemas {
  /** Amounts with ports, as ranges. */
  Amounts: {
    cpus_milli: number;
    disk: number;
    gpus_milli: number;
    mem: number;
    ports: [number, number][];
  };
  /** A bound for each kind of resource; null: none. */
  Bound: {
    cpus_milli?: number | null;
    disk?: number | null;
    gpus_milli?: number | null;
    mem?: number | null;
  };
  /** The cluster at a glance. */
  Cluster: {
    allocated: Schemas["Totals"];
    deployments: number;
    id: string;
    index: number;
    nodes: Record<string, number>;
    services: number;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    started_at: number;
    tasks: Record<string, number>;
    term: number;
    total: Schemas["Totals"];
    used: Schemas["Totals"];
    version: string;
  };
  /** What is asked for; a port is `any` or `{"exact": N}`. */
  Demand: {
    cpus_milli: number;
    disk: number;
    /** GPUs. */
    gpus: {
      count: number;
      milli: number;
    };
    mem: number;
    ports: ("any" | {
      exact: number;
    })[];
  };
  /** A deployment under way. */
  Deployment: {
    doing: string[];
    failing: Schemas["Standstill"] | null;
    id: string;
    paused: Schemas["Standstill"] | null;
    remedy: string;
    rolls_back: string | null;
    services: string[];
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    started_at: number;
    step: number;
    steps: number;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    version: number;
    waiting_for: string;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    waiting_since: number;
  };
  /** Deployments under way. */
  Deployments: {
    deployments: Schemas["Deployment"][];
    next: string | null;
  };
  /** A disk besides the one that the agent works on. */
  DiskPlace: {
    kind: "path" | "mount";
    root: string;
  };
  /** OpenAPI. */
  Document: Record<string, unknown>;
  /** It is done. */
  Done: {
    index: number;
  };
  /** What would become of a machine's tasks if it were drained now. */
  DrainPreview: {
    ending: number;
    hostname: string;
    killed: number;
    left_out: number;
    moving: number;
    node: string;
    state: "active" | "deactivated" | "draining" | "disconnected" | "unreachable";
    staying: number;
    summary: string;
    tasks: Schemas["DrainedTask"][];
    waiting: number;
  };
  /** A task of a machine that would be drained. */
  DrainedTask: {
    fate: "waits" | "stays" | "killed" | "ends" | "moves";
    framework: string | null;
    framework_name: string | null;
    hostname: string | null;
    node: string | null;
    service: string | null;
    task: string;
    why: string | null;
  };
  /** What went wrong. */
  Error: {
    code: string;
    field?: string;
    message: string;
    remedy?: string;
  };
  /** Why not. */
  ErrorBody: {
    error: Schemas["Error"];
  };
  Exit: {
    code: number;
  } | {
    signal: number;
  };
  /** Where one more instance would go, or why nowhere. */
  Explained: {
    choice: string | null;
    choice_hostname: string | null;
    demand: Schemas["Demand"];
    fitting: number;
    groups: Schemas["ObstacleGroup"][];
    machines: number;
    nearest: string | null;
    several: Schemas["Several"] | null;
    summary: string;
  };
  /** A placement pass, explained. */
  Explanation: {
    choice: string | null;
    demand: Schemas["Demand"];
    fitting: number;
    groups: Schemas["ObstacleGroup"][];
    machines: number;
    nearest: string | null;
    summary: string;
  };
  /** Instances end again and again. */
  Failing: {
    count: number;
    delay_ms: number;
    last: string;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    since: number;
  };
  /** An entry of a directory. */
  File: {
    kind: "file" | "directory" | "link" | "other";
    mode: string;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    modified: number;
    name: string;
    size: number;
  };
  /** A directory of a sandbox. */
  Files: {
    entries: Schemas["File"][];
    next: string | null;
    path: string;
  };
  /** A framework with everything that is in force for it. */
  FrameworkDetail: {
    allocated: Schemas["Totals"];
    capabilities: string[];
    checkpoint: boolean;
    completed_tasks: number;
    dominant: string | null;
    executors: number;
    failover_timeout_ms: number;
    filters: Schemas["FrameworkFilter"][];
    given_up_at: number | null;
    hostname: string;
    id: string;
    in_roles: Schemas["FrameworkRole"][];
    name: string;
    offers: number;
    outstanding: Schemas["FrameworkOffer"][];
    principal: string | null;
    registered_at: number;
    reregistered_at: number | null;
    roles: string[];
    share_ppm: number;
    since: number;
    state: "connected" | "disconnected" | "recovered" | "completed";
    suppressed: string[];
    tasks: number;
    unreachable_tasks: number;
    user: string;
    webui_url: string | null;
  };
  /** Why a framework is offered what it is offered. */
  FrameworkExplanation: {
    id: string;
    name: string;
    roles: Schemas["RoleExplanation"][];
    summary: string;
  };
  /** What a framework declined and is not offered for a while. */
  FrameworkFilter: {
    hostname: string;
    node: string;
    refused: string;
    role: string;
    until: number;
  };
  /** An offer that a framework holds. */
  FrameworkOffer: {
    expires_at: number | null;
    hostname: string;
    id: string;
    node: string;
    resources: string;
    role: string;
  };
  /** A framework in one of its roles, and the role. */
  FrameworkRole: {
    allocated: Schemas["Totals"];
    guarantee: Schemas["Bound"];
    limit: Schemas["Bound"];
    offered: Schemas["Totals"];
    role: string;
    role_share_ppm: number;
    role_used: Schemas["Totals"];
    share_ppm: number;
    suppressed: boolean;
    weight_milli: number;
  };
  /** A framework at a glance; shares are millionths. */
  FrameworkSummary: {
    allocated: Schemas["Totals"];
    dominant: string | null;
    given_up_at: number | null;
    id: string;
    name: string;
    offers: number;
    principal: string | null;
    roles: string[];
    share_ppm: number;
    since: number;
    state: "connected" | "disconnected" | "recovered" | "completed";
    suppressed: string[];
    tasks: number;
    user: string;
  };
  /** All frameworks. */
  Frameworks: {
    frameworks: Schemas["FrameworkSummary"][];
    next: string | null;
  };
  /** How one health check of a task stands. */
  HealthResult: {
    alive: boolean | null;
    consecutive_failures: number;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    first_success: number | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    last_failure: number | null;
    last_failure_cause: string | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    last_success: number | null;
  };
  /** What was used and given when. */
  History: {
    of: string;
    points: Schemas["Point"][];
    step_ms: number;
    total: Schemas["Totals"] | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    until: number;
    words: string;
  };
  /** A container image on a machine. */
  ImageOnNode: {
    bytes: number;
    digest: string;
    layers: number;
    node: string;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    pulled_at: number;
    pulled_bytes: number;
    references: string[];
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    used_at: number;
    used_by: string[];
  };
  /** Container images. */
  Images: {
    images: Schemas["ImageOnNode"][];
    silent: Schemas["SilentNode"][];
  };
  /** What one instance used. */
  InstanceUsage: {
    cpus_milli: Schemas["Spread"];
    hostname: string;
    mem: Schemas["Spread"];
    node: string;
    points: number;
    task: string;
  };
  /** The last offer that was made. */
  LastOffer: {
    at: number;
    hostname: string;
    node: string;
  };
  /** A machine. */
  Node: {
    address: string;
    allocated: Schemas["Totals"];
    attributes: Record<string, string>;
    hostname: string;
    id: string;
    machine: Schemas["Totals"] | null;
    missing_isolation: string[];
    region: string | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    registered_at: number;
    reserved: Schemas["Totals"];
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    since: number;
    state: "active" | "deactivated" | "draining" | "disconnected" | "unreachable";
    tasks: number;
    total: Schemas["Resources"];
    used: Schemas["Totals"] | null;
    version: string;
    zone: string | null;
  };
  /** A machine, and what of it is set apart. */
  NodeDetail: {
    address: string;
    allocated: Schemas["Totals"];
    attributes: Record<string, string>;
    disks: Schemas["NodeDisk"][];
    hostname: string;
    id: string;
    machine: Schemas["Totals"] | null;
    missing_isolation: string[];
    region: string | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    registered_at: number;
    reservations: Schemas["NodeReservation"][];
    reserved: Schemas["Totals"];
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    since: number;
    state: "active" | "deactivated" | "draining" | "disconnected" | "unreachable";
    tasks: number;
    total: Schemas["Resources"];
    unreserved: Schemas["Portion"];
    used: Schemas["Totals"] | null;
    version: string;
    volumes: Schemas["NodeVolume"][];
    zone: string | null;
  };
  /** A disk besides the one that the agent works on, in bytes. */
  NodeDisk: {
    free: number;
    kind: "path" | "mount";
    offered: number;
    reserved: number;
    root: string;
    size: number;
    used: number;
  };
  /** What of a machine is kept for a role in one way. Volumes and disks of their own are counted too. */
  NodeReservation: {
    free: Schemas["Amounts"];
    kind: "static" | "dynamic";
    labels: Schemas["ReservationLabel"][];
    offered: Schemas["Amounts"];
    principal: string | null;
    role: string;
    total: Schemas["Amounts"];
    used: Schemas["Amounts"];
    within: string[];
  };
  /** A directory on reserved disk that outlives the tasks which use it. */
  NodeVolume: {
    container_path: string;
    disk: Schemas["DiskPlace"] | null;
    framework: string | null;
    id: string;
    principal: string | null;
    role: string;
    size: number;
    state: "free" | "offered" | "used";
    tasks: string[];
  };
  /** Machines. */
  Nodes: {
    next: string | null;
    nodes: Schemas["Node"][];
  };
  Obstacle: {
    kind: "role";
    reserved: string;
  } | {
    constraint: string;
    kind: "constraint";
    words: string;
  } | {
    kind: "not_active";
    state: string;
  } | {
    kind: "cpus";
    short: number;
  } | {
    kind: "mem";
    short: number;
  } | {
    kind: "disk";
    short: number;
  } | {
    kind: "gpus";
    short: number;
  } | {
    kind: "ports";
    short: number;
    taken: number[];
  } | {
    kind: "quota";
    words: string;
  };
  /** Machines with the same obstacles. */
  ObstacleGroup: {
    examples: string[];
    machines: number;
    obstacles: Schemas["Obstacle"][];
    words: string;
  };
  /** Machines that are not offered for the same reason. */
  OfferObstacle: {
    examples: string[];
    machines: number;
    words: string;
  };
  /** Something that happened. */
  PastEvent: {
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    at: number;
    hostname?: string;
    id: string;
    name: "node" | "service" | "task" | "deployment" | "role" | "framework" | "alarm";
    service?: string;
    subject: string;
    words: string;
  };
  /** What happened, the newest first. */
  PastEvents: {
    events: Schemas["PastEvent"][];
    next: string | null;
  };
  /** A state that a task was in, and since when. */
  PastState: {
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    at: number;
    exit: Schemas["Exit"] | null;
    healthy: boolean | null;
    message: string;
    reason: string | null;
    state: string;
  };
  /** Instances on one machine. */
  Places: {
    hostname: string;
    instances: number;
    node: string;
  };
  /** The average over one step. */
  Point: {
    allocated: Schemas["Totals"] | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    at: number;
    used: Schemas["Totals"] | null;
  };
  /** A part of a machine: how much it is, and who has it now. */
  Portion: {
    free: Schemas["Amounts"];
    offered: Schemas["Amounts"];
    total: Schemas["Amounts"];
    used: Schemas["Amounts"];
  };
  /** Removed images. */
  Pruned: {
    nodes: Schemas["PrunedNode"][];
    silent: Schemas["SilentNode"][];
  };
  /** What was removed. */
  PrunedNode: {
    bytes: number;
    images: string[];
    node: string;
  };
  /** A label; keys may repeat. */
  ReservationLabel: {
    key: string;
    value: string | null;
  };
  /** What a machine has. */
  Resources: {
    cpus_milli: number;
    disk: number;
    gpus: number[];
    mem: number;
    ports: [number, number][];
  };
  /** The same for one of its roles. */
  RoleExplanation: {
    allocated: Schemas["Totals"];
    guarantee: Schemas["Bound"];
    last_offer: Schemas["LastOffer"] | null;
    limit: Schemas["Bound"];
    obstacles: Schemas["OfferObstacle"][];
    offered: Schemas["Totals"];
    role: string;
    role_share_ppm: number;
    role_used: Schemas["Totals"];
    share_ppm: number;
    suppressed: boolean;
    weight_milli: number;
    words: string;
  };
  /** A role's settings; the name stands in the path. */
  RoleSettings: {
    guarantee?: Schemas["Bound"];
    limit?: Schemas["Bound"];
    name?: string;
    weight_milli?: number;
  };
  /** A role and what it has. */
  RoleStatus: {
    allocated: Schemas["Totals"];
    guarantee: Schemas["Bound"];
    limit: Schemas["Bound"];
    name: string;
    offered: Schemas["Totals"];
    reserved: Schemas["Totals"];
    weight_milli: number;
  };
  /** All roles. */
  Roles: {
    next: string | null;
    roles: Schemas["RoleStatus"][];
  };
  /** A service. */
  Service: {
    command: string;
    cpus_milli: number;
    deployments: string[];
    failing: Schemas["Failing"] | null;
    health: "healthy" | "deploying" | "waiting" | "unhealthy" | "suspended";
    healthy: number;
    id: string;
    instances: number;
    labels: Record<string, string>;
    last_failure: string | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    last_failure_at: number | null;
    mem: number;
    role: string;
    running: number;
    staged: number;
    unhealthy: number;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    version: number;
    waiting_for: string | null;
  };
  /** What a service asks for against what it uses. */
  ServiceUsage: {
    cpus_milli: number;
    instances: Schemas["InstanceUsage"][];
    mem: number;
    running: number;
    service: string;
    silent: Schemas["SilentNode"][];
    span_ms: number;
    suggestion: Schemas["Suggestion"] | null;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    until: number;
    used: Schemas["Usage"] | null;
    words: string;
  };
  /** Services. */
  Services: {
    next: string | null;
    services: Schemas["Service"][];
  };
  /** Where several more instances would go. */
  Several: {
    fitting: number;
    instances: number;
    obstacle: Schemas["Explanation"] | null;
    places: Schemas["Places"][];
  };
  /** A machine that did not answer. */
  SilentNode: {
    node: string;
    why: string;
  };
  /** How values are spread. */
  Spread: {
    max: number;
    p50: number;
    p95: number;
  };
  /** Since when something does not move, and why. */
  Standstill: {
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    since: number;
    words: string;
  };
  /** A deployment was steered. */
  Steered: {
    deployment: string | null;
    index: number;
  };
  /** `usage` frames have no id. */
  StreamEvent: {
    /** Read the lists anew. */
    data: {
      index: number;
    };
    event: "resync";
  } | {
    data: Schemas["Node"];
    event: "node";
  } | {
    /** Which. */
    data: {
      id: string;
    };
    event: "node_removed";
  } | {
    /** A machine's use. */
    data: {
      id: string;
      machine: Schemas["Totals"];
      used: Schemas["Totals"];
    };
    event: "usage";
  } | {
    data: Schemas["Service"];
    event: "service";
  } | {
    /** Which. */
    data: {
      id: string;
    };
    event: "service_removed";
  } | {
    data: Schemas["Task"];
    event: "task";
  } | {
    /** Which, and as it was last. */
    data: {
      id: string;
      last: Schemas["Task"] | null;
    };
    event: "task_removed";
  } | {
    /** A deployment moved. */
    data: {
      id: string;
      services: string[];
      state: "running" | "paused" | "failing" | "succeeded" | "failed";
      step: number;
      steps: number;
      waiting_for: string;
    };
    event: "deployment";
  } | {
    data: Schemas["RoleStatus"];
    event: "role";
  } | {
    /** Which. */
    data: {
      name: string;
    };
    event: "role_removed";
  } | {
    data: Schemas["FrameworkSummary"];
    event: "framework";
  } | {
    /** Which. */
    data: {
      id: string;
    };
    event: "framework_removed";
  } | {
    /** Look at this. */
    data: {
      code: string;
      message: string;
    };
    event: "alarm";
  };
  /** What would be enough for each instance. */
  Suggestion: {
    cpus_milli: number;
    mem: number;
    words: string;
  };
  /** A task. */
  Task: {
    app: string | null;
    cpus_milli: number;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    ended_at: number | null;
    exit: Schemas["Exit"] | null;
    framework: string | null;
    framework_task: string | null;
    health: Schemas["HealthResult"][];
    healthy: boolean | null;
    hostname: string;
    id: string;
    mem: number;
    message: string;
    node: string;
    ports: number[];
    reason: string | null;
    role: string;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    staged_at: number;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    started_at: number | null;
    state: string;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    updated_at: number;
    /** Milliseconds since 1970-01-01T00:00:00Z. */
    version: number | null;
  };
  /** The states of a task, the oldest first. */
  TaskHistory: {
    states: Schemas["PastState"][];
    task: string;
  };
  /** A page of tasks. */
  Tasks: {
    next: string | null;
    tasks: Schemas["Task"][];
  };
  /** Amounts. */
  Totals: {
    cpus_milli: number;
    disk: number;
    gpus_milli: number;
    mem: number;
  };
  /** What was used. */
  Usage: {
    cpus_milli: Schemas["Spread"];
    mem: Schemas["Spread"];
  };
}

export interface Paths {
  "/hansa/v1/cluster": {
    /** The cluster at a glance. */
    get: {
      path: undefined;
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Cluster"];
    };
  };
  "/hansa/v1/deployments": {
    /** Deployments under way, the oldest first. */
    get: {
      path: undefined;
      query: {
        /** How many at most. */
        limit?: number;
        /** Only those after this id: what `next` said. */
        after?: string;
        /** Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Deployments"];
    };
  };
  "/hansa/v1/deployments/{deployment}": {
    /** A deployment under way. */
    get: {
      path: {
        deployment: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Deployment"];
    };
  };
  "/hansa/v1/deployments/{deployment}/{order}": {
    /** Steers a deployment. */
    post: {
      path: {
        deployment: string;
        order: "pause" | "resume" | "cancel";
      };
      query: {
        /** With `cancel`: stop where it is instead of going back. */
        force?: boolean;
      };
      body: undefined;
      answer: Schemas["Steered"];
    };
  };
  "/hansa/v1/docs": {
    /** This document as a page to read. */
    get: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: string;
    };
  };
  "/hansa/v1/events": {
    /** Server-sent events: each frame's `event` and `data` are a StreamEvent. */
    get: {
      path: undefined;
      query: {
        /** As the header `Last-Event-ID`: go on after this one. */
        last_event_id?: string;
        /** Kinds of frames, separated by commas. */
        only?: string;
        /** Seconds between `usage` frames: 1 to 3,600. */
        usage_every?: number;
      };
      body: undefined;
      answer: string;
    };
  };
  "/hansa/v1/events/history": {
    /** What happened since this master leads, the newest first. */
    get: {
      path: undefined;
      query: {
        /** Only what has these words in kind, subject, words or machine. */
        q?: string;
        /** Kinds, separated by commas: node, service, task, deployment, role, framework, alarm. */
        only?: string;
        /** Only what happened before this event: what `next` said. */
        before?: string;
        /** How many at most: 200, and at most 1,000. */
        limit?: number;
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["PastEvents"];
    };
  };
  "/hansa/v1/explain/{path}": {
    /** Where one more instance of a service would go, or why nowhere. */
    get: {
      path: {
        path: string;
      };
      query: {
        /** Also where so many more would go, in `several`. */
        instances?: number;
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Explained"];
    };
  };
  "/hansa/v1/frameworks": {
    /** Schedulers from outside, by name. */
    get: {
      path: undefined;
      query: {
        /** How many at most. */
        limit?: number;
        /** Only those after this id: what `next` said. */
        after?: string;
        /** Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it. */
        fields?: string;
        /** Also those that are gone. */
        all?: boolean;
      };
      body: undefined;
      answer: Schemas["Frameworks"];
    };
  };
  "/hansa/v1/frameworks/{framework}": {
    /** Removes a framework for ever: its tasks are killed, its id is never taken again. */
    delete: {
      path: {
        framework: string;
      };
      query: undefined;
      body: undefined;
      answer: Schemas["Done"];
    };
    /** A framework, by its id, or by its name if only one has it. */
    get: {
      path: {
        framework: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["FrameworkDetail"];
    };
  };
  "/hansa/v1/frameworks/{framework}/explain": {
    /** Why a framework is offered what it is offered. */
    get: {
      path: {
        framework: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["FrameworkExplanation"];
    };
  };
  "/hansa/v1/history": {
    /** What was used and given when. */
    get: {
      path: undefined;
      query: {
        /** How far back. */
        span?: "15m" | "3h" | "1d";
        /** `cluster`, `node:` and an id or host name, `role:` and a name, `service:` and a path, `task:` and an id. */
        of?: string;
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["History"];
    };
  };
  "/hansa/v1/images": {
    /** Container images, machine by machine. */
    get: {
      path: undefined;
      query: {
        /** Only on this machine, by id or host name. */
        node?: string;
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Images"];
    };
  };
  "/hansa/v1/images/prune": {
    /** Removes container images that no task uses. */
    post: {
      path: undefined;
      query: {
        /** Only on this machine, by id or host name. */
        node?: string;
      };
      body: undefined;
      answer: Schemas["Pruned"];
    };
  };
  "/hansa/v1/nodes": {
    /** Machines, by host name. */
    get: {
      path: undefined;
      query: {
        /** How many at most. */
        limit?: number;
        /** Only those after this host name: what `next` said. */
        after?: string;
        /** Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it. */
        fields?: string;
        /** Only those with these words (in small letters or large) in id, name, address and state. */
        q?: string;
        /** A selector of attributes: `k=v`, `k!=v`, `k` (is there), `!k` (is not), separated by commas. */
        label?: string;
        /** By one of hostname, state, tasks, cpus, mem, cpus_used, mem_used, registered_at; `-` in front: the largest first. */
        sort?: string;
      };
      body: undefined;
      answer: Schemas["Nodes"];
    };
  };
  "/hansa/v1/nodes/{node}": {
    /** A machine, by id or host name, with what of it is set apart. */
    get: {
      path: {
        node: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["NodeDetail"];
    };
  };
  "/hansa/v1/nodes/{node}/drain-preview": {
    /** What would become of a machine's tasks if it were drained now. Nothing is changed. */
    get: {
      path: {
        node: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["DrainPreview"];
    };
  };
  "/hansa/v1/nodes/{node}/{order}": {
    /** An operator's order about a machine. */
    post: {
      path: {
        node: string;
        order: "deactivate" | "reactivate" | "drain" | "gone";
      };
      query: undefined;
      body: undefined;
      answer: Schemas["Done"];
    };
  };
  "/hansa/v1/openapi-marathon.json": {
    /** The document of Marathon's API. */
    get: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: Schemas["Document"];
    };
  };
  "/hansa/v1/openapi.json": {
    /** This document. */
    get: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: Schemas["Document"];
    };
  };
  "/hansa/v1/roles": {
    /** Roles that are configured or used. */
    get: {
      path: undefined;
      query: {
        /** How many at most. */
        limit?: number;
        /** Only those after this name: what `next` said. */
        after?: string;
        /** Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Roles"];
    };
  };
  "/hansa/v1/roles/{role}": {
    /** Forgets a role's settings: weight 1, no guarantee, no limit. */
    delete: {
      path: {
        role: string;
      };
      query: undefined;
      body: undefined;
      answer: Schemas["Done"];
    };
    /** Sets a role's weight, guarantee and limit. */
    put: {
      path: {
        role: string;
      };
      query: undefined;
      body: Schemas["RoleSettings"];
      answer: Schemas["Done"];
    };
  };
  "/hansa/v1/services": {
    /** Services, by id. */
    get: {
      path: undefined;
      query: {
        /** How many at most. */
        limit?: number;
        /** Only those after this id: what `next` said. */
        after?: string;
        /** Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it. */
        fields?: string;
        /** Only those with these words (in small letters or large) in id and command. */
        q?: string;
        /** A selector of labels: `k=v`, `k!=v`, `k` (is there), `!k` (is not), separated by commas. */
        label?: string;
        /** By one of id, health, instances, cpus, mem, version; `-` in front: the largest first. */
        sort?: string;
      };
      body: undefined;
      answer: Schemas["Services"];
    };
  };
  "/hansa/v1/services/{path}": {
    /** A service. */
    get: {
      path: {
        path: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Service"];
    };
  };
  "/hansa/v1/tasks": {
    /** Tasks, by id, in pages. */
    get: {
      path: undefined;
      query: {
        /** How many at most. */
        limit?: number;
        /** Only those after this id: what `next` said. */
        after?: string;
        /** Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it. */
        fields?: string;
        /** Only those with these words (in small letters or large) in id, service, host name, state and message. */
        q?: string;
        /** A selector of labels of their services: `k=v`, `k!=v`, `k` (is there), `!k` (is not), separated by commas. */
        label?: string;
        /** By one of id, state, app, hostname, staged_at, started_at, updated_at, cpus, mem; `-` in front: the largest first. */
        sort?: string;
        /** Only those of this service. */
        app?: string;
        /** Only those of this framework, by its id. */
        framework?: string;
        /** Only those on this machine, by id or host name. */
        node?: string;
        /** Only those in this state, such as `TASK_RUNNING` or `running`. */
        state?: string;
        /** Those that ended and are remembered, the newest first, instead of those that are. */
        ended?: boolean;
      };
      body: undefined;
      answer: Schemas["Tasks"];
    };
  };
  "/hansa/v1/tasks/{task}": {
    /** A task, also one that ended while it is remembered. */
    get: {
      path: {
        task: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["Task"];
    };
  };
  "/hansa/v1/tasks/{task}/files": {
    /** A directory of a task's sandbox, from its machine. */
    get: {
      path: {
        task: string;
      };
      query: {
        /** How many at most. */
        limit?: number;
        /** Only those after this name: what `next` said. */
        after?: string;
        /** Only these fields of each, separated by commas; `a.b` is a field within a field. Every answer takes it. */
        fields?: string;
        /** The machine, for a task that the master has forgotten. */
        node?: string;
        /** Which, relative to the sandbox; empty: the sandbox itself. */
        path?: string;
      };
      body: undefined;
      answer: Schemas["Files"];
    };
  };
  "/hansa/v1/tasks/{task}/files/content": {
    /** A file of a task's sandbox. Headers: `x-hansa-size` (bytes of the whole file), `x-hansa-offset` (where the first byte stands in it), `x-hansa-binary` (`true`: its beginning is no text). */
    get: {
      path: {
        task: string;
      };
      query: {
        /** The machine, for a task that the master has forgotten. */
        node?: string;
        /** Which, relative to the sandbox. */
        path?: string;
        /** The first byte; negative: from the end. */
        offset?: number;
        /** Bytes at most; 1 MiB if absent, everything for a download. */
        limit?: number;
        /** As a file for the browser to keep. */
        download?: boolean;
      };
      body: undefined;
      answer: string;
    };
  };
  "/hansa/v1/tasks/{task}/history": {
    /** The states that a task was in, also while it is remembered. */
    get: {
      path: {
        task: string;
      };
      query: {
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["TaskHistory"];
    };
  };
  "/hansa/v1/tasks/{task}/logs/{stream}": {
    /** A task's `stdout` or `stderr`, from its machine. */
    get: {
      path: {
        task: string;
        stream: "stdout" | "stderr";
      };
      query: {
        /** The first byte; negative: from the end. */
        offset?: number;
        /** Bytes at most. */
        limit?: number;
        /** Stay open and pass on what comes. */
        follow?: boolean;
        /** The machine, for a task that the master has forgotten. */
        node?: string;
      };
      body: undefined;
      answer: string;
    };
  };
  "/hansa/v1/tasks/{task}/terminal": {
    /** A terminal in a task's container, as a WebSocket. Binary messages are bytes, both ways. Text of the client: `{"resize":{"columns":80,"rows":24}}`. Text of the server, before it closes: `{"exit":{"code":0}}`, `{"exit":{"signal":9}}` or `{"error":{…}}`. */
    get: {
      path: {
        task: string;
      };
      query: {
        /** A line for `/bin/sh -c`; empty: a shell. */
        command?: string;
        /** Characters a line; 80 if absent. */
        columns?: number;
        /** Lines; 24 if absent. */
        rows?: number;
      };
      body: undefined;
      answer: null;
    };
  };
  "/hansa/v1/usage/{path}": {
    /** What a service asks for against what its instances use, and what would be enough. */
    get: {
      path: {
        path: string;
      };
      query: {
        /** How far back. */
        span?: "15m" | "3h" | "1d";
        /** Only these fields, separated by commas; `a.b` is a field within a field. */
        fields?: string;
      };
      body: undefined;
      answer: Schemas["ServiceUsage"];
    };
  };
}

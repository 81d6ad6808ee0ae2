// Made of docs/openapi-marathon.json by `npm run generate`; changes go there.

export interface Schemas {
  Anything: Record<string, unknown>;
  /** An app's definition. */
  App: {
    acceptedResourceRoles?: string[] | null;
    args?: string[] | null;
    backoffFactor?: number;
    backoffSeconds?: number;
    check?: Record<string, unknown>;
    cmd?: string | null;
    constraints?: string[][];
    container?: Schemas["Container"] | null;
    cpus?: number;
    dependencies?: string[];
    disk?: number;
    env?: Record<string, string | {
      secret: string;
    }> | null;
    executor?: string;
    fetch?: Schemas["Artifact"][];
    gpus?: number;
    healthChecks?: Schemas["HealthCheck"][];
    id: string;
    instances?: number;
    killSelection?: "YOUNGEST_FIRST" | "OLDEST_FIRST";
    labels?: Record<string, string> | null;
    maxLaunchDelaySeconds?: number;
    mem?: number;
    networks?: Schemas["Network"][];
    portDefinitions?: Schemas["PortDefinition"][] | null;
    ports?: number[] | null;
    readinessChecks?: Schemas["ReadinessCheck"][];
    requirePorts?: boolean;
    resourceLimits?: Schemas["ResourceLimits"];
    role?: string;
    secrets?: Record<string, {
      source: string;
    }>;
    taskKillGracePeriodSeconds?: number;
    tty?: boolean | null;
    unreachableStrategy?: Schemas["UnreachableStrategy"];
    upgradeStrategy?: Schemas["UpgradeStrategy"];
    uris?: string[];
    user?: string | null;
    version?: string;
  };
  /** An app as it is. */
  AppInfo: {
    acceptedResourceRoles?: string[] | null;
    args?: string[] | null;
    backoffFactor?: number;
    backoffSeconds?: number;
    check?: Record<string, unknown>;
    cmd?: string | null;
    constraints?: string[][];
    container?: Schemas["Container"] | null;
    cpus?: number;
    dependencies?: string[];
    deployments?: Record<string, unknown>[];
    disk?: number;
    env?: Record<string, string | {
      secret: string;
    }> | null;
    executor?: string;
    fetch?: Schemas["Artifact"][];
    gpus?: number;
    healthChecks?: Schemas["HealthCheck"][];
    id: string;
    instances?: number;
    killSelection?: "YOUNGEST_FIRST" | "OLDEST_FIRST";
    labels?: Record<string, string> | null;
    lastTaskFailure?: Record<string, unknown>;
    maxLaunchDelaySeconds?: number;
    mem?: number;
    networks?: Schemas["Network"][];
    portDefinitions?: Schemas["PortDefinition"][] | null;
    ports?: number[] | null;
    readinessCheckResults?: Record<string, unknown>[];
    readinessChecks?: Schemas["ReadinessCheck"][];
    requirePorts?: boolean;
    resourceLimits?: Schemas["ResourceLimits"];
    role?: string;
    secrets?: Record<string, {
      source: string;
    }>;
    taskKillGracePeriodSeconds?: number;
    taskStats?: Record<string, unknown>;
    tasks?: Schemas["Task"][];
    tasksHealthy?: number;
    tasksRunning?: number;
    tasksStaged?: number;
    tasksUnhealthy?: number;
    tty?: boolean | null;
    unreachableStrategy?: Schemas["UnreachableStrategy"];
    upgradeStrategy?: Schemas["UpgradeStrategy"];
    uris?: string[];
    user?: string | null;
    version: string;
    versionInfo?: Record<string, unknown>;
  };
  AppList: Schemas["App"][];
  /** A change of an app. */
  AppUpdate: {
    acceptedResourceRoles?: string[] | null;
    args?: string[] | null;
    backoffFactor?: number;
    backoffSeconds?: number;
    check?: Record<string, unknown>;
    cmd?: string | null;
    constraints?: string[][];
    container?: Schemas["Container"] | null;
    cpus?: number;
    dependencies?: string[];
    disk?: number;
    env?: Record<string, string | {
      secret: string;
    }> | null;
    executor?: string;
    fetch?: Schemas["Artifact"][];
    gpus?: number;
    healthChecks?: Schemas["HealthCheck"][];
    id?: string;
    instances?: number;
    killSelection?: "YOUNGEST_FIRST" | "OLDEST_FIRST";
    labels?: Record<string, string> | null;
    maxLaunchDelaySeconds?: number;
    mem?: number;
    networks?: Schemas["Network"][];
    portDefinitions?: Schemas["PortDefinition"][] | null;
    ports?: number[] | null;
    readinessChecks?: Schemas["ReadinessCheck"][];
    requirePorts?: boolean;
    resourceLimits?: Schemas["ResourceLimits"];
    role?: string;
    secrets?: Record<string, {
      source: string;
    }>;
    taskKillGracePeriodSeconds?: number;
    tty?: boolean | null;
    unreachableStrategy?: Schemas["UnreachableStrategy"];
    upgradeStrategy?: Schemas["UpgradeStrategy"];
    uris?: string[];
    user?: string | null;
    version?: string;
  };
  /** Apps. */
  Apps: {
    apps: Schemas["AppInfo"][];
  };
  /** What is fetched into the sandbox. */
  Artifact: {
    cache?: boolean;
    destPath?: string;
    executable?: boolean;
    extract?: boolean;
    uri: string;
  };
  /** What instances run in. */
  Container: {
    docker?: Schemas["Docker"] | null;
    portMappings?: Schemas["PortMapping"][] | null;
    type?: "MESOS" | "DOCKER";
    volumes?: Schemas["Volume"][];
  };
  /** A deployment under way. */
  Deployment: {
    affectedApps: string[];
    affectedPods: string[];
    currentActions: Record<string, unknown>[];
    currentStep: number;
    id: string;
    steps: Record<string, unknown>[];
    totalSteps: number;
    version: string;
  };
  Deployments: Schemas["Deployment"][];
  /** An image, and how it is run. `network` and `portMappings` are the older form. */
  Docker: {
    forcePullImage?: boolean;
    image: string;
    network?: string;
    parameters?: {
      key: string;
      value: string;
    }[];
    portMappings?: Schemas["PortMapping"][] | null;
    privileged?: boolean;
    /** How to log in. */
    pullConfig?: {
      secret: string;
    };
  };
  /** A group. */
  Group: {
    apps?: Schemas["AppInfo"][];
    dependencies?: string[];
    enforceRole?: boolean;
    groups?: Schemas["Group"][];
    id: string;
    pods?: Record<string, unknown>[];
    version?: string;
  };
  /** A top-level group's rule. */
  GroupRole: {
    enforceRole: boolean;
  };
  /** A group as it shall be; `apps` and `groups`, each when given, name the whole of that level. */
  GroupUpdate: {
    apps?: Schemas["App"][] | null;
    dependencies?: string[] | null;
    enforceRole?: boolean | null;
    groups?: Schemas["GroupUpdate"][] | null;
    id?: string | null;
    scaleBy?: number | null;
    version?: string | null;
  };
  /** A health check. */
  HealthCheck: {
    /** A command. */
    command?: {
      value: string;
    } | null;
    delaySeconds?: number;
    gracePeriodSeconds?: number;
    ignoreHttp1xx?: boolean;
    intervalSeconds?: number;
    ipProtocol?: "IPv4" | "IPv6";
    maxConsecutiveFailures?: number;
    path?: string | null;
    port?: number | null;
    portIndex?: number | null;
    protocol?: "HTTP" | "HTTPS" | "TCP" | "COMMAND" | "MESOS_TCP" | "MESOS_HTTP" | "MESOS_HTTPS";
    timeoutSeconds?: number;
  };
  /** What was killed, or with `scale` the deployment. */
  Killed: {
    deploymentId?: string;
    task?: Schemas["Task"];
    tasks?: Schemas["Task"][];
    version?: string;
  };
  /** Who leads. */
  Leader: {
    leader: string;
  };
  /** A network that instances are in. */
  Network: {
    labels?: Record<string, string>;
    mode?: "host" | "container" | "container/bridge";
    name?: string;
  };
  /** An app. */
  OneApp: {
    app: Schemas["AppInfo"];
  };
  /** A host port; 0: any. */
  PortDefinition: {
    labels?: Record<string, string>;
    name?: string | null;
    port?: number;
    protocol?: "tcp" | "udp" | "udp,tcp";
  };
  /** A port of the container; `hostPort` 0: any. */
  PortMapping: {
    containerPort?: number;
    hostPort?: number | null;
    labels?: Record<string, string>;
    name?: string | null;
    networkNames?: string[];
    protocol?: "tcp" | "udp" | "udp,tcp";
    servicePort?: number;
  };
  /** Why not. */
  Problem: {
    deployments?: unknown;
    details?: unknown;
    message: string;
  };
  /** What waits. */
  Queue: {
    queue: Schemas["QueueItem"][];
  };
  /** An app that waits. */
  QueueItem: {
    app: Schemas["AppInfo"];
    count: number;
    /** Until when. */
    delay: {
      overdue: boolean;
      timeLeftSeconds: number;
    };
    lastUnusedOffers?: Record<string, unknown>[];
    processedOffersSummary: Record<string, unknown>;
    since: string;
  };
  /** When a deployment may go on. */
  ReadinessCheck: {
    httpStatusCodesForReady?: number[];
    intervalSeconds?: number;
    name?: string;
    path?: string;
    portName?: string;
    preserveLastResponse?: boolean;
    protocol?: "HTTP" | "HTTPS";
    timeoutSeconds?: number;
  };
  /** Limits above the request. */
  ResourceLimits: {
    cpus?: number | "unlimited";
    mem?: number | "unlimited";
  };
  /** A deployment. */
  Started: {
    deploymentId: string;
    version: string;
  };
  StartedOrPlan: Schemas["Started"] | {
    steps: Record<string, unknown>[];
  };
  /** A task. */
  Task: {
    appId?: string;
    checkResult?: Record<string, unknown>;
    healthCheckResults?: Record<string, unknown>[];
    host: string;
    id: string;
    ipAddresses?: Record<string, unknown>[];
    localVolumes?: Record<string, unknown>[];
    ports: number[];
    region?: string;
    role: string;
    servicePorts?: number[];
    slaveId: string;
    stagedAt: string;
    startedAt?: string;
    state: string;
    version?: string;
    zone?: string;
  };
  /** Tasks to be killed. */
  TaskIds: {
    ids: string[];
  };
  /** Tasks. */
  Tasks: {
    tasks: Schemas["Task"][];
  };
  Texts: string[];
  UnreachableStrategy: "disabled" | {
    expungeAfterSeconds?: number;
    inactiveAfterSeconds?: number;
  };
  /** How instances are replaced. */
  UpgradeStrategy: {
    maximumOverCapacity?: number;
    minimumHealthCapacity?: number;
  };
  /** Versions, newest first. */
  Versions: {
    versions: string[];
  };
  /** What is seen where. */
  Volume: {
    containerPath: string;
    hostPath?: string;
    mode?: "RO" | "RW";
    secret?: string;
  };
}

export interface Paths {
  "/v2/apps": {
    /** Apps, filtered. */
    get: {
      path: undefined;
      query: {
        /** What to add, such as `apps.tasks`, `apps.counts` or `apps.lastTaskFailure`; may be repeated. */
        embed?: string[];
        /** Part of the id. */
        id?: string;
        /** Part of the command. */
        cmd?: string;
        /** A label selector. */
        label?: string;
      };
      body: undefined;
      answer: Schemas["Apps"];
    };
    /** Changes many apps as one deployment. */
    patch: {
      path: undefined;
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: Schemas["AppList"];
      answer: Schemas["Started"];
    };
    /** Creates an app. */
    post: {
      path: undefined;
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: Schemas["App"];
      answer: Schemas["AppInfo"];
    };
    /** Creates or changes many apps as one deployment. */
    put: {
      path: undefined;
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
        /** Fields that are not given stay; the default. */
        partialUpdate?: boolean;
      };
      body: Schemas["AppList"];
      answer: Schemas["Started"];
    };
  };
  "/v2/apps/{app}": {
    /** Removes an app. */
    delete: {
      path: {
        app: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: undefined;
      answer: Schemas["Started"];
    };
    /** An app. */
    get: {
      path: {
        app: string;
      };
      query: {
        /** What to add, such as `apps.tasks`, `apps.counts` or `apps.lastTaskFailure`; may be repeated. */
        embed?: string[];
      };
      body: undefined;
      answer: Schemas["OneApp"];
    };
    /** Changes an app. */
    patch: {
      path: {
        app: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: Schemas["AppUpdate"];
      answer: Schemas["Started"];
    };
    /** Creates or changes an app. */
    put: {
      path: {
        app: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
        /** Fields that are not given stay; the default. */
        partialUpdate?: boolean;
      };
      body: Schemas["AppUpdate"];
      answer: Schemas["Started"];
    };
  };
  "/v2/apps/{app}/restart": {
    /** Replaces all instances. */
    post: {
      path: {
        app: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: undefined;
      answer: Schemas["Started"];
    };
  };
  "/v2/apps/{app}/tasks": {
    /** Kills an app's tasks. */
    delete: {
      path: {
        app: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
        /** Also ask for fewer instances; starts a deployment. */
        scale?: boolean;
        /** Also forget what they kept; not together with `scale`. */
        wipe?: boolean;
        /** Only those on this host. */
        host?: string;
      };
      body: undefined;
      answer: Schemas["Killed"];
    };
    /** An app's tasks. */
    get: {
      path: {
        app: string;
      };
      query: undefined;
      body: undefined;
      answer: Schemas["Tasks"];
    };
  };
  "/v2/apps/{app}/tasks/{task}": {
    /** Kills a task. */
    delete: {
      path: {
        app: string;
        task: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
        /** Also ask for fewer instances; starts a deployment. */
        scale?: boolean;
        /** Also forget what they kept; not together with `scale`. */
        wipe?: boolean;
      };
      body: undefined;
      answer: Schemas["Killed"];
    };
  };
  "/v2/apps/{app}/versions": {
    /** An app's versions. */
    get: {
      path: {
        app: string;
      };
      query: undefined;
      body: undefined;
      answer: Schemas["Versions"];
    };
  };
  "/v2/apps/{app}/versions/{version}": {
    /** A version of an app. */
    get: {
      path: {
        app: string;
        version: string;
      };
      query: undefined;
      body: undefined;
      answer: Schemas["AppInfo"];
    };
  };
  "/v2/deployments": {
    /** Deployments under way, oldest first. */
    get: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: Schemas["Deployments"];
    };
  };
  "/v2/deployments/{deployment}": {
    /** Goes back; with `force` stops where it is. */
    delete: {
      path: {
        deployment: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: undefined;
      answer: Schemas["Started"] | null;
    };
  };
  "/v2/events": {
    /** Server-sent events. */
    get: {
      path: undefined;
      query: {
        /** Only events of this type; may be repeated. */
        event_type?: string[];
      };
      body: undefined;
      answer: string;
    };
  };
  "/v2/groups": {
    /** Removes every group and app. */
    delete: {
      path: undefined;
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: undefined;
      answer: Schemas["Started"];
    };
    /** The tree of groups. */
    get: {
      path: undefined;
      query: {
        /** What to add, such as `apps.tasks`, `apps.counts` or `apps.lastTaskFailure`; may be repeated. */
        embed?: string[];
      };
      body: undefined;
      answer: Schemas["Group"];
    };
    /** Creates a group. */
    post: {
      path: undefined;
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: Schemas["GroupUpdate"];
      answer: Schemas["Started"];
    };
    /** Creates or changes groups as one deployment. */
    put: {
      path: undefined;
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
        /** Only say the steps. */
        dryRun?: boolean;
      };
      body: Schemas["GroupUpdate"];
      answer: Schemas["StartedOrPlan"];
    };
  };
  "/v2/groups/{group}": {
    /** Removes a group with everything in it. */
    delete: {
      path: {
        group: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: undefined;
      answer: Schemas["Started"];
    };
    /** A group. */
    get: {
      path: {
        group: string;
      };
      query: {
        /** What to add, such as `apps.tasks`, `apps.counts` or `apps.lastTaskFailure`; may be repeated. */
        embed?: string[];
      };
      body: undefined;
      answer: Schemas["Group"];
    };
    /** Whether a top-level group's apps must have its name as their role. */
    patch: {
      path: {
        group: string;
      };
      query: undefined;
      body: Schemas["GroupRole"];
      answer: null;
    };
    /** Creates a group. */
    post: {
      path: {
        group: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
      };
      body: Schemas["GroupUpdate"];
      answer: Schemas["Started"];
    };
    /** Creates or changes a group as one deployment. */
    put: {
      path: {
        group: string;
      };
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
        /** Only say the steps. */
        dryRun?: boolean;
      };
      body: Schemas["GroupUpdate"];
      answer: Schemas["StartedOrPlan"];
    };
  };
  "/v2/groups/{group}/versions": {
    /** A group's versions. */
    get: {
      path: {
        group: string;
      };
      query: undefined;
      body: undefined;
      answer: Schemas["Texts"];
    };
  };
  "/v2/groups/{group}/versions/{version}": {
    /** A group as it was. */
    get: {
      path: {
        group: string;
        version: string;
      };
      query: undefined;
      body: undefined;
      answer: Schemas["Group"];
    };
  };
  "/v2/info": {
    /** About the server. */
    get: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: Schemas["Anything"];
    };
  };
  "/v2/leader": {
    /** The leader abdicates; event streams end. */
    delete: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: Schemas["Anything"];
    };
    /** Who leads. */
    get: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: Schemas["Leader"];
    };
  };
  "/v2/plugins": {
    /** Plugins; there are none. */
    get: {
      path: undefined;
      query: undefined;
      body: undefined;
      answer: Schemas["Anything"];
    };
  };
  "/v2/queue": {
    /** What waits, and why. */
    get: {
      path: undefined;
      query: {
        /** `lastUnusedOffers`: also the machines that were looked at. */
        embed?: string[];
      };
      body: undefined;
      answer: Schemas["Queue"];
    };
  };
  "/v2/queue/{app}/delay": {
    /** Ends an app's delay. */
    delete: {
      path: {
        app: string;
      };
      query: undefined;
      body: undefined;
      answer: null;
    };
  };
  "/v2/tasks": {
    /** All tasks. */
    get: {
      path: undefined;
      query: {
        /** Only those. */
        status?: ("running" | "staging")[];
      };
      body: undefined;
      answer: Schemas["Tasks"];
    };
  };
  "/v2/tasks/delete": {
    /** Kills the named tasks. */
    post: {
      path: undefined;
      query: {
        /** Also when a deployment holds the app. */
        force?: boolean;
        /** Also ask for fewer instances; starts a deployment. */
        scale?: boolean;
        /** Also forget what they kept; not together with `scale`. */
        wipe?: boolean;
      };
      body: Schemas["TaskIds"];
      answer: Schemas["Killed"];
    };
  };
}

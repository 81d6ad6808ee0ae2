//! Flags that only the master has.

use crate::mesos::flags::{Flag, Kind};

const ALWAYS_DURABLE: &str = "the cluster's intent is always kept on disk, in --work_dir";
const OWN_STORE: &str = "the store is one file of Hansa's own, not a replicated log";
const V0: &str = "the old protocol between libprocess programs is not spoken";
const NEVER_REMOVED: &str =
    "an agent that does not answer is unreachable, not removed; it may always come back";
const DRF: &str = "sharing is always by dominant resource";

/// Those that do something.
pub const TAKEN: &[Flag] = &[
    Flag::taken("work_dir", Kind::Text, "Where the cluster's intent is kept"),
    Flag::taken(
        "agent_ping_timeout",
        Kind::Time,
        "Together with the next: after how long an agent is unreachable",
    )
    .or("slave_ping_timeout"),
    Flag::taken("max_agent_ping_timeouts", Kind::Count, "How many of the former must pass")
        .or("max_slave_ping_timeouts"),
    Flag::taken(
        "offer_timeout",
        Kind::Time,
        "How long a framework may hold an offer without a word; 1mins if not said",
    ),
    Flag::taken(
        "registry",
        Kind::Text,
        "replicated_log or in_memory; without --work_dir the latter keeps nothing",
    ),
    Flag::taken("cluster", Kind::Text, "The cluster's name, for people"),
    Flag::taken("roles", Kind::Text, "Roles that frameworks may be in, 'a,b'; without it any"),
    Flag::taken("weights", Kind::Text, "Roles' weights until others are set: 'role=2.5,role=1'"),
    Flag::taken(
        "min_allocatable_resources",
        Kind::Text,
        "An offer has at least one of these: 'cpus:0.01|mem:32'; empty: any is sent",
    ),
    Flag::taken(
        "filter_gpu_resources",
        Kind::Switch,
        "Offers machines with GPUs only to frameworks that know of GPUs; so it is unless said",
    ),
];

/// Those that do not, or not yet.
pub const MOOT: &[Flag] = &[
    Flag::moot(
        "zk",
        Kind::Text,
        "Hansa needs no ZooKeeper; give frameworks and agents this master's host:port",
    ),
    Flag::moot("quorum", Kind::Count, OWN_STORE),
    Flag::moot("log_auto_initialize", Kind::Switch, OWN_STORE),
    Flag::moot("registry_fetch_timeout", Kind::Time, OWN_STORE),
    Flag::moot("registry_store_timeout", Kind::Time, OWN_STORE),
    Flag::moot("registry_strict", Kind::Switch, ALWAYS_DURABLE),
    Flag::moot("registry_gc_interval", Kind::Time, NEVER_REMOVED),
    Flag::moot("registry_max_agent_age", Kind::Time, NEVER_REMOVED),
    Flag::moot("registry_max_agent_count", Kind::Count, NEVER_REMOVED),
    Flag::moot("recovery_agent_removal_limit", Kind::Text, NEVER_REMOVED).or("recovery_slave_removal_limit"),
    Flag::moot("agent_removal_rate_limit", Kind::Text, NEVER_REMOVED).or("slave_removal_rate_limit"),
    Flag::moot("master_contender", Kind::Text, "there is no ZooKeeper, and no module to stand in for it"),
    Flag::moot("webui_dir", Kind::Text, "the console is in the program"),
    Flag::barred("whitelist", Kind::Path, "deactivate agents instead: `hansa node deactivate`"),
    Flag::moot("role_sorter", Kind::Text, DRF).or("user_sorter"),
    Flag::moot("framework_sorter", Kind::Text, DRF),
    Flag::moot("allocator", Kind::Text, "there is one allocator"),
    Flag::moot("allocator_agent_recovery_factor", Kind::Number, "offers go out as soon as agents are back"),
    Flag::moot("allocator_recovery_timeout", Kind::Time, "offers go out as soon as agents are back"),
    Flag::moot("authentication_v0_timeout", Kind::Time, V0),
    Flag::moot("authenticators", Kind::Text, V0),
    Flag::moot("authorizers", Kind::Text, "there is no module to decide who may do what"),
    Flag::barred(
        "authenticate_frameworks",
        Kind::Switch,
        "the old protocol is not spoken, and HTTP knows no login yet",
    )
    .or("authenticate"),
    Flag::barred(
        "authenticate_agents",
        Kind::Switch,
        "agents have no login yet; keep the master's port to yourself",
    )
    .or("authenticate_slaves"),
    Flag::barred(
        "authenticate_http_frameworks",
        Kind::Switch,
        "frameworks have no login yet; keep the port to yourself",
    ),
    Flag::moot("http_framework_authenticators", Kind::Text, "frameworks have no login yet"),
    Flag::moot("credentials", Kind::Path, "nobody is asked for a login yet"),
    Flag::barred("require_agent_domain", Kind::Switch, "agents without a fault domain are always let in"),
    Flag::moot("rate_limits", Kind::Json, "they are about the old protocol, also with Mesos"),
    Flag::moot("max_executors_per_agent", Kind::Count, "executors share no ports here")
        .or("max_executors_per_slave"),
    Flag::moot(
        "publish_per_framework_metrics",
        Kind::Switch,
        "`hansa framework show` tells of each framework",
    ),
    Flag::moot(
        "offer_constraints_re2_max_mem",
        Kind::Size,
        "patterns are matched in time and memory that are bounded anyway",
    ),
    Flag::moot("offer_constraints_re2_max_program_size", Kind::Count, "patterns are bounded anyway"),
    Flag::moot(
        "max_operator_event_stream_subscribers",
        Kind::Count,
        "the number of connections is bounded as a whole",
    ),
    Flag::moot(
        "domain",
        Kind::Json,
        "all regions are one cluster's; frameworks need no capability to be offered them",
    ),
    Flag::moot("hostname", Kind::Text, "others are told the address that is listened on"),
    Flag::moot(
        "agent_reregister_timeout",
        Kind::Time,
        "agents are unreachable after --agent_ping_timeout, after a restart of the master, too",
    )
    .or("slave_reregister_timeout"),
    Flag::moot(
        "allocation_interval",
        Kind::Time,
        "offers go out as soon as there is something to offer, not in rounds",
    ),
    Flag::moot("root_submissions", Kind::Switch, "whom tasks may run as is not limited"),
    Flag::moot("fair_sharing_excluded_resource_names", Kind::Text, "all kinds count for fair shares"),
    Flag::moot("max_completed_frameworks", Kind::Count, "how much of the past is kept cannot be set"),
    Flag::moot(
        "max_completed_tasks_per_framework",
        Kind::Count,
        "how much of the past is kept cannot be set",
    ),
    Flag::moot(
        "max_unreachable_tasks_per_framework",
        Kind::Count,
        "how much of the past is kept cannot be set",
    ),
];

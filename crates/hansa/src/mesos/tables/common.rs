//! Flags that both daemons have.

use crate::mesos::flags::{Flag, Kind};

const NO_AUTHENTICATION: &str =
    "Hansa cannot tell who speaks yet, and going on without would open what you want shut";
const NO_MODULES: &str = "Mesos' modules are libraries for Mesos' own program; none is loaded";
const LOGS: &str = "logs go to stderr; let your supervisor keep them";

/// They.
pub const FLAGS: &[Flag] = &[
    Flag::taken("help", Kind::Switch, "Prints this"),
    Flag::taken("version", Kind::Switch, "Prints which version of Mesos is spoken"),
    Flag::taken("ip", Kind::Text, "The address to listen on; without it all of the machine's"),
    Flag::taken("port", Kind::Count, "The port to listen on; 5050 for masters, 5051 for agents"),
    Flag::taken(
        "logging_level",
        Kind::Text,
        "INFO, WARNING or ERROR: what is logged, unless HANSA_LOG says it",
    ),
    Flag::taken("quiet", Kind::Switch, "Logs nothing"),
    Flag::moot(
        "advertise_ip",
        Kind::Text,
        "others find this machine by --hostname, else by the address it listens on",
    ),
    Flag::moot("advertise_port", Kind::Text, "others are told the port that is listened on"),
    Flag::moot("hostname_lookup", Kind::Switch, "the machine's own name is used unless --hostname is given"),
    Flag::barred("ip_discovery_command", Kind::Text, "run the command yourself and give its answer as --ip"),
    Flag::moot("log_dir", Kind::Text, LOGS),
    Flag::moot("logbufsecs", Kind::Count, LOGS),
    Flag::moot("external_log_file", Kind::Text, LOGS),
    Flag::moot("initialize_driver_logging", Kind::Switch, LOGS),
    Flag::moot("modules", Kind::Json, NO_MODULES),
    Flag::moot("modules_dir", Kind::Text, NO_MODULES),
    Flag::moot("hooks", Kind::Text, NO_MODULES),
    Flag::moot("master_detector", Kind::Text, NO_MODULES),
    Flag::moot("memory_profiling", Kind::Switch, "there is no such profiler in this program"),
    Flag::moot("zk_session_timeout", Kind::Time, "there is no ZooKeeper"),
    Flag::barred("authenticate_http_readonly", Kind::Switch, NO_AUTHENTICATION),
    Flag::barred("authenticate_http_readwrite", Kind::Switch, NO_AUTHENTICATION).or("authenticate_http"),
    Flag::moot("http_authenticators", Kind::Text, NO_MODULES),
    Flag::barred(
        "acls",
        Kind::Json,
        "Hansa does not limit yet who may do what, and going on would allow what you forbid",
    ),
    Flag::barred(
        "firewall_rules",
        Kind::Json,
        "Hansa cannot shut single endpoints, and going on would open them",
    ),
];

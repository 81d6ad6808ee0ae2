//! What a shim is told to run: `shim.json` in its runtime directory, written by the agent before the shim starts.

use super::world::{EtcFiles, MountSpec, RootSpec};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of everything a shim and an agent exchange: files and socket. A shim refuses a spec whose version it does
/// not know; agents accept shims of this version and the one before.
pub const VERSION: u32 = 1;

/// One container: a command, its limits and how it is fenced in. Stored as JSON; every field but the first four has a
/// default, so that older and newer programs read each other's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShimSpec {
    /// [`VERSION`].
    pub version: u32,
    /// The agent that owns the container; names the cgroups `hansa/<agent>/<container>`.
    pub agent: String,
    /// The container's id: letters, digits, `.`, `_`, `-`; at most 200 bytes; unique within the agent.
    pub container: String,
    /// What to execute. A first element without `/` is looked up on the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The environment, exactly; nothing is added.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// `name`, `uid`, `name:group` or `uid:gid`; the agent's own user if absent.
    #[serde(default)]
    pub user: Option<String>,
    /// Further groups of the user, by name or number.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The working directory, where `stdout` and `stderr` go too. Made (and given to the user) if it is not there.
    pub sandbox: PathBuf,
    /// Directories that the container sees empty (with its own sandbox in it, if that lies below). An agent names
    /// its data directory here, or its tasks could drive each other's shims.
    #[serde(default)]
    pub hidden_paths: Vec<PathBuf>,
    /// Which fences to put up.
    #[serde(default)]
    pub isolation: Isolation,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// How its output is kept.
    #[serde(default)]
    pub output: Output,
    /// Milliseconds of `CLOCK_BOOTTIME`; past it the shim kills everything without grace. None: never.
    #[serde(default)]
    pub deadline_boottime_ms: Option<u64>,
    /// A file that holds a newer deadline as decimal text (milliseconds of `CLOCK_BOOTTIME`), read when the known one
    /// passes. So an agent extends any number of containers by rewriting one file, and wakes no shim. Written with
    /// [`super::write_deadline`].
    #[serde(default)]
    pub deadline_file: Option<PathBuf>,
    /// Milliseconds between SIGTERM and SIGKILL when a stop names none.
    #[serde(default = "default_grace")]
    pub kill_grace_ms: u64,
    /// The command's `oom_score_adj`.
    #[serde(default)]
    pub oom_score_adj: i32,
    /// A root file system of its own; None: the machine's.
    #[serde(default)]
    pub root: Option<RootSpec>,
    /// Where the command starts, as the container sees it (made if missing); None: in its sandbox.
    #[serde(default)]
    pub working_dir: Option<PathBuf>,
    /// What is mounted besides; needs rights to mount.
    #[serde(default)]
    pub mounts: Vec<MountSpec>,
    /// A network namespace to join, as a file; None: the machine's network.
    #[serde(default)]
    pub network: Option<PathBuf>,
    /// The host name that it sees; None: the machine's.
    #[serde(default)]
    pub hostname: Option<String>,
    /// What it finds in `/etc`, if it has a root of its own.
    #[serde(default)]
    pub etc: EtcFiles,
    /// All capabilities, all devices, no filter, nothing masked or read-only.
    #[serde(default)]
    pub privileged: bool,
    /// Capabilities (`NET_ADMIN`, with or without `CAP_`) that it keeps besides the usual ones.
    #[serde(default)]
    pub cap_add: Vec<String>,
    /// Capabilities that it does not keep, or `ALL`; those of `cap_add` it keeps all the same.
    #[serde(default)]
    pub cap_drop: Vec<String>,
    /// Programs cannot give more rights than their caller has (setuid, file capabilities). Always so without a root of its
    /// own.
    #[serde(default)]
    pub no_new_privileges: bool,
    /// Bytes that `/dev/shm` holds; None: 64 MiB with a root of its own, otherwise as the kernel likes.
    #[serde(default)]
    pub shm_bytes: Option<u64>,
    /// The signal that asks it to stop; None: SIGTERM.
    #[serde(default)]
    pub stop_signal: Option<i32>,
    /// Whether its standard streams are a terminal (its output then is all in `stdout`).
    #[serde(default)]
    pub tty: bool,
    /// Environment variables whose values are secrets, and the files that hold them: read when the command starts and
    /// written nowhere.
    #[serde(default)]
    pub secret_env: BTreeMap<String, PathBuf>,
    /// Everything in the sandbox was put there for the command and is given to its user before it starts.
    #[serde(default)]
    pub give_sandbox: bool,
}

fn default_grace() -> u64 {
    3_000
}

impl ShimSpec {
    /// A spec with defaults for everything not named: fully isolated, not limited but in its number of processes.
    pub fn new(agent: &str, container: &str, argv: Vec<String>, sandbox: PathBuf) -> Self {
        Self {
            version: VERSION,
            agent: agent.to_owned(),
            container: container.to_owned(),
            argv,
            env: BTreeMap::new(),
            user: None,
            groups: Vec::new(),
            sandbox,
            hidden_paths: Vec::new(),
            isolation: Isolation::default(),
            limits: Limits::default(),
            output: Output::default(),
            deadline_boottime_ms: None,
            deadline_file: None,
            kill_grace_ms: default_grace(),
            oom_score_adj: 0,
            root: None,
            working_dir: None,
            mounts: Vec::new(),
            network: None,
            hostname: None,
            etc: EtcFiles::default(),
            privileged: false,
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            no_new_privileges: false,
            shm_bytes: None,
            stop_signal: None,
            tty: false,
            secret_env: BTreeMap::new(),
            give_sandbox: false,
        }
    }
}

/// Which fences to put up. What the machine or the agent's rights do not allow is left out and named in
/// [`super::Started::missing_isolation`]; it never fails the launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Isolation {
    /// Own pid, mount, ipc, uts and cgroup namespaces; private /proc, /dev, /dev/shm; read-only /sys.
    pub namespaces: bool,
    /// Limits and accounting by cgroups.
    pub cgroups: bool,
    /// Refuse dangerous system calls.
    pub seccomp: bool,
    /// Keep only the capabilities that a container needs.
    pub drop_capabilities: bool,
    /// Device nodes of the host to show besides the harmless ones, such as `/dev/nvidia0`.
    pub devices: Vec<PathBuf>,
}

impl Default for Isolation {
    fn default() -> Self {
        Self { namespaces: true, cgroups: true, seccomp: true, drop_capabilities: true, devices: Vec::new() }
    }
}

/// What a container may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Bytes of memory, swap included; broken: the container is killed. None: no limit.
    pub memory_bytes: Option<u64>,
    /// Its share of CPU time when CPUs are short, in thousandths of a CPU.
    pub cpu_millis: Option<u64>,
    /// Hold it to `cpu_millis` even when CPUs idle.
    pub cpu_quota: bool,
    /// Hold it to this many thousandths of a CPU instead, however many are idle.
    pub cpu_most_millis: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
    /// Resource limits by name without `RLIMIT_`, lower case, such as `nofile`; others are inherited.
    pub rlimits: BTreeMap<String, Rlimit>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: None,
            cpu_millis: None,
            cpu_quota: false,
            cpu_most_millis: None,
            pids: 4096,
            rlimits: BTreeMap::new(),
        }
    }
}

/// One resource limit. None: unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rlimit {
    /// What is enforced.
    pub soft: Option<u64>,
    /// How far the process itself may raise `soft`.
    pub hard: Option<u64>,
}

/// How output is kept: `stdout` and `stderr` in the sandbox, older parts in `stdout.1` (newest) and up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// Bytes after which a file is put aside.
    pub max_bytes: u64,
    /// Files kept of each stream, the current one included; at least 1.
    pub files: u32,
}

impl Default for Output {
    fn default() -> Self {
        Self { max_bytes: 10 << 20, files: 5 }
    }
}

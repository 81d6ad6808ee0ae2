//! Every option of `docker run` (version 27), and where it stands here.

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DockerOption {
    /// Its name, without dashes.
    pub name: &'static str,
    /// An older or shorter name of it.
    pub other: Option<&'static str>,
    /// Where it stands.
    pub standing: Standing,
}

/// What becomes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is done.
    Honoured,
    /// It changes nothing and harms nothing; why.
    NoEffect(&'static str),
    /// The app is refused; why, and what to say instead.
    Refused(&'static str),
}

use Standing::{Honoured, NoEffect, Refused};

const fn option(name: &'static str, standing: Standing) -> DockerOption {
    DockerOption { name, other: None, standing }
}

const fn named(name: &'static str, other: &'static str, standing: Standing) -> DockerOption {
    DockerOption { name, other: Some(other), standing }
}

const OUTPUT: &str = "output goes to the sandbox's stdout and stderr, which rotate";
const CPU: &str = "say `cpus` in the app; the label HANSA_CPU_QUOTA=true makes it a hard limit";
const MEMORY: &str = "say `mem` in the app";
const IO: &str = "input and output are not limited by weight or rate here";
const NETWORKS: &str = "say `networks` in the app";
const PORTS: &str = "say `portMappings` in the app's container";
const HEALTH: &str = "an image's own health check is not run: say `healthChecks` in the app";
const SHARED: &str =
    "containers share no namespaces with each other or the machine; `privileged` gives devices and rights";
const PIN: &str = "CPUs are shared and not pinned: say `cpus` in the app";

/// The options, by name.
pub const OPTIONS: &[DockerOption] = &[
    option("add-host", Honoured),
    option("annotation", NoEffect("nobody reads a container's annotations")),
    option("attach", NoEffect(OUTPUT)),
    option("blkio-weight", Refused(IO)),
    option("blkio-weight-device", Refused(IO)),
    option("cap-add", Honoured),
    option("cap-drop", Honoured),
    option("cgroup-parent", Refused("the agent keeps its containers' cgroups in their own place")),
    option("cgroupns", NoEffect("a container always sees its own cgroup as the root")),
    option("cidfile", NoEffect("a container is named by its instance")),
    option("cpu-period", Refused(CPU)),
    option("cpu-quota", Refused(CPU)),
    option("cpu-rt-period", Refused(CPU)),
    option("cpu-rt-runtime", Refused(CPU)),
    named("cpu-shares", "c", Refused(CPU)),
    option("cpus", Refused(CPU)),
    option("cpuset-cpus", Refused(PIN)),
    option("cpuset-mems", Refused(PIN)),
    option("detach", NoEffect("every container is detached")),
    option("detach-keys", NoEffect("nobody is attached")),
    option("device", Honoured),
    option("device-cgroup-rule", Refused("name the device: `device`")),
    option("device-read-bps", Refused(IO)),
    option("device-read-iops", Refused(IO)),
    option("device-write-bps", Refused(IO)),
    option("device-write-iops", Refused(IO)),
    option("disable-content-trust", NoEffect("images are verified by their digests")),
    option("dns", Honoured),
    named("dns-option", "dns-opt", Honoured),
    option("dns-search", Honoured),
    option("domainname", Refused("NIS domains are not set: say `hostname`")),
    option("entrypoint", Honoured),
    named("env", "e", Honoured),
    option("env-file", Refused("there is no caller whose file could be meant: say `env` in the app")),
    option("expose", NoEffect("ports are open inside a container's network; `portMappings` maps them")),
    option("gpus", Refused("say `gpus` in the app")),
    option("group-add", Honoured),
    option("health-cmd", NoEffect(HEALTH)),
    option("health-interval", NoEffect(HEALTH)),
    option("health-retries", NoEffect(HEALTH)),
    option("health-start-interval", NoEffect(HEALTH)),
    option("health-start-period", NoEffect(HEALTH)),
    option("health-timeout", NoEffect(HEALTH)),
    named("hostname", "h", Honoured),
    option("init", NoEffect("every container has an init that reaps and passes signals on")),
    named("interactive", "i", NoEffect("nobody is attached; see `hansa exec`")),
    option("ip", Refused("addresses are given out by the agent")),
    option("ip6", Refused("addresses are given out by the agent")),
    option("ipc", Refused(SHARED)),
    option("isolation", Refused("it is for Windows")),
    option("kernel-memory", Refused(MEMORY)),
    named("label", "l", NoEffect("nobody reads a container's labels: say `labels` in the app")),
    option("label-file", Refused("there is no caller whose file could be meant: say `labels` in the app")),
    option("link", Refused("find other services by their addresses; `add-host` names them")),
    option("link-local-ip", Refused("addresses are given out by the agent")),
    option("log-driver", NoEffect(OUTPUT)),
    option("log-opt", NoEffect(OUTPUT)),
    option("mac-address", Refused("addresses are given out by the agent")),
    named("memory", "m", Refused(MEMORY)),
    option("memory-reservation", Refused(MEMORY)),
    option("memory-swap", NoEffect("`mem` limits memory and swap together")),
    option("memory-swappiness", NoEffect("`mem` limits memory and swap together")),
    option("mount", Refused("say `volumes` in the app's container, or the parameters volume and tmpfs")),
    option("name", NoEffect("a container is named by its instance, as there can be many")),
    named("network", "net", Refused(NETWORKS)),
    named("network-alias", "net-alias", Refused(NETWORKS)),
    option("no-healthcheck", NoEffect(HEALTH)),
    option("oom-kill-disable", Refused("a container that breaks its memory limit ends: raise `mem`")),
    option("oom-score-adj", Honoured),
    option("pid", Refused(SHARED)),
    option("pids-limit", Honoured),
    option("platform", NoEffect("an image is pulled for the machine that runs it")),
    option("privileged", Honoured),
    named("publish", "p", Refused(PORTS)),
    named("publish-all", "P", Refused(PORTS)),
    option("pull", NoEffect("say `forcePullImage` in the app's container")),
    option("quiet", NoEffect("pulling is told in the task's status")),
    option("read-only", Honoured),
    option("restart", NoEffect("a service is kept up by its deployment and backoff")),
    option("rm", NoEffect("a container is removed when it has ended; its sandbox is kept a while")),
    option("runtime", Refused("there is one launcher and no other runtime")),
    option("security-opt", Honoured),
    option("shm-size", Honoured),
    option("sig-proxy", NoEffect("nobody is attached")),
    option("stop-signal", Honoured),
    option("stop-timeout", NoEffect("say `taskKillGracePeriodSeconds` in the app")),
    option("storage-opt", Refused("say `disk` in the app")),
    option("sysctl", Refused("kernel parameters are the machine's")),
    option("tmpfs", Honoured),
    named("tty", "t", Honoured),
    option("ulimit", Honoured),
    option("use-api-socket", Refused("there is no Docker daemon")),
    named("user", "u", Honoured),
    option("userns", Refused(SHARED)),
    option("uts", Refused(SHARED)),
    named("volume", "v", Honoured),
    option(
        "volume-driver",
        Refused("volumes are directories of the machine: say `volumes` in the app's container"),
    ),
    option(
        "volumes-from",
        Refused("containers do not share volumes: name a directory of the machine in both"),
    ),
    named("workdir", "w", Honoured),
];

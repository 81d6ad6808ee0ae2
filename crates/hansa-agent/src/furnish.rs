//! From what an app says about its container to what a shim is told: volumes, secrets, parameters, name service.
//!
//! Comes after the image's own configuration has been put into the spec, and wins over it.

use crate::secrets::Secrets;
use crate::shim::{EtcFiles, MountKind, MountSpec, Rlimit, SANDBOX_IN_IMAGE, ShimSpec};
use hansa_model::container::Volume;
use hansa_model::docker_run::{self, DockerRun};
use hansa_node::ShimPlan;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

/// How a container is reached and reaches others, where its network is not the machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnNetwork {
    /// Its address.
    pub address: IpAddr,
    /// The machine's, seen from it.
    pub gateway: IpAddr,
}

impl OwnNetwork {
    /// Of a container that has a loopback and nothing else.
    pub const LOOPBACK: Self =
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), gateway: IpAddr::V4(Ipv4Addr::LOCALHOST) };
}

/// Adds to a spec what the plan's container says.
///
/// # Errors
/// In words: a parameter has no meaning, or a secret is not there.
pub fn furnish(
    spec: &mut ShimSpec,
    plan: &ShimPlan,
    secrets: &Secrets,
    network: Option<OwnNetwork>,
) -> Result<(), String> {
    let run = docker_run::read(&plan.container.parameters)?;
    let sandbox = match spec.root {
        Some(_) => PathBuf::from(SANDBOX_IN_IMAGE),
        None => spec.sandbox.clone(),
    };
    let told = spec.sandbox.to_string_lossy().into_owned();
    if spec.env.get("MESOS_SANDBOX") == Some(&told) {
        spec.env.insert("MESOS_SANDBOX".into(), sandbox.to_string_lossy().into_owned());
    }
    spec.env.entry("MESOS_DIRECTORY".into()).or_insert(told);
    spec.hidden_paths.extend(secrets.dir().map(Path::to_owned));
    for volume in &plan.container.volumes {
        spec.mounts.push(mount(volume, plan, &sandbox, secrets)?);
    }
    for (name, source) in &plan.secret_env {
        let file = secrets.file(source).map_err(|error| error.to_string())?;
        spec.secret_env.insert(name.clone(), file);
    }
    spec.privileged = plan.container.privileged || run.privileged;
    spec.tty = plan.container.tty || run.tty;
    spec.give_sandbox = !plan.artifacts.is_empty();
    if plan.stop_signal.is_some() {
        spec.stop_signal = plan.stop_signal;
    }
    if network.is_some() && spec.hostname.is_none() {
        spec.hostname = Some(own_name(plan.instance.as_str()));
    }
    if spec.root.is_some() {
        spec.etc = name_service(spec, &run, network);
    }
    apply(spec, run);
    Ok(())
}

fn mount(volume: &Volume, plan: &ShimPlan, sandbox: &Path, secrets: &Secrets) -> Result<MountSpec, String> {
    // Joining with an absolute path gives that path.
    match volume {
        Volume::Host { container_path, host_path, read_only } => Ok(MountSpec {
            source: host_path.into(),
            target: sandbox.join(container_path),
            read_only: *read_only,
            kind: if host_path.starts_with('/') { MountKind::BindMade } else { MountKind::Sandbox },
        }),
        Volume::Parent { container_path, path, read_only } => {
            let around = plan.inside.as_ref().ok_or_else(|| {
                format!("volume {path:?}: only tasks of an executor have a sandbox around theirs")
            })?;
            Ok(MountSpec {
                source: path.into(),
                target: sandbox.join(container_path),
                read_only: *read_only,
                kind: MountKind::Within { root: PathBuf::from(&around.sandbox) },
            })
        }
        Volume::Secret { container_path, source } => Ok(MountSpec {
            source: secrets.file(source).map_err(|error| error.to_string())?,
            target: sandbox.join(container_path),
            read_only: true,
            kind: MountKind::Secret,
        }),
    }
}

/// What `docker run` would have been told.
fn apply(spec: &mut ShimSpec, run: DockerRun) {
    if run.user.is_some() {
        spec.user = run.user;
    }
    spec.groups.extend(run.groups);
    if let Some(dir) = run.working_dir {
        spec.working_dir = Some(dir.into());
    }
    if run.hostname.is_some() {
        spec.hostname = run.hostname;
    }
    spec.env.extend(run.env);
    spec.shm_bytes = run.shm_bytes.or(spec.shm_bytes);
    let rlimits = run.ulimits.into_iter().map(|(name, l)| (name, Rlimit { soft: l.soft, hard: l.hard }));
    spec.limits.rlimits.extend(rlimits);
    spec.limits.pids = run.pids.unwrap_or(spec.limits.pids);
    spec.cap_add.extend(run.cap_add);
    spec.cap_drop.extend(run.cap_drop);
    spec.isolation.devices.extend(run.devices.into_iter().map(PathBuf::from));
    spec.mounts.extend(run.volumes.into_iter().map(|volume| MountSpec {
        kind: if volume.host_path.is_some() { MountKind::BindMade } else { MountKind::Anonymous },
        source: volume.host_path.unwrap_or_default().into(),
        target: volume.container_path.into(),
        read_only: volume.read_only,
    }));
    spec.mounts.extend(run.tmpfs.into_iter().map(|tmpfs| MountSpec {
        source: PathBuf::new(),
        target: tmpfs.path.into(),
        read_only: tmpfs.read_only,
        kind: MountKind::Tmpfs { bytes: tmpfs.bytes, mode: tmpfs.mode },
    }));
    if let Some(root) = &mut spec.root {
        root.read_only |= run.read_only;
    }
    spec.no_new_privileges |= run.no_new_privileges;
    spec.stop_signal = run.stop_signal.or(spec.stop_signal);
    spec.oom_score_adj = run.oom_score_adj.unwrap_or(spec.oom_score_adj);
}

/// The files of `/etc` that name others. Where the network is the machine's, so are they, with what was asked for added.
fn name_service(spec: &ShimSpec, run: &DockerRun, network: Option<OwnNetwork>) -> EtcFiles {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let hostname = run.hostname.clone().or_else(|| spec.hostname.clone());
    let mut etc = spec.etc.clone();
    if network.is_some() || !run.hosts.is_empty() {
        let given = etc.hosts.take();
        let mut text = match network {
            _ if given.is_some() => given.unwrap_or_default(),
            None => read("/etc/hosts"),
            Some(network) => own_hosts(network.address, hostname.as_deref()),
        };
        let gateway = network.map_or("127.0.0.1".into(), |network| network.gateway.to_string());
        for (name, address) in &run.hosts {
            let address = if address == "host-gateway" { &gateway } else { address };
            let _ = writeln!(text, "{address}\t{name}");
        }
        etc.hosts = Some(text);
    }
    let asked = !(run.dns.is_empty() && run.dns_search.is_empty() && run.dns_options.is_empty());
    if network.is_some() || asked {
        let mut text = etc.resolv_conf.take().unwrap_or_else(|| read("/etc/resolv.conf"));
        if network.is_some() && !text.lines().any(is_reachable) {
            // A resolver on the machine's loopback; systemd keeps the real ones here.
            text = read("/run/systemd/resolve/resolv.conf");
        }
        etc.resolv_conf = Some(resolv_conf(&text, run, network.is_some()));
    }
    if hostname.is_some() && etc.hostname.is_none() {
        etc.hostname = hostname.map(|name| format!("{name}\n"));
    }
    etc
}

/// The host name of a container with a network of its own: the end of its instance's id, as `hansa task list` shortens it.
fn own_name(instance: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric();
    let end: String = instance.chars().rev().filter(plain).take(12).collect();
    end.chars().rev().collect::<String>().to_ascii_lowercase()
}

fn own_hosts(address: IpAddr, hostname: Option<&str>) -> String {
    let mut text = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n".to_owned();
    if let Some(name) = hostname {
        let short = name.split('.').next().filter(|short| *short != name);
        let _ = writeln!(
            text,
            "{address}\t{name}{}{}",
            if short.is_some() { " " } else { "" },
            short.unwrap_or("")
        );
    }
    text
}

/// A name server that a container with its own network can ask.
fn is_reachable(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next() == Some("nameserver")
        && words
            .next()
            .and_then(|word| word.parse::<IpAddr>().ok())
            .is_some_and(|address| !address.is_loopback())
}

/// The machine's file, with what was asked for in place of what it says.
fn resolv_conf(machine: &str, run: &DockerRun, own_network: bool) -> String {
    let mut text = String::new();
    for line in machine.lines() {
        let keep = match line.split_ascii_whitespace().next() {
            Some("nameserver") => run.dns.is_empty() && (!own_network || is_reachable(line)),
            Some("search" | "domain") => run.dns_search.is_empty(),
            Some("options") => run.dns_options.is_empty(),
            _ => false,
        };
        if keep {
            text.push_str(line);
            text.push('\n');
        }
    }
    for address in &run.dns {
        let _ = writeln!(text, "nameserver {address}");
    }
    for (key, words) in [("search", &run.dns_search), ("options", &run.dns_options)] {
        if !words.is_empty() {
            let _ = writeln!(text, "{key} {}", words.join(" "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shim::RootSpec;
    use hansa_model::container::Parameter;
    use hansa_model::spec::Command;

    fn plan() -> ShimPlan {
        ShimPlan {
            instance: "i".into(),
            task: "t".into(),
            inside: None,
            placeholder: false,
            command: Command::Shell("true".into()),
            env: Vec::new(),
            secret_env: Vec::new(),
            container: Default::default(),
            network: Default::default(),
            ports: Vec::new(),
            artifacts: Vec::new(),
            stop_signal: None,
            user: None,
            sandbox: "/data/sandboxes/t".into(),
            limits: Default::default(),
            cpu_quota: false,
            burst: Default::default(),
            volumes: Vec::new(),
            deadline: None,
        }
    }

    fn spec(image: bool) -> ShimSpec {
        let mut spec = ShimSpec::new("a", "c", vec!["true".into()], "/data/sandboxes/t".into());
        spec.env.insert("MESOS_SANDBOX".into(), "/data/sandboxes/t".into());
        spec.root = image.then(|| RootSpec { layers: Vec::new(), scratch: "/s".into(), read_only: false });
        spec
    }

    #[test]
    fn volumes_and_the_sandbox_as_the_container_sees_them() {
        let host = |container: &str, host: &str| Volume::Host {
            container_path: container.into(),
            host_path: host.into(),
            read_only: false,
        };
        let mut plan = plan();
        plan.container.volumes = vec![host("/var/x", "/srv/x"), host("data", "kept")];
        for (image, sandbox) in [(true, "/mnt/mesos/sandbox"), (false, "/data/sandboxes/t")] {
            let mut spec = spec(image);
            furnish(&mut spec, &plan, &Secrets::default(), None).unwrap();
            let mounts: Vec<_> = spec.mounts.iter().map(|m| (m.target.clone(), m.kind.clone())).collect();
            let expected = [
                ("/var/x".into(), MountKind::BindMade),
                (Path::new(sandbox).join("data"), MountKind::Sandbox),
            ];
            assert_eq!(mounts, expected);
            assert_eq!(spec.env["MESOS_SANDBOX"], sandbox);
            assert_eq!(spec.env["MESOS_DIRECTORY"], "/data/sandboxes/t");
        }
        plan.secret_env = vec![("PASSWORD".into(), "db".into())];
        let error = furnish(&mut spec(true), &plan, &Secrets::default(), None).unwrap_err();
        assert!(error.contains("--secrets-dir"), "{error}");
    }

    #[test]
    fn parameters_reach_the_spec() {
        let mut plan = plan();
        plan.container.parameters = [
            ("user", "web"),
            ("read-only", "true"),
            ("ulimit", "nofile=9"),
            ("volume", "/cache"),
            ("tmpfs", "/run:size=1m"),
            ("cap-drop", "ALL"),
            ("add-host", "db:10.0.0.7"),
            ("add-host", "me:host-gateway"),
            ("dns", "10.0.0.53"),
            ("hostname", "box.example"),
        ]
        .map(|(key, value)| Parameter { key: key.into(), value: value.into() })
        .to_vec();
        let network =
            OwnNetwork { address: "10.1.0.2".parse().unwrap(), gateway: "10.1.0.1".parse().unwrap() };
        let mut spec = spec(true);
        furnish(&mut spec, &plan, &Secrets::default(), Some(network)).unwrap();
        assert_eq!((spec.user.as_deref(), spec.root.as_ref().unwrap().read_only), (Some("web"), true));
        assert_eq!(spec.limits.rlimits["nofile"], Rlimit { soft: Some(9), hard: Some(9) });
        let kinds: Vec<_> = spec.mounts.iter().map(|mount| mount.kind.clone()).collect();
        assert_eq!(kinds, [MountKind::Anonymous, MountKind::Tmpfs { bytes: Some(1 << 20), mode: None }]);
        let hosts = spec.etc.hosts.unwrap();
        assert!(hosts.ends_with("10.1.0.2\tbox.example box\n10.0.0.7\tdb\n10.1.0.1\tme\n"), "{hosts}");
        assert!(spec.etc.resolv_conf.unwrap().contains("nameserver 10.0.0.53\n"));
        assert_eq!(spec.etc.hostname.as_deref(), Some("box.example\n"));
        plan.container.parameters[0].key = "memory".into();
        assert!(furnish(&mut super::tests::spec(true), &plan, &Secrets::default(), None).is_err());
    }

    #[test]
    fn a_container_with_an_address_has_a_name_that_leads_there() {
        let network =
            OwnNetwork { address: "10.1.0.2".parse().unwrap(), gateway: "10.1.0.1".parse().unwrap() };
        let plan = ShimPlan { instance: "web.instance-02a76efb-8ded-47eb24e9d35f".into(), ..plan() };
        let mut spec = spec(true);
        furnish(&mut spec, &plan, &Secrets::default(), Some(network)).unwrap();
        assert_eq!(spec.hostname.as_deref(), Some("47eb24e9d35f"));
        assert!(spec.etc.hosts.unwrap().ends_with("10.1.0.2\t47eb24e9d35f\n"));
        let mut machines = super::tests::spec(true);
        furnish(&mut machines, &plan, &Secrets::default(), None).unwrap();
        assert_eq!(machines.hostname, None);
    }

    #[test]
    fn resolvers_on_loopback_are_of_no_use_elsewhere() {
        let machine = "# made\nnameserver 127.0.0.53\nnameserver 10.0.0.2\nsearch a.example\noptions edns0\n";
        let mut run = DockerRun::default();
        let own = resolv_conf(machine, &run, true);
        assert_eq!(own, "nameserver 10.0.0.2\nsearch a.example\noptions edns0\n");
        run.dns_search = vec!["b.example".into(), "c.example".into()];
        assert!(resolv_conf(machine, &run, false).ends_with("options edns0\nsearch b.example c.example\n"));
    }
}

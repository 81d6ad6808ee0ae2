//! Options of `docker run` that an app's container may give as `parameters`: which have a meaning here, and what it is.
//!
//! One table ([`OPTIONS`]) decides: an option is honoured, accepted although it changes nothing, or refused with the
//! reason and what to say instead. Options are named as after the two dashes. [`check`] judges one, as it is posted;
//! [`read`] gives what a container's whole list says, as it is launched. Nobody runs Docker here.

mod table;
mod values;

pub use table::{DockerOption, OPTIONS, Standing};
pub use values::{CAPABILITIES, signal};

use crate::container::Parameter;
use crate::resources::MIB;
use std::collections::BTreeMap;
use values::{address, boolean, bytes, capability, device, pair, tmpfs, ulimit, volume};

/// A resource limit as `docker run --ulimit` gives it; None: unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ulimit {
    /// What is enforced.
    pub soft: Option<u64>,
    /// How far a process may raise `soft`.
    pub hard: Option<u64>,
}

/// A directory in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where, in the container.
    pub path: String,
    /// How many bytes it holds; None: as the kernel likes.
    pub bytes: Option<u64>,
    /// The mode of its root directory; None: 1777.
    pub mode: Option<u32>,
    /// Seen, but not changed.
    pub read_only: bool,
}

/// A volume as `docker run --volume` gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostVolume {
    /// The machine's path; None: a directory of the container's own.
    pub host_path: Option<String>,
    /// Where the container sees it.
    pub container_path: String,
    /// Seen, but not changed.
    pub read_only: bool,
}

/// What a container's parameters say together. A later one wins over an earlier one of its name; those that name
/// something add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerRun {
    /// `user`: name, number, or either with a group.
    pub user: Option<String>,
    /// `group-add`: names or numbers.
    pub groups: Vec<String>,
    /// `workdir`.
    pub working_dir: Option<String>,
    /// `hostname`.
    pub hostname: Option<String>,
    /// `entrypoint`; empty: none, not even the image's.
    pub entrypoint: Option<String>,
    /// `env`; one without `=` is left out, as there is no caller whose environment could be meant.
    pub env: BTreeMap<String, String>,
    /// `shm-size`, in bytes.
    pub shm_bytes: Option<u64>,
    /// `ulimit`, by its name in lower case.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// `cap-add`, in capitals without `CAP_`.
    pub cap_add: Vec<String>,
    /// `cap-drop`, in capitals without `CAP_`, or `ALL`.
    pub cap_drop: Vec<String>,
    /// `device`: paths below `/dev`.
    pub devices: Vec<String>,
    /// `volume`.
    pub volumes: Vec<HostVolume>,
    /// `tmpfs`.
    pub tmpfs: Vec<Tmpfs>,
    /// `read-only`.
    pub read_only: bool,
    /// `privileged`.
    pub privileged: bool,
    /// `tty`.
    pub tty: bool,
    /// `security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `stop-signal`: its number.
    pub stop_signal: Option<i32>,
    /// `add-host`: names and addresses (or `host-gateway`).
    pub hosts: Vec<(String, String)>,
    /// `dns`: addresses.
    pub dns: Vec<String>,
    /// `dns-search`.
    pub dns_search: Vec<String>,
    /// `dns-option`.
    pub dns_options: Vec<String>,
    /// `oom-score-adj`.
    pub oom_score_adj: Option<i32>,
    /// `pids-limit`; None: the usual one.
    pub pids: Option<u64>,
}

/// Whether one parameter can be honoured, or at least does no harm.
///
/// # Errors
/// In words, naming the option, and what to say instead: it has no meaning here, or its value makes no sense.
pub fn check(parameter: &Parameter) -> Result<(), String> {
    apply(&mut DockerRun::default(), parameter)
}

/// What parameters say together.
///
/// # Errors
/// As [`check`], for the first that cannot be.
pub fn read<'a>(parameters: impl IntoIterator<Item = &'a Parameter>) -> Result<DockerRun, String> {
    let mut run = DockerRun::default();
    for parameter in parameters {
        apply(&mut run, parameter)?;
    }
    Ok(run)
}

fn apply(run: &mut DockerRun, parameter: &Parameter) -> Result<(), String> {
    let (key, value) = (parameter.key.trim_start_matches('-'), parameter.value.as_str());
    let Some(option) = OPTIONS.iter().find(|option| option.name == key || option.other == Some(key)) else {
        return Err(format!("parameter {key:?}: `docker run` has no such option"));
    };
    match option.standing {
        Standing::NoEffect(_) => Ok(()),
        Standing::Refused(why) => Err(format!("parameter {key:?} has no meaning here: {why}")),
        Standing::Honoured => {
            honour(run, option.name, value).map_err(|why| format!("parameter {key:?}: {value:?} {why}"))
        }
    }
}

fn honour(run: &mut DockerRun, name: &str, value: &str) -> Result<(), String> {
    if value.contains('\0') {
        return Err("holds a zero byte".into());
    }
    let text = |value: &str| match value.trim() {
        "" => Err("says nothing: give it a value or leave it out".to_owned()),
        text => Ok(text.to_owned()),
    };
    match name {
        "user" => run.user = Some(text(value)?),
        "group-add" => run.groups.push(text(value)?),
        "workdir" => run.working_dir = Some(values::absolute(value)?),
        "hostname" => run.hostname = Some(values::hostname(value)?),
        "entrypoint" => run.entrypoint = Some(value.to_owned()),
        "env" => {
            if let Some((name, value)) = pair(value)? {
                run.env.insert(name, value);
            }
        }
        "shm-size" => run.shm_bytes = Some(bytes(value)?.max(MIB)),
        "ulimit" => {
            let (name, limit) = ulimit(value)?;
            run.ulimits.insert(name, limit);
        }
        "cap-add" => run.cap_add.push(capability(value, true)?),
        "cap-drop" => run.cap_drop.push(capability(value, false)?),
        "device" => run.devices.push(device(value)?),
        "volume" => run.volumes.push(volume(value)?),
        "tmpfs" => run.tmpfs.push(tmpfs(value)?),
        "read-only" => run.read_only = boolean(value)?,
        "privileged" => run.privileged = boolean(value)?,
        "tty" => run.tty = boolean(value)?,
        "security-opt" => match value {
            "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {
                run.no_new_privileges = true;
            }
            "no-new-privileges:false" | "no-new-privileges=false" => run.no_new_privileges = false,
            other if other.starts_with("label") || other.starts_with("apparmor") => {}
            _ => {
                return Err("is not known: only no-new-privileges is; without any filter: privileged".into());
            }
        },
        "stop-signal" => run.stop_signal = Some(signal(value)?),
        "add-host" => {
            let (name, to) = value.split_once([':', '=']).ok_or("is not name:address")?;
            let to = to.trim_matches(['[', ']']);
            let address = if to == "host-gateway" { to.to_owned() } else { address(to)? };
            run.hosts.push((values::hostname(name)?, address));
        }
        "dns" => run.dns.push(address(value)?),
        "dns-search" => run.dns_search.push(values::word(value)?),
        "dns-option" => run.dns_options.push(values::word(value)?),
        "oom-score-adj" => {
            // Less than 0 would make others die in its place.
            let number = value.trim().parse().ok().filter(|number| (0..=1000).contains(number));
            run.oom_score_adj = Some(number.ok_or("is not a number from 0 to 1000")?);
        }
        "pids-limit" => {
            let number: i64 = value.trim().parse().map_err(|_| "is not a number")?;
            run.pids = u64::try_from(number).ok().filter(|number| *number > 0);
        }
        // The table names no other; a test holds it to that.
        _ => return Err("is not known".into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(key: &str, value: &str) -> Parameter {
        Parameter { key: key.into(), value: value.into() }
    }

    fn one(key: &str, value: &str) -> Result<DockerRun, String> {
        read(&[parameter(key, value)])
    }

    #[test]
    fn every_honoured_option_is_read_and_no_option_stands_twice() {
        for (at, option) in OPTIONS.iter().enumerate() {
            let names = [Some(option.name), option.other];
            let others = OPTIONS.iter().enumerate().filter(|(other, _)| *other != at);
            for other in others.map(|(_, other)| other) {
                assert!(
                    !names.contains(&Some(other.name))
                        && (option.other.is_none() || !names.contains(&other.other))
                );
            }
            if option.standing == Standing::Honoured {
                let unknown = honour(&mut DockerRun::default(), option.name, "?").err();
                assert_ne!(unknown.as_deref(), Some("is not known"), "{}", option.name);
            }
        }
        assert!(OPTIONS.is_sorted_by_key(|option| option.name));
    }

    #[test]
    fn what_has_a_meaning_is_read() {
        let run = read(&[
            parameter("user", "www-data:adm"),
            parameter("env", "A=b=c"),
            parameter("env", "NOT_GIVEN"),
            parameter("shm-size", "256m"),
            parameter("ulimit", "nofile=1024:2048"),
            parameter("ulimit", "core=-1"),
            parameter("cap-add", "cap_net_admin"),
            parameter("cap-drop", "ALL"),
            parameter("device", "/dev/fuse:/dev/fuse:rwm"),
            parameter("volume", "/srv/x:/data:ro,z"),
            parameter("volume", "/cache"),
            parameter("tmpfs", "/run:rw,noexec,size=64k,mode=755"),
            parameter("read-only", "true"),
            parameter("stop-signal", "SIGQUIT"),
            parameter("add-host", "db:10.0.0.1"),
            parameter("add-host", "six:[::1]"),
            parameter("--dns", "10.0.0.53"),
            parameter("workdir", "/srv"),
        ])
        .unwrap();
        assert_eq!(run.user.as_deref(), Some("www-data:adm"));
        assert_eq!(run.env, BTreeMap::from([("A".into(), "b=c".into())]));
        assert_eq!(run.shm_bytes, Some(256 * MIB));
        assert_eq!(run.ulimits["nofile"], Ulimit { soft: Some(1024), hard: Some(2048) });
        assert_eq!(run.ulimits["core"], Ulimit::default());
        assert_eq!((run.cap_add, run.cap_drop), (vec!["NET_ADMIN".into()], vec!["ALL".into()]));
        assert_eq!(run.devices, ["/dev/fuse"]);
        let volume = |host: Option<&str>, at: &str, read_only| HostVolume {
            host_path: host.map(str::to_owned),
            container_path: at.into(),
            read_only,
        };
        assert_eq!(run.volumes, [volume(Some("/srv/x"), "/data", true), volume(None, "/cache", false)]);
        let tmpfs = Tmpfs { path: "/run".into(), bytes: Some(64 << 10), mode: Some(0o755), read_only: false };
        assert_eq!(run.tmpfs, [tmpfs]);
        assert!(run.read_only && !run.privileged);
        assert_eq!(run.stop_signal, Some(3));
        assert_eq!(run.hosts, [("db".into(), "10.0.0.1".into()), ("six".into(), "::1".into())]);
        assert_eq!((run.dns, run.working_dir.as_deref()), (vec!["10.0.0.53".into()], Some("/srv")));
    }

    #[test]
    fn what_has_none_is_refused_by_name_with_a_remedy() {
        let refusal = |key, value| check(&parameter(key, value)).unwrap_err();
        assert!(refusal("memory", "1g").contains("\"memory\" has no meaning here: say `mem`"));
        assert!(refusal("net", "host").contains("`networks`"));
        assert!(refusal("flux-capacitor", "1").contains("no such option"));
        assert!(refusal("cap-add", "SYS_ADMIN").contains("privileged"));
        assert!(refusal("cap-add", "ALL").contains("privileged"));
        assert!(refusal("cap-add", "FLYING").contains("no capability"));
        assert!(refusal("security-opt", "seccomp=unconfined").contains("no-new-privileges"));
        for (key, value) in [("label", "a=b"), ("name", "x"), ("init", "true"), ("log-driver", "syslog")] {
            assert_eq!(check(&parameter(key, value)), Ok(()), "{key}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (key, value) in [
            ("user", " "),
            ("workdir", "relative"),
            ("workdir", "/a/../b"),
            ("shm-size", "lots"),
            ("shm-size", "99999999999999999999g"),
            ("ulimit", "nofile"),
            ("ulimit", "speed=1"),
            ("ulimit", "nofile=2:1"),
            ("device", "/etc/passwd"),
            ("device", "/dev/../etc/passwd"),
            ("device", "/dev/sda:/dev/other"),
            ("volume", "name:/data"),
            ("volume", "/a:/b:sideways"),
            ("volume", "/a:b"),
            ("tmpfs", "run"),
            ("tmpfs", "/run:size=big"),
            ("read-only", "perhaps"),
            ("stop-signal", "SIGNOTHING"),
            ("stop-signal", "65"),
            ("add-host", "db"),
            ("add-host", "db:not-an-address"),
            ("dns", "dns.example"),
            ("dns-search", "a b"),
            ("env", "=x"),
            ("hostname", "a b"),
            ("oom-score-adj", "-1"),
            ("pids-limit", "many"),
        ] {
            let error = one(key, value).unwrap_err();
            assert!(error.contains(key), "{key}={value}: {error}");
        }
    }
}

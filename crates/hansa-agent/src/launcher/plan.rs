//! Everything that can be found out before a process exists: of any container ([`Base`]), and of this one ([`Plan`]).

use super::mounts::Device;
use super::user::{self, Identity};
use super::{is_root, seccomp, user_namespaces_allowed};
use crate::shim::title::Title;
use crate::shim::{Isolation, LaunchError, Rlimit, ShimSpec, VERSION};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

/// How far a container can be fenced in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fence {
    /// Namespaces and private mounts, made by root.
    Full,
    /// Namespaces inside a user namespace; some mounts stay the host's.
    User,
    /// A plain process.
    #[default]
    None,
}

/// What does not depend on the command: enough to start a container's first process.
#[derive(Clone, Debug)]
pub struct Base {
    pub(super) fence: Fence,
    pub(super) filters: Arc<[BpfProgram]>,
    /// Isolation that was asked for and cannot be given.
    pub(super) missing: Vec<String>,
}

impl Base {
    /// Finds out how far a container can be fenced in here.
    pub fn new(isolation: &Isolation) -> Self {
        let mut missing = Vec::new();
        let filters = match isolation.seccomp {
            true => seccomp::filters().unwrap_or_else(|error| {
                missing.push(format!("seccomp filters: {error}"));
                Vec::new()
            }),
            false => Vec::new(),
        };
        let fence = fence(isolation.namespaces, &mut missing);
        Self { fence, filters: filters.into(), missing }
    }
}

/// What a program is executed with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Program {
    /// Without zero bytes, as all of it.
    pub argv: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `PATH` of `env`, where a program without `/` is looked up.
    pub path: String,
}

/// What a POSIX system says when `PATH` is not set.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Program {
    pub(super) fn new(argv: &[String], env: &BTreeMap<String, String>) -> Result<Self, LaunchError> {
        if argv.first().is_none_or(String::is_empty) {
            return Err(LaunchError::spec("there is no command"));
        }
        if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains('=')) {
            return Err(LaunchError::spec(format!("{name:?} cannot be the name of an environment variable")));
        }
        let env_words: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if argv.iter().chain(&env_words).any(|word| word.contains('\0')) {
            return Err(LaunchError::spec("the command or its environment holds a zero byte"));
        }
        Ok(Self {
            argv: argv.to_vec(),
            env: env_words,
            path: env.get("PATH").cloned().unwrap_or_else(|| DEFAULT_PATH.into()),
        })
    }
}

/// A container ready to be started. The shim makes it and sends it to the container's first process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub(super) program: Program,
    pub(super) fence: Fence,
    pub(super) identity: Option<Identity>,
    pub(super) sandbox: PathBuf,
    pub(super) hidden: Vec<PathBuf>,
    pub(super) devices: Vec<Device>,
    /// Number, soft and hard limit.
    pub(super) rlimits: Vec<(libc::__rlimit_resource_t, u64, u64)>,
    /// Not sent: whoever receives the plan has them from the [`Base`].
    #[serde(skip, default = "no_filters")]
    pub(super) filters: Arc<[BpfProgram]>,
    pub(super) drop_capabilities: bool,
    pub(super) oom_score_adj: i32,
    /// The command line that the container's first process is to show, and where.
    pub(crate) title: Option<(Title, Vec<String>)>,
}

fn no_filters() -> Arc<[BpfProgram]> {
    Arc::default()
}

impl Plan {
    /// Checks a spec and looks everything up.
    ///
    /// # Errors
    /// The spec cannot be run, as it stands, on this machine.
    pub fn prepare(spec: &ShimSpec, base: &Base) -> Result<Self, LaunchError> {
        if spec.version != VERSION {
            return Err(LaunchError::spec(format!(
                "the spec has version {}; this shim knows {VERSION}",
                spec.version
            )));
        }
        check_name("agent", &spec.agent)?;
        check_name("container", &spec.container)?;
        if !spec.sandbox.is_absolute() {
            return Err(LaunchError::spec(format!("the sandbox {} is not absolute", spec.sandbox.display())));
        }
        let devices = match base.fence {
            Fence::Full => spec.isolation.devices.iter().map(Device::look).collect::<Result<_, _>>()?,
            Fence::User | Fence::None => Vec::new(),
        };
        let plan = Self {
            program: Program::new(&spec.argv, &spec.env)?,
            fence: base.fence,
            identity: identity(spec.user.as_deref())?,
            sandbox: spec.sandbox.clone(),
            hidden: spec.hidden_paths.clone(),
            devices,
            rlimits: spec.limits.rlimits.iter().map(rlimit).collect::<Result<_, _>>()?,
            filters: base.filters.clone(),
            drop_capabilities: spec.isolation.drop_capabilities,
            oom_score_adj: spec.oom_score_adj.clamp(-1000, 1000),
            title: None,
        };
        plan.make_sandbox()?;
        Ok(plan)
    }

    /// The sandbox is there, and the command's user owns it.
    fn make_sandbox(&self) -> Result<(), LaunchError> {
        let failed = |what: &str, error: std::io::Error| {
            LaunchError::machine(format!("cannot {what} the sandbox {}: {error}", self.sandbox.display()))
        };
        // SAFETY: no memory is passed. The shim's own umask would shut the command's user out of what lies above.
        let umask = unsafe { libc::umask(0o022) };
        let made = std::fs::create_dir_all(&self.sandbox);
        // SAFETY: as above.
        unsafe { libc::umask(umask) };
        made.map_err(|error| failed("make", error))?;
        if let Some(identity) = &self.identity {
            std::os::unix::fs::chown(&self.sandbox, Some(identity.uid), Some(identity.gid))
                .map_err(|error| failed("give away", error))?;
        }
        Ok(())
    }

    /// Who owns the output, if not the caller.
    pub(crate) fn owner(&self) -> Option<(u32, u32)> {
        self.identity.as_ref().map(|identity| (identity.uid, identity.gid))
    }
}

/// Names become directories.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), LaunchError> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 200 || name.starts_with(['.', '_']) || !name.chars().all(good) {
        return Err(LaunchError::spec(format!("{name:?} cannot be the id of {what}")));
    }
    Ok(())
}

fn fence(wanted: bool, missing: &mut Vec<String>) -> Fence {
    match wanted {
        false => Fence::None,
        true if is_root() => Fence::Full,
        true if user_namespaces_allowed() => {
            missing.push("private /dev and read-only /sys: the agent is not root".into());
            Fence::User
        }
        true => {
            missing.push("namespaces and private mounts: the agent is not root".into());
            Fence::None
        }
    }
}

/// None where the command runs as the caller itself and nothing is to be changed.
fn identity(user: Option<&str>) -> Result<Option<Identity>, LaunchError> {
    let Some(text) = user else { return Ok(None) };
    let identity = user::resolve(text).map_err(|error| match error {
        user::UserError::Lookup { .. } => LaunchError::machine(error.to_string()),
        _ => LaunchError::spec(error.to_string()),
    })?;
    let (uid, _) = user::own();
    if uid == 0 {
        return Ok(Some(identity));
    }
    if identity.uid == uid {
        return Ok(None);
    }
    Err(LaunchError::spec(format!(
        "cannot run as user {text:?}: the agent runs as {} and not as root",
        user::own_name()
    )))
}

fn rlimit((name, limit): (&String, &Rlimit)) -> Result<(libc::__rlimit_resource_t, u64, u64), LaunchError> {
    let resource = match name.as_str() {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "locks" => libc::RLIMIT_LOCKS,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return Err(LaunchError::spec(format!("there is no resource limit {name:?}"))),
    };
    let value = |limit: Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
    Ok((resource, value(limit.soft), value(limit.hard)))
}

/// A path as the kernel takes it.
pub(super) fn c_path(path: &std::path::Path) -> Result<CString, LaunchError> {
    CString::new(OsString::from(path).into_vec())
        .map_err(|_| LaunchError::spec(format!("the path {} holds a zero byte", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut ShimSpec)) -> String {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = ShimSpec::new("a", "c", vec!["true".into()], dir.path().join("sandbox"));
        change(&mut spec);
        match Plan::prepare(&spec, &Base::new(&spec.isolation)) {
            Ok(_) => "fine".into(),
            Err(error) => error.message,
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_in_words() {
        assert_eq!(check(|_| ()), "fine");
        assert_eq!(check(|s| s.argv.clear()), "there is no command");
        assert_eq!(check(|s| s.argv[0].clear()), "there is no command");
        assert!(check(|s| s.argv.push("a\0b".into())).contains("zero byte"));
        assert!(check(|s| drop(s.env.insert("A=B".into(), String::new()))).contains("environment variable"));
        assert!(check(|s| s.version = 9).contains("version 9"));
        for bad in ["", "a/b", "..", ".hidden", "_shims", &"x".repeat(201)] {
            assert!(check(|s| s.container = bad.into()).contains("cannot be the id"), "{bad}");
        }
        assert!(check(|s| s.user = Some("no-such-user".into())).contains("no user"));
        let speed = BTreeMap::from([("speed".to_owned(), Rlimit::default())]);
        assert!(check(|s| s.limits.rlimits = speed).contains("no resource limit"));
        assert!(check(|s| s.sandbox = "here".into()).contains("not absolute"));
        assert!(check(|s| drop(s.env.insert("A".into(), "\0".into()))).contains("zero byte"));
    }
}

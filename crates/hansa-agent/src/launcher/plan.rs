//! Everything that can be found out before a process exists: of any container ([`Base`]), and of this one ([`Plan`]).

use super::user::{self, Identity};
use super::{capabilities, is_root, seccomp, user_namespaces_allowed, volumes};
use crate::shim::title::Title;
use crate::shim::{
    EtcFiles, Isolation, LaunchError, MountKind, MountSpec, Rlimit, RootSpec, SANDBOX_IN_IMAGE, ShimSpec,
    VERSION,
};
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::io::Read;
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
    /// Which filters these are, as [`filtered`] says it.
    filtered: Option<u64>,
    filters: Arc<[BpfProgram]>,
    /// Isolation that was asked for and cannot be given.
    pub(super) missing: Vec<String>,
}

impl Base {
    /// For containers that ask for nothing special.
    pub fn usual() -> Self {
        Self::new(&Isolation::default(), Some(seccomp::significant(capabilities::KEPT)))
    }

    /// For the container of this spec.
    pub fn of(spec: &ShimSpec) -> Self {
        Self::new(&spec.isolation, filtered(spec).unwrap_or_default())
    }

    /// Finds out how far a container can be fenced in here.
    fn new(isolation: &Isolation, filtered: Option<u64>) -> Self {
        let mut missing = Vec::new();
        let fence = fence(isolation.namespaces, &mut missing);
        // Without filters whoever wants some tries again, and tells what went wrong.
        let made = filtered.and_then(|kept| Some((kept, seccomp::filters(kept).ok()?)));
        let (filtered, filters) = made.unzip();
        Self { fence, filtered, filters: filters.unwrap_or_default().into(), missing }
    }

    /// The filters for a container: these here, or others if it needs others.
    fn filters(&self, filtered: Option<u64>) -> Result<Arc<[BpfProgram]>, seccompiler::Error> {
        match filtered {
            same if same == self.filtered => Ok(self.filters.clone()),
            Some(kept) => Ok(seccomp::filters(kept)?.into()),
            None => Ok(Arc::default()),
        }
    }
}

/// For which capabilities a container's filters are made; None: it has none.
fn filtered(spec: &ShimSpec) -> Result<Option<u64>, LaunchError> {
    if spec.privileged || !spec.isolation.seccomp {
        return Ok(None);
    }
    Ok(Some(seccomp::significant(capabilities::kept(spec)?.unwrap_or(0))))
}

/// What a program is executed with.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Program {
    /// Without zero bytes, as all of it.
    pub argv: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// `PATH` of `env`, where a program without `/` is looked up.
    pub path: String,
}

impl std::fmt::Debug for Program {
    /// Without the environment, in which secrets may be.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("argv", &self.argv).finish_non_exhaustive()
    }
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

    /// Adds another program's variables, which win.
    pub(super) fn inherit(&mut self, other: &Program) {
        let name = |word: &str| word.split_once('=').map(|(name, _)| name.to_owned());
        let theirs: Vec<_> = other.env.iter().map(|word| name(word)).collect();
        self.env.retain(|word| !theirs.contains(&name(word)));
        self.env.extend_from_slice(&other.env);
        if theirs.contains(&Some("PATH".to_owned())) {
            self.path.clone_from(&other.path);
        }
    }

    /// Sets a variable that nobody has set.
    fn set_default(&mut self, name: &str, value: &str) {
        let is_set = |word: &String| word.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        if !self.env.iter().any(is_set) && !value.contains('\0') {
            self.env.push(format!("{name}={value}"));
        }
    }
}

/// A secret that becomes a file.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Secret {
    pub target: PathBuf,
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("target", &self.target).finish_non_exhaustive()
    }
}

/// The largest secret, in bytes.
const SECRET_BYTES: u64 = 1 << 20;

/// A container ready to be started. The shim makes it and sends it to the container's first process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub(super) program: Program,
    pub(super) fence: Fence,
    pub(super) identity: Option<Identity>,
    pub(super) sandbox: PathBuf,
    /// The network namespace to join; None: the machine's own. Whoever made it holds it until the program runs.
    pub(super) network: Option<PathBuf>,
    pub(super) hidden: Vec<PathBuf>,
    pub(super) devices: Vec<PathBuf>,
    /// Number, soft and hard limit.
    pub(super) rlimits: Vec<(libc::__rlimit_resource_t, u64, u64)>,
    /// Which filters, as [`filtered`] says it.
    filtered: Option<u64>,
    /// Not sent: whoever receives the plan has the usual ones already and can make others.
    #[serde(skip, default = "no_filters")]
    pub(super) filters: Arc<[BpfProgram]>,
    /// The capabilities that the command keeps; None: those it has.
    pub(super) keep: Option<u64>,
    pub(super) no_new_privileges: bool,
    pub(super) root: Option<RootSpec>,
    /// As the spec says it; with a root of its own it is looked up there.
    pub(super) user: Option<String>,
    /// Further groups, likewise.
    pub(super) groups: Vec<String>,
    /// Where the command starts, as the container sees it.
    pub(super) inside_dir: PathBuf,
    pub(super) mounts: Vec<MountSpec>,
    pub(super) secret_files: Vec<Secret>,
    pub(super) hostname: Option<String>,
    pub(super) etc: EtcFiles,
    pub(super) privileged: bool,
    pub(super) shm_bytes: Option<u64>,
    pub(super) tty: bool,
    /// The user's home, once the root has told it.
    pub(super) home: Option<String>,
    give_sandbox: bool,
    pub(super) oom_score_adj: i32,
    /// Isolation that was asked for and cannot be given, besides what the [`Base`] lacks.
    pub(super) missing: Vec<String>,
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
        spec.mounts.iter().try_for_each(volumes::check_target)?;
        let keep = capabilities::kept(spec)?;
        let mut missing = Vec::new();
        let mut filtered = filtered(spec)?;
        let filters = base.filters(filtered).unwrap_or_else(|error| {
            missing.push(format!("seccomp filters: {error}"));
            filtered = None;
            no_filters()
        });
        if spec.network.is_some() && !is_root() {
            return Err(LaunchError::machine("cannot join a network: the agent is not root"));
        }
        let mut env = spec.env.clone();
        for (name, file) in &spec.secret_env {
            env.insert(name.clone(), secret_text(name, file)?);
        }
        let own_dir = if spec.root.is_some() { SANDBOX_IN_IMAGE.into() } else { spec.sandbox.clone() };
        let plan = Self {
            program: Program::new(&spec.argv, &env)?,
            fence: base.fence,
            identity: if spec.root.is_some() { None } else { identity(spec)? },
            sandbox: spec.sandbox.clone(),
            network: spec.network.clone(),
            hidden: spec.hidden_paths.clone(),
            devices: spec.isolation.devices.clone(),
            rlimits: spec.limits.rlimits.iter().map(rlimit).collect::<Result<_, _>>()?,
            filtered,
            filters,
            keep,
            no_new_privileges: spec.no_new_privileges || spec.root.is_none() && !spec.privileged,
            root: spec.root.clone(),
            user: spec.user.clone(),
            groups: spec.groups.clone(),
            inside_dir: spec.working_dir.clone().unwrap_or(own_dir),
            mounts: spec.mounts.clone(),
            secret_files: secret_files(&spec.mounts)?,
            hostname: spec.hostname.clone(),
            etc: spec.etc.clone(),
            privileged: spec.privileged,
            shm_bytes: spec.shm_bytes,
            tty: spec.tty,
            home: None,
            give_sandbox: spec.give_sandbox,
            oom_score_adj: spec.oom_score_adj.clamp(-1000, 1000),
            missing,
            title: None,
        };
        plan.make_sandbox()?;
        if let Some(identity) = &plan.identity {
            plan.give_sandbox(identity)?;
        }
        Ok(plan)
    }

    /// After the plan has been received: the filters, which are not sent.
    pub(super) fn take_filters(&mut self, base: &Base) -> Result<(), LaunchError> {
        self.filters = base
            .filters(self.filtered)
            .map_err(|error| LaunchError::machine(format!("cannot make the seccomp filters: {error}")))?;
        Ok(())
    }

    /// Whether the container's devices are picked one by one.
    pub(super) fn own_devices(&self) -> bool {
        self.root.is_some() && !self.privileged
    }

    /// What only the container's own root could tell.
    pub(super) fn settle(&mut self, identity: Identity, home: String) {
        self.program.set_default("HOME", &home);
        self.identity = Some(identity);
        self.home = Some(home);
    }

    /// The sandbox is there.
    fn make_sandbox(&self) -> Result<(), LaunchError> {
        // SAFETY: no memory is passed. The shim's own umask would shut the command's user out of what lies above.
        let umask = unsafe { libc::umask(0o022) };
        let made = std::fs::create_dir_all(&self.sandbox);
        // SAFETY: as above.
        unsafe { libc::umask(umask) };
        made.map_err(|error| {
            LaunchError::machine(format!("cannot make the sandbox {}: {error}", self.sandbox.display()))
        })
    }

    /// The command's user owns the sandbox, and what was put there for it.
    pub(super) fn give_sandbox(&self, identity: &Identity) -> Result<(), LaunchError> {
        let give = |path: &std::path::Path| {
            std::os::unix::fs::lchown(path, Some(identity.uid), Some(identity.gid)).map_err(|error| {
                LaunchError::machine(format!("cannot give away the sandbox's {}: {error}", path.display()))
            })
        };
        give(&self.sandbox)?;
        let mut dirs = vec![self.sandbox.clone()];
        while let Some(dir) = dirs.pop().filter(|_| self.give_sandbox) {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                give(&entry.path())?;
                // The entry's own type: a link to a directory is not one.
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    dirs.push(entry.path());
                }
            }
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
fn identity(spec: &ShimSpec) -> Result<Option<Identity>, LaunchError> {
    let Some(text) = spec.user.as_deref() else { return Ok(None) };
    let identity = user::resolve(text, &spec.groups).map_err(|error| match error {
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

/// The content of a secret's file. What goes wrong is told without it.
fn read_secret(file: &std::path::Path) -> Result<Vec<u8>, LaunchError> {
    let refused = |why: &str| LaunchError::spec(format!("the secret {}: {why}", file.display()));
    let mut value = Vec::new();
    let opened = std::fs::File::open(file).map_err(|error| refused(&error.to_string()))?;
    opened.take(SECRET_BYTES + 1).read_to_end(&mut value).map_err(|error| refused(&error.to_string()))?;
    match value.len() as u64 > SECRET_BYTES {
        true => Err(refused("it is larger than 1 MiB")),
        false => Ok(value),
    }
}

/// As an environment variable: text, without the line end that editors leave.
fn secret_text(name: &str, file: &std::path::Path) -> Result<String, LaunchError> {
    let mut text = String::from_utf8(read_secret(file)?)
        .map_err(|_| LaunchError::spec(format!("the secret for {name} is not text: mount it as a file")))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

fn secret_files(mounts: &[MountSpec]) -> Result<Vec<Secret>, LaunchError> {
    let secrets = mounts.iter().filter(|mount| mount.kind == MountKind::Secret);
    secrets
        .map(|mount| Ok(Secret { target: mount.target.clone(), value: read_secret(&mount.source)? }))
        .collect()
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
        match Plan::prepare(&spec, &Base::of(&spec)) {
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

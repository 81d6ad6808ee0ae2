//! A forked process turns itself into the program: session, output, limits, user, capabilities, filters, exec.

use super::pipe::Failures;
use super::plan::{Plan, Program};
use super::{capabilities, seccomp, user};
use crate::shim::{LaunchError, LaunchErrorKind};
use std::ffi::CString;
use std::io;
use std::os::fd::RawFd;

/// A program's standard streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// None: nothing to read.
    pub stdin: Option<RawFd>,
    pub stdout: RawFd,
    pub stderr: RawFd,
    /// Whether they are a terminal, which becomes the program's own.
    pub terminal: bool,
}

/// Becomes the program with these streams. Reports to `failures` what went wrong.
pub(super) fn become_program(plan: &Plan, program: &Program, streams: Streams, failures: &mut Failures) -> ! {
    let error = match prepare(plan, streams) {
        Ok(()) => exec(program),
        Err(error) => error,
    };
    failures.fail(&error)
}

fn prepare(plan: &Plan, streams: Streams) -> Result<(), LaunchError> {
    let step = |what: &str, done: io::Result<()>| {
        done.map_err(|error| LaunchError::machine(format!("cannot {what}: {error}")))
    };
    reset_signals();
    // SAFETY: no memory is passed; the umask of the shim must not leak into the command.
    unsafe {
        libc::setsid();
        libc::umask(0o022);
    }
    step("connect the output", connect(streams))?;
    if streams.terminal {
        step("take the terminal", take_terminal(plan))?;
    }
    // Only a wish: who may not lower it runs with what the agent has.
    let _ = std::fs::write("/proc/self/oom_score_adj", plan.oom_score_adj.to_string());
    for &(resource, soft, hard) in &plan.rlimits {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: the pointer is to a limit of ours.
        if unsafe { libc::setrlimit(resource, &limit) } != 0 {
            let error = io::Error::last_os_error();
            return Err(LaunchError::spec(format!("cannot set resource limit {resource}: {error}")));
        }
    }
    if plan.no_new_privileges {
        // SAFETY: no memory is passed.
        if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
            return step("set no_new_privs", Err(io::Error::last_os_error()));
        }
    } else {
        // Without that flag only root may install filters, so they come before its rights go. They deny nothing that
        // follows here.
        filter(plan)?;
    }
    if let Some(keep) = plan.keep {
        step("drop capabilities", capabilities::bound(keep))?;
    }
    if let Some(identity) = &plan.identity {
        step("become the user", user::become_user(identity))?;
    }
    if let Some(keep) = plan.keep {
        step("drop capabilities", capabilities::keep_only(keep))?;
    }
    // SAFETY: no memory is passed. The parent's death must come after the change of user, which forgets it.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    if plan.no_new_privileges {
        filter(plan)?;
    }
    Ok(())
}

fn filter(plan: &Plan) -> Result<(), LaunchError> {
    plan.filters
        .iter()
        .try_for_each(|filter| seccomp::install(filter))
        .map_err(|error| LaunchError::machine(format!("cannot install the seccomp filter: {error}")))
}

/// Every signal does what it does by default and none is blocked.
fn reset_signals() {
    // SAFETY: the set is ours; changing dispositions touches no memory.
    unsafe {
        for signal in 1..65 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
    }
}

/// Makes the terminal at descriptor 0 the session's, so that its keys mean signals, and the user's.
fn take_terminal(plan: &Plan) -> io::Result<()> {
    // SAFETY: no memory is passed.
    unsafe {
        if libc::ioctl(0, libc::TIOCSCTTY, 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        if let Some(identity) = &plan.identity {
            // The group is the one that terminals have.
            libc::fchown(0, identity.uid, libc::gid_t::MAX);
        }
    }
    Ok(())
}

fn connect(streams: Streams) -> io::Result<()> {
    // SAFETY: the path is a C string; the descriptors are open ones of this process.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if null < 0 {
            return Err(io::Error::last_os_error());
        }
        for (from, to) in [(streams.stdin.unwrap_or(null), 0), (streams.stdout, 1), (streams.stderr, 2)] {
            // A descriptor that is already in place would keep its close-on-exec flag.
            let done = if from == to { libc::fcntl(to, libc::F_SETFD, 0) } else { libc::dup2(from, to) };
            if done < 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// Only returns if nothing could be executed.
fn exec(program: &Program) -> LaunchError {
    let name = &program.argv[0];
    let (argv_words, env_words) = (c_words(&program.argv), c_words(&program.env));
    let mut argv: Vec<*const libc::c_char> = argv_words.iter().map(|word| word.as_ptr()).collect();
    argv.push(std::ptr::null());
    let mut env: Vec<*const libc::c_char> = env_words.iter().map(|word| word.as_ptr()).collect();
    env.push(std::ptr::null());
    let run = |path: &CString| {
        // SAFETY: path and both lists are C strings that outlive the call; the lists end with null.
        unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        io::Error::last_os_error()
    };
    if name.contains('/') {
        let error = run(&argv_words[0]);
        return told(name, &error, "");
    }
    let mut denied = None;
    for dir in program.path.split(':') {
        let dir = if dir.is_empty() { "." } else { dir };
        let Ok(path) = CString::new(format!("{dir}/{name}")) else { continue };
        let error = run(&path);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => denied = Some(error),
            _ => return told(name, &error, ""),
        }
    }
    match denied {
        Some(error) => told(name, &error, ""),
        None => {
            told(name, &io::Error::from_raw_os_error(libc::ENOENT), &format!(" in PATH {}", program.path))
        }
    }
}

/// As the kernel takes them. A [`Program`] holds no zero bytes; a word that did would be left out.
fn c_words(words: &[String]) -> Vec<CString> {
    words.iter().filter_map(|word| CString::new(word.as_str()).ok()).collect()
}

fn told(name: &str, error: &io::Error, place: &str) -> LaunchError {
    let (kind, why) = match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) if place.is_empty() => {
            (LaunchErrorKind::Spec, "no such file, or no such interpreter".into())
        }
        Some(libc::ENOENT) => (LaunchErrorKind::Spec, format!("there is no such program{place}")),
        Some(libc::EACCES) => (LaunchErrorKind::Spec, "permission denied, or not executable".into()),
        Some(libc::ENOEXEC) => (LaunchErrorKind::Spec, "not a program; a script begins with #!".into()),
        Some(libc::E2BIG) => (LaunchErrorKind::Spec, "arguments and environment are too long".into()),
        Some(libc::EISDIR | libc::ELOOP | libc::ENAMETOOLONG | libc::ETXTBSY | libc::EPERM) => {
            (LaunchErrorKind::Spec, error.to_string())
        }
        _ => (LaunchErrorKind::Machine, error.to_string()),
    };
    LaunchError { kind, message: format!("cannot execute {name:?}: {why}") }
}

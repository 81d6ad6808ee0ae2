//! A process that makes shims before anybody needs them: by forking itself, which costs a tenth of executing a program.
//!
//! An agent starts one, and orders spare shims by bytes on its standard input; each says its name on the common standard
//! output when it is ready, and serves its socket in a directory of that name. To put one to work the agent moves its
//! files into the container's runtime directory, writes the spec there, and says so ([`super::pool`]). From then on the
//! shim is like any other. What takes long, above all moving a process into cgroups, lies before that.
//!
//! Standard input is the lifeline, too: it ends with the agent, and so do nursery and spare shims; they leave nothing.

use super::cleanup::start_ticks;
use super::connection::Connection;
use super::events::Polled;
use super::files;
use super::protocol::{Request, RequestBody};
use super::server::{log, read_spec, work};
use super::spare::{Spare, Tools};
use super::title::Title;
use crate::cgroup::{Detected, Driver};
use crate::launcher::Base;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};

/// What every spare shim gets from the nursery.
struct Nursery<'a> {
    agent: &'a str,
    spares: &'a Path,
    program: &'a OsStr,
    base: Base,
    detected: Detected,
    title: Option<Title>,
}

/// Becomes the nursery of an agent whose spare shims have their directories in `spares`.
pub(super) fn run(program: &OsStr, spares: &Path, agent: &str) -> ! {
    // SAFETY: there is one thread, and no memory is passed. Spare shims that have ended need nobody to reap them.
    unsafe {
        libc::setsid();
        libc::umask(0o077);
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
    // Shims are the last to be killed when memory is short, and inherit it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-999");
    let detected = Driver::detect();
    let moved = detected.driver.as_ref().map_or(Ok(()), |driver| driver.adopt_shim(agent, 0));
    let ticks = start_ticks(std::process::id() as i32);
    let (Ok(()), Ok(ticks)) = (moved, ticks) else { std::process::exit(1) };
    let base = Base::usual();
    let nursery = Nursery { agent, spares, program, base, detected, title: Title::find() };
    // SAFETY: the descriptor is ours and used by nothing else.
    let mut orders = unsafe { File::from_raw_fd(0) };
    let mut count = 0_u64;
    let mut bytes = [0; 64];
    loop {
        let ordered = match orders.read(&mut bytes) {
            Ok(0) => break,
            Ok(ordered) => ordered,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for _ in 0..ordered {
            count += 1;
            // The underscore keeps it apart from every container's id, the ticks from what other nurseries made.
            let name = format!("_{ticks}-{}-{count}", std::process::id());
            // SAFETY: this process has one thread, so that the child may do anything.
            match unsafe { libc::fork() } {
                0 => nursery.spare(&name),
                -1 => say(&format!("!cannot start a process: {}", std::io::Error::last_os_error())),
                _ => {}
            }
        }
    }
    if let Some(driver) = &nursery.detected.driver {
        driver.leave(agent);
    }
    std::process::exit(0)
}

/// A line to the agent; short enough to stay in one piece.
fn say(text: &str) {
    let line: String = text.chars().filter(|c| *c != '\n').take(500).chain(['\n']).collect();
    let _ = std::io::stdout().write_all(line.as_bytes());
}

/// Gives a standard descriptor up.
fn let_go(fd: i32) {
    // SAFETY: the path is a C string; the descriptors are ours, and nothing that is used any more stands on `fd`.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        libc::dup2(null, fd);
        libc::close(null);
    }
}

impl Nursery<'_> {
    /// In a child of the nursery: becomes a spare shim, then a shim.
    fn spare(&self, name: &str) -> ! {
        // SAFETY: there is one thread, and no memory is passed.
        unsafe {
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            libc::setsid();
            libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        }
        std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
        let dir = self.spares.join(name);
        let taken = std::fs::create_dir(&dir).and_then(|()| std::env::set_current_dir(&dir));
        let mut spare = match taken.and_then(|()| Spare::take()) {
            Ok(spare) => spare,
            Err(error) => {
                say(&format!("!cannot make a shim in {}: {error}", dir.display()));
                std::process::exit(1)
            }
        };
        let detected =
            Detected { driver: self.detected.driver.clone(), missing: self.detected.missing.clone() };
        let tools = match spare.prepare(self.agent, name, &self.base, detected) {
            Ok(tools) => tools,
            Err(error) => {
                say(&format!("!{error}"));
                self.quit(&spare, None, &dir)
            }
        };
        say(name);
        let_go(1);
        let Some((starter, runtime_dir)) = wait(&tools) else { self.quit(&spare, Some(&tools), &dir) };
        let_go(0);
        // Our files are there already.
        if let Err(error) = std::env::set_current_dir(&runtime_dir) {
            log(&format!("cannot enter {}: {error}", runtime_dir.display()));
            self.quit(&spare, Some(&tools), &dir)
        }
        let _ = std::fs::remove_dir(&dir);
        let spec = match read_spec() {
            Ok(spec) => spec,
            Err(error) => {
                log(&error.to_string());
                self.quit(&spare, Some(&tools), &dir)
            }
        };
        if let Some(title) = self.title {
            let words = [self.program, OsStr::new("shim"), runtime_dir.as_os_str()];
            let words = words.map(|word| word.to_string_lossy().into_owned()).to_vec();
            title.set(&words);
            spare.title = Some((title, words));
        }
        work(spare, self.base.clone(), spec, Some(starter), Ok(tools))
    }

    /// Nobody needs it: leaves nothing.
    fn quit(&self, spare: &Spare, tools: Option<&Tools>, dir: &Path) -> ! {
        if let Some(tools) = tools {
            tools.init.end();
        }
        if let Some(cgroup) = &spare.cgroup
            && let Err(error) = cgroup.remove()
        {
            // The directory stays, and tells whoever cleans up.
            log(&error.to_string());
            std::process::exit(1)
        }
        if let Some(driver) = &spare.driver {
            driver.leave(self.agent);
        }
        for file in [files::SOCKET, files::CGROUP, files::SPEC, files::LOCK] {
            let _ = std::fs::remove_file(file);
        }
        let _ = std::fs::remove_dir(dir);
        std::process::exit(0)
    }
}

/// Waits until the agent puts this shim to work in a runtime directory. None: it, or the container's first process, is gone, or we shall go.
fn wait(tools: &Tools) -> Option<(Connection, PathBuf)> {
    let mut connection: Option<Connection> = None;
    loop {
        let mut polled = Polled::default();
        // Only its end is looked for: what comes is for the nursery.
        let lifeline = polled.add(0, 0);
        let signals = polled.add(tools.signals.as_raw_fd(), libc::POLLIN);
        let listener = polled.add(tools.listener.descriptor(), libc::POLLIN);
        let agent = connection.as_ref().map(|agent| polled.add(agent.descriptor(), libc::POLLIN));
        polled.wait();
        if agent.is_some_and(|index| polled.ready(index))
            && let Some(agent) = &mut connection
        {
            for line in agent.receive() {
                if let Ok(Request { body: RequestBody::Start { dir }, .. }) = serde_json::from_slice(&line) {
                    return connection.map(|agent| (agent, dir));
                }
            }
            if !agent.is_open() {
                return None;
            }
        }
        // A child that has ended is the container's first process; and whatever tells us to end, we do.
        if polled.ready(lifeline) || polled.ready(signals) {
            return None;
        }
        if polled.ready(listener) && connection.is_none() {
            connection = tools.listener.accept();
        }
    }
}

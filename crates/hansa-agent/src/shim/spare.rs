//! A shim without a container: it holds a directory and has everything ready that does not depend on the command.

use super::cleanup::{boot_id, start_ticks};
use super::connection::Listener;
use super::events::signals;
use super::files;
use super::record::{LaunchError, ProcessId};
use super::timer::Timer;
use super::title::Title;
use crate::cgroup::{Container, Detected, Driver, OomWatch};
use crate::launcher::{self, Base, Waiting};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// A shim's hold on the current directory, and what it has made for a container.
pub(super) struct Spare {
    /// Held as long as we live.
    pub lock: File,
    pub myself: ProcessId,
    pub boot: String,
    pub driver: Option<Driver>,
    /// Set before anything of it is made, so that a failure removes it.
    pub cgroup: Option<Container>,
    /// The command line to show once there is a container.
    pub title: Option<(Title, Vec<String>)>,
}

/// What a shim works with.
pub(super) struct Tools {
    pub listener: Listener,
    pub signals: OwnedFd,
    pub timer: Timer,
    pub oom: Option<OomWatch>,
    pub init: Waiting,
    pub init_id: ProcessId,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}

impl Spare {
    /// Takes the directory, or fails because somebody else has it.
    pub fn take() -> io::Result<Self> {
        let mut lock = files::try_lock(Path::new("."))?
            .ok_or_else(|| io::Error::other("another shim holds this directory"))?;
        let pid = std::process::id() as i32;
        let myself = ProcessId { pid, start_ticks: start_ticks(pid)? };
        files::sign_lock(&mut lock, myself)?;
        if Path::new(files::EXIT).exists() {
            return Err(io::Error::other("this directory holds an ended container"));
        }
        Ok(Self { lock, myself, boot: boot_id()?, driver: None, cgroup: None, title: None })
    }

    /// Makes the cgroups `hansa/<agent>/<name>` and starts the container's first process in them; also all else that a
    /// shim needs.
    pub fn prepare(
        &mut self,
        agent: &str,
        name: &str,
        base: &Base,
        detected: Detected,
    ) -> Result<Tools, LaunchError> {
        let broken =
            |what: &str, error: io::Error| LaunchError::machine(format!("the shim cannot {what}: {error}"));
        if let Some(driver) = detected.driver {
            let cgroup = self.cgroup.insert(driver.container(agent, name));
            self.driver = Some(driver);
            files::write_json(Path::new(files::CGROUP), &files::Named::new(agent, name), false)
                .map_err(|error| broken("write down its cgroup", error))?;
            cgroup.create().map_err(|error| broken("set up cgroups", error))?;
        }
        let listener = Listener::bind().map_err(|error| broken("listen", error))?;
        let signals = signals().map_err(|error| broken("wait for signals", error))?;
        let timer = Timer::new().map_err(|error| broken("make a timer", error))?;
        let oom = self.cgroup.as_ref().and_then(Container::oom_watch);
        let init = launcher::prepare(base, self.cgroup.as_ref())?;
        let pid = init.pid();
        let init_id = ProcessId { pid, start_ticks: start_ticks(pid).unwrap_or_default() };
        Ok(Tools { listener, signals, timer, oom, init, init_id, missing: detected.missing })
    }
}

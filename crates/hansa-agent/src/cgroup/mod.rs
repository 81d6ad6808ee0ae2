//! Cgroups: every container in its own, limited, measured, killed and removed whole. Version 1, version 2, and both at
//! once ("hybrid": version 1 controllers beside a cgroup2 that has none).
//!
//! Everything lives under `hansa/<agent>/<container>` in *every* hierarchy mounted, the named one of systemd and the
//! cgroup2 included, so that no supervisor that kills by cgroup (stopping the agent's unit, say) reaches a task. An
//! agent's shims share the leaf `hansa/<agent>/_shims`.
//!
//! This module knows nothing of shims and specs; the root of all paths is a parameter, so that tests run on a fake tree.
//! Reading starts at [`Driver`].

mod container;
mod detail;
mod detect;
mod stats;

pub use container::Container;
pub use detail::Detail;
pub use detect::{Detected, Hierarchy, Version};
pub use stats::{OomWatch, Sampler, Stats};

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The directory in each hierarchy that everything lives under.
const TOP: &str = "hansa";

/// The leaf that an agent's shims share.
const SHIMS: &str = "_shims";

/// The controllers that containers use, where they are there.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// The machine's cgroups, as far as this process can use them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Driver {
    hierarchies: Arc<[Hierarchy]>,
}

impl Driver {
    /// Finds out what the machine has and this process may use.
    pub fn detect() -> Detected {
        detect::detect()
    }

    /// A driver for these hierarchies, whatever they are; for tests on a fake tree.
    pub fn new(hierarchies: Vec<Hierarchy>) -> Self {
        Self { hierarchies: hierarchies.into() }
    }

    /// The hierarchies in use.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The cgroups of one container, whether they exist or not.
    pub fn container(&self, agent: &str, container: &str) -> Container {
        Container::new(self.hierarchies.clone(), format!("{TOP}/{agent}/{container}"))
    }

    /// Moves a process (0: the caller) to where the agent's shims live.
    ///
    /// # Errors
    /// A cgroup cannot be made or entered.
    pub fn adopt_shim(&self, agent: &str, pid: i32) -> io::Result<()> {
        self.shims(agent).enter(pid)
    }

    /// Takes the calling shim, which has removed its container's cgroups, out of the agent's, and removes what is then
    /// empty: the shims' leaf, the agent's directory and the top one. Does nothing while the agent has other containers.
    pub fn leave(&self, agent: &str) {
        if self.has_containers(agent) {
            return;
        }
        for hierarchy in self.hierarchies.iter() {
            // Where else than the root? The shim's life ends with the next lines.
            let _ = std::fs::write(hierarchy.mount.join("cgroup.procs"), "0");
        }
        self.remove_empty_parents(agent);
    }

    /// Removes the agent's directories if nothing of it is left in them.
    pub fn remove_if_last(&self, agent: &str) {
        if !self.has_containers(agent) {
            self.remove_empty_parents(agent);
        }
    }

    /// Whether the agent has a container in any hierarchy; looks no further than the first.
    fn has_containers(&self, agent: &str) -> bool {
        self.hierarchies.iter().any(|hierarchy| {
            let entries = std::fs::read_dir(hierarchy.mount.join(TOP).join(agent));
            entries
                .into_iter()
                .flatten()
                .flatten()
                .any(|entry| entry.file_name() != SHIMS && entry.file_type().is_ok_and(|kind| kind.is_dir()))
        })
    }

    /// Kills and removes every container of the agent that is not in `keep` (ids). Returns the ids of those removed.
    /// For an agent's start: what an earlier life left behind. Empty directories of other agents that are not there any
    /// more, nor their shims, go too.
    ///
    /// # Errors
    /// Something could not be killed or removed; the rest was still dealt with.
    pub fn sweep(&self, agent: &str, keep: &BTreeSet<String>) -> io::Result<Vec<String>> {
        let mut removed = Vec::new();
        let mut failure = None;
        for name in self.children(agent) {
            if name == SHIMS || keep.contains(&name) {
                continue;
            }
            let container = self.container(agent, &name);
            match container.kill_all().and_then(|()| container.remove()) {
                Ok(()) => removed.push(name),
                Err(error) => failure = Some(error),
            }
        }
        if keep.is_empty() {
            self.remove_empty_parents(agent);
        }
        self.sweep_abandoned(agent);
        failure.map_or(Ok(removed), Err)
    }

    /// Removes the empty directories of other agents without shims: of those that were killed together with everything theirs
    /// and never came back. Kills nobody.
    fn sweep_abandoned(&self, myself: &str) {
        for agent in self.subdirectories("").into_iter().filter(|agent| agent != myself) {
            // What comes after this look belongs to somebody who lives.
            let containers = self.children(&agent);
            // A shim enters its agent's leaf before it makes anything, so an agent whose leaf can be removed has none.
            if self.shims(&agent).remove_within(Duration::ZERO).is_err() {
                continue;
            }
            for name in containers.iter().filter(|name| *name != SHIMS) {
                let container = self.container(&agent, name);
                if container.pids().is_ok_and(|pids| pids.is_empty()) {
                    let _ = container.remove();
                }
            }
            self.remove_empty_parents(&agent);
        }
    }

    /// Processes of the agent's shims that are alive, in no order.
    pub fn shim_pids(&self, agent: &str) -> Vec<i32> {
        self.shims(agent).pids().unwrap_or_default()
    }

    fn shims(&self, agent: &str) -> Container {
        self.container(agent, SHIMS)
    }

    /// Names below the agent's directory, in any hierarchy.
    fn children(&self, agent: &str) -> BTreeSet<String> {
        self.subdirectories(agent)
    }

    fn subdirectories(&self, path: &str) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for hierarchy in self.hierarchies.iter() {
            let Ok(entries) = std::fs::read_dir(hierarchy.mount.join(TOP).join(path)) else { continue };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    names.extend(entry.file_name().into_string().ok());
                }
            }
        }
        names
    }

    /// Best effort: whoever is last succeeds.
    fn remove_empty_parents(&self, agent: &str) {
        // Another shim that has ended may still be on its way out.
        let _ = self.shims(agent).remove_within(Duration::from_millis(50));
        for hierarchy in self.hierarchies.iter() {
            let top = hierarchy.mount.join(TOP);
            let _ = std::fs::remove_dir(top.join(agent));
            let _ = std::fs::remove_dir(top);
        }
    }
}

/// Where one hierarchy's directory of a container is; used by callers that show it to the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Version of the hierarchy.
    pub version: Version,
    /// Where the hierarchy is mounted.
    pub mount: PathBuf,
    /// The container's directory in it.
    pub dir: PathBuf,
}

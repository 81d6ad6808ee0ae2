//! One container's directories in every hierarchy: made, limited, entered, emptied by force, removed.

use super::stats::{OomWatch, Sampler};
use super::{CONTROLLERS, Hierarchy, Place, Version};
use crate::shim::Limits;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long processes may take to die and directories to let go.
const PATIENCE: Duration = Duration::from_secs(10);

/// The cgroups of one container, one in each hierarchy.
#[derive(Clone, Debug)]
pub struct Container {
    hierarchies: Arc<[Hierarchy]>,
    /// Below each mount, as in `hansa/<agent>/<container>`.
    path: String,
}

impl Container {
    pub(super) fn new(hierarchies: Arc<[Hierarchy]>, path: String) -> Self {
        Self { hierarchies, path }
    }

    /// What its directories are called.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Where its directories are.
    pub fn places(&self) -> Vec<Place> {
        let place = |hierarchy: &Hierarchy| Place {
            version: hierarchy.version,
            mount: hierarchy.mount.clone(),
            dir: self.dir(hierarchy),
        };
        self.hierarchies.iter().map(place).collect()
    }

    fn dir(&self, hierarchy: &Hierarchy) -> PathBuf {
        hierarchy.mount.join(&self.path)
    }

    /// The hierarchy with this controller and the container's directory in it; None if there is none.
    pub(super) fn with(&self, controller: &str) -> Option<(Version, PathBuf)> {
        self.hierarchies.iter().find(|h| h.has(controller)).map(|h| (h.version, self.dir(h)))
    }

    /// The directory in the cgroup2 hierarchy, if there is one.
    pub(super) fn unified(&self) -> Option<PathBuf> {
        self.hierarchies.iter().find(|h| h.version == Version::V2).map(|h| self.dir(h))
    }

    /// Makes the directories, with those above them; no harm if they are there.
    ///
    /// # Errors
    /// One cannot be made.
    pub fn create(&self) -> io::Result<()> {
        for hierarchy in self.hierarchies.iter() {
            let dir = self.dir(hierarchy);
            // Another shim may be removing the empty parents at this moment.
            retry(|| make(hierarchy, &dir)).map_err(|error| name(error, "make", &dir))?;
        }
        Ok(())
    }

    /// Makes the directories if need be and moves a process (0: the caller) into them.
    ///
    /// # Errors
    /// A cgroup cannot be made or entered.
    pub fn enter(&self, pid: i32) -> io::Result<()> {
        for hierarchy in self.hierarchies.iter() {
            let dir = self.dir(hierarchy);
            let enter = || match std::fs::write(dir.join("cgroup.procs"), pid.to_string()) {
                // Removed by the last to leave, or (no space) made by another shim that has not come to its cpuset yet.
                Err(error) if is_gone(&error) || error.raw_os_error() == Some(libc::ENOSPC) => {
                    make(hierarchy, &dir)?;
                    std::fs::write(dir.join("cgroup.procs"), pid.to_string())
                }
                done => done,
            };
            retry(enter).map_err(|error| name(error, "enter", &dir))?;
        }
        Ok(())
    }

    /// Sets the limits. Returns, in words, those that no hierarchy can keep.
    ///
    /// # Errors
    /// The kernel refuses a limit.
    pub fn limit(&self, limits: &Limits) -> io::Result<Vec<String>> {
        let mut missing = Vec::new();
        if let Some(bytes) = limits.memory_bytes {
            let done = self.limit_memory(bytes, &mut missing);
            passed_down("no limit on memory", done, &mut missing)?;
        }
        let most = limits.cpu_most_millis.or(limits.cpu_millis.filter(|_| limits.cpu_quota));
        if let Some(millis) = limits.cpu_millis.or(most) {
            let done = self.limit_cpu(millis, most, &mut missing);
            passed_down("no shares of cpu", done, &mut missing)?;
        }
        match self.with("pids") {
            Some((_, dir)) => {
                let done = write(&dir, "pids.max", limits.pids);
                passed_down("no limit on processes", done, &mut missing)?;
            }
            None => missing.push("no limit on processes: there is no pids controller".into()),
        }
        Ok(missing)
    }

    fn limit_memory(&self, bytes: u64, missing: &mut Vec<String>) -> io::Result<()> {
        match self.with("memory") {
            Some((Version::V1, dir)) => {
                write(&dir, "memory.limit_in_bytes", bytes)?;
                // Counting swap is a boot option; without it swap is simply not limited.
                optional(write(&dir, "memory.memsw.limit_in_bytes", bytes))?;
            }
            Some((Version::V2, dir)) => {
                write(&dir, "memory.max", bytes)?;
                optional(write(&dir, "memory.swap.max", 0))?;
                optional(write(&dir, "memory.oom.group", 1))?;
            }
            None => missing.push("no limit on memory: there is no memory controller".into()),
        }
        Ok(())
    }

    /// Changes the limits of a container that runs. Memory is never taken back: what it uses already could not be given.
    ///
    /// # Errors
    /// The kernel refuses a limit.
    pub fn resize(&self, limits: &Limits) -> io::Result<()> {
        let mut missing = Vec::new();
        if let Some(bytes) = limits.memory_bytes {
            self.raise_memory(bytes)?;
        }
        let most = limits.cpu_most_millis.or(limits.cpu_millis.filter(|_| limits.cpu_quota));
        match limits.cpu_millis.or(most) {
            Some(millis) => optional(self.limit_cpu(millis, most, &mut missing)),
            None => Ok(()),
        }
    }

    fn raise_memory(&self, bytes: u64) -> io::Result<()> {
        let Some((version, dir)) = self.with("memory") else { return Ok(()) };
        let (file, with_swap) = match version {
            Version::V1 => ("memory.limit_in_bytes", Some("memory.memsw.limit_in_bytes")),
            Version::V2 => ("memory.max", None),
        };
        let now = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        // `max`: no limit, and none is to come.
        if now.trim().parse::<u64>().is_ok_and(|now| now < bytes) {
            // Never below the other.
            with_swap.map_or(Ok(()), |file| optional(write(&dir, file, bytes)))?;
            optional(write(&dir, file, bytes))?;
        }
        Ok(())
    }

    fn limit_cpu(&self, millis: u64, most: Option<u64>, missing: &mut Vec<String>) -> io::Result<()> {
        // A whole CPU is what an unlimited cgroup weighs: 1024 in version 1, 100 in version 2.
        const PERIOD_US: u64 = 100_000;
        let quota_us = most.map(|most| (most.saturating_mul(PERIOD_US) / 1000).max(1000));
        match self.with("cpu") {
            Some((Version::V1, dir)) => {
                write(&dir, "cpu.shares", (millis * 1024 / 1000).max(2))?;
                if let Some(quota_us) = quota_us {
                    write(&dir, "cpu.cfs_period_us", PERIOD_US)?;
                    write(&dir, "cpu.cfs_quota_us", quota_us)?;
                }
            }
            Some((Version::V2, dir)) => {
                write(&dir, "cpu.weight", (millis / 10).clamp(1, 10_000))?;
                if let Some(quota_us) = quota_us {
                    write(&dir, "cpu.max", format!("{quota_us} {PERIOD_US}"))?;
                }
            }
            None => missing.push("no shares of cpu: there is no cpu controller".into()),
        }
        Ok(())
    }

    /// The processes in it, in any hierarchy.
    ///
    /// # Errors
    /// A list cannot be read; a directory that is not there has none.
    pub fn pids(&self) -> io::Result<Vec<i32>> {
        let mut pids = BTreeSet::new();
        for hierarchy in self.hierarchies.iter() {
            collect_pids(&self.dir(hierarchy), &mut pids)?;
        }
        Ok(pids.into_iter().collect())
    }

    /// Kills every process in it and waits until there is none.
    ///
    /// # Errors
    /// Some would not die within ten seconds, or cannot be seen.
    pub fn kill_all(&self) -> io::Result<()> {
        let unified = self.unified();
        let freezer = self.with("freezer").filter(|(version, _)| *version == Version::V1).map(|(_, dir)| dir);
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        loop {
            let killed =
                unified.as_ref().is_some_and(|dir| std::fs::write(dir.join("cgroup.kill"), "1").is_ok());
            let pids = self.pids()?;
            if pids.is_empty() {
                return Ok(());
            }
            // Kernels before 5.14 have no cgroup.kill; and a process may be missing from the cgroup2. Frozen, nobody
            // forks away from the signals.
            if !killed && let Some(freezer) = &freezer {
                let _ = std::fs::write(freezer.join("freezer.state"), "FROZEN");
            }
            for pid in self.pids()? {
                // SAFETY: no memory is passed.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            if let Some(freezer) = &freezer {
                let _ = std::fs::write(freezer.join("freezer.state"), "THAWED");
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "processes of cgroup {} do not die: {pids:?}",
                    self.path
                )));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Removes the directories and any below them; they must be empty of processes (the last may still be dying).
    ///
    /// # Errors
    /// A directory is still in use after ten seconds, or cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        self.remove_within(PATIENCE)
    }

    /// The same with another patience.
    pub(super) fn remove_within(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        for hierarchy in self.hierarchies.iter() {
            let dir = self.dir(hierarchy);
            let mut pause = Duration::from_micros(200);
            loop {
                match remove_tree(&dir) {
                    Ok(()) => break,
                    Err(error) if error.raw_os_error() == Some(libc::EBUSY) && Instant::now() < deadline => {
                        std::thread::sleep(pause);
                        pause = (pause * 2).min(Duration::from_millis(20));
                    }
                    Err(error) => return Err(name(error, "remove", &dir)),
                }
            }
        }
        Ok(())
    }

    /// Whether any of its directories exists.
    pub fn exists(&self) -> bool {
        self.hierarchies.iter().any(|hierarchy| self.dir(hierarchy).exists())
    }

    /// Opens the files that tell what it uses.
    ///
    /// # Errors
    /// It does not exist.
    pub fn sampler(&self) -> io::Result<Sampler> {
        Sampler::open(self)
    }

    /// Something to poll that becomes ready when memory runs out; None where the kernel cannot tell.
    pub fn oom_watch(&self) -> Option<OomWatch> {
        OomWatch::open(self)
    }
}

/// Makes one directory and those above it that are ours, each ready to hold processes or further directories.
fn make(hierarchy: &Hierarchy, dir: &Path) -> io::Result<()> {
    let Some(parent) = dir.parent().filter(|_| dir != hierarchy.mount) else { return Ok(()) };
    // What follows is done also where another shim has made the directory: it may not have come to that yet.
    let prepared = hierarchy.version == Version::V2 || hierarchy.has("cpuset");
    if prepared || !parent.exists() {
        make(hierarchy, parent)?;
    }
    if hierarchy.version == Version::V2 {
        pass_down(hierarchy, parent);
    }
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Ok(()) if parent == hierarchy.mount && hierarchy.has("cpu") => weigh_top(hierarchy, dir),
        done => done?,
    }
    if hierarchy.version == Version::V1 && hierarchy.has("cpuset") {
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let own = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
            if own.trim().is_empty() {
                std::fs::write(dir.join(file), std::fs::read(parent.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Lets the directories below have the controllers that containers use.
fn pass_down(hierarchy: &Hierarchy, dir: &Path) {
    let file = dir.join("cgroup.subtree_control");
    let passed = std::fs::read_to_string(&file).unwrap_or_default();
    for controller in CONTROLLERS.iter().filter(|controller| hierarchy.has(controller)) {
        if !passed.split_ascii_whitespace().any(|word| word == *controller) {
            // Refused in a container whose root cgroup holds processes; `limit` then says what is missing.
            let _ = std::fs::write(&file, format!("+{controller}"));
        }
    }
}

/// Everything of ours together weighs as much as the machine has CPUs, and not as one process beside it would. Best
/// effort: on version 2 the controller may not be passed down here.
fn weigh_top(hierarchy: &Hierarchy, dir: &Path) {
    let cpus = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let _ = match hierarchy.version {
        Version::V1 => write(dir, "cpu.shares", (cpus * 1024).min(262_144)),
        Version::V2 => write(dir, "cpu.weight", (cpus * 100).min(10_000)),
    };
}

fn write(dir: &Path, file: &str, value: impl ToString) -> io::Result<()> {
    let path = dir.join(file);
    std::fs::write(&path, value.to_string()).map_err(|error| name(error, "write", &path))
}

/// A limit's file is not there where a controller is not passed down to our directories: that is missing, not broken.
fn passed_down(what: &str, result: io::Result<()>, missing: &mut Vec<String>) -> io::Result<()> {
    match result {
        Err(error) if is_absent(&error) => {
            missing.push(format!("{what}: {error}; the controller is not passed down"));
            Ok(())
        }
        other => other,
    }
}

/// Opening what is not there, to write, is an attempt to make it, which a cgroup file system refuses.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
}

/// Takes a file's absence for success.
fn optional(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_absent(&error) => Ok(()),
        other => other,
    }
}

/// The same error, saying what was done to what.
fn name(error: io::Error, done: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {done} cgroup {}: {error}", path.display()))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

fn retry(mut act: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for _ in 0..20 {
        match act() {
            Err(error) if is_gone(&error) => std::thread::sleep(Duration::from_micros(500)),
            done => return done,
        }
    }
    act()
}

fn collect_pids(dir: &Path, pids: &mut BTreeSet<i32>) -> io::Result<()> {
    match std::fs::read_to_string(dir.join("cgroup.procs")) {
        Ok(text) => {
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0))
        }
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(name(error, "read", dir)),
    }
    for child in subdirectories(dir) {
        collect_pids(&child, pids)?;
    }
    Ok(())
}

fn remove_tree(dir: &Path) -> io::Result<()> {
    match std::fs::remove_dir(dir) {
        Err(error) if is_gone(&error) => Ok(()),
        // A directory with directories below is busy, too.
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
            let children = subdirectories(dir);
            if children.is_empty() {
                return Err(error);
            }
            for child in children {
                remove_tree(&child)?;
            }
            std::fs::remove_dir(dir)
        }
        done => done,
    }
}

fn subdirectories(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let is_dir = |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(is_dir).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Driver;
    use super::*;

    /// A plain directory tree in the place of cgroup file systems.
    fn fake(root: &Path, hierarchies: &[(Version, &str)]) -> Driver {
        let make = |&(version, controllers): &(Version, &str)| {
            let mount = root.join(controllers.replace(' ', ","));
            std::fs::create_dir_all(&mount).unwrap();
            std::fs::write(mount.join("cpuset.cpus"), "0-1\n").unwrap();
            std::fs::write(mount.join("cpuset.mems"), "0\n").unwrap();
            let controllers = controllers.split(' ').map(str::to_owned).collect();
            Hierarchy { version, mount, controllers }
        };
        Driver::new(hierarchies.iter().map(make).collect())
    }

    #[test]
    fn all_of_ours_weighs_what_the_machine_has() {
        let root = tempfile::tempdir().unwrap();
        let driver = fake(root.path(), &[(Version::V1, "cpu"), (Version::V2, "cpu memory")]);
        driver.container("a", "c").create().unwrap();
        let cpus = std::thread::available_parallelism().unwrap().get();
        assert_eq!(
            std::fs::read_to_string(root.path().join("cpu/hansa/cpu.shares")).unwrap(),
            (cpus * 1024).to_string()
        );
        let weight = std::fs::read_to_string(root.path().join("cpu,memory/hansa/cpu.weight")).unwrap();
        assert_eq!(weight, (cpus * 100).to_string());
    }

    /// Every file below the root that has a value, with it.
    fn dump(dir: &Path, below: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                lines.extend(dump(&path, below));
            } else if path.to_string_lossy().contains(below) {
                let text = std::fs::read_to_string(&path).unwrap();
                let (_, name) = path.to_str().unwrap().split_once(below).unwrap();
                lines.push(format!("{name} = {}", text.trim()));
            }
        }
        lines.sort();
        lines
    }

    fn limits() -> Limits {
        Limits {
            memory_bytes: Some(64 << 20),
            cpu_millis: Some(500),
            cpu_quota: true,
            pids: 100,
            ..Limits::default()
        }
    }

    #[test]
    fn version_1_limits() {
        let root = tempfile::tempdir().unwrap();
        let kinds = ["cpu cpuacct", "memory", "pids", "cpuset", "name=systemd"].map(|c| (Version::V1, c));
        let driver = fake(root.path(), &kinds);
        let container = driver.container("a", "c");
        container.create().unwrap();
        container.create().unwrap();
        assert_eq!(container.limit(&limits()).unwrap(), Vec::<String>::new());
        container.enter(77).unwrap();
        assert_eq!(
            dump(root.path(), "hansa/a/c/"),
            [
                "cgroup.procs = 77",
                "cgroup.procs = 77",
                "cgroup.procs = 77",
                "cgroup.procs = 77",
                "cgroup.procs = 77",
                "cpu.cfs_period_us = 100000",
                "cpu.cfs_quota_us = 50000",
                "cpu.shares = 512",
                "cpuset.cpus = 0-1",
                "cpuset.mems = 0",
                "memory.limit_in_bytes = 67108864",
                "memory.memsw.limit_in_bytes = 67108864",
                "pids.max = 100",
            ]
        );
    }

    #[test]
    fn version_2_limits() {
        let root = tempfile::tempdir().unwrap();
        let driver = fake(root.path(), &[(Version::V2, "cpu memory pids")]);
        let container = driver.container("a", "c");
        container.create().unwrap();
        assert_eq!(container.limit(&limits()).unwrap(), Vec::<String>::new());
        assert_eq!(
            dump(root.path(), "hansa/a/c/"),
            [
                "cpu.max = 50000 100000",
                "cpu.weight = 50",
                "memory.max = 67108864",
                "memory.oom.group = 1",
                "memory.swap.max = 0",
                "pids.max = 100",
            ]
        );
        // The last of the three writes stays in a plain file.
        assert_eq!(dump(root.path(), "pids/"), dump(root.path(), "pids/"));
        let parent = root.path().join("cpu,memory,pids/hansa/a/cgroup.subtree_control");
        assert_eq!(std::fs::read_to_string(parent).unwrap(), "+pids");
    }

    #[test]
    fn extreme_shares_stay_within_what_the_kernel_takes() {
        let root = tempfile::tempdir().unwrap();
        let driver = fake(root.path(), &[(Version::V2, "cpu"), (Version::V1, "pids")]);
        let container = driver.container("a", "c");
        container.create().unwrap();
        for (millis, weight) in [(0, "1"), (1, "1"), (1_000_000, "10000")] {
            container.limit(&Limits { cpu_millis: Some(millis), ..Limits::default() }).unwrap();
            let file = root.path().join("cpu/hansa/a/c/cpu.weight");
            assert_eq!(std::fs::read_to_string(file).unwrap(), weight);
        }
    }

    #[test]
    fn what_no_hierarchy_can_limit_is_named() {
        let root = tempfile::tempdir().unwrap();
        let driver = fake(root.path(), &[(Version::V2, "hugetlb")]);
        let container = driver.container("a", "c");
        container.create().unwrap();
        assert_eq!(container.limit(&limits()).unwrap().len(), 3);
    }

    #[test]
    fn sweep_keeps_what_it_is_told_and_removes_the_rest() {
        let root = tempfile::tempdir().unwrap();
        let driver = fake(root.path(), &[(Version::V1, "memory"), (Version::V1, "pids")]);
        for name in ["old", "kept"] {
            driver.container("a", name).create().unwrap();
        }
        driver.container("other", "old").create().unwrap();
        let keep = BTreeSet::from(["kept".to_owned()]);
        assert_eq!(driver.sweep("a", &keep).unwrap(), ["old"]);
        assert!(driver.container("a", "kept").exists());
        // Nobody of that agent lives.
        assert!(!driver.container("other", "old").exists());
        assert!(!driver.container("a", "old").exists());
        assert_eq!(driver.sweep("a", &BTreeSet::new()).unwrap(), ["kept"]);
        assert!(!root.path().join("memory/hansa/a").exists());
        assert_eq!(driver.sweep("nobody", &BTreeSet::new()).unwrap(), Vec::<String>::new());
    }
}

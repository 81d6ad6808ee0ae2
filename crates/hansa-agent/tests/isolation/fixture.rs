//! An agent's directories for one test, and the proof that nothing is left of it.

use hansa_agent::cgroup::Driver;
use hansa_agent::shim::{self, Client, ExitRecord, LaunchError, ShimSpec};
use std::collections::BTreeSet;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// Nothing of a test may take longer, and nothing it starts lives longer.
pub fn limit() -> Duration {
    Duration::from_secs(if std::env::var_os(crate::guest::INSIDE).is_some() { 400 } else { 60 })
}

/// Whether containers get neither namespaces nor cgroups.
pub static PLAIN: AtomicBool = AtomicBool::new(false);

/// One agent with its own name and directories.
pub struct Fixture {
    root: tempfile::TempDir,
    pub agent: String,
    runtime: tokio::runtime::Runtime,
}

impl Fixture {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let root = tempfile::Builder::new().prefix("hansa-isolation-").tempdir().unwrap();
        // Other users' commands look for their sandbox here.
        std::fs::set_permissions(root.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let agent = format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { root, agent, runtime }
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub fn runtime_root(&self) -> PathBuf {
        self.root.path().join("run")
    }

    pub fn runtime_dir(&self, container: &str) -> PathBuf {
        self.runtime_root().join(container)
    }

    pub fn sandbox(&self, container: &str) -> PathBuf {
        self.root.path().join("sandboxes").join(container)
    }

    /// A container that runs this command.
    pub fn spec(&self, container: &str, argv: &[&str]) -> ShimSpec {
        let argv = argv.iter().map(|word| word.to_string()).collect();
        let mut spec = ShimSpec::new(&self.agent, container, argv, self.sandbox(container));
        spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
        spec.deadline_boottime_ms = Some(shim::boottime_ms() + limit().as_millis() as u64);
        if PLAIN.load(Ordering::Relaxed) {
            spec.isolation.namespaces = false;
            spec.isolation.cgroups = false;
        }
        spec
    }

    /// A container that runs a shell script.
    pub fn shell(&self, container: &str, script: &str) -> ShimSpec {
        self.spec(container, &["/bin/sh", "-c", script])
    }

    /// A container that runs one of this binary's workloads.
    pub fn workload(&self, container: &str, words: &[&str]) -> ShimSpec {
        let exe = exe();
        let mut argv = vec![exe.to_str().unwrap(), "workload"];
        argv.extend(words);
        self.spec(container, &argv)
    }

    pub fn spawn(&self, spec: &ShimSpec) -> Client {
        self.try_spawn(spec).unwrap()
    }

    pub fn try_spawn(&self, spec: &ShimSpec) -> Result<Client, LaunchError> {
        let dir = self.runtime_dir(&spec.container);
        self.within(async { shim::spawn(&dir, spec, &exe()).await })
    }

    pub fn wait(&self, client: &Client) -> Arc<ExitRecord> {
        self.within(client.wait()).unwrap()
    }

    /// Runs it to its end.
    pub fn run(&self, spec: &ShimSpec) -> Arc<ExitRecord> {
        let client = self.spawn(spec);
        self.wait(&client)
    }

    /// Drives a future; panics rather than hang.
    pub fn within<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(limit(), future).await.expect("takes too long") })
    }

    pub fn stdout(&self, container: &str) -> String {
        self.file(container, "stdout")
    }

    pub fn file(&self, container: &str, name: &str) -> String {
        std::fs::read_to_string(self.sandbox(container).join(name)).unwrap_or_default()
    }

    /// Waits until a condition holds; panics if it never does.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begin = std::time::Instant::now();
        while !holds() {
            assert!(begin.elapsed() < limit(), "never: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Directories of this agent in any cgroup hierarchy.
    pub fn cgroups(&self) -> Vec<PathBuf> {
        let Some(driver) = Driver::detect().driver else { return Vec::new() };
        let agent = |mount: &Path| mount.join("hansa").join(&self.agent);
        driver.hierarchies().iter().map(|h| agent(&h.mount)).filter(|dir| dir.exists()).collect()
    }

    /// Processes whose command line or working directory names this agent's directories.
    pub fn processes(&self) -> Vec<String> {
        let needle = self.root.path().to_str().unwrap();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            if line.contains(needle) || cwd.starts_with(self.root.path()) {
                found.push(format!("{pid}: {}", line.replace('\0', " ")));
            }
        }
        found
    }

    /// Nothing of this agent is left: no cgroup, no process, no mount.
    pub fn assert_nothing_left(&self) {
        // The shim's own last steps come after its last word.
        self.until("the shims have ended", || self.processes().is_empty());
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new(), "cgroups left");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let needle = self.root.path().to_str().unwrap();
        assert!(!mounts.contains(needle), "mounts left:\n{mounts}");
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for dir in shim::list(&self.runtime_root()).unwrap_or_default() {
            let _ = self.runtime.block_on(shim::cleanup(&dir));
        }
        if let Some(driver) = Driver::detect().driver {
            let _ = driver.sweep(&self.agent, &BTreeSet::new());
        }
    }
}

pub fn exe() -> PathBuf {
    std::env::current_exe().unwrap()
}

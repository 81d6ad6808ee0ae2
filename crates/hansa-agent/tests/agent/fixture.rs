//! Agent processes for one test, the groups they run, and the proof that nothing is left.

use crate::master::Master;
use hansa_agent::Options;
use hansa_model::resources::{Allocation, Demand, MIB, PortDemand};
use hansa_model::spec::{Command, GroupSpec, Launch, TaskSpec};
use hansa_model::{InstanceId, Owner, RoleName, SpecId, TaskId};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Nothing of a test may take longer.
const LIMIT: Duration = Duration::from_secs(60);

/// What agents in tests offer.
const RESOURCES: &str = "cpus:2;mem:512;disk:100;ports:[31000-31099]";

/// `agent <master> <data dir> <deadline ms> [<bridge subnet>]`: an agent until SIGTERM.
pub fn agent_main(args: &[OsString]) -> ExitCode {
    let words: Vec<&str> = args.iter().map(|word| word.to_str().unwrap()).collect();
    let mut options = Options::new(words[0], words[1]);
    options.hostname = Some("test-node".into());
    options.listen = "127.0.0.1:0".parse().unwrap();
    options.resources = Some(RESOURCES.parse().unwrap());
    options.stop_deadline = Some(Duration::from_millis(words[2].parse().unwrap()));
    options.bridge_subnet = words.get(3).map(|text| text.parse().unwrap());
    options.allow_exec = true;
    options.machine_lock = Some(Path::new(words[1]).with_extension("machine"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        hansa_agent::run(options, async move { terminate.recv().await.unwrap_or_default() }).await
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A runtime, a master, and the agents started for it.
pub struct Fixture {
    root: tempfile::TempDir,
    pub runtime: tokio::runtime::Runtime,
    pub master: Master,
    pub deadline_ms: u64,
    pub bridge_subnet: Option<String>,
    agents: Vec<Child>,
}

impl Fixture {
    pub fn new() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let master = runtime.block_on(Master::start());
        let root = tempfile::Builder::new().prefix("hansa-agent-").tempdir().unwrap();
        std::fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { root, runtime, master, deadline_ms: 20_000, bridge_subnet: None, agents: Vec::new() }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn sandbox(&self, name: &str) -> PathBuf {
        self.data_dir().join("sandboxes").join(format!("{name}.1"))
    }

    pub fn read(&self, name: &str, file: &str) -> String {
        std::fs::read_to_string(self.sandbox(name).join(file)).unwrap_or_default()
    }

    /// An agent process, not waited for.
    pub fn spawn_agent(&mut self) -> &mut Child {
        let child = std::process::Command::new(crate::machine::program())
            .arg("agent")
            .arg(format!("http://{}", self.master.address))
            .arg(self.data_dir())
            .arg(self.deadline_ms.to_string())
            .args(&self.bridge_subnet)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.agents.push(child);
        self.agents.last_mut().unwrap()
    }

    /// An agent process that has said hello.
    pub fn start_agent(&mut self) -> hansa_model::agent::Hello {
        self.spawn_agent();
        let Self { runtime, master, .. } = self;
        runtime.block_on(limited(master.hello()))
    }

    /// SIGKILL to the newest agent process, and to nothing else.
    pub fn kill_agent(&mut self) {
        let mut child = self.agents.pop().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM to the newest agent process; gives how long it took.
    pub fn stop_agent(&mut self) -> Duration {
        let mut child = self.agents.pop().unwrap();
        let begin = Instant::now();
        signal(child.id(), libc::SIGTERM);
        assert!(child.wait().unwrap().success());
        begin.elapsed()
    }

    /// Drives something with the master, within the limit.
    pub fn with_master<T>(&mut self, act: impl AsyncFnOnce(&mut Master) -> T) -> T {
        let Self { runtime, master, .. } = self;
        runtime.block_on(limited(act(master)))
    }

    /// Waits until something holds.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(begin.elapsed() < LIMIT, "never: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Pids of processes whose command line has this text, this process apart.
    pub fn processes(&self, text: &str) -> Vec<u32> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if pid != std::process::id() && line.contains(text) {
                found.push(pid);
            }
        }
        found
    }

    /// The pids of shims of this fixture's agents.
    pub fn shims(&self) -> Vec<u32> {
        self.processes(&format!("shim {}", self.data_dir().join("runtime").display()))
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            let _ = agent.kill();
            let _ = agent.wait();
        }
        // What a failed test left; a shim's container ends with it.
        for shim in self.shims() {
            signal(shim, libc::SIGKILL);
        }
    }
}

pub fn signal(pid: u32, signal: i32) {
    // SAFETY: no memory is passed; the pid is of a process that this test started.
    unsafe { libc::kill(pid as i32, signal) };
}

pub async fn limited<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("takes too long")
}

/// A group of one task `<name>.1` that runs a shell script.
pub fn shell(name: &str, script: &str) -> Launch {
    let task = TaskSpec {
        name: "_app".into(),
        command: Command::Shell(script.into()),
        demand: Demand { cpus_milli: 100, mem: 64 * MIB, ports: vec![PortDemand::Any], ..Demand::default() },
        kill_grace_ms: 3_000,
        ..TaskSpec::default()
    };
    Launch {
        instance: InstanceId::from(name),
        owner: Owner::services(),
        role: RoleName::any(),
        spec: SpecId(1),
        group: GroupSpec { tasks: vec![task], ..GroupSpec::default() }.into(),
        tasks: vec![TaskId::from(format!("{name}.1"))],
        allocation: Allocation {
            cpus_milli: 100,
            mem: 64 * MIB,
            ports: vec![31_000],
            ..Allocation::default()
        },
        framework: None,
    }
}

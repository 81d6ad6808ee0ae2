//! SIGKILL to what holds containers of images.

use crate::machine::ip;
use crate::support::{Cluster, cgroups_of, parent, processes_below, signal, so, until};
use crate::talk::{get, here};
use crate::{apps, on_runtime};
use hansa_api::hansa::Task;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub fn kills() {
    on_runtime(async {
        let mut cluster = Cluster::start(1).await;
        let mut definition = apps::web(1, 2);
        // Who ends is not replaced before the test has looked at what is left.
        definition["backoffSeconds"] = json!(3600);
        definition["maxLaunchDelaySeconds"] = json!(3600);
        let _: Value = cluster.http.post("/v2/apps", &definition).await.unwrap();
        let tasks = cluster.http.settled("/web", 2).await;
        let before =
            tasks.iter().map(|task| (task.id.to_string(), pids(&cluster, task))).collect::<BTreeMap<_, _>>();
        assert!(before.values().all(|pids| !pids.is_empty()), "{before:?}");

        cluster.kill_agent(0).await;
        for task in &tasks {
            assert_eq!(get(here(task.ports[0]), "/").unwrap(), "version 1", "without its agent");
        }
        cluster.start_agent(0);
        cluster.all_active().await;
        let again = cluster.http.settled("/web", 2).await;
        let after =
            again.iter().map(|task| (task.id.to_string(), pids(&cluster, task))).collect::<BTreeMap<_, _>>();
        assert_eq!(before, after, "the same containers and processes");
        for task in &again {
            assert_eq!(get(here(task.ports[0]), "/").unwrap(), "version 1", "with its new agent");
        }

        let (victim, other) = (&again[0], &again[1]);
        let left = Left::of(&cluster, victim).await;
        let traces = left.traces();
        for kind in ["process ", "cgroup ", "its network", "2 links", "its port", "runtime"] {
            let seen = traces.iter().any(|trace| trace.contains(kind));
            assert!(seen, "the test would not see it if {kind:?} were left: {traces:?}");
        }
        signal(left.shim, libc::SIGKILL);
        until("one of them has ended", async || {
            let running = cluster.http.running("/web").await?;
            so(running.len() == 1 && running[0].id == other.id, running)
        })
        .await;
        until("nothing of it is left", async || so(left.traces().is_empty(), left.traces())).await;
        assert_eq!(get(here(other.ports[0]), "/").unwrap(), "version 1", "its neighbour is as before");
    });
}

/// The instance of an app's task.
fn instance(task: &Task) -> &str {
    task.id.as_str().split_once("._app").expect("an app's task").0
}

/// The shim of a task's container.
fn shim(cluster: &Cluster, task: &Task) -> u32 {
    let all = processes_below(&cluster.agents[0].data_dir);
    let is_of = |pid: &u32| all.get(pid).is_some_and(|line| line.contains(instance(task)));
    cluster.shims(0).into_iter().find(is_of).expect("its shim")
}

/// Everything that descends from the shim of a task's container.
fn pids(cluster: &Cluster, task: &Task) -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: BTreeMap<u32, u32> = numbers.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let shim = shim(cluster, task);
    let descends = |pid: u32| {
        std::iter::successors(parents.get(&pid), |above| parents.get(above)).any(|above| *above == shim)
    };
    parents.keys().copied().filter(|pid| descends(*pid)).collect()
}

/// Where a container leaves traces.
#[derive(Debug)]
struct Left {
    port: SocketAddr,
    shim: u32,
    pids: BTreeSet<u32>,
    agent: String,
    /// The name of its cgroups.
    cgroup: OsString,
    runtime: PathBuf,
    namespace: PathBuf,
    bridge: String,
    /// Containers' links to it before this one ended.
    links: usize,
}

impl Left {
    async fn of(cluster: &Cluster, task: &Task) -> Self {
        let pids = pids(cluster, task);
        let first = pids.first().expect("its first process");
        let cgroups = std::fs::read_to_string(format!("/proc/{first}/cgroup")).unwrap();
        let cgroup = cgroups.lines().find(|line| line.contains("/hansa/")).expect("one of ours");
        let runtime = cluster.agents[0].data_dir.join("runtime").join(instance(task));
        assert!(runtime.is_dir(), "{}", runtime.display());
        let shown: Value = cluster.http.get("/v2/apps/web/tasks").await.unwrap();
        let address = shown["tasks"][0]["ipAddresses"][0]["ipAddress"].as_str().expect("an address");
        let route = ip(&format!("route get {address}"));
        let bridge = route.split_once(" dev ").and_then(|(_, rest)| rest.split(' ').next());
        let bridge = bridge.expect("a bridge").to_owned();
        Self {
            port: here(task.ports[0]),
            shim: shim(cluster, task),
            agent: cluster.http.nodes().await.unwrap().remove(0).id.to_string(),
            cgroup: Path::new(cgroup).file_name().expect("a name").to_owned(),
            runtime,
            namespace: std::fs::read_link(format!("/proc/{first}/ns/net")).unwrap(),
            links: links(&bridge),
            bridge,
            pids,
        }
    }

    fn cgroups(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = cgroups_of(std::slice::from_ref(&self.agent));
        while let Some(directory) = open.pop() {
            if directory.file_name() == Some(&self.cgroup) {
                found.push(directory.clone());
            }
            let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten();
            open.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
        }
        found
    }

    /// All that is left of it, in words.
    fn traces(&self) -> Vec<String> {
        let alive = self.pids.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists());
        let mut traces: Vec<String> = alive.map(|pid| format!("process {pid}")).collect();
        traces.extend(self.cgroups().iter().map(|path| format!("cgroup {}", path.display())));
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let runtime = self.runtime.to_string_lossy();
        traces.extend(mounts.lines().filter(|line| line.contains(&*runtime)).map(str::to_owned));
        traces.extend(holders(&self.namespace).iter().map(|pid| format!("its network, in process {pid}")));
        if links(&self.bridge) >= self.links {
            traces.push(format!("{} links", links(&self.bridge)));
        }
        // Nobody answers, and at once: packets that a mapping still led somewhere would be lost instead.
        match get(self.port, "/") {
            Err(error) if error.contains("refused") => {}
            other => traces.push(format!("its port: {other:?}")),
        }
        if self.runtime.exists() {
            traces.push(self.runtime.display().to_string());
        }
        traces
    }
}

/// How many containers have a link to a bridge.
fn links(bridge: &str) -> usize {
    ip(&format!("-br link show master {bridge}")).lines().count()
}

/// Processes in a namespace, or with a descriptor of it.
fn holders(namespace: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let process = entry.path();
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let mut paths = descriptors.map(|entry| entry.path()).chain([process.join("ns/net")]);
        if paths.any(|path| std::fs::read_link(path).is_ok_and(|target| target == namespace)) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

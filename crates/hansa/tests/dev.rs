//! `hansa dev`: it comes up, it heals itself, and nothing is left of it, however it ends.

mod support;

use hansa_api::hansa::{Health, Services, Tasks};
use hansa_model::event::AgentState;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Child;
use support::{
    Http, cgroups_of, ended, free_port, hansa, processes_below, processes_with, signal, so, task_ports, until,
};

/// A development cluster.
struct Dev {
    http: Http,
    child: Child,
    /// What its agents are called, for looking for their cgroups afterwards.
    agents: Vec<String>,
    data_dir: PathBuf,
    /// What it prints goes here.
    said: tempfile::TempDir,
}

/// Starts one; with `data_dir` it is kept there.
async fn start(arguments: &[&str], data_dir: Option<&std::path::Path>) -> Dev {
    let port = free_port();
    let (low, high) = task_ports();
    let mut command = hansa();
    command.args(["dev", "--listen", &format!("127.0.0.1:{port}"), "--ports", &format!("{low}-{high}")]);
    command.args(["--stop-deadline", "3s"]).args(arguments);
    if let Some(data_dir) = data_dir {
        command.arg("--data-dir").arg(data_dir);
    }
    let said = tempfile::tempdir().unwrap();
    let file = |name: &str| std::fs::File::create(said.path().join(name)).unwrap();
    let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
    let temporary = std::env::temp_dir().canonicalize().unwrap().join(format!("hansa-dev-{}", child.id()));
    let data_dir = data_dir.map_or(temporary, |dir| dir.canonicalize().unwrap());
    let mut dev = Dev { http: Http::new(port), child, agents: Vec::new(), data_dir, said };
    let nodes = until("the agents have joined", async || {
        if let Some(status) = dev.child.try_wait().unwrap() {
            panic!("it ended with {status}: {}", dev.said("err"));
        }
        let nodes = dev.http.nodes().await?;
        so(nodes.len() >= 2 && nodes.iter().all(|node| node.state == AgentState::Active), &nodes)?;
        Ok(nodes)
    })
    .await;
    dev.agents = nodes.iter().map(|node| node.id.to_string()).collect();
    until("it says that it is up", async || so(dev.said("err").contains("Ctrl-C ends"), dev.said("err")))
        .await;
    dev
}

impl Dev {
    /// What it has printed so far on `out` or `err`.
    fn said(&self, stream: &str) -> String {
        std::fs::read_to_string(self.said.path().join(stream)).unwrap()
    }

    async fn demo_is_healthy(&self) -> Services {
        until("the demo is healthy", async || {
            let services: Services = self.http.get("/hansa/v1/services").await?;
            let healthy =
                services.services.iter().filter(|service| service.health == Health::Healthy).count();
            so(healthy == 2 && services.services.len() == 2, &services)?;
            Ok(services)
        })
        .await
    }

    /// Processes and cgroups that belong to it.
    fn remains(&self) -> Vec<String> {
        let below = processes_below(&self.data_dir).into_iter().map(|(pid, line)| format!("{pid} {line}"));
        let tasks = processes_with("MESOS_SANDBOX")
            .into_iter()
            .filter(|(_, sandbox)| std::path::Path::new(sandbox).starts_with(&self.data_dir));
        let tasks = tasks.map(|(pid, sandbox)| format!("{pid} in {sandbox}"));
        let cgroups = cgroups_of(&self.agents).into_iter().map(|path| path.display().to_string());
        below.chain(tasks).chain(cgroups).collect()
    }

    async fn nothing_remains(&self) {
        until("nothing is left", async || so(self.remains().is_empty(), self.remains())).await;
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            signal(self.child.id(), libc::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

#[tokio::test]
async fn the_demo_comes_up_and_ctrl_c_leaves_nothing() {
    let mut dev = start(&["--demo"], None).await;
    let services = dev.demo_is_healthy().await;
    let web = services.services.iter().find(|service| service.id.as_str() == "/demo/web").unwrap();
    assert_eq!((web.instances, web.running, web.healthy), (3, 3, 3), "{web:?}");
    let tasks: Tasks = dev.http.get("/hansa/v1/tasks?app=/demo/web").await.unwrap();
    let task = &tasks.tasks[0];
    let page =
        reqwest::get(format!("http://127.0.0.1:{}/", task.ports[0])).await.unwrap().text().await.unwrap();
    assert!(page.contains(task.id.as_str()) && page.contains("/demo/web"), "{page}");
    assert!(!dev.remains().is_empty(), "the test would not see what is left");

    signal(dev.child.id(), libc::SIGINT);
    let begun = std::time::Instant::now();
    let status = ended(&mut dev.child).await;
    println!("ended after {:?}", begun.elapsed());
    let (said, noted) = (dev.said("out"), dev.said("err"));
    assert!(status.success(), "{status}: {noted}");
    assert!(said.contains("app explain demo/web") && noted.contains("nothing is left"), "{said}{noted}");
    assert_eq!(dev.remains(), [""; 0], "at once, not a while later");
    assert!(!dev.data_dir.exists());
}

#[tokio::test]
async fn sigkill_leaves_nothing() {
    let mut dev = start(&["--demo", "--agents", "2"], None).await;
    dev.demo_is_healthy().await;
    dev.child.kill().unwrap();
    ended(&mut dev.child).await;
    dev.nothing_remains().await;
    until("the directory is removed", async || so(!dev.data_dir.exists(), ())).await;
}

#[tokio::test]
async fn sigkill_of_supervisor_and_janitor_leaves_no_task() {
    let mut dev = start(&["--demo", "--agents", "2"], None).await;
    dev.demo_is_healthy().await;
    let (janitor, _) = processes_below(&dev.data_dir)
        .into_iter()
        .find(|(_, line)| line.contains(" dev-janitor "))
        .expect("a janitor");
    signal(janitor, libc::SIGKILL);
    dev.child.kill().unwrap();
    ended(&mut dev.child).await;
    // Nobody is left but the shims, whose stop deadline passes.
    until("the shims have ended everything", async || {
        let tasks = processes_with("MESOS_SANDBOX");
        let left: Vec<_> =
            tasks.values().filter(|sandbox| sandbox.starts_with(&*dev.data_dir.to_string_lossy())).collect();
        so(left.is_empty() && processes_below(&dev.data_dir).is_empty(), dev.remains())
    })
    .await;
    // The next cluster removes what is left on the disk.
    let next = start(&["--agents", "2"], None).await;
    until("the directory is removed", async || so(!dev.data_dir.exists(), ())).await;
    drop(next);
}

#[tokio::test]
async fn dead_processes_are_started_again() {
    let dev = start(&["--agents", "2"], None).await;
    let find = |what: &str| {
        let all = processes_below(&dev.data_dir);
        all.into_iter().find(|(_, line)| line.contains(what)).map(|(pid, _)| pid)
    };
    for what in ["--hostname node1 ", " master --listen"] {
        let first = find(what).expect("it runs");
        signal(first, libc::SIGKILL);
        until("another one runs", async || so(find(what).is_some_and(|pid| pid != first), what)).await;
        until("all is well again", async || {
            let nodes = dev.http.nodes().await?;
            so(nodes.len() == 2 && nodes.iter().all(|node| node.state == AgentState::Active), nodes)
        })
        .await;
    }
}

#[tokio::test]
async fn a_kept_cluster_has_the_same_services_at_its_next_start() {
    let kept = tempfile::tempdir().unwrap();
    let mut dev = start(&["--agents", "2", "--demo"], Some(kept.path())).await;
    dev.demo_is_healthy().await;
    // A second one in the same place is refused, in one line.
    let second = hansa()
        .args(["dev", "--listen", &format!("127.0.0.1:{}", free_port()), "--data-dir"])
        .arg(kept.path())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(4));
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.lines().count() == 1 && said.contains("in use by another"), "{said}");

    signal(dev.child.id(), libc::SIGTERM);
    assert!(ended(&mut dev.child).await.success());
    assert_eq!(dev.remains(), [""; 0]);
    let mut again = start(&["--agents", "2"], Some(kept.path())).await;
    let services = again.demo_is_healthy().await;
    assert_eq!(services.services.len(), 2);
    signal(again.child.id(), libc::SIGTERM);
    assert!(ended(&mut again.child).await.success());
    assert!(kept.path().exists());
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = hansa().args(["dev", "--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.lines().count() == 1 && said.contains("is in use by another process"), "{said}");
}

#[tokio::test]
async fn an_empty_cluster_has_no_services() {
    let dev = start(&["--agents", "2"], None).await;
    let services: Services = dev.http.get("/hansa/v1/services").await.unwrap();
    assert!(services.services.is_empty());
    let nodes = dev.http.nodes().await.unwrap();
    let ports: Vec<u16> = nodes.iter().flat_map(|node| node.total.ports.iter().collect::<Vec<_>>()).collect();
    assert_eq!(ports.len(), 100, "all ports are dealt");
    assert_eq!(ports.iter().collect::<std::collections::BTreeSet<_>>().len(), 100, "each once");
    assert!(nodes.iter().all(|node| node.total.cpus_milli >= 1000 && node.total.mem >= 512 << 20));
    let info: Value = dev.http.get("/v2/info").await.unwrap();
    assert!(info.is_object());
}

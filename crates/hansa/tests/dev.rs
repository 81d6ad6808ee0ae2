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

    /// Processes, cgroups, links, tables of port mappings and mounts that belong to it.
    fn remains(&self) -> Vec<String> {
        let below = processes_below(&self.data_dir).into_iter().map(|(pid, line)| format!("{pid} {line}"));
        let tasks = processes_with("MESOS_SANDBOX")
            .into_iter()
            .filter(|(_, sandbox)| std::path::Path::new(sandbox).starts_with(&self.data_dir));
        let tasks = tasks.map(|(pid, sandbox)| format!("{pid} in {sandbox}"));
        let cgroups = cgroups_of(&self.agents).into_iter().map(|path| path.display().to_string());
        let networks = self.agents.iter().flat_map(|agent| hansa_agent::network::remains(agent).unwrap());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mounts.lines().filter(|line| line.contains(&*self.data_dir.to_string_lossy()));
        let mounts: Vec<String> = mounts.map(|line| format!("mount {line}")).collect();
        below.chain(tasks).chain(cgroups).chain(networks).chain(mounts).collect()
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
    assert!(said.contains("explain demo/web") && noted.contains("nothing is left"), "{said}{noted}");
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

/// Runs in a network of its own from here on, as do the programs that it starts; false: this user cannot.
fn on_a_machine_of_its_own() -> bool {
    // SAFETY: only the calling thread moves; the request is plain data that outlives the calls, the descriptor is open.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNET) != 0 {
            println!("SKIPPED: no network of its own: {}", std::io::Error::last_os_error());
            return false;
        }
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let mut up: libc::ifreq = std::mem::zeroed();
        up.ifr_name[0] = b'l' as libc::c_char;
        up.ifr_name[1] = b'o' as libc::c_char;
        up.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        assert_eq!(libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const up), 0);
        libc::close(socket);
    }
    true
}

impl Dev {
    /// Deploys two servers with addresses of their own, on the host's files, and reaches them by ports of the machine.
    /// Gives the ports, and the network namespaces that they are in. None: this machine cannot do it.
    async fn bridged(&self) -> Option<(Vec<u16>, Vec<String>)> {
        let nodes = self.http.nodes().await.unwrap();
        let missing = |missing: &String| missing.contains("container/bridge");
        if let Some(missing) = nodes.iter().flat_map(|node| &node.missing_isolation).find(|one| missing(one))
        {
            println!("SKIPPED: {missing}");
            return None;
        }
        let app = serde_json::json!({
            "id": "/web",
            "args": [support::HANSA, "demo-web"],
            "cpus": 0.1,
            "mem": 32,
            "instances": 2,
            "constraints": [["hostname", "UNIQUE"]],
            "networks": [{ "mode": "container/bridge" }],
            "container": {
                "type": "MESOS",
                "portMappings": [{ "containerPort": 0, "hostPort": 0 }, { "containerPort": 53, "hostPort": 0, "protocol": "udp" }]
            },
        });
        let _: Value = self.http.post("/v2/apps", &app).await.unwrap();
        let tasks = self.http.settled("/web", 2).await;
        let ports: Vec<u16> = tasks.iter().map(|task| task.ports[0]).collect();
        for port in &ports {
            until("it is reached", async || {
                let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await;
                let page = answer.map_err(|error| error.to_string())?.text().await.unwrap();
                so(page.contains("/web"), page)
            })
            .await;
        }
        let sandboxes = processes_with("MESOS_SANDBOX").into_iter();
        let own = sandboxes.filter(|(_, sandbox)| std::path::Path::new(sandbox).starts_with(&self.data_dir));
        let mut namespaces: Vec<String> = own.filter_map(|(pid, _)| network_namespace(pid)).collect();
        namespaces.sort();
        namespaces.dedup();
        assert_eq!(namespaces.len(), 2);
        Some((ports, namespaces))
    }
}

fn network_namespace(pid: u32) -> Option<String> {
    Some(std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()?.to_string_lossy().into_owned())
}

/// The processes that are in one of these network namespaces, and the mounts that keep one.
fn kept(namespaces: &[String]) -> Vec<String> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let inside =
        pids.filter(|pid| network_namespace(*pid).is_some_and(|namespace| namespaces.contains(&namespace)));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts.lines().filter(|line| namespaces.iter().any(|namespace| line.contains(namespace)));
    inside.map(|pid| pid.to_string()).chain(mounts.map(str::to_owned)).collect()
}

/// Nobody is led to where nobody is.
fn is_refused(port: u16) -> Result<(), String> {
    let error = std::net::TcpStream::connect(("127.0.0.1", port)).err();
    so(error.as_ref().is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused), error)
}

#[tokio::test]
async fn of_networks_nothing_is_left_however_it_ends() {
    if !on_a_machine_of_its_own() {
        return;
    }
    for how in [libc::SIGINT, libc::SIGTERM, libc::SIGKILL] {
        let mut dev = start(&["--agents", "2"], None).await;
        let Some((ports, namespaces)) = dev.bridged().await else { return };
        for what in ["link ", "table "] {
            assert!(dev.remains().iter().any(|one| one.starts_with(what)), "the test would not see a {what}");
        }
        assert!(!kept(&namespaces).is_empty());
        signal(dev.child.id(), how);
        let status = ended(&mut dev.child).await;
        if how == libc::SIGKILL {
            dev.nothing_remains().await;
            until("the directory is removed", async || so(!dev.data_dir.exists(), ())).await;
        } else {
            assert!(status.success(), "{status}: {}", dev.said("err"));
            assert_eq!(dev.remains(), [""; 0], "at once, not a while later");
        }
        assert_eq!(kept(&namespaces), [""; 0]);
        ports.iter().try_for_each(|port| is_refused(*port)).unwrap();
    }
}

#[tokio::test]
async fn the_next_start_removes_networks_when_the_janitor_was_killed_too() {
    if !on_a_machine_of_its_own() {
        return;
    }
    let kept = tempfile::tempdir().unwrap();
    let mut dev = start(&["--agents", "2"], Some(kept.path())).await;
    let Some((ports, _)) = dev.bridged().await else { return };
    let all = processes_below(&dev.data_dir);
    let janitor = all.iter().find(|(_, line)| line.contains(" dev-janitor ")).expect("a janitor");
    signal(*janitor.0, libc::SIGKILL);
    dev.child.kill().unwrap();
    ended(&mut dev.child).await;
    let mut next = start(&["--agents", "2"], Some(kept.path())).await;
    // The agents are who they were, and so is the service: it is started anew.
    assert_eq!(next.agents, dev.agents);
    let tasks = next.http.settled("/web", 2).await;
    for task in &tasks {
        let page = async || reqwest::get(format!("http://127.0.0.1:{}/", task.ports[0])).await;
        until("it is reached", async || page().await.map(drop).map_err(|error| error.to_string())).await;
    }
    signal(next.child.id(), libc::SIGTERM);
    assert!(ended(&mut next.child).await.success());
    assert_eq!(next.remains(), [""; 0]);
    ports.iter().try_for_each(|port| is_refused(*port)).unwrap();
}

#[tokio::test]
async fn one_of_two_clusters_ends_and_the_other_keeps_its_networks() {
    if !on_a_machine_of_its_own() {
        return;
    }
    for how in [libc::SIGTERM, libc::SIGKILL] {
        let (mut ends, mut stays) =
            (start(&["--agents", "2"], None).await, start(&["--agents", "2"], None).await);
        let Some((ports, _)) = ends.bridged().await else { return };
        let Some((kept_ports, _)) = stays.bridged().await else { return };
        // Spare shims come and go.
        let lasting = |dev: &Dev| -> Vec<String> {
            dev.remains().into_iter().filter(|one| !one.contains(" --nursery ")).collect()
        };
        let before = lasting(&stays);
        signal(ends.child.id(), how);
        ended(&mut ends.child).await;
        ends.nothing_remains().await;
        ports.iter().try_for_each(|port| is_refused(*port)).unwrap();
        assert_eq!(lasting(&stays), before);
        for port in kept_ports {
            let page = reqwest::get(format!("http://127.0.0.1:{port}/")).await.unwrap().text().await.unwrap();
            assert!(page.contains("/web"), "{page}");
        }
        signal(stays.child.id(), libc::SIGTERM);
        assert!(ended(&mut stays.child).await.success());
        assert_eq!(stays.remains(), [""; 0]);
    }
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

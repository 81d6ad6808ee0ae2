//! Real clusters for tests: the real binary on free ports under a temporary directory, gone when the test ends, also when
//! it is killed. Waiting means asking again until it is so, with generous bounds; the time it takes is no assertion.

#![expect(dead_code, reason = "each test program uses its own part of it")]

use hansa_api::hansa::{Node, Nodes, Service, Task, Tasks};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program under test.
pub const HANSA: &str = env!("CARGO_BIN_EXE_hansa");

/// Longer than anything takes on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// A range of ports for tasks that no other cluster of this test program uses.
pub fn task_ports() -> (u16, u16) {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed) % 40;
    let low = 20_000 + (std::process::id() % 12) as u16 * 800 + number % 8 * 100;
    (low, low + 99)
}

/// A command of the program, ended by the kernel should the test die.
pub fn hansa() -> Command {
    let mut command = Command::new(HANSA);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HANSA_") {
            command.env_remove(name);
        }
    }
    // SAFETY: between fork and exec only a system call is made.
    unsafe {
        command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    command
}

/// Sends a signal.
pub fn signal(pid: u32, signal: libc::c_int) {
    let pid = libc::pid_t::try_from(pid).expect("a process id");
    // SAFETY: no memory is passed.
    unsafe { libc::kill(pid, signal) };
}

/// Waits until a child has ended; panics if it does not within the patience.
pub async fn ended(child: &mut Child) -> std::process::ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("our own child") {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "process {} does not end", child.id());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks again and again until the answer is Ok; panics with the last refusal if that takes too long.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(refusal) => assert!(begun.elapsed() < PATIENCE, "waiting until {what}: {refusal}"),
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// `Ok` if the condition holds, else what there is instead.
pub fn so(condition: bool, instead: impl std::fmt::Debug) -> Result<(), String> {
    if condition { Ok(()) } else { Err(format!("{instead:?}")) }
}

/// Processes whose environment has this entry, by its value: the tasks of a cluster, as the kernel sees them.
pub fn processes_with(entry: &str) -> BTreeMap<u32, String> {
    let prefix = format!("{entry}=");
    let mut found = BTreeMap::new();
    for directory in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = directory.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let environ = std::fs::read(directory.path().join("environ")).unwrap_or_default();
        let value = environ.split(|&byte| byte == 0).find_map(|one| {
            std::str::from_utf8(one).ok().and_then(|one| one.strip_prefix(&prefix)).map(str::to_owned)
        });
        if let Some(value) = value {
            found.insert(pid, value);
        }
    }
    found
}

/// Processes that were started with a path below `directory` on their command line, with that command line.
pub fn processes_below(directory: &Path) -> BTreeMap<u32, String> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&*directory.to_string_lossy()) {
            found.insert(pid, line);
        }
    }
    found
}

/// Whether a command line is one of a shim with a container, or of its container's first process.
fn is_shim(line: &str) -> bool {
    line.contains(" shim ") && !line.contains(" --nursery ")
}

/// A process's parent.
pub fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which ends with the last parenthesis: the state, the parent.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Cgroups of the agents with these ids that exist.
pub fn cgroups_of(agents: &[String]) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mounts =
        mounts.lines().filter(|line| line.contains(" - cgroup")).filter_map(|line| line.split(' ').nth(4));
    mounts
        .flat_map(|mount| agents.iter().map(move |agent| Path::new(mount).join("hansa").join(agent)))
        .filter(|directory| directory.exists())
        .collect()
}

/// A master's HTTP surface.
pub struct Http {
    /// Such as `http://127.0.0.1:8080`.
    pub base: String,
    client: reqwest::Client,
}

impl Http {
    /// A client of the master on a port of this machine.
    pub fn new(port: u16) -> Self {
        Self { base: format!("http://127.0.0.1:{port}"), client: reqwest::Client::new() }
    }

    /// GETs and reads; an error in words for `until`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, String> {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    /// Sends a body.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, String> {
        self.send(self.client.put(format!("{}{path}", self.base)).json(body)).await
    }

    /// POSTs a body.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, String> {
        self.send(self.client.post(format!("{}{path}", self.base)).json(body)).await
    }

    async fn send<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, String> {
        let response =
            request.timeout(Duration::from_secs(20)).send().await.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let text = response.text().await.map_err(|error| error.to_string())?;
        if !status.is_success() {
            return Err(format!("{status}: {text}"));
        }
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
    }

    /// A raw GET: status and text.
    pub async fn text(&self, path: &str) -> Result<String, String> {
        let response = self
            .client
            .get(format!("{}{path}", self.base))
            .send()
            .await
            .map_err(|error| error.to_string())?;
        response.text().await.map_err(|error| error.to_string())
    }

    /// All machines.
    pub async fn nodes(&self) -> Result<Vec<Node>, String> {
        self.get::<Nodes>("/hansa/v1/nodes").await.map(|nodes| nodes.nodes)
    }

    /// One service.
    pub async fn service(&self, id: &str) -> Result<Service, String> {
        self.get(&format!("/hansa/v1/services{id}")).await
    }

    /// The tasks of one service.
    pub async fn tasks(&self, app: &str) -> Result<Vec<Task>, String> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let page: Tasks = self.get(&format!("/hansa/v1/tasks?app={app}&limit=1000{after}")).await?;
            all.extend(page.tasks);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(all),
            }
        }
    }

    /// The tasks of a service that run.
    pub async fn running(&self, app: &str) -> Result<Vec<Task>, String> {
        let tasks = self.tasks(app).await?;
        Ok(tasks.into_iter().filter(|task| task.state == hansa_model::task::TaskState::Running).collect())
    }

    /// Waits until just so many tasks of a service run and no deployment is under way.
    pub async fn settled(&self, app: &str, instances: usize) -> Vec<Task> {
        until(&format!("{app} has {instances} running tasks and nothing else"), async || {
            let deployments: Vec<Value> = self.get("/v2/deployments").await?;
            so(deployments.is_empty(), &deployments)?;
            let (all, running) = (self.tasks(app).await?, self.running(app).await?);
            so(
                running.len() == instances
                    && all.iter().all(|task| task.state.is_terminal() || running.contains(task)),
                &all,
            )?;
            Ok(running)
        })
        .await
    }
}

/// One agent of a [`Cluster`].
pub struct Agent {
    /// Its name in the cluster.
    pub name: String,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// The first of the ports that it offers.
    pub first_port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

/// A master and agents, started as anybody would start them.
pub struct Cluster {
    /// The master over HTTP.
    pub http: Http,
    /// Everything is below it; it goes with the cluster.
    pub directory: PathBuf,
    /// The agents, by number.
    pub agents: Vec<Agent>,
    master: Option<Child>,
    port: u16,
    janitor: Child,
}

impl Cluster {
    /// Starts a master and so many agents, and waits until all have joined.
    pub async fn start(agents: usize) -> Self {
        Self::start_with(agents, &[]).await
    }

    /// The same with more arguments for every agent; they stand in place of usual ones of the same name.
    pub async fn start_with(agents: usize, more: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("hansa-test-").tempdir().expect("a directory").keep();
        let directory = directory.canonicalize().expect("it is there");
        let mut janitor = Command::new(HANSA);
        janitor.arg("dev-janitor").arg("--remove").arg("--data-dir").arg(&directory);
        // The test holds the other end of its stdin: when the test ends, in whatever way, the janitor cleans up.
        janitor.stdin(Stdio::piped()).process_group(0);
        let janitor = janitor.spawn().expect("the janitor");
        let port = free_port();
        let (low, high) = task_ports();
        let share = (high - low + 1) / agents.max(1) as u16;
        let describe = |number: usize| {
            let name = format!("node{}", number + 1);
            let data_dir = directory.join(&name);
            let first = low + share * number as u16;
            let arguments = [
                ("--master", format!("http://127.0.0.1:{port}")),
                ("--data-dir", data_dir.display().to_string()),
                ("--hostname", name.clone()),
                ("--listen", "127.0.0.1:0".into()),
                ("--resources", format!("cpus:8;mem:8192;disk:10000;ports:[{first}-{}]", first + share - 1)),
                ("--stop-deadline", "10s".into()),
            ];
            let usual = arguments.into_iter().filter(|(name, _)| !more.contains(name));
            let arguments = usual.flat_map(|(name, value)| [name.to_owned(), value]);
            let arguments = arguments.chain(more.iter().map(|&word| word.to_owned())).collect();
            Agent { name, data_dir, first_port: first, arguments, child: None }
        };
        let agents: Vec<Agent> = (0..agents).map(describe).collect();
        let mut cluster = Self { http: Http::new(port), directory, agents, master: None, port, janitor };
        cluster.start_master();
        for number in 0..cluster.agents.len() {
            cluster.start_agent(number);
        }
        cluster.all_active().await;
        cluster
    }

    fn log(&self, name: &str) -> Stdio {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(self.directory.join(name));
        file.expect("a log file").into()
    }

    /// Where the master keeps what is durable.
    pub fn store(&self) -> PathBuf {
        self.directory.join("master")
    }

    /// Starts the master (again).
    pub fn start_master(&mut self) {
        let mut command = hansa();
        command
            .args(["master", "--listen", &format!("127.0.0.1:{}", self.port), "--data-dir"])
            .arg(self.store());
        self.master = Some(command.stderr(self.log("master.log")).spawn().expect("the master"));
    }

    /// Kills the master without a word.
    pub async fn kill_master(&mut self) {
        let mut child = self.master.take().expect("a running master");
        child.kill().expect("our own child");
        ended(&mut child).await;
    }

    /// Gives an agent one more argument from its next start on.
    pub fn add_argument(&mut self, number: usize, argument: &str) {
        self.agents[number].arguments.push(argument.to_owned());
    }

    /// Takes an argument with its value away from an agent, from its next start on.
    pub fn drop_argument(&mut self, number: usize, argument: &str) {
        let arguments = &mut self.agents[number].arguments;
        if let Some(at) = arguments.iter().position(|one| one == argument) {
            arguments.drain(at..at + 2);
        }
    }

    /// Starts an agent (again).
    pub fn start_agent(&mut self, number: usize) {
        let mut command = hansa();
        command.arg("agent").args(&self.agents[number].arguments);
        let log = self.log(&format!("{}.log", self.agents[number].name));
        self.agents[number].child = Some(command.stderr(log).spawn().expect("an agent"));
    }

    /// Kills an agent's process and nothing else.
    pub async fn kill_agent(&mut self, number: usize) {
        let mut child = self.agents[number].child.take().expect("a running agent");
        child.kill().expect("our own child");
        ended(&mut child).await;
    }

    /// Tells an agent to stop and waits until it has.
    pub async fn stop_agent(&mut self, number: usize) {
        let mut child = self.agents[number].child.take().expect("a running agent");
        signal(child.id(), libc::SIGTERM);
        ended(&mut child).await;
    }

    /// Kills an agent, its shims and its tasks, all at once: as if the machine had lost its power.
    pub async fn kill_machine(&mut self, number: usize) {
        self.kill_agent(number).await;
        for pid in self.shims(number) {
            signal(pid, libc::SIGKILL);
        }
        let sandboxes = self.agents[number].data_dir.clone();
        for (pid, sandbox) in processes_with("MESOS_SANDBOX") {
            if Path::new(&sandbox).starts_with(&sandboxes) {
                signal(pid, libc::SIGKILL);
            }
        }
    }

    /// The shims of one agent's containers. Not the containers' first processes, which are the shims' children, and not
    /// those that wait for work.
    pub fn shims(&self, number: usize) -> Vec<u32> {
        let all = processes_below(&self.agents[number].data_dir);
        let shims: Vec<u32> = all.into_iter().filter(|(_, line)| is_shim(line)).map(|(pid, _)| pid).collect();
        shims
            .iter()
            .copied()
            .filter(|pid| parent(*pid).is_none_or(|parent| !shims.contains(&parent)))
            .collect()
    }

    /// Waits until every agent has joined and takes work.
    pub async fn all_active(&self) {
        until("all agents have joined", async || {
            let nodes = self.http.nodes().await?;
            let active =
                nodes.iter().filter(|node| node.state == hansa_model::event::AgentState::Active).count();
            so(active == self.agents.len(), nodes)
        })
        .await;
    }

    /// The tasks' processes as the kernel sees them: process id and task id.
    pub fn processes(&self) -> BTreeMap<u32, String> {
        let sandboxes = processes_with("MESOS_SANDBOX");
        let tasks = processes_with("MESOS_TASK_ID");
        let ours = |pid: &u32| {
            sandboxes.get(pid).is_some_and(|sandbox| Path::new(sandbox).starts_with(&self.directory))
        };
        tasks.into_iter().filter(|(pid, _)| ours(pid)).collect()
    }

    /// A file outside of every sandbox that tasks write their starts to.
    pub fn journal(&self) -> Journal {
        Journal { path: self.directory.join("starts") }
    }

    /// Runs a client command.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = hansa();
        command.args(["--master", &self.http.base]).args(arguments);
        command.output().expect("the program runs")
    }

    /// Runs a client command that must succeed and prints JSON.
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(&[&["--output", "json"], arguments].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {out}"))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["master.log", "node1.log", "node2.log", "node3.log"] {
                let text = std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                eprintln!("--- {name}\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
            }
        }
        for child in
            self.agents.iter_mut().filter_map(|agent| agent.child.as_mut()).chain(self.master.as_mut())
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        // The janitor sees its stdin end, ends the shims and removes the directory.
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// What tasks wrote when they started: a line for each start, whoever started it.
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// A command that writes its start and then sleeps until it is told to end.
    pub fn sleeper(&self) -> String {
        format!("echo \"$MESOS_TASK_ID $$\" >> {}; exec sleep 100000", self.path.display())
    }

    /// Every start so far: the task's id, in the order of the starts.
    pub fn starts(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }

    /// Panics if any task was started twice. Returns how many were started.
    pub fn nothing_ran_twice(&self) -> usize {
        let starts = self.starts();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for id in &starts {
            *counts.entry(id).or_default() += 1;
        }
        counts.retain(|_, count| *count > 1);
        assert!(counts.is_empty(), "started twice: {counts:?}");
        starts.len()
    }
}

/// A service without ports that runs `command`.
pub fn app(id: &str, command: &str, instances: u32) -> Value {
    json!({ "id": id, "cmd": command, "cpus": 0.01, "mem": 32, "instances": instances, "portDefinitions": [] })
}

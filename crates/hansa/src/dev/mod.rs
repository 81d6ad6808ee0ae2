//! `hansa dev`: a whole cluster on one machine, one process each for the master and every agent, and nothing of it left
//! when this process ends, however it ends.
//!
//! - An ordinary end (Ctrl-C, SIGTERM): the processes are told to stop, [`sweep`] ends what remains and proves it.
//! - SIGKILL: the kernel kills master and agents ([`process`]), the [`janitor`] sweeps; and should it be dead too, the
//!   shims' stop deadline ends every task.
//!
//! Not here: what a master or an agent does. They are started as anybody would start them.

pub mod demo;
pub mod directory;
pub mod janitor;
pub mod process;
pub mod shares;
pub mod sweep;

use crate::client::Client;
use crate::config::Span;
use crate::failure::{Exit, Failure};
use crate::follow::Progress;
use crate::output::note;
use crate::serve::{address, stop_signal};
use crate::text;
use clap::Args;
use directory::Directory;
use hansa_api::hansa::{Node, Nodes};
use hansa_model::event::AgentState;
use janitor::Janitor;
use process::Process;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shares::Machine;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Settings of `hansa dev`.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DevArgs {
    /// Deploy a small web service and a worker, and wait until they are healthy
    #[arg(long, env = "HANSA_DEV_DEMO", hide_env_values = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub demo: Option<bool>,
    /// How many agents [default: 3]
    #[arg(long, env = "HANSA_DEV_AGENTS", hide_env_values = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub agents: Option<u16>,
    /// Where the master listens [default: 127.0.0.1:8080]
    #[arg(long, env = "HANSA_DEV_LISTEN", hide_env_values = true, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Keep the cluster here, and find it again at the next start [default: a temporary directory]
    #[arg(long, env = "HANSA_DEV_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The host ports that tasks get, dealt to the agents [default: 31000-32000]
    #[arg(long, env = "HANSA_DEV_PORTS", hide_env_values = true, value_name = "LOW-HIGH")]
    pub ports: Option<String>,
    /// After this time without their agent and master, tasks end by themselves [default: 10s]
    #[arg(long, env = "HANSA_DEV_STOP_DEADLINE", hide_env_values = true, value_name = "TIME")]
    pub stop_deadline: Option<Span>,
    /// Listen on other addresses than loopback although there is no login yet
    #[arg(long, env = "HANSA_DEV_INSECURE", hide_env_values = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub insecure: Option<bool>,
    /// An origin whose web pages may use the API from a browser, such as `https://board.example`. May be repeated
    #[arg(
        long,
        env = "HANSA_DEV_CORS_ORIGIN",
        hide_env_values = true,
        value_name = "URL",
        value_delimiter = ','
    )]
    pub cors_origin: Option<Vec<String>>,
}

/// How long master and agents have to stop by themselves. With all that follows less than ten seconds.
const GRACE: Duration = Duration::from_secs(3);

/// How long tasks have between SIGTERM and SIGKILL.
const TASKS_GRACE: Duration = Duration::from_secs(2);

/// Runs the cluster until it is told to stop.
pub async fn run(args: DevArgs) -> Result<(), Failure> {
    let listen = choose_address(args.listen.as_deref().unwrap_or("127.0.0.1:8080"))?;
    crate::serve::origins(args.cors_origin.as_deref().unwrap_or_default())?;
    let ports = parse_ports(args.ports.as_deref().unwrap_or("31000-32000"))?;
    let directory = Directory::open(args.data_dir.as_deref())?;
    let janitor = Janitor::start(&directory.path, directory.temporary)?;
    let mut cluster = Cluster::new(&args, listen, ports, &directory.path);
    let outcome = cluster.run(args.demo.unwrap_or(false)).await;
    let left = cluster.stop().await;
    if directory.temporary {
        directory::remove_all(&directory.path);
    }
    janitor.dismiss();
    outcome?;
    if left.is_empty() {
        note("the cluster has ended, nothing is left of it");
        Ok(())
    } else {
        Err(Failure::new(Exit::Failed, format!("something is left of the cluster: {}", left.join(", "))))
    }
}

/// The address to listen on, with a real port; an error if it is taken.
fn choose_address(text: &str) -> Result<SocketAddr, Failure> {
    let asked = address(text, 8080)?;
    let probe = TcpListener::bind(asked).and_then(|listener| listener.local_addr());
    probe.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => Failure::new(
            Exit::Conflict,
            format!(
                "port {} is in use by another process; --listen {}:PORT chooses another",
                asked.port(),
                asked.ip()
            ),
        ),
        _ => Failure::new(Exit::Failed, format!("cannot listen on {asked}: {error}")),
    })
}

fn parse_ports(text: &str) -> Result<(u16, u16), Failure> {
    let parts = text.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
    match parts {
        Some((low, high)) if 0 < low && low <= high => Ok((low, high)),
        _ => Err(Failure::new(Exit::Usage, format!("'{text}' is not a range of ports"))
            .remedy("--ports 31000-32000")),
    }
}

/// The processes and what is known about them.
struct Cluster {
    listen: SocketAddr,
    data_dir: PathBuf,
    agents: u16,
    excess: Option<String>,
    /// The master first.
    processes: Vec<Process>,
}

impl Cluster {
    fn new(args: &DevArgs, listen: SocketAddr, ports: (u16, u16), data_dir: &Path) -> Self {
        let agents = args.agents.unwrap_or(3);
        let machine = Machine::here(data_dir);
        let shares = shares::deal(machine, agents, ports);
        let excess = shares::excess(machine, &shares);
        let inside = |name: &str| data_dir.join(name);
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let insecure = args.insecure == Some(true);
        let deadline = args.stop_deadline.unwrap_or(Span(Duration::from_secs(10)));
        let mut master = vec!["master".to_owned(), "--listen".into(), listen.to_string()];
        master.extend(["--data-dir".into(), text(inside("master"))]);
        master.extend(insecure.then(|| "--insecure".into()));
        let origins = args.cors_origin.iter().flatten();
        master.extend(origins.flat_map(|origin| ["--cors-origin".to_owned(), origin.clone()]));
        let mut processes = vec![Process::new("master", master, inside("master.log"))];
        for (number, share) in (1..).zip(&shares) {
            let name = format!("node{number}");
            let settings = [
                ("master", format!("http://{}", reachable(listen))),
                ("data-dir", text(inside(&name))),
                ("hostname", name.clone()),
                ("listen", "127.0.0.1:0".into()),
                ("resources", share.to_string()),
                ("attributes", format!("rack:r{number}")),
                ("stop-deadline", deadline.to_string()),
            ];
            let mut agent = vec!["agent".to_owned()];
            agent.extend(settings.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]));
            // Whoever reaches these agents reaches their master too, and can run what he likes through it.
            agent.push("--allow-exec".into());
            processes.push(Process::new(&name, agent, inside(&format!("{name}.log"))));
        }
        Self { listen, data_dir: data_dir.to_owned(), agents, excess, processes }
    }

    /// Starts everything, says what there is, and stays until a signal comes.
    async fn run(&mut self, with_demo: bool) -> Result<(), Failure> {
        let started = Instant::now();
        for process in &mut self.processes {
            process.start()?;
        }
        let client = Client::new(&format!("http://{}", reachable(self.listen)))?;
        let progress = Progress::new();
        let wanted = usize::from(self.agents);
        let stop = stop_signal()?;
        tokio::pin!(stop);
        let bring_up = async {
            progress.say("starting the master".into());
            await_master(&client).await;
            let nodes = await_nodes(&client, wanted, &progress).await;
            let demo = if with_demo { Some(demo::deploy(&client, &progress).await?) } else { None };
            progress.clear();
            Ok::<_, Failure>((nodes, demo))
        };
        let (nodes, demo) = tokio::select! {
            done = bring_up => done?,
            // Whatever ends within the first seconds without ever having worked will not work the next time either.
            failure = watch(&mut self.processes, true) => return Err(failure),
            () = &mut stop => return Ok(()),
        };
        self.introduce(&nodes, started);
        if let Some(demo) = demo {
            crate::output::write_stdout(&demo.summary(client.address()))?;
        }
        note("\nCtrl-C ends the cluster and everything in it.");
        tokio::select! {
            failure = watch(&mut self.processes, false) => Err(failure),
            () = &mut stop => Ok(()),
        }
    }

    fn introduce(&self, nodes: &[Node], started: Instant) {
        let seconds = started.elapsed().as_millis();
        note(&format!(
            "Hansa is up after {}.{} s: {} on this machine.",
            seconds / 1000,
            seconds % 1000 / 100,
            text::count(nodes.len() as u64, "agent")
        ));
        note(&format!("Console and API: http://{}", reachable(self.listen)));
        note(&format!("Logs: {}/*.log", self.data_dir.display()));
        if let Some(excess) = &self.excess {
            note(&format!("Note: {excess}."));
        }
        let mut missing: Vec<&String> = nodes.iter().flat_map(|node| &node.missing_isolation).collect();
        missing.sort();
        missing.dedup();
        for missing in missing {
            note(&format!("Less isolated: {missing}."));
        }
    }

    /// Ends everything. Returns what could not be ended.
    async fn stop(&mut self) -> sweep::Leftovers {
        let progress = Progress::new();
        progress.say("ending the cluster".into());
        // Master and agents first: they must not replace, or report as failed, what ends now.
        for process in &self.processes {
            process.signal(libc::SIGTERM);
        }
        let all_ended = async {
            for process in &mut self.processes {
                if process.pid().is_some() {
                    process.ended().await;
                }
            }
        };
        let _ = tokio::time::timeout(GRACE, all_ended).await;
        let _ = tokio::time::timeout(
            TASKS_GRACE + Duration::from_secs(1),
            sweep::ask_tasks_to_end(&self.data_dir),
        )
        .await;
        for process in &self.processes {
            process.signal(libc::SIGKILL);
        }
        for process in &mut self.processes {
            if process.pid().is_some() {
                process.ended().await;
            }
        }
        sweep::sweep(&self.data_dir, Duration::from_secs(3))
    }
}

/// The address under which a client on this machine finds a listener.
fn reachable(listen: SocketAddr) -> SocketAddr {
    match listen {
        SocketAddr::V4(address) if address.ip().is_unspecified() => ([127, 0, 0, 1], address.port()).into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, address.port()).into()
        }
        other => other,
    }
}

/// Starts processes again when they end. Returns only with a failure: of one that does not get going at the start.
async fn watch(processes: &mut [Process], starting: bool) -> Failure {
    loop {
        let ended = {
            let ends = processes.iter_mut().enumerate().map(|(at, process)| {
                Box::pin(async move {
                    let status = process.ended().await;
                    (at, status)
                })
            });
            first_of(ends.collect()).await
        };
        let (at, status) = ended;
        let process = &mut processes[at];
        // Who is killed gets another chance; who gives up by itself would give up again.
        if starting && status.code().is_some() {
            return Failure::new(
                Exit::Failed,
                format!("{} ended at its start ({status}): {}", process.name, process.last_words()),
            );
        }
        note(&format!("{} ended ({status}), starting it again", process.name));
        tokio::time::sleep(process.delay()).await;
        if let Err(failure) = process.start() {
            return failure;
        }
    }
}

/// The first of several futures to be ready.
async fn first_of<T>(mut futures: Vec<std::pin::Pin<Box<impl Future<Output = T>>>>) -> T {
    std::future::poll_fn(|context| {
        for future in &mut futures {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                return std::task::Poll::Ready(value);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

async fn await_master(client: &Client) {
    while client.get::<Value>("/hansa/v1/cluster", &[]).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn await_nodes(client: &Client, wanted: usize, progress: &Progress) -> Vec<Node> {
    loop {
        if let Ok(Nodes { nodes, .. }) = client.get("/hansa/v1/nodes", &[]).await {
            let active = nodes.iter().filter(|node| node.state == AgentState::Active).count();
            if active >= wanted {
                return nodes;
            }
            progress.say(format!("{active} of {} have joined", text::count(wanted as u64, "agent")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_one_clear_line() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let failure = choose_address(&address.to_string()).unwrap_err();
        assert_eq!(failure.exit, Exit::Conflict);
        assert_eq!(
            failure.to_string(),
            format!(
                "port {} is in use by another process; --listen 127.0.0.1:PORT chooses another",
                address.port()
            )
        );
        drop(taken);
        assert_eq!(choose_address(&address.to_string()), Ok(address));
        assert_ne!(choose_address("127.0.0.1:0").unwrap().port(), 0);
    }

    #[test]
    fn agents_are_told_their_shares() {
        let args = DevArgs { agents: Some(2), ..DevArgs::default() };
        let cluster = Cluster::new(&args, ([0, 0, 0, 0], 81).into(), (31000, 31009), Path::new("/d"));
        assert_eq!(cluster.processes.len(), 3);
        assert_eq!(reachable(cluster.listen).to_string(), "127.0.0.1:81");
    }

    #[test]
    fn ranges_of_ports_are_checked() {
        assert_eq!(parse_ports("31000-31009"), Ok((31000, 31009)));
        for wrong in ["31000", "5-1", "0-5", "a-b", "1-70000"] {
            assert_eq!(parse_ports(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }
}

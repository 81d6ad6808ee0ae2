//! Start, loop and stop of an agent.
//!
//! The loop takes what events there are, hands each to the core, writes the core's records to the journal in one go, and
//! performs the rest. It never waits for anything but the next event: whatever takes time is a task that reports back.

use crate::cgroup::Driver;
use crate::clock::Clock;
use crate::containers::{Containers, Place};
use crate::data_dir::{self, DataDir};
use crate::disks;
use crate::executors::{ExecutorStream, Streams};
use crate::fetch::Fetcher;
use crate::http;
use crate::journal::Journal;
use crate::link::Stream;
use crate::machine::{self, Meter};
use crate::metering::Metering;
use crate::network::{self, Network};
use crate::options::Options;
use crate::prepare::HeldImages;
use crate::probe;
use crate::secrets::Secrets;
use crate::shim::{self, Client};
use crate::volumes;
use anyhow::{Context, Result, bail};
use hansa_images::Images;
use hansa_images::web::Trust;
use hansa_mesos::logging::Verbosity;
use hansa_model::agent::Usage;
use hansa_model::framework::DiskSource;
use hansa_model::{InstanceId, RoleName, TaskId, Timestamp};
use hansa_node::env::CONTAINER_IP;
use hansa_node::{Config, ExecutorUpdate, Input, Node, Output, ProbeOrder, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// Events taken at once before the journal is written: bounds how long the first of them waits.
const BATCH: usize = 256;

/// What an agent that stops on purpose announces.
const RETURNS_IN_MS: u64 = 60_000;

/// Everything that may happen to the loop.
pub(crate) enum Event {
    /// For the core.
    Node(Input),
    /// A shim has started its container.
    Spawned {
        /// Whose.
        instance: InstanceId,
        /// The connection to it.
        client: Client,
        /// Its own addresses, if it has any besides the machine's.
        addresses: Vec<String>,
    },
    /// An executor of a framework has opened a stream.
    Subscribed(Box<Subscription>),
    /// Somebody wants to look at the loop's state.
    Ask(Box<dyn FnOnce(&Shell) + Send>),
}

/// What an executor of a framework says when it opens a stream.
pub(crate) struct Subscription {
    /// Its container.
    pub(crate) container: InstanceId,
    /// The stream.
    pub(crate) stream: ExecutorStream,
    /// Tasks that it has and of which no update was acknowledged to it.
    pub(crate) tasks: Vec<String>,
    /// Updates that were not acknowledged to it.
    pub(crate) updates: Vec<ExecutorUpdate>,
}

/// An agent that holds its data directory and its port, and is about to run.
pub struct Agent {
    shell: Shell,
    events: mpsc::Receiver<Event>,
    listener: TcpListener,
    address: SocketAddr,
    first: Vec<Output>,
    loopback_only: bool,
    allow_exec: bool,
    verbosity: Option<Verbosity>,
    /// Held as long as the agent runs.
    _machine: Option<File>,
}

/// The loop's state.
pub(crate) struct Shell {
    pub(crate) node: Node,
    pub(crate) metering: Metering,
    pub(crate) clock: Clock,
    pub(crate) data_dir: DataDir,
    images: Arc<HeldImages>,
    pub(crate) containers: Containers,
    pub(crate) driver: Option<Driver>,
    journal: Journal,
    meter: Meter,
    stream: Option<Stream>,
    executors: Streams,
    pub(crate) master: String,
    /// When this process began.
    pub(crate) started_at: Timestamp,
    sender: mpsc::Sender<Event>,
}

/// Runs an agent until `shutdown` resolves. Its tasks run on.
///
/// # Errors
/// It cannot start ([`Agent::prepare`]), or its journal cannot be written any more.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<()> {
    Agent::prepare(options).await?.run(shutdown).await
}

impl Agent {
    /// Takes the data directory and the port, reads the journal and finds the containers that still run.
    ///
    /// # Errors
    /// In words for whoever started it: the directory or the port is in use or cannot be used, the machine already has an
    /// agent that shares nothing, the address would need a login that does not exist yet.
    pub async fn prepare(options: Options) -> Result<Self> {
        let loopback_only = options.listen.ip().is_loopback();
        if !loopback_only && !options.insecure {
            bail!(
                "{} is reachable from other machines, and there is no login yet: use --insecure to open it all the same",
                options.listen
            );
        }
        let data_dir = DataDir::open(&options.data_dir)?;
        let machine = data_dir::claim_machine(options.machine_lock.as_deref(), options.resources.is_none())?;
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("cannot listen on {}", options.listen))?;
        let address = listener.local_addr()?;
        let clock = Clock::start();
        let detected = Driver::detect();
        let network = Network::start(network::Settings {
            agent: data_dir.agent_id()?.to_string(),
            data_dir: data_dir.root().to_owned(),
            subnet: options.bridge_subnet,
        });
        let missing = detected.missing.into_iter().chain(crate::launcher::missing_isolation());
        let missing = missing.chain(network.missing().map(str::to_owned)).collect();
        let config = config(&options, &data_dir, address, missing)?;
        let (journal, saved) = Journal::open(&data_dir.journal())?;
        let (sender, events) = mpsc::channel(BATCH);
        let trust = Trust::with_files(&options.ca_files).context("--ca-file")?;
        let images = Arc::new(HeldImages::new(open_images(&options, &data_dir, trust.clone())?));
        let secrets = Secrets::open(options.secrets_dir.as_deref())?;
        let private =
            std::iter::once(data_dir.root()).chain(secrets.dir()).map(std::path::Path::to_owned).collect();
        let place = Place {
            agent: config.agent.to_string(),
            runtime: data_dir.runtime(),
            spares: data_dir.spares(),
            data_dir: data_dir.root().to_owned(),
            deadline: options.stop_deadline.map(|_| data_dir.deadline()),
            program: match options.shim_program {
                Some(program) => program,
                None => std::env::current_exe().context("cannot find the running program")?,
            },
            clock,
            fetcher: Fetcher::open(&data_dir.fetched(), private, trust)
                .context("cannot make the fetcher's directory")?,
            secrets,
            sandboxes: data_dir.sandboxes(),
            images: images.clone(),
            network,
            leaving: Default::default(),
        };
        let mut containers = Containers::new(place, sender.clone());
        let found = containers.recover(&saved, detected.driver.as_ref()).await;
        tracing::info!(
            agent = %config.agent, hostname = %config.hostname, %address, resources = %config.resources,
            running = found.len(), "agent starts"
        );
        for missing in &config.missing_isolation {
            tracing::warn!("{missing}");
        }
        let (node, first) = Node::restore(config, saved, found, clock.now());
        let shell = Shell {
            node,
            metering: Metering::default(),
            clock,
            data_dir,
            images,
            containers,
            driver: detected.driver,
            journal,
            meter: Meter::default(),
            stream: None,
            executors: Streams::default(),
            master: options.master,
            started_at: clock.now(),
            sender,
        };
        Ok(Self {
            shell,
            events,
            listener,
            address,
            first,
            loopback_only,
            allow_exec: options.allow_exec,
            verbosity: options.verbosity,
            _machine: machine,
        })
    }

    /// Where its HTTP listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs until `shutdown` resolves. Its tasks run on.
    ///
    /// # Errors
    /// The journal cannot be written: an agent that cannot remember must not act.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Self {
            mut shell,
            mut events,
            listener,
            first,
            loopback_only,
            allow_exec,
            verbosity,
            _machine,
            ..
        } = self;
        shell.sweep_sandboxes();
        let _relief = relieve_disk(shell.images.clone());
        shell.perform(first)?;
        let router = http::router(
            shell.sender.clone(),
            shell.data_dir.sandboxes(),
            shell.images.clone(),
            loopback_only,
            allow_exec,
            verbosity,
        );
        let served = http::serve(listener, router);
        tokio::pin!(shutdown, served);
        loop {
            let wait = shell.node.next_deadline().map(|at| shell.clock.until(at));
            let due = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            let first = tokio::select! {
                biased;
                () = &mut shutdown => break,
                event = events.recv() => event,
                () = due => Some(Event::Node(Input::Tick)),
                () = &mut served => bail!("the HTTP server ended"),
            };
            let mut outputs = Vec::new();
            let mut next = first;
            let mut taken = 0;
            while let Some(event) = next {
                shell.take(event, &mut outputs);
                taken += 1;
                next = if taken < BATCH { events.try_recv().ok() } else { None };
            }
            shell.perform(outputs)?;
        }
        shell.leave().await
    }
}

fn config(
    options: &Options,
    data_dir: &DataDir,
    address: SocketAddr,
    missing_isolation: Vec<String>,
) -> Result<Config> {
    let hostname = options.hostname.clone().unwrap_or_else(machine::hostname);
    let mut config = Config::new(data_dir.agent_id()?, data_dir::boot_id()?, hostname);
    let ip = machine::address(address.ip(), &options.master);
    config.address = SocketAddr::new(ip, address.port()).to_string();
    config.ip = ip.to_string();
    config.resources = options.resources.clone().unwrap_or_else(|| machine::whole(data_dir.root()));
    disks::prepare(&options.parts, data_dir.root())?;
    config.parts.clone_from(&options.parts);
    config.attributes = options.attributes.clone();
    config.region = options.region.clone();
    config.zone = options.zone.clone();
    config.missing_isolation = missing_isolation;
    config.sandboxes =
        data_dir.sandboxes().to_str().context("the data directory's path is not text")?.to_owned();
    config.timing.stop_deadline_ms = options.stop_deadline.map(millis);
    config.keep_released_ms = millis(options.keep_sandboxes);
    config.executor_registration_ms = millis(options.executor_registration_timeout);
    config.executor_reregistration_ms = millis(options.executor_reregistration_timeout);
    config.executor_shutdown_grace_ms = millis(options.executor_shutdown_grace);
    config.recovery_timeout_ms = millis(options.recovery_timeout);
    Ok(config)
}

fn open_images(options: &Options, data_dir: &DataDir, trust: Trust) -> Result<Images> {
    let mut settings = hansa_images::Settings::new(data_dir.images());
    settings.insecure_registries.clone_from(&options.insecure_registries);
    settings.trust = trust;
    settings.docker_config.clone_from(&options.docker_config);
    settings.pull_timeout = options.pull_timeout;
    settings.high_percent = options.images_high_percent;
    settings.low_percent = options.images_low_percent;
    if let Some(path) = &options.docker_config {
        // It is read for every pull; what is wrong with it now is better told now.
        hansa_images::Logins::read(path).context("--docker-config")?;
    }
    Images::open(settings)
        .with_context(|| format!("cannot open the images in {}", data_dir.images().display()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Shell {
    fn take(&mut self, event: Event, outputs: &mut Vec<Output>) {
        match event {
            Event::Node(input) => outputs.extend(self.node.apply(self.clock.now(), input)),
            Event::Spawned { instance, client, addresses } => {
                self.containers.spawned(&instance, client);
                outputs.extend(self.node.apply(self.clock.now(), Input::Started { instance, addresses }));
            }
            Event::Subscribed(subscription) => {
                let Subscription { container, stream, tasks, updates } = *subscription;
                if !self.node.saved().executors().contains_key(&container) {
                    // It has ended meanwhile; so does its stream.
                    return;
                }
                let number = stream.number;
                self.executors.open(container.clone(), stream);
                let input = Input::ExecutorSubscribed { container, stream: number, tasks, updates };
                outputs.extend(self.node.apply(self.clock.now(), input));
            }
            Event::Ask(question) => question(self),
        }
    }

    /// Writes the records, then does everything else in order.
    fn perform(&mut self, outputs: Vec<Output>) -> Result<()> {
        let records = outputs.iter().filter_map(|output| match output {
            Output::Persist(record) => Some(record),
            _ => None,
        });
        self.journal.append(records)?;
        for output in outputs {
            self.perform_one(output);
        }
        if self.journal.is_bloated() {
            self.journal.rewrite(self.node.saved())?;
        }
        Ok(())
    }

    fn perform_one(&mut self, output: Output) {
        match output {
            Output::Persist(record) => log(&record),
            Output::StartGroup(plan) => self.containers.start(*plan),
            Output::StopGroup { instance, grace_ms } => {
                self.containers.stop(&instance, Duration::from_millis(grace_ms));
            }
            Output::KillGroup { instance } => self.containers.kill(&instance),
            Output::CleanUp { instance } => {
                self.executors.close(&instance, None);
                self.containers.clean_up(&instance);
            }
            Output::ResizeGroup { instance, limits } => {
                self.containers.resize(&instance, &limits, self.driver.as_ref());
            }
            Output::FurnishGroup { instance, has, loses } => self.containers.furnish(instance, has, loses),
            Output::ToExecutor { container, stream, event } => {
                let held = self.node.saved().executors().get(&container);
                self.executors.say(self.node.config(), held, &container, stream, event);
            }
            Output::RemoveVolume { role, id, source } => self.remove_volume(&role, &id, source.as_ref()),
            Output::RemoveSandbox { task } => self.remove_sandbox(&task),
            Output::RunProbe(order) => self.probe(*order),
            Output::SampleUsage => self.sample(),
            Output::ExtendDeadline { until } => {
                let path = self.data_dir.deadline();
                if let Err(error) = shim::write_deadline(&path, self.clock.boottime_of(until)) {
                    tracing::error!(path = %path.display(), %error, "cannot extend the stop deadline");
                }
            }
            Output::Open { stream } => {
                self.stream = Some(Stream::open(stream, &self.master, self.sender.clone()));
            }
            Output::Close { stream } => {
                self.stream.take_if(|open| open.number() == stream);
            }
            Output::Send { stream, message } => {
                if let Some(open) = self.stream.as_ref().filter(|open| open.number() == stream) {
                    open.send(message);
                }
            }
            Output::Warn(text) => tracing::warn!("{text}"),
        }
    }

    fn probe(&self, order: ProbeOrder) {
        let client = self.containers.client(&order.instance).cloned();
        let mut env: BTreeMap<String, String> = BTreeMap::new();
        if let Some((instance, index)) = self.node.task_in(&order.instance)
            && let Some(group) = self.node.saved().groups().get(&instance)
        {
            let status = group.statuses.get(index).and_then(Option::as_ref);
            let address = status.and_then(|status| status.addresses.first());
            env.extend(address.map(|address| (CONTAINER_IP.to_owned(), address.clone())));
            env.extend(hansa_node::env::environment(self.node.config(), &group.launch, index));
        }
        let events = self.sender.clone();
        tokio::spawn(async move {
            let outcome = probe::run(order.target, order.timeout_ms, client, env).await;
            let (instance, check, number) = (order.instance, order.check, order.number);
            let _ = events.send(Event::Node(Input::Probed { instance, check, number, outcome })).await;
        });
    }

    /// Measures, and hands the result to the core with the next events: not at once, since outputs are being performed.
    fn sample(&mut self) {
        let now = self.clock.now();
        let running = self.containers.running();
        let used = self.metering.sample(now, self.driver.as_ref(), running);
        self.metering.retain(|container| self.containers.client(container).is_some());
        let machine = self.meter.sample(self.data_dir.root());
        let events = self.sender.clone();
        let usage = Usage { used, machine, tasks: 0 };
        tokio::spawn(async move { events.send(Event::Node(Input::Sampled(usage))).await });
    }

    fn remove_volume(&self, role: &RoleName, id: &str, source: Option<&DiskSource>) {
        let Some(path) = volumes::directory(self.data_dir.root(), role, id, source) else { return };
        let shared = matches!(source, Some(DiskSource::Mount(_)));
        let (earlier, departure) = self.containers.removing(&path);
        tokio::spawn(async move {
            // Whoever still sees it could write to it meanwhile.
            earlier.over().await;
            let removed = tokio::task::spawn_blocking(move || {
                if !shared {
                    remove_tree(&path);
                    return None;
                }
                let swept = volumes::sweep_up(&path);
                swept
                    .inspect_err(
                        |error| tracing::error!(path = %path.display(), %error, "cannot empty a disk"),
                    )
                    .ok()
            });
            let rubbish = removed.await.ok().flatten();
            // From here on others may have its place.
            drop(departure);
            if let Some(rubbish) = rubbish {
                tokio::task::spawn_blocking(move || remove_tree(&rubbish));
            }
        });
    }

    fn remove_sandbox(&self, task: &TaskId) {
        if crate::sandbox::is_entry_name(task.as_str()) {
            let path = self.data_dir.sandboxes().join(task.as_str());
            tokio::task::spawn_blocking(move || remove_tree(&path));
        }
    }

    /// Removes sandboxes that nobody remembers.
    fn sweep_sandboxes(&self) {
        let keep: BTreeSet<String> = self.node.saved().sandboxes().map(str::to_owned).collect();
        let root = self.data_dir.sandboxes();
        tokio::task::spawn_blocking(move || {
            for entry in std::fs::read_dir(&root).into_iter().flatten().flatten() {
                if entry.file_name().to_str().is_none_or(|name| !keep.contains(name)) {
                    remove_tree(&entry.path());
                }
            }
        });
    }

    /// Says goodbye to the master; tasks run on.
    async fn leave(mut self) -> Result<()> {
        let outputs = self.node.apply(self.clock.now(), Input::Leave { returns_in_ms: RETURNS_IN_MS });
        let records = outputs.iter().filter_map(|output| match output {
            Output::Persist(record) => Some(record),
            _ => None,
        });
        self.journal.append(records)?;
        for output in outputs {
            if let (Output::Send { message, .. }, Some(stream)) = (output, &self.stream) {
                stream.send(message);
            }
        }
        if let Some(stream) = self.stream.take() {
            stream.close().await;
        }
        self.containers.leave().await;
        tracing::info!("agent stops; its tasks run on");
        Ok(())
    }
}

/// Removes unused images from time to time if the disk is too full. Ends when dropped.
fn relieve_disk(images: Arc<HeldImages>) -> AbortOnDrop {
    const EVERY: Duration = Duration::from_secs(60);
    AbortOnDrop(tokio::spawn(async move {
        loop {
            tokio::time::sleep(EVERY).await;
            let images = images.images().clone();
            let _ = tokio::task::spawn_blocking(move || images.relieve()).await;
        }
    }))
}

/// A task that ends with this value.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn remove_tree(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!(path = %path.display(), %error, "cannot remove a directory");
        }
        _ => {}
    }
}

/// What an operator may follow.
fn log(record: &Record) {
    match record {
        Record::Status(status) => tracing::info!(
            task = %status.task, state = %status.state, healthy = status.healthy, message = %status.message, "task"
        ),
        Record::Identity { cluster, term } => tracing::info!(%cluster, %term, "master"),
        _ => {}
    }
}

//! Starting and stopping a master: the port, the store, the threads, in an order in which each failure is one clear line.

use crate::cell::Request;
use crate::clock;
use crate::descriptors;
use crate::engine::{Engine, EngineError, Event, Ports};
use crate::http;
use crate::master::{Identity, Inner, Master, Shared};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::server::{self, Limits};
use crate::streams::Directory;
use crate::{read_thread, store_thread};
use hansa_cell::{Cell, Settings};
use hansa_model::record::Table;
use hansa_model::role::{Bound, Role};
use hansa_model::{ClusterId, Principal, RoleName, Term};
use hansa_store::memory::{MemoryDisk, MemoryStore};
use hansa_store::redb_store::RedbStore;
use hansa_store::{Store, Syncs};
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

/// Events that may wait in front of the loop; who has more waits.
const EVENTS: usize = 8_192;

/// News that may wait in front of the read model; the loop waits when it is that far ahead.
const NEWS: usize = 65_536;

/// Commits that a subscriber may be behind before it loses some.
const SUBSCRIBER_BUFFER: usize = 8_192;

/// How long a client may take for the head of a request, and how long a connection may be open between two of them.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a scheduler's connection may be silent: its client breaks where Mesos would never have closed it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);

/// How long a client may take nothing of an answer.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long open requests and streams may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// The store's file in the data directory.
const STORE_FILE: &str = "store.redb";

/// Why a master cannot start. One line each, for whoever typed the command.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no login yet.
    #[error(
        "{0} can be reached from other machines, and there is no login yet: listen on 127.0.0.1, or add --insecure"
    )]
    NotLoopback(SocketAddr),
    /// Somebody else has the port.
    #[error("{0} is in use by another process; choose another port with --listen")]
    PortInUse(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The data directory cannot be made.
    #[error("cannot make the data directory {0}: {1}")]
    DataDir(PathBuf, #[source] std::io::Error),
    /// Another master has the data directory.
    #[error("the data directory {0} is in use by another process; choose another with --data-dir")]
    DataDirInUse(PathBuf),
    /// The store cannot be read.
    #[error("cannot open the store {0}: {1}")]
    Store(PathBuf, #[source] hansa_store::Error),
    /// A stored record cannot be read.
    #[error("cannot read the store {0}: {1}")]
    Records(PathBuf, #[source] hansa_cell::OpenError),
    /// The system refuses something that it never refuses.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// The loop ended before it had begun.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A master that runs in this process. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Running {
    master: Master,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    loop_ended: oneshot::Receiver<Result<(), EngineError>>,
    store_closed: oneshot::Receiver<()>,
    server: tokio::task::JoinHandle<()>,
}

/// Runs a master until `shutdown` resolves or it fails.
///
/// # Errors
/// It cannot start, or a write failed or an invariant broke while it ran: the process must end then.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    until(start(options).await?, shutdown).await
}

/// The same, but nothing is kept on disk: with the process everything is forgotten.
///
/// # Errors
/// As [`run`].
pub async fn run_in_memory(options: Options, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    let store = MemoryStore::open(&MemoryDisk::new())?;
    until(start_with_store(options, Box::new(store)).await?, shutdown).await
}

async fn until(mut running: Running, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown => running.stop().await?,
        error = running.failed() => return Err(error.into()),
    }
    Ok(())
}

/// Starts a master on the store in its data directory; it answers when this returns.
pub async fn start(options: Options) -> Result<Running, StartError> {
    let listener = listen(&options).await?;
    let folder = options.data_dir.clone();
    // What is in there is nobody else's business: environments of services, for example.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|error| StartError::DataDir(folder.clone(), error))?;
    let path = folder.join(STORE_FILE);
    let to_open = path.clone();
    let store = tokio::task::spawn_blocking(move || RedbStore::open(&to_open)).await;
    let store = store.map_err(|_| EngineError::Thread("store"))?.map_err(|error| match error {
        hansa_store::Error::InUse(_) => StartError::DataDirInUse(folder),
        other => StartError::Store(path, other),
    })?;
    let syncs = store.syncs().clone();
    lead(options, listener, Box::new(store), syncs).await
}

/// Starts a master on any store; the data directory is not used.
pub async fn start_with_store(options: Options, store: Box<dyn Store>) -> Result<Running, StartError> {
    let listener = listen(&options).await?;
    lead(options, listener, store, Arc::default()).await
}

async fn lead(
    options: Options,
    listener: TcpListener,
    mut store: Box<dyn Store>,
    syncs: Arc<Syncs>,
) -> Result<Running, StartError> {
    let address = listener.local_addr()?;
    let path = options.data_dir.join(STORE_FILE);
    let mut tables = Vec::with_capacity(Table::ALL.len());
    for table in Table::ALL {
        let rows = store.load(table).map_err(|error| StartError::Store(path.clone(), error))?;
        tables.push((table, rows));
    }
    let started_at = clock::now();
    let term = Term(store.term());
    let (cell, opened) = Cell::open(started_at, settings(&options)?, term, tables)
        .map_err(|error| StartError::Records(path, error))?;
    let identity =
        Identity { cluster: cell.cluster_id().clone(), term, started_at, version: env!("CARGO_PKG_VERSION") };
    info!(cluster = %identity.cluster, %term, %address, "master leads");

    let metrics = Arc::new(Metrics::of(syncs));
    let shared = Arc::new(Shared::new(SUBSCRIBER_BUFFER));
    let watchers = Arc::new(AtomicUsize::new(0));
    let directory = Arc::<Directory>::default();
    let (events, to_loop) = mpsc::channel(EVENTS);
    let (commits, to_write) = std::sync::mpsc::channel();
    let (written, reports) = mpsc::unbounded_channel();
    let (news, to_fold) = mpsc::channel(NEWS);
    let (stop, stopping) = watch::channel(false);

    let folded = shared.clone();
    thread("read-model", move || read_thread::run(&folded, to_fold))?;
    let measured = metrics.clone();
    let (closed, store_closed) = oneshot::channel();
    thread("store", move || {
        store_thread::run(store, &to_write, &written, &measured);
        let _ = closed.send(());
    })?;
    let ports = Ports {
        events: to_loop,
        commits,
        written: reports,
        news,
        shared: shared.clone(),
        watchers: watchers.clone(),
        metrics: metrics.clone(),
        directory: directory.clone(),
    };
    let engine = Engine::new(cell, ports);
    let (ended, loop_ended) = oneshot::channel();
    thread("loop", move || {
        let result = std::panic::catch_unwind(AssertUnwindSafe(|| engine.run(opened)));
        let result = result.unwrap_or_else(|panic| Err(EngineError::Panic(words(&*panic))));
        let _ = ended.send(result);
    })?;

    let http = reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_secs(3)).build();
    let master = Master::new(Inner {
        identity,
        options,
        address,
        events,
        shared,
        stopping,
        metrics,
        watchers,
        http: http.map_err(std::io::Error::other)?,
        next_session: AtomicU64::new(1),
        directory,
        history: Mutex::default(),
        looked: watch::Sender::new(0),
    });
    if master.catch_up().await.is_err() {
        let ended = loop_ended.await.unwrap_or(Ok(()));
        return Err(ended.err().unwrap_or(EngineError::Thread("loop")).into());
    }
    set_weights(&master).await;
    let limits = Limits {
        connections: master.options().max_connections,
        head: HEAD_TIMEOUT,
        idle: IDLE_TIMEOUT,
        unread: UNREAD_TIMEOUT,
        grace: GRACE,
    };
    let router = http::router(master.clone());
    // Ends when the master stops.
    tokio::spawn(crate::history::keep(master.clone()));
    let server = tokio::spawn(server::serve(listener, router, master.stopping(), limits));
    Ok(Running { master, address, stop, loop_ended, store_closed, server })
}

impl Running {
    /// The handle to the master.
    pub fn master(&self) -> &Master {
        &self.master
    }

    /// Where its port is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves when the master fails.
    pub async fn failed(&mut self) -> EngineError {
        match (&mut self.loop_ended).await {
            Ok(Err(error)) => error,
            Ok(Ok(())) | Err(_) => EngineError::Thread("loop"),
        }
    }

    /// Stops within ten seconds: streams end, open requests get a few seconds, everything accepted is written.
    pub async fn stop(mut self) -> Result<(), EngineError> {
        info!("master stops");
        let _ = self.stop.send(true);
        let _ = (&mut self.server).await;
        // The loop takes it after everything that was accepted before.
        let _ = self.master.inner().events.send(Event::Stop).await;
        let ended = async {
            let result = (&mut self.loop_ended).await;
            let _ = (&mut self.store_closed).await;
            result
        };
        match tokio::time::timeout(GRACE - Duration::from_secs(1), ended).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(EngineError::Thread("loop")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        let _ = self.master.inner().events.try_send(Event::Stop);
    }
}

async fn listen(options: &Options) -> Result<TcpListener, StartError> {
    let address = options.listen;
    if !address.ip().is_loopback() && !options.insecure {
        return Err(StartError::NotLoopback(address));
    }
    descriptors::allow_many();
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => StartError::PortInUse(address),
        _ => StartError::Listen(address, error),
    })
}

/// The weights of the options, for roles that nobody has set anything of.
async fn set_weights(master: &Master) {
    let known = |name: &str| master.read().roles().any(|view| view.role.name.as_str() == name);
    let new = master.options().weights.iter().filter(|(name, _)| !known(name));
    let roles: Vec<Role> = new
        .map(|(name, weight_milli)| Role {
            name: RoleName::from(name.as_str()),
            weight_milli: *weight_milli,
            guarantee: Bound::default(),
            limit: Bound::default(),
        })
        .collect();
    if roles.is_empty() {
        return;
    }
    let request = Request::SetRoles { roles, force: true };
    if let Err(error) = master.submit(Principal::loopback(), request).await {
        warn!(%error, "the weights of the command line cannot be set");
    }
}

fn settings(options: &Options) -> std::io::Result<Settings> {
    let mut settings = Settings {
        new_cluster_id: new_cluster_id()?,
        heartbeat_ms: options.heartbeat_ms,
        ..Settings::default()
    };
    settings.kernel.unreachable_after_ms = options.unreachable_after_ms;
    settings.kernel.offer_timeout_ms = options.offer_timeout_ms;
    settings.kernel.allocator.filter_gpus = options.filter_gpus;
    if let Some(least) = &options.min_allocatable {
        settings.kernel.allocator.min_allocatable.clone_from(least);
    }
    settings.services.max_running_deployments = options.max_running_deployments;
    settings.services.progress_deadline_ms = options.progress_deadline_ms;
    Ok(settings)
}

fn new_cluster_id() -> std::io::Result<ClusterId> {
    let mut random = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let random = u128::from_ne_bytes(random);
    Ok(ClusterId::from(hansa_model::id::uuid_text((random >> 64) as u64, random as u64)))
}

fn thread(name: &'static str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(format!("hansa-{name}")).spawn(body).map(drop)
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words").to_owned()
}

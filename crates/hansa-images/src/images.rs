//! [`Images`]: what an agent does with images.

use crate::digest::Digest;
use crate::failure::{Failure, Kind, Result};
use crate::limits::Limits;
use crate::manifest::ImageConfig;
use crate::pull::{self, Progress};
use crate::reference::Reference;
use crate::registry::{Http, Logins};
use crate::store::{ImageRecord, Lease, Listed, Removed, Store};
use crate::web::Trust;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// Layers pulled and unpacked at the same time, over all images.
const DOWNLOADS: usize = 4;

/// How often those who wait hear something.
const WORDS_EVERY: Duration = Duration::from_secs(1);

/// How images are kept and pulled.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where everything lies; nobody else's. A file system that overlayfs can take layers from.
    pub root: PathBuf,
    /// Registries (`host` or `host:port`) that plain HTTP is spoken with, besides those on loopback addresses.
    pub insecure_registries: BTreeSet<String>,
    /// Who vouches for the others.
    pub trust: Trust,
    /// A Docker configuration file with logins for registries; read anew for every pull, as logins may run out.
    pub docker_config: Option<PathBuf>,
    /// How long a pull may take, all in all.
    pub pull_timeout: Duration,
    /// The first pause before something is tried again; each further one is twice as long.
    pub retry_pause: Duration,
    /// Above this percentage of the disk in use, unused images are removed …
    pub high_percent: u64,
    /// … until it is not above this one.
    pub low_percent: u64,
    /// What images may have.
    pub limits: Limits,
}

impl Settings {
    /// Everything at its default.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            insecure_registries: BTreeSet::new(),
            trust: Trust::default(),
            docker_config: None,
            pull_timeout: Duration::from_secs(30 * 60),
            retry_pause: Duration::from_millis(500),
            high_percent: 90,
            low_percent: 80,
            limits: Limits::default(),
        }
    }
}

/// What everything here shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Arc<Store>,
    pub(crate) http: Arc<Http>,
    pub(crate) settings: Settings,
    pub(crate) downloads: Semaphore,
    flights: Mutex<BTreeMap<Wanted, Arc<Flight>>>,
    layer_locks: Mutex<BTreeMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Shared {
    /// Whoever pulls a layer locks it.
    pub(crate) fn layer_lock(&self, chain: &Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.layer_locks.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(chain).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::default();
        locks.insert(chain.clone(), Arc::downgrade(&lock));
        lock
    }

    fn flights(&self) -> MutexGuard<'_, BTreeMap<Wanted, Arc<Flight>>> {
        self.flights.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What makes two pulls one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    reference: Reference,
    logins: Logins,
}

/// What came of a pull. The image is kept until the last who waited for it has dropped this, and so taken it.
type Landed = Result<Arc<(Digest, Lease)>>;

/// One pull, and all who wait for it.
#[derive(Debug)]
struct Flight {
    progress: Arc<Progress>,
    landed: watch::Receiver<Option<Landed>>,
    cancelled: Arc<AtomicBool>,
    task: tokio::task::AbortHandle,
}

/// An image that somebody wants to run.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// As the user wrote it.
    pub reference: &'a str,
    /// Ask the registry even if there is an image of that name.
    pub force_pull: bool,
    /// Logins that come before the agent's own.
    pub logins: Option<Logins>,
    /// Who will hold it, for people to read.
    pub holder: &'a str,
}

/// An image that is there and stays as long as the lease lives.
#[derive(Debug)]
pub struct Image {
    /// Of its manifest.
    pub digest: Digest,
    /// How it wants to be run.
    pub config: ImageConfig,
    /// Its unpacked layers, the uppermost first.
    pub layers: Vec<PathBuf>,
    /// The names of its layers, for [`Images::hold`].
    pub chains: Vec<Digest>,
    /// Keeps it.
    pub lease: Lease,
}

/// All images of one agent; clones share them.
#[derive(Clone, Debug)]
pub struct Images(Arc<Shared>);

impl Images {
    /// Opens the store, making it if need be. Blocks.
    ///
    /// # Errors
    /// The directory cannot be made, read or written.
    pub fn open(settings: Settings) -> std::io::Result<Self> {
        let store = Arc::new(Store::open(&settings.root)?);
        Ok(Self(Arc::new(Shared {
            store,
            http: Arc::new(Http::new(settings.insecure_registries.clone(), settings.trust.clone())),
            settings,
            downloads: Semaphore::new(DOWNLOADS),
            flights: Mutex::default(),
            layer_locks: Mutex::default(),
        })))
    }

    /// Whether containers can be made of these images: it takes root's rights.
    pub fn usable(&self) -> bool {
        self.0.store.privileged()
    }

    /// Makes an image available, pulling it if need be. Whoever else wants the same at the same time waits for the same
    /// pull, which ends when nobody waits for it any more. `say` hears now and then how far it is.
    ///
    /// # Errors
    /// In words that name the image, the cause and the remedy.
    pub async fn acquire(&self, request: &Request<'_>, say: impl Fn(String)) -> Result<Image> {
        let name = request.reference;
        let named = |failure: Failure| Failure {
            cause: match failure.kind {
                Kind::Reference => failure.cause,
                _ => format!("cannot pull {name}: {}", failure.cause),
            },
            ..failure
        };
        let reference: Reference = name
            .parse()
            .map_err(|error: crate::NotAReference| Failure::new(Kind::Reference, error.to_string()))?;
        if !request.force_pull
            && let Some(known) = self.0.store.image_of(&reference.to_string())
            && let Some(image) = self.take(known, request.holder)
        {
            return Ok(image);
        }
        let own = match &self.0.settings.docker_config {
            Some(path) => {
                Logins::read(path).map_err(|error| named(Failure::new(Kind::Machine, error.to_string())))?
            }
            None => Logins::default(),
        };
        let logins = request.logins.clone().unwrap_or_default().or(&own);
        let mut waiting = self.board(Wanted { reference, logins });
        let landed = loop {
            match tokio::time::timeout(WORDS_EVERY, waiting.landed()).await {
                Ok(result) => break result.map_err(named)?,
                Err(_) => say(waiting.flight.progress.words(name)),
            }
        };
        let found = self.0.store.image(&landed.0).and_then(|record| self.take(record, request.holder));
        found.ok_or_else(|| named(Failure::new(Kind::Machine, "it was removed as soon as it was there")))
    }

    fn take(&self, record: ImageRecord, holder: &str) -> Option<Image> {
        // Held first, or it could be removed between the two.
        let lease = self.0.store.hold(holder, &record.digest, &record.layers);
        let layers = self.0.store.layer_paths(&record.layers)?;
        Some(Image { digest: record.digest, config: record.config, layers, chains: record.layers, lease })
    }

    /// Joins a pull, or begins it.
    fn board(&self, wanted: Wanted) -> Waiting {
        let mut flights = self.0.flights();
        let flight = match flights.get(&wanted) {
            Some(flight) => flight.clone(),
            None => {
                let flight = Arc::new(self.take_off(wanted.clone()));
                flights.insert(wanted.clone(), flight.clone());
                flight
            }
        };
        Waiting { shared: self.0.clone(), landed: flight.landed.clone(), wanted, flight }
    }

    fn take_off(&self, wanted: Wanted) -> Flight {
        let (progress, cancelled) = (Arc::new(Progress::default()), Arc::new(AtomicBool::new(false)));
        let (lands, landed) = watch::channel(None);
        let (shared, counted, unwanted) = (self.0.clone(), progress.clone(), cancelled.clone());
        let task = tokio::spawn(async move {
            let limit = shared.settings.pull_timeout;
            let pulling = pull::pull(&shared, &wanted.reference, &wanted.logins, &counted, &unwanted);
            let result = tokio::time::timeout(limit, pulling).await.unwrap_or_else(|_| {
                unwanted.store(true, Ordering::Relaxed);
                let minutes = limit.as_secs().div_ceil(60);
                Err(Failure::new(Kind::Timeout, format!("it is not there after {minutes} minutes"))
                    .remedy("pull it from a nearer registry, make it smaller, or start the agent with a longer --pull-timeout"))
            });
            // Whoever comes from now on begins anew, or finds the image.
            shared.flights().remove(&wanted);
            lands.send_replace(Some(result.map(Arc::new)));
            // From here on only those who wait keep it.
            drop(lands);
            let sync = shared.clone();
            let _ = tokio::task::spawn_blocking(move || {
                let (high, low) = (sync.settings.high_percent, sync.settings.low_percent);
                tell(&sync.store.relieve(high, low));
                sync.store.sync();
            })
            .await;
        });
        Flight { progress, landed, cancelled, task: task.abort_handle() }
    }

    /// Keeps layers for a container that runs already; `image` and `chains` as [`Image`] had them.
    pub fn hold(&self, holder: &str, image: &Digest, chains: &[Digest]) -> Lease {
        self.0.store.hold(holder, image, chains)
    }

    /// All images, the one used last first.
    pub fn list(&self) -> Vec<Listed> {
        self.0.store.list()
    }

    /// Removes every image that nobody holds, but those named. Blocks.
    pub fn prune(&self, but: &[Reference]) -> Removed {
        let but = but.iter().map(Reference::to_string).collect();
        let removed = self.0.store.prune(&but);
        tell(&removed);
        removed
    }

    /// Removes images that nobody holds if the disk is too full. Blocks.
    pub fn relieve(&self) -> Removed {
        let removed = self.0.store.relieve(self.0.settings.high_percent, self.0.settings.low_percent);
        tell(&removed);
        removed
    }
}

fn tell(removed: &Removed) {
    if *removed != Removed::default() {
        tracing::info!(images = ?removed.images, bytes = removed.bytes, "removed unused images");
    }
}

/// One who waits for a pull.
struct Waiting {
    shared: Arc<Shared>,
    wanted: Wanted,
    flight: Arc<Flight>,
    landed: watch::Receiver<Option<Landed>>,
}

impl Waiting {
    async fn landed(&mut self) -> Landed {
        match self.landed.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or_else(|| Err(Failure::cancelled())),
            Err(_) => Err(Failure::new(Kind::Machine, "the pull ended without a word")),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // The map and we ourselves; under the map's lock nobody joins.
        let mut flights = self.shared.flights();
        let ours = flights.get(&self.wanted).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight));
        if ours && Arc::strong_count(&self.flight) == 2 {
            flights.remove(&self.wanted);
            self.flight.cancelled.store(true, Ordering::Relaxed);
            self.flight.task.abort();
        }
    }
}

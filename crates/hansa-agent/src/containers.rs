//! The core's groups as containers: each a shim with a runtime directory of its own.
//!
//! Everything here answers with events; nothing waits in the loop. A group's end is reported only when nothing of it runs
//! any more.

use crate::agent::Event;
use crate::cgroup::{Driver, Version};
use crate::clock::Clock;
use crate::fetch::Fetcher;
use crate::furnish::{OwnNetwork, furnish};
use crate::giving::{self, Departure, Earlier, Good, Leaving, gpu_nodes};
use crate::network::{self, Network};
use crate::prepare::HeldImages;
use crate::secrets::Secrets;
use crate::shim::{self, Attached, Cause, Client, ExitRecord, Pool, ShimLost, ShimSpec};
use crate::volumes;
use futures_util::StreamExt;
use hansa_model::InstanceId;
use hansa_model::container::NetworkSpec;
use hansa_model::resources::Allocation;
use hansa_model::task::{Exit, Limitation};
use hansa_node::env::CONTAINER_IP;
use hansa_node::{Found, Furnishings, Input, Saved, ShimPlan};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// Shims started at the same time: enough to keep the cores busy, few enough that none waits for long.
const STARTS_AT_ONCE: usize = 16;

/// Shims asked at the same time when the agent starts.
const ATTACHES_AT_ONCE: usize = 32;

/// What all containers share.
#[derive(Debug)]
pub struct Place {
    /// The agent's id.
    pub agent: String,
    /// The directory with a runtime directory for each container.
    pub runtime: PathBuf,
    /// Hidden from tasks.
    pub data_dir: PathBuf,
    /// The stop deadline's file, if there is one.
    pub deadline: Option<PathBuf>,
    /// Gets the directories of spare shims.
    pub spares: PathBuf,
    /// Started as `<program> shim <dir>`.
    pub program: PathBuf,
    /// The core's clock.
    pub clock: Clock,
    /// The machine's secrets.
    pub secrets: Secrets,
    /// Brings what tasks want in their sandboxes.
    pub fetcher: Fetcher,
    /// One directory for each task.
    pub sandboxes: PathBuf,
    /// What containers are made of.
    pub images: Arc<HeldImages>,
    /// Gives containers addresses of their own.
    pub network: Network,
    /// What containers are being parted from.
    pub leaving: Leaving,
}

impl Place {
    fn dir(&self, instance: &InstanceId) -> PathBuf {
        self.runtime.join(container_name(instance.as_str()))
    }

    /// Ends and removes whatever a runtime directory stands for.
    async fn remove(&self, dir: &Path) {
        end_orphans(dir).await;
        self.network.release(dir).await;
        remove_dir(dir);
        self.images.release(dir);
    }
}

#[derive(Debug)]
enum State {
    /// Being started. Set: it is not wanted any more.
    Starting { unwanted: watch::Sender<bool>, stop: Option<Duration> },
    /// Runs, as far as known.
    Running(Client),
}

/// All containers of this agent.
#[derive(Debug)]
pub struct Containers {
    place: Arc<Place>,
    events: mpsc::Sender<Event>,
    starts: Arc<Semaphore>,
    /// None until the agent has found out what runs.
    pool: Option<Arc<Pool>>,
    states: BTreeMap<InstanceId, State>,
}

impl Containers {
    /// None yet.
    pub fn new(place: Place, events: mpsc::Sender<Event>) -> Self {
        let starts = Arc::new(Semaphore::new(STARTS_AT_ONCE));
        Self { place: Arc::new(place), events, starts, pool: None, states: BTreeMap::new() }
    }

    /// The connection to a group's shim, if it runs.
    pub fn client(&self, instance: &InstanceId) -> Option<&Client> {
        match self.states.get(instance)? {
            State::Running(client) => Some(client),
            State::Starting { .. } => None,
        }
    }

    /// Finds what runs of the saved groups, ends and removes everything else that an earlier life of this agent left, and
    /// gives what the core wants to know.
    pub async fn recover(&mut self, saved: &Saved, driver: Option<&Driver>) -> BTreeMap<InstanceId, Found> {
        let wanted: BTreeMap<PathBuf, (InstanceId, u64)> =
            saved.containers().into_iter().map(|one| (self.place.dir(&one.0), one)).collect();
        let dirs = shim::list(&self.place.runtime).unwrap_or_else(|error| {
            tracing::error!(%error, "cannot list the runtime directories");
            Vec::new()
        });
        let looked: Vec<(PathBuf, Option<Attached>)> = futures_util::stream::iter(dirs)
            .map(|dir| {
                let held = wanted.contains_key(&dir);
                async move { (dir.clone(), if held { look(&dir).await } else { None }) }
            })
            .buffer_unordered(ATTACHES_AT_ONCE)
            .collect()
            .await;
        let mut found = BTreeMap::new();
        let mut keep = BTreeSet::new();
        let mut running = Vec::new();
        // Those of an earlier life are ending, unless they could not.
        for spare in shim::list(&self.place.spares).unwrap_or_default() {
            end_orphans(&spare).await;
            remove_dir(&spare);
        }
        for (dir, attached) in looked {
            match (wanted.get(&dir), attached) {
                (Some((instance, _)), Some(Attached::Running(client))) => {
                    self.place.images.recover(&dir);
                    let instance = instance.clone();
                    keep.insert(client.started().cgroup().to_owned());
                    running.push((instance, dir, client));
                }
                (Some((instance, limit)), Some(Attached::Exited(record))) => {
                    self.place.network.release(&dir).await;
                    found.insert(instance.clone(), found_ended(&record, *limit));
                }
                _ => self.place.remove(&dir).await,
            }
        }
        let dirs = running.iter().map(|(_, dir, _)| dir.clone()).collect();
        let addresses = self.place.network.recover(dirs).await;
        for (instance, dir, client) in running {
            self.watch(instance.clone(), client);
            let addresses = addresses.get(&dir).map(ToString::to_string).into_iter().collect();
            found.insert(instance, Found::Running { addresses });
        }
        if let Some(driver) = driver {
            match driver.sweep(&self.place.agent, &keep) {
                Ok(removed) if removed.is_empty() => {}
                Ok(removed) => tracing::warn!(?removed, "ended what an earlier life of this agent left"),
                Err(error) => {
                    tracing::error!(%error, "cannot end all that an earlier life of this agent left")
                }
            }
        }
        // What spares save is the wait for a grace period of the kernel when a process is moved into a cgroup of version 1.
        // In one of version 2 a process is born.
        let moves = |driver: &Driver| driver.hierarchies().iter().any(|one| one.version == Version::V1);
        if driver.is_some_and(moves) {
            // Not before everything else of this agent is swept away.
            let Place { agent, program, spares, .. } = &*self.place;
            self.pool = Some(Arc::new(Pool::start(agent, program, spares)));
        }
        found
    }

    /// Starts a group's container.
    pub fn start(&mut self, plan: ShimPlan) {
        let (unwanted, is_unwanted) = watch::channel(false);
        let instance = plan.instance.clone();
        self.states.insert(instance.clone(), State::Starting { unwanted, stop: None });
        let (place, events, starts) = (self.place.clone(), self.events.clone(), self.starts.clone());
        let pool = self.pool.clone();
        let around = plan.inside.as_ref().map(|inside| self.client(&inside.executor).cloned());
        let volumes = plan.volumes.iter().chain(plan.inside.iter().flat_map(|inside| &inside.volumes));
        let earlier = place.leaving.earlier(&Good::all(&place.data_dir, volumes, gpus_of(&plan)));
        tokio::spawn(async move {
            let asked = Asked { plan, around, earlier };
            let launched = launch(&place, pool.as_deref(), asked, &events, &starts, is_unwanted);
            let event = match launched.await {
                Ok((client, addresses)) => Event::Spawned { instance, client, addresses },
                Err(message) => Event::Node(Input::LaunchFailed { instance, message }),
            };
            let _ = events.send(event).await;
        });
    }

    /// A container was started; what was asked of it meanwhile is done now.
    pub fn spawned(&mut self, instance: &InstanceId, client: Client) {
        let stop = match self.states.get(instance) {
            Some(State::Starting { stop, .. }) => *stop,
            _ => None,
        };
        self.watch(instance.clone(), client);
        if let Some(grace) = stop {
            self.stop(instance, grace);
        }
    }

    /// Every container that runs.
    pub fn running(&self) -> impl Iterator<Item = (&InstanceId, &Client)> {
        self.states.iter().filter_map(|(instance, state)| match state {
            State::Running(client) => Some((instance, client)),
            State::Starting { .. } => None,
        })
    }

    /// From now on a container may use this much.
    pub fn resize(&self, instance: &InstanceId, limits: &Allocation, driver: Option<&Driver>) {
        let (Some(client), Some(driver)) = (self.client(instance), driver) else { return };
        let container = driver.container(&client.started().agent, client.started().cgroup());
        let limits = shim::Limits {
            memory_bytes: Some(limits.mem).filter(|bytes| *bytes > 0),
            cpu_millis: Some(limits.cpus_milli).filter(|milli| *milli > 0),
            ..shim::Limits::default()
        };
        if let Err(error) = container.resize(&limits) {
            tracing::warn!(%instance, %error, "cannot change what a container may use");
        }
    }

    /// From now on a container that runs sees these things of the machine, and not those; the core is told when.
    pub fn furnish(&self, instance: InstanceId, has: Furnishings, loses: Furnishings) {
        let goods = |things: &Furnishings| {
            Good::all(&self.place.data_dir, &things.volumes, things.gpus.iter().copied())
        };
        let earlier = self.place.leaving.earlier(&goods(&has));
        let departure = self.place.leaving.begin(&goods(&loses));
        let (client, events, place) =
            (self.client(&instance).cloned(), self.events.clone(), self.place.clone());
        tokio::spawn(async move {
            let dir = place.dir(&instance);
            let container = giving::Container { client, dir: &dir, data_dir: &place.data_dir };
            let (refused, kept) = giving::furnish(&container, &has, (&loses, departure), earlier).await;
            let _ = events.send(Event::Node(Input::Furnished { instance, refused, kept })).await;
        });
    }

    /// The directory of a volume is removed: who has to lose it first. Later ones wait for the departure.
    pub fn removing(&self, directory: &Path) -> (Earlier, Departure) {
        let goods = [Good::Directory(directory.to_owned())];
        (self.place.leaving.earlier(&goods), self.place.leaving.begin(&goods))
    }

    /// SIGTERM, and SIGKILL after the grace.
    pub fn stop(&mut self, instance: &InstanceId, grace: Duration) {
        match self.states.get_mut(instance) {
            Some(State::Starting { unwanted, stop }) => {
                unwanted.send_replace(true);
                *stop = Some(stop.map_or(grace, |earlier| earlier.min(grace)));
            }
            Some(State::Running(client)) => {
                let client = client.clone();
                // Fails only if it has ended or is about to be found dead.
                tokio::spawn(async move { client.stop(Some(grace)).await });
            }
            None => {}
        }
    }

    /// Ends everything of a container that did not obey.
    pub fn kill(&mut self, instance: &InstanceId) {
        self.stop(instance, Duration::ZERO);
        let dir = self.place.dir(instance);
        tokio::spawn(async move {
            if let Err(error) = shim::cleanup(&dir).await {
                tracing::error!(dir = %dir.display(), %error, "cannot end a container");
            }
        });
    }

    /// Removes what is left of a container that has ended.
    pub fn clean_up(&mut self, instance: &InstanceId) {
        self.states.remove(instance);
        let (place, dir) = (self.place.clone(), self.place.dir(instance));
        tokio::spawn(async move { place.remove(&dir).await });
    }

    /// The agent stops; containers run on.
    pub async fn leave(&self) {
        self.place.network.close().await;
    }

    /// Waits for a container's end and reports it.
    fn watch(&mut self, instance: InstanceId, client: Client) {
        self.states.insert(instance.clone(), State::Running(client.clone()));
        let (events, place, dir) = (self.events.clone(), self.place.clone(), self.place.dir(&instance));
        tokio::spawn(async move {
            let input = match client.wait().await {
                Ok(record) => ended(instance, &record),
                Err(ShimLost) => {
                    drop(client);
                    end_orphans(&dir).await;
                    Input::ShimGone { instance, message: String::new() }
                }
            };
            // Before its end is known: then its ports are free, and whoever hears of it may use them.
            place.network.release(&dir).await;
            let _ = events.send(Event::Node(input)).await;
        });
    }
}

/// A container to be started.
struct Asked {
    plan: ShimPlan,
    /// The executor's container that it lives in; None inside: that does not run.
    around: Option<Option<Client>>,
    /// Who has to lose first what it is to have.
    earlier: Earlier,
}

/// Prepares and starts a container; gives the connection to it and its own addresses. What was taken for it is given
/// back when its runtime directory is removed.
async fn launch(
    place: &Place,
    pool: Option<&Pool>,
    Asked { plan, around, earlier }: Asked,
    events: &mpsc::Sender<Event>,
    starts: &Semaphore,
    mut is_unwanted: watch::Receiver<bool>,
) -> Result<(Client, Vec<String>), String> {
    const UNWANTED: &str = "not wanted any more";
    let dir = place.dir(&plan.instance);
    let say = |message: String| {
        let input = Input::Preparing { instance: plan.instance.clone(), message };
        // A loop that is behind will hear the next word.
        let _ = events.try_send(Event::Node(input));
    };
    let prepare = async {
        // First, as logins for the image may be among it.
        place.fetcher.fetch(&plan.artifacts, Path::new(&plan.sandbox), &say).await?;
        place.images.take(&dir, &place.sandboxes, &plan, &place.secrets, &say).await
    };
    let image = tokio::select! {
        biased;
        // It ends when the container is forgotten, too.
        _ = is_unwanted.wait_for(|unwanted| *unwanted) => return Err(UNWANTED.into()),
        image = prepare => image?,
    };
    earlier.over().await;
    let _turn = starts.acquire().await;
    if *is_unwanted.borrow() {
        return Err(UNWANTED.into());
    }
    let around = match around {
        Some(None) => return Err("the executor's surroundings are gone".into()),
        Some(Some(client)) => Some(client),
        None => None,
    };
    let attachment = match &plan.network {
        // What is inside an executor's surroundings is in its network.
        NetworkSpec::Host | NetworkSpec::None => None,
        NetworkSpec::Bridge { .. } if around.is_some() => None,
        NetworkSpec::Bridge { mappings } => {
            let mappings = network::mappings(mappings, &plan.ports).map_err(|error| error.to_string())?;
            Some(place.network.attach(&dir, mappings).await.map_err(|error| error.to_string())?)
        }
    };
    let alone = plan.network == NetworkSpec::None && around.is_none();
    // Held until the container runs.
    let alone = alone.then(network::Solitude::make).transpose()?;
    let mut spec = shim_spec(place, &plan);
    if let Some(alone) = &alone {
        spec.network = Some(alone.path());
    }
    if let Some(attachment) = &attachment {
        spec.network = Some(attachment.path());
        spec.env.entry(CONTAINER_IP.into()).or_insert_with(|| attachment.address().to_string());
    }
    let joined = match (&around, &plan.inside) {
        (Some(client), Some(inside)) => place.network.of(&place.dir(&inside.executor)).inspect(|own| {
            spec.network = Some(PathBuf::from(format!("/proc/{}/ns/net", client.started().init.pid)));
            spec.env.insert(CONTAINER_IP.into(), own.address.to_string());
        }),
        _ => None,
    };
    if let Some(image) = image {
        image.apply(&mut spec, &plan, &dir)?;
    }
    let own = attachment
        .as_ref()
        .map(|own| OwnNetwork { address: own.address().into(), gateway: own.gateway().into() })
        .or(joined)
        .or(alone.is_some().then_some(OwnNetwork::LOOPBACK));
    furnish(&mut spec, &plan, &place.secrets.for_container(&dir), own)?;
    volumes::mount(&mut spec, &plan, &place.data_dir)?;
    let spawned = match pool {
        Some(pool) => pool.spawn(&dir, &spec).await,
        None => shim::spawn(&dir, &spec, &place.program).await,
    };
    let client = spawned.map_err(|error| error.to_string())?;
    // From here on the container holds its network itself.
    Ok((client, attachment.iter().map(|attachment| attachment.address().to_string()).collect()))
}

/// What is found in a runtime directory; None: nothing lives there.
async fn look(dir: &Path) -> Option<Attached> {
    for attempt in 0..3 {
        match shim::attach(dir).await {
            Ok(Attached::Gone) if attempt == 0 => {
                // A shim whose starter has just died may not have said its first word.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            Ok(Attached::Gone) => return None,
            Ok(attached) => return Some(attached),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "a shim does not answer");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    None
}

/// Ends what a dead shim left. Not before that is done may anybody hear of its end.
async fn end_orphans(dir: &Path) {
    let mut pause = Duration::from_millis(50);
    while let Err(error) = shim::cleanup(dir).await {
        tracing::error!(dir = %dir.display(), %error, "cannot end what a dead shim left");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

fn remove_dir(dir: &Path) {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!(dir = %dir.display(), %error, "cannot remove a runtime directory");
        }
        _ => {}
    }
}

fn shim_spec(place: &Place, plan: &ShimPlan) -> ShimSpec {
    let name = container_name(plan.instance.as_str());
    let mut spec = ShimSpec::new(&place.agent, &name, plan.command.argv(), plan.sandbox.clone().into());
    spec.env = plan.env.iter().cloned().collect();
    spec.user.clone_from(&plan.user);
    spec.hidden_paths = vec![place.data_dir.clone()];
    if plan.placeholder {
        // Runs as long as its tasks do.
        spec.argv = ["/bin/sh", "-c", "exec sleep 2147483647"].map(str::to_owned).to_vec();
    }
    // A limit of its own replaces what follows from the demand; the greatest number is none at all.
    let limited = |limit: u64| Some(limit).filter(|limit| *limit != u64::MAX);
    let memory = plan.burst.mem.unwrap_or(plan.limits.mem);
    spec.limits.memory_bytes = limited(memory).filter(|bytes| *bytes > 0);
    spec.limits.cpu_millis = Some(plan.limits.cpus_milli).filter(|milli| *milli > 0);
    spec.limits.cpu_quota = plan.cpu_quota && plan.burst.cpus_milli.is_none();
    spec.limits.cpu_most_millis = plan.burst.cpus_milli.and_then(limited);
    spec.isolation.devices = gpu_nodes(&gpus_of(plan));
    if let Some(deadline) = plan.deadline {
        spec.deadline_boottime_ms = Some(place.clock.boottime_of(deadline));
        spec.deadline_file = place.deadline.clone();
    }
    spec
}

fn gpus_of(plan: &ShimPlan) -> Vec<u16> {
    plan.limits.gpus.iter().map(|(device, _)| *device).collect()
}

/// A container's end as the core hears it.
fn ended(instance: InstanceId, record: &ExitRecord) -> Input {
    match found_ended(record, 0) {
        Found::LaunchFailed { message } => Input::LaunchFailed { instance, message },
        Found::Exited { exit, limitation, message } => Input::Exited { instance, exit, limitation, message },
        Found::Running { .. } | Found::Starting => Input::ShimGone { instance, message: String::new() },
    }
}

fn found_ended(record: &ExitRecord, memory_limit: u64) -> Found {
    let exit = record.exit.unwrap_or(Exit::Signal(libc::SIGKILL));
    let message = match record.cause {
        Cause::LaunchFailed => {
            let message =
                record.launch_error.as_ref().map_or_else(String::new, |error| error.message.clone());
            return Found::LaunchFailed { message };
        }
        Cause::Deadline => "ended because the agent had no contact with the master for too long".into(),
        // Why a program gave up is most often the last that it said.
        Cause::Exited if exit != Exit::Code(0) => match &record.last_words {
            Some(line) => format!("it wrote to stderr: {line}"),
            None => String::new(),
        },
        Cause::Exited | Cause::Stopped | Cause::OutOfMemory => String::new(),
    };
    let limitation = match (&record.limitation, record.cause) {
        (None, Cause::OutOfMemory) => {
            let used = record.memory_peak_bytes.unwrap_or(memory_limit);
            Some(Limitation { used, limit: memory_limit })
        }
        (limitation, _) => limitation.clone(),
    };
    Found::Exited { exit, limitation, message }
}

/// Longest name that a container may have.
const MAX_NAME: usize = 200;

/// A container's name: the instance's id if that can be one, else something alike that no other id gets.
fn container_name(instance: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts_well = instance.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && instance.len() <= MAX_NAME && !instance.contains("-x-") && instance.chars().all(plain) {
        return instance.to_owned();
    }
    let like: String = instance.chars().filter(|c| plain(*c)).take(120).collect();
    format!(
        "c{like}-x-{:016x}{:016x}",
        fnv(instance, 0xcbf2_9ce4_8422_2325),
        fnv(instance, 0x6c62_272e_07bb_0142)
    )
}

fn fnv(text: &str, basis: u64) -> u64 {
    text.bytes().fold(basis, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let plain = "shop_web.instance-9b0cd5a2-6b1e-8abc-9def-0123456789ab";
        assert_eq!(container_name(plain), plain);
        let long = "a".repeat(255);
        let odd = ["", "_shims", ".x", "a b", "ä", "a-x-b", &long, &long[..254], "a/b"];
        let names: BTreeSet<String> = odd.iter().map(|id| container_name(id)).collect();
        assert_eq!(names.len(), odd.len());
        for name in &names {
            assert!(name.len() <= MAX_NAME && name.starts_with('c'), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
        }
    }

    #[test]
    fn records_as_the_core_hears_them() {
        let record = |cause, exit| ExitRecord {
            version: 1,
            agent: "a".into(),
            container: "c".into(),
            boot: "b".into(),
            cause,
            exit,
            limitation: None,
            launch_error: None,
            started_at_ms: 0,
            ended_at_ms: 0,
            cpu_ns: None,
            memory_peak_bytes: Some(70),
            output_lost_bytes: 0,
            last_words: Some("no such port".into()),
            swept: true,
        };
        let of = |cause, exit| found_ended(&record(cause, exit), 64);
        let exited =
            |exit, limitation, message: &str| Found::Exited { exit, limitation, message: message.into() };
        let said = "it wrote to stderr: no such port";
        assert_eq!(of(Cause::Exited, Some(Exit::Code(3))), exited(Exit::Code(3), None, said));
        assert_eq!(of(Cause::Exited, Some(Exit::Code(0))), exited(Exit::Code(0), None, ""));
        assert_eq!(of(Cause::Stopped, Some(Exit::Code(3))), exited(Exit::Code(3), None, ""));
        assert_eq!(
            of(Cause::OutOfMemory, Some(Exit::Signal(9))),
            exited(Exit::Signal(9), Some(Limitation { used: 70, limit: 64 }), "")
        );
        assert!(
            matches!(of(Cause::Deadline, None), Found::Exited { message, .. } if message.contains("no contact"))
        );
        assert_eq!(of(Cause::LaunchFailed, None), Found::LaunchFailed { message: String::new() });
    }
}

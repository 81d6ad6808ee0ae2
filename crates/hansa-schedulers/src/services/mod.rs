//! Long-running services: desired versions in, claims and kills out.
//!
//! Pure: time comes in as an argument, records and events go out as data. It is level-triggered: whatever happens to an
//! app only marks it; what is to be done follows from counts alone, when [`Services::next_call`] is asked. So a
//! restart in the middle of anything goes on where it was.
//!
//! Where to start: [`balance`] (how many to start and kill, pure arithmetic), then `reconcile` (what is done with it),
//! `launch` (the queue for places and the calls to the kernel), `commands` and `deployments` (what clients ask),
//! `notices` (what the kernel tells), `restore`, `check` (the invariants),
//! `trial` (what would be).
//!
//! Not here: what stands where and what is free (the kernel's book, read through [`Cluster`]), executing health checks
//! (the agents do), Marathon's JSON.

mod apps;
mod backoff;
mod balance;
mod begin;
mod check;
mod commands;
mod deployments;
mod groups;
mod health;
mod history;
mod instances;
mod keep;
mod launch;
mod notices;
mod plan;
mod ports;
mod queue;
mod reconcile;
mod restore;
mod slab;
mod steer;
mod streak;
#[cfg(test)]
mod tests;
mod trial;

use hansa_model::app::AppVersion;
use hansa_model::event::Event;
use hansa_model::explain::{Explanation, QueueItem};
use hansa_model::group::GroupVersion;
use hansa_model::scheduler::{Answer, Call, Notice};
use hansa_model::service::{Deploy, ServiceAnswer, ServiceCommand, ServiceRefusal};
use hansa_model::{AppId, Demand, DeploymentId, InstanceId, Owner, Principal, RoleName, SpecId, Timestamp};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use streak::FailingRecord;
pub use trial::{Books, Choice, Cluster};

/// What can be fixed about the scheduler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Deployments at once.
    pub max_running_deployments: usize,
    /// Versions kept of each app and group.
    pub max_versions: usize,
    /// Removed apps (and groups) whose versions are kept, so that their groups can go back behind the removal.
    pub max_removed: usize,
    /// A deployment that comes no nearer to its goal for so many milliseconds is failing, unless its app's label says
    /// otherwise; 0: never.
    pub progress_deadline_ms: u64,
    /// An instance that does not run after so many milliseconds without a word of progress is ended and replaced; 0:
    /// never.
    pub launch_timeout_ms: u64,
    /// Service ports are given out from here,
    pub local_port_min: u16,
    /// to here.
    pub local_port_max: u16,
    /// Makes ids unique between clusters; best another one for each leadership.
    pub id_seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_running_deployments: 10_000,
            max_versions: 50,
            max_removed: 1_000,
            progress_deadline_ms: 600_000,
            launch_timeout_ms: 300_000,
            local_port_min: 10_000,
            local_port_max: 20_000,
            id_seed: 0,
        }
    }
}

/// What the scheduler stores.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// An app's current version.
    PutApp(AppId, Timestamp),
    /// An app is gone.
    DeleteApp(AppId),
    /// An immutable version.
    PutVersion(Arc<AppVersion>),
    /// A version is gone.
    DeleteVersion(AppId, Timestamp),
    /// A deployment under way; the value is the scheduler's own JSON.
    PutDeployment(DeploymentId, String),
    /// A deployment ended.
    DeleteDeployment(DeploymentId),
    /// A version of a group; the newest holds.
    PutGroup(Arc<GroupVersion>),
    /// A version of a group is gone.
    DeleteGroup(AppId, Timestamp),
    /// An app was removed then; its versions are kept.
    PutRemoval(AppId, Timestamp),
    /// That is forgotten.
    DeleteRemoval(AppId, Timestamp),
    /// An app fails again and again.
    PutFailing(AppId, Box<FailingRecord>),
    /// It does not any more, or is gone.
    DeleteFailing(AppId),
}

/// What a step led to.
#[derive(Debug, Default)]
pub struct Output {
    /// To be durable before the events are published.
    pub records: Vec<Record>,
    /// For the read model.
    pub events: Vec<Event>,
}

/// An app's number.
type AppKey = u32;
/// An instance's number.
type InstanceKey = u32;
/// A deployment's number.
type DeploymentKey = u32;

/// What decides where an app without constraints may go: role, accepted roles, demand.
type Shape = (RoleName, Option<Vec<RoleName>>, Demand);

/// How much of one shape a role waits for, over all apps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Unmet {
    wanted: u32,
    told: u32,
}

/// The call that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Spec(AppKey, Timestamp),
    Claim(InstanceKey),
}

/// The scheduler.
#[derive(Debug, Default)]
pub struct Services {
    settings: Settings,
    owner: Option<(Owner, Principal)>,
    apps: slab::Slab<apps::App>,
    by_id: BTreeMap<AppId, AppKey>,
    instances: slab::Slab<instances::Instance>,
    by_instance: FxHashMap<InstanceId, InstanceKey>,
    deployments: slab::Slab<deployments::Deployment>,
    by_deployment: BTreeMap<DeploymentId, DeploymentKey>,
    groups: groups::Groups,
    /// Apps that do not exist any more and are remembered, by when they went.
    history: BTreeSet<(Timestamp, AppId)>,
    ports: ports::Ports,
    /// Makes ids differ that are made in the same millisecond.
    counter: u64,
    /// Claims in a row that failed for a reason that the next one mends.
    collisions: u32,
    /// Everything stored has been heard of: what appears from now on comes from outside.
    settled: bool,
    /// After a restart: until then it is waited for instances to be heard of.
    hearing_until: Option<Timestamp>,
    pending: Option<Pending>,
    /// Instances whose `order` the kernel has to be told, with the words for it.
    orders: VecDeque<(InstanceKey, Cow<'static, str>)>,
    /// Apps to look at.
    dirty: VecDeque<AppKey>,
    /// Apps whose turn it is to get a place.
    ready: VecDeque<AppKey>,
    delayed: BTreeSet<(Timestamp, AppKey)>,
    /// Apps for which there was no place, by the generation of the cluster at which they were tried.
    waiting: BTreeSet<(u64, AppKey)>,
    refused: BTreeSet<(Timestamp, AppKey)>,
    /// The cluster's generation when last seen.
    generation: u64,
    /// Failed attempts to place something that waits, since when.
    retries: (Timestamp, u32),
    /// Shapes without constraints for which there is no place at this generation of the cluster.
    full: (u64, BTreeSet<Shape>),
    /// Instances out of reach for which something changes with time.
    timers: BTreeSet<(Timestamp, InstanceKey)>,
    demand: BTreeMap<(RoleName, Demand), Unmet>,
    demand_dirty: BTreeSet<(RoleName, Demand)>,
    drops: VecDeque<SpecId>,
    /// Deployments that may have news to tell, and when to look.
    progress: BTreeSet<(Timestamp, DeploymentKey)>,
    explained_at: Timestamp,
    /// When it is looked at whether a deployment still comes nearer to its goal.
    watches: BTreeSet<(Timestamp, DeploymentKey)>,
    /// When it is looked at whether an app that failed again and again has recovered.
    recoveries: BTreeSet<(Timestamp, AppKey)>,
    /// When it is looked at whether an app's instances have come up.
    overdue: BTreeSet<(Timestamp, AppKey)>,
}

impl Services {
    /// No services.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Takes over what was stored (Put records only, any order), before the kernel's notices about what is placed.
    pub fn restore(&mut self, now: Timestamp, records: Vec<Record>) -> Output {
        let mut out = Output::default();
        self.take_over(now, records, &mut out);
        out
    }

    /// A client's command.
    pub fn command(
        &mut self,
        now: Timestamp,
        command: ServiceCommand,
    ) -> (Result<ServiceAnswer, ServiceRefusal>, Output) {
        let mut out = Output::default();
        let answer = match command {
            ServiceCommand::Change { changes, force } => {
                self.change(now, Deploy { changes, force, ..Deploy::default() }, &mut out)
            }
            ServiceCommand::Deploy(deploy) => self.change(now, *deploy, &mut out),
            ServiceCommand::PauseDeployment { id } => self.pause(now, &id, &mut out),
            ServiceCommand::ResumeDeployment { id } => self.resume(now, &id, &mut out),
            ServiceCommand::Kill { tasks, scale, wipe, force } => {
                self.kill_tasks(now, &tasks, scale, wipe, force, &mut out)
            }
            ServiceCommand::CancelDeployment { id, force } => self.cancel(now, &id, force, &mut out),
            ServiceCommand::ResetDelay { app } => self.reset_delay(app, &mut out),
        };
        (answer, out)
    }

    /// The kernel's news about this scheduler's groups.
    pub fn notice(&mut self, now: Timestamp, notice: Notice, cluster: &Cluster) -> Output {
        let mut out = Output::default();
        self.hear(now, notice, cluster, &mut out);
        out
    }

    /// The next thing it wants of the kernel, if anything. The caller applies it, passes the answer to [`answered`] and
    /// asks again, until there is nothing left (or it has done enough for one batch).
    ///
    /// [`answered`]: Services::answered
    pub fn next_call(&mut self, now: Timestamp, cluster: &Cluster) -> (Option<Call>, Output) {
        let mut out = Output::default();
        let call = self.decide(now, cluster, &mut out);
        (call, out)
    }

    /// The kernel's answer to the call that [`next_call`](Services::next_call) returned last.
    pub fn answered(&mut self, now: Timestamp, call: Call, answer: Answer, cluster: &Cluster) -> Output {
        self.take_answer(now, call, answer, cluster);
        Output::default()
    }

    /// When [`next_call`](Services::next_call) should be asked although nothing else happened. A time long ago means:
    /// at once.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadline()
    }

    /// Every app that waits for places, each with a placement pass over the cluster as it is now.
    pub fn queue(&self, now: Timestamp, cluster: &Cluster) -> Vec<QueueItem> {
        self.list_queue(now, cluster)
    }

    /// Every app that waits for places, for checks: each of them must be in the queue, with a reason.
    pub fn waiting(&self) -> impl Iterator<Item = &AppId> {
        self.by_id.iter().filter(|&(_, &key)| self.apps[key].launch > 0).map(|(app, _)| app)
    }

    /// A placement pass for one more instance of an app.
    pub fn explain(&self, app: &AppId, cluster: &Cluster) -> Option<Explanation> {
        self.explain_app(*self.by_id.get(app)?, cluster)
    }

    /// Whether everything inside fits together: counters equal a recount, whoever waits stands in a line, and so on. Only
    /// meaningful between steps: after [`next_call`](Services::next_call) has answered None.
    ///
    /// # Errors
    /// The first thing found that is not as it must be.
    pub fn check(&self) -> Result<(), String> {
        self.find_fault().map_or(Ok(()), Err)
    }

    fn next_uuid(&mut self, now: Timestamp, salt: u64) -> String {
        self.counter += 1;
        let high = instances::mix(self.settings.id_seed ^ instances::mix(now.0 ^ salt));
        let low = instances::mix(high ^ self.counter);
        hansa_model::id::uuid_text(instances::mix(low ^ now.0), low)
    }
}

//! Long-running services: desired versions in, claims and kills out.
//!
//! Pure: time comes in as an argument, records and events go out as data.

use hansa_model::app::AppVersion;
use hansa_model::event::Event;
use hansa_model::explain::{Explanation, QueueItem};
use hansa_model::scheduler::{Answer, Call, Notice};
use hansa_model::service::{ServiceAnswer, ServiceCommand, ServiceRefusal};
use hansa_model::{AppId, DeploymentId, Timestamp};
use hansa_placement::Cluster;
use std::sync::Arc;

/// What can be fixed about the scheduler.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Deployments at once.
    pub max_running_deployments: usize,
    /// Versions kept of each app.
    pub max_versions: usize,
    /// Service ports are given out from here,
    pub local_port_min: u16,
    /// to here.
    pub local_port_max: u16,
    /// Makes ids unique between clusters.
    pub id_seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_running_deployments: 10_000,
            max_versions: 50,
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
}

/// What a step led to.
#[derive(Debug, Default)]
pub struct Output {
    /// To be durable before the events are published.
    pub records: Vec<Record>,
    /// For the read model.
    pub events: Vec<Event>,
}

/// The scheduler.
#[derive(Debug, Default)]
pub struct Services {}

impl Services {
    /// No services.
    pub fn new(_settings: Settings) -> Self {
        Self::default()
    }

    /// Takes over what was stored (Put records only, any order), before the kernel's notices about what is placed.
    pub fn restore(&mut self, _now: Timestamp, _records: Vec<Record>) -> Output {
        Output::default()
    }

    /// A client's command.
    pub fn command(
        &mut self,
        _now: Timestamp,
        _command: ServiceCommand,
    ) -> (Result<ServiceAnswer, ServiceRefusal>, Output) {
        (Ok(ServiceAnswer::Done), Output::default())
    }

    /// The kernel's news about this scheduler's groups.
    pub fn notice(&mut self, _now: Timestamp, _notice: Notice, _cluster: &Cluster) -> Output {
        Output::default()
    }

    /// The next thing it wants of the kernel, if anything. The caller applies it, passes the answer to [`answered`] and
    /// asks again, until there is nothing left (or it has done enough for one batch).
    ///
    /// [`answered`]: Services::answered
    pub fn next_call(&mut self, _now: Timestamp, _cluster: &Cluster) -> (Option<Call>, Output) {
        (None, Output::default())
    }

    /// The kernel's answer to the call that [`next_call`](Services::next_call) returned last.
    pub fn answered(&mut self, _now: Timestamp, _call: Call, _answer: Answer, _cluster: &Cluster) -> Output {
        Output::default()
    }

    /// When [`next_call`](Services::next_call) should be asked although nothing else happened.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        None
    }

    /// Every app that waits for places, each with a placement pass over the cluster as it is now.
    pub fn queue(&self, _now: Timestamp, _cluster: &Cluster) -> Vec<QueueItem> {
        Vec::new()
    }

    /// A placement pass for one more instance of an app.
    pub fn explain(&self, _app: &AppId, _cluster: &Cluster) -> Option<Explanation> {
        None
    }
}

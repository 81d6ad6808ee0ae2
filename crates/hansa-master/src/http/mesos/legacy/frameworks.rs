//! Frameworks as Mesos' older endpoints write them, with their executors and offers.

use super::super::about::seconds;
use super::super::picture::{Picture, Scene, Who, state_name};
use super::agents::{no_tasks, of_scene};
use super::sums::Sum;
use super::tasks::{LabelJson, TaskJson, labels, labels_of, task};
use crate::read_model::Told;
use hansa_mesos::legacy;
use hansa_mesos::proto::v1;
use hansa_model::event::{ExecutorView, FrameworkView};
use hansa_model::framework::{Capability, ExecutorKind, FrameworkInfo, Offer};
use hansa_model::task::TaskState;
use prost::Message;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What every view of a framework begins with.
#[derive(Serialize)]
struct HeadJson<'a> {
    id: &'a str,
    name: &'a str,
    used_resources: Sum,
    offered_resources: Sum,
    capabilities: Vec<String>,
    hostname: &'a str,
    webui_url: &'a str,
    active: bool,
    connected: bool,
    recovered: bool,
}

/// A framework with all that it has.
#[derive(Serialize)]
pub(super) struct FrameworkJson<'a> {
    #[serde(flatten)]
    head: HeadJson<'a>,
    user: &'a str,
    failover_timeout: f64,
    checkpoint: bool,
    registered_time: f64,
    unregistered_time: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
    resources: Sum,
    #[serde(skip_serializing_if = "Option::is_none")]
    reregistered_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<&'a str>>,
    tasks: Tasks<'a>,
    unreachable_tasks: Tasks<'a>,
    completed_tasks: Tasks<'a>,
    offers: Vec<OfferJson<'a>>,
    executors: Vec<ExecutorJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<LabelJson<'a>>>,
    offer_constraints: Value,
}

/// A framework, its tasks only counted.
#[derive(Serialize)]
pub(super) struct SummaryJson<'a> {
    #[serde(flatten)]
    head: HeadJson<'a>,
    #[serde(flatten)]
    states: BTreeMap<&'static str, u64>,
    slave_ids: Vec<&'a str>,
}

/// Tasks of a scene; each is made when it is written.
struct Tasks<'a> {
    picture: &'a Picture,
    scene: &'a Scene,
    tasks: &'a [Told],
    wanted: fn(&Told) -> bool,
}

impl Serialize for Tasks<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tasks = self.tasks.iter().filter(|told| (self.wanted)(told));
        let tasks = tasks.map(|told| -> TaskJson<'_> { task(self.picture, self.scene, told) });
        serializer.collect_seq(tasks)
    }
}

#[derive(Serialize)]
struct OfferJson<'a> {
    id: &'a str,
    framework_id: &'a str,
    allocation_info: Value,
    slave_id: &'a str,
    resources: Sum,
}

#[derive(Serialize)]
struct ExecutorJson<'a> {
    executor_id: &'a str,
    name: String,
    framework_id: &'a str,
    command: Value,
    resources: Sum,
    role: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelJson<'a>>,
    #[serde(rename = "type")]
    kind: &'static str,
    slave_id: &'a str,
}

fn is_unreachable(told: &Told) -> bool {
    told.view.status.state == TaskState::Unreachable
}

/// A framework with all that it has.
pub(super) fn framework<'a>(picture: &'a Picture, scene: &'a Scene) -> FrameworkJson<'a> {
    let (used, offered) = of_scene(scene);
    let mut resources = used.clone();
    resources.add(&offered);
    let tasks = |tasks: &'a [Told], wanted: fn(&Told) -> bool| Tasks { picture, scene, tasks, wanted };
    let mut json = FrameworkJson {
        head: head(scene, used, offered),
        user: "root",
        failover_timeout: 604_800.0,
        checkpoint: true,
        registered_time: 0.0,
        unregistered_time: scene.removed_at.map_or(0.0, seconds),
        principal: None,
        resources,
        reregistered_time: None,
        role: Some("*"),
        roles: None,
        tasks: tasks(&scene.tasks, |told| !is_unreachable(told)),
        unreachable_tasks: tasks(&scene.tasks, is_unreachable),
        completed_tasks: tasks(&scene.ended, |_| true),
        offers: scene.offers.iter().map(|one| offer(one)).collect(),
        executors: scene.executors.iter().map(|one| executor(one)).collect(),
        labels: None,
        offer_constraints: json!({}),
    };
    match &scene.who {
        Who::Services { since, .. } => json.registered_time = seconds(*since),
        Who::Framework(view) => of_view(&mut json, view),
    }
    json
}

fn of_view<'a>(json: &mut FrameworkJson<'a>, view: &'a FrameworkView) {
    let info: &'a FrameworkInfo = &view.info;
    json.user = &info.user;
    json.failover_timeout = info.failover_timeout_ms as f64 / 1000.0;
    json.checkpoint = info.checkpoint;
    json.registered_time = seconds(view.registered_at);
    json.reregistered_time = view.reregistered_at.map(seconds);
    json.principal = info.principal.as_deref();
    let roles = info.roles.iter().map(|role| role.as_str());
    if info.can(Capability::MultiRole) {
        (json.role, json.roles) = (None, Some(roles.collect()));
    } else {
        json.role = roles.into_iter().next();
    }
    json.labels = (!info.labels.is_empty()).then(|| labels(&info.labels));
    json.offer_constraints = super::super::translate::constraints(&view.constraints);
}

fn head<'a>(scene: &'a Scene, used: Sum, offered: Sum) -> HeadJson<'a> {
    let (view, id) = match &scene.who {
        Who::Services { id, .. } => (None, id),
        Who::Framework(view) => (Some(view), &view.info.id),
    };
    let info = view.map(|view| view.info.as_ref());
    let connected = view.is_none_or(|view| view.connected) && scene.removed_at.is_none();
    let capabilities = match info {
        Some(info) => info.capabilities.iter().map(super::super::translate::capability).collect(),
        None => ["TASK_KILLING_STATE", "GPU_RESOURCES", "PARTITION_AWARE", "REGION_AWARE"]
            .map(str::to_owned)
            .to_vec(),
    };
    HeadJson {
        id: id.as_str(),
        name: info.map_or(super::super::picture::SERVICES, |info| info.name.as_str()),
        used_resources: used,
        offered_resources: offered,
        capabilities,
        hostname: info.map_or("", |info| info.hostname.as_str()),
        webui_url: info.and_then(|info| info.webui_url.as_deref()).unwrap_or_default(),
        active: connected,
        connected,
        recovered: view.is_some_and(|view| view.recovered),
    }
}

/// A framework, its tasks only counted.
pub(super) fn summary(scene: &Scene) -> SummaryJson<'_> {
    let (used, offered) = of_scene(scene);
    let mut states = no_tasks();
    let mut agents: BTreeSet<&str> = BTreeSet::new();
    for told in scene.tasks.iter().chain(&scene.ended) {
        let state = state_name(told.view.status.state, scene.who.is_partition_aware());
        if let Some(count) = states.get_mut(state) {
            *count += 1;
        }
        agents.insert(told.view.agent.as_str());
    }
    SummaryJson { head: head(scene, used, offered), states, slave_ids: agents.into_iter().collect() }
}

fn offer(offer: &Offer) -> OfferJson<'_> {
    let mut resources = Sum::default();
    resources.parts(&offer.parts);
    OfferJson {
        id: offer.id.as_str(),
        framework_id: offer.framework.as_str(),
        allocation_info: json!({"role": offer.role.as_str()}),
        slave_id: offer.agent.as_str(),
        resources,
    }
}

fn executor(view: &ExecutorView) -> ExecutorJson<'_> {
    let run = &view.run;
    // Checked when it came; what cannot be read is not shown.
    let info = v1::ExecutorInfo::decode(run.info.bytes()).ok();
    let command = info.as_ref().and_then(|info| info.command.clone()).unwrap_or_default();
    let mut resources = Sum::default();
    resources.parts(&run.parts);
    let (name, labels) = info.map(|info| (info.name.unwrap_or_default(), info.labels)).unwrap_or_default();
    ExecutorJson {
        executor_id: &run.id,
        name,
        framework_id: view.framework.as_str(),
        command: legacy::command(&command),
        resources,
        role: view.role.as_str(),
        labels: labels_of(labels),
        kind: match run.kind {
            ExecutorKind::Default => "DEFAULT",
            ExecutorKind::Custom => "CUSTOM",
        },
        slave_id: view.agent.as_str(),
    }
}

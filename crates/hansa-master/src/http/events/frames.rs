//! From published events to frames: each thing that changed once, as it is now.

use super::super::error::ApiError;
use super::super::{frameworks, views};
use crate::read_model::{ReadModel, app_of};
use hansa_api::hansa::StreamEvent;
use hansa_model::event::{DeploymentChange, DeploymentView, Event, Published, TaskChange, TaskView};
use hansa_model::{AgentId, AppId, DeploymentId, FrameworkId, RoleName, TaskId};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Which frames a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) nodes: bool,
    pub(super) usage: bool,
    pub(super) services: bool,
    pub(super) tasks: bool,
    pub(super) deployments: bool,
    pub(super) roles: bool,
    pub(super) frameworks: bool,
    pub(super) alarms: bool,
}

impl Kinds {
    const ALL: Self = Self::of(true);
    const NONE: Self = Self::of(false);

    const fn of(all: bool) -> Self {
        Self {
            nodes: all,
            usage: all,
            services: all,
            tasks: all,
            deployments: all,
            roles: all,
            frameworks: all,
            alarms: all,
        }
    }

    /// Names separated by commas; None: all.
    pub(super) fn parse(only: Option<&str>) -> Result<Self, ApiError> {
        let Some(only) = only else { return Ok(Self::ALL) };
        let mut kinds = Self::NONE;
        for name in only.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "node" => kinds.nodes = true,
                "usage" => kinds.usage = true,
                "service" => kinds.services = true,
                "task" => kinds.tasks = true,
                "deployment" => kinds.deployments = true,
                "role" => kinds.roles = true,
                "framework" => kinds.frameworks = true,
                "alarm" => kinds.alarms = true,
                other => {
                    return Err(ApiError::invalid("only", format!("there are no events of kind '{other}'"))
                        .remedy("node, usage, service, task, deployment, role, framework, alarm"));
                }
            }
        }
        Ok(kinds)
    }
}

/// What happened to a task or deployment last.
enum Last<T> {
    Is(Arc<T>),
    Removed,
}

/// Everything that a batch touched.
#[derive(Default)]
struct Touched<'a> {
    nodes: BTreeSet<&'a AgentId>,
    services: BTreeSet<&'a AppId>,
    tasks: FxHashMap<&'a TaskId, Last<TaskView>>,
    task_order: Vec<&'a TaskId>,
    deployments: FxHashMap<&'a DeploymentId, (Arc<DeploymentView>, &'static str)>,
    deployment_order: Vec<&'a DeploymentId>,
    roles: BTreeSet<&'a RoleName>,
    /// Those that came to be listed, went, or got more or less reserved; that follows from events of many kinds.
    moved: BTreeSet<&'a RoleName>,
    frameworks: BTreeSet<&'a FrameworkId>,
    alarms: Vec<StreamEvent>,
}

/// The frames of a batch; what stands in `model` may be newer than the batch, never older.
pub(super) fn frames(model: &ReadModel, batch: &[Arc<Published>], kinds: &Kinds) -> Vec<StreamEvent> {
    let mut touched = Touched::default();
    if kinds.roles
        && let Some(first) = batch.first()
    {
        match model.roles_moved_since(first.index) {
            Some(moved) => touched.moved.extend(moved),
            None => return vec![StreamEvent::Resync { index: model.index() }],
        }
    }
    for event in batch.iter().flat_map(|published| &published.events) {
        touched.add(event);
    }
    touched.frames(model, kinds)
}

impl<'a> Touched<'a> {
    fn add(&mut self, event: &'a Event) {
        match event {
            Event::Agent(view) => drop(self.nodes.insert(&view.id)),
            Event::AgentRemoved(id) => drop(self.nodes.insert(id)),
            Event::Task { view, change } => {
                self.services.extend(app_of(view));
                if *change != TaskChange::Health {
                    self.nodes.insert(&view.agent);
                }
                self.task(&view.status.task, Last::Is(view.clone()));
            }
            Event::TaskRemoved(id) => self.task(id, Last::Removed),
            Event::App(view) => drop(self.services.insert(&view.current.spec.id)),
            Event::AppRemoved(id) => drop(self.services.insert(id)),
            Event::Deployment { view, change } => {
                self.services.extend(&view.affected);
                let state = match change {
                    DeploymentChange::Succeeded => "succeeded",
                    DeploymentChange::Failed(_) => "failed",
                    _ if view.paused.is_some() => "paused",
                    _ if view.failing.is_some() => "failing",
                    _ => "running",
                };
                if self.deployments.insert(&view.id, (view.clone(), state)).is_none() {
                    self.deployment_order.push(&view.id);
                }
            }
            Event::Role(view) => drop(self.roles.insert(&view.role.name)),
            Event::Framework(view) => drop(self.frameworks.insert(&view.info.id)),
            Event::FrameworkRemoved(id) => drop(self.frameworks.insert(id)),
            Event::Alarm { code, message } => {
                self.alarms.push(StreamEvent::Alarm { code: (*code).into(), message: message.clone() });
            }
            Event::AppVersion(_)
            | Event::AppVersionDropped(..)
            | Event::AppRemoval(..)
            | Event::AppRemovalDropped(..)
            | Event::Group(_)
            | Event::GroupVersionDropped(..)
            | Event::Maintenance(_)
            | Event::Executor(_)
            | Event::ExecutorRemoved(_)
            | Event::Offer(_)
            | Event::OfferEnded { .. }
            | Event::GivenUpEnded { .. }
            | Event::UnhealthyKill { .. } => {}
        }
    }

    fn task(&mut self, id: &'a TaskId, last: Last<TaskView>) {
        if self.tasks.insert(id, last).is_none() {
            self.task_order.push(id);
        }
    }

    fn frames(mut self, model: &ReadModel, kinds: &Kinds) -> Vec<StreamEvent> {
        let mut frames = Vec::new();
        if kinds.nodes {
            frames.extend(self.nodes.iter().map(|&id| match model.agent(id.as_str()) {
                Some(agent) => StreamEvent::Node(views::node(model, agent)),
                None => StreamEvent::NodeRemoved { id: id.clone() },
            }));
        }
        if kinds.tasks {
            frames.extend(self.task_order.iter().map(|&id| match &self.tasks[id] {
                Last::Is(view) => StreamEvent::Task(views::task(view)),
                Last::Removed => {
                    let last = model.ended(id).map(|told| Box::new(views::task(&told.view)));
                    StreamEvent::TaskRemoved { id: id.clone(), last }
                }
            }));
        }
        if kinds.services {
            frames.extend(self.services.iter().map(|&id| match model.app(id) {
                Some(app) => StreamEvent::Service(views::service(model, app)),
                None => StreamEvent::ServiceRemoved { id: id.clone() },
            }));
        }
        if kinds.deployments {
            frames.extend(self.deployment_order.iter().map(|&id| {
                let (view, state) = &self.deployments[id];
                deployment(view, state)
            }));
        }
        if kinds.roles && !(self.roles.is_empty() && self.moved.is_empty()) {
            let offered = views::offered(model);
            for &name in self.roles.union(&self.moved) {
                if model.is_listed(name) {
                    frames.push(StreamEvent::Role(views::role(model, name, &offered)));
                } else if self.moved.contains(name) {
                    frames.push(StreamEvent::RoleRemoved { name: name.clone() });
                }
            }
        }
        if kinds.frameworks && !self.frameworks.is_empty() {
            let capacity = frameworks::capacity(model);
            frames.extend(self.frameworks.iter().map(|&id| match model.framework(id.as_str()) {
                Some(framework) => StreamEvent::Framework(frameworks::summary(model, framework, &capacity)),
                None => StreamEvent::FrameworkRemoved { id: id.clone() },
            }));
        }
        if kinds.alarms {
            frames.append(&mut self.alarms);
        }
        frames
    }
}

fn deployment(view: &DeploymentView, state: &str) -> StreamEvent {
    StreamEvent::Deployment {
        id: view.id.clone(),
        services: view.affected.clone(),
        step: view.current_step,
        steps: view.steps.len(),
        waiting_for: view.waiting_for.clone(),
        state: state.into(),
    }
}

/// The frame's event name and data.
pub(super) fn wire(frame: &StreamEvent) -> (String, String) {
    // Written as {"event":"<name>","data":<data>}, always in this order; taking that apart spares a tree of values.
    let text = serde_json::to_string(frame).expect("a frame has only text as keys");
    let parts = text
        .strip_prefix(r#"{"event":""#)
        .and_then(|rest| rest.strip_suffix('}'))
        .and_then(|rest| rest.split_once(r#"","data":"#));
    let (name, data) = parts.expect("a frame is written as event and data");
    (name.to_owned(), data.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hansa_model::Timestamp;
    use hansa_model::event::Standstill;

    #[test]
    fn a_frame_is_its_name_and_its_data() {
        assert_eq!(wire(&StreamEvent::Resync { index: 7 }), ("resync".into(), r#"{"index":7}"#.into()));
        let alarm = StreamEvent::Alarm { code: "c".into(), message: r#"","data":{}} "quoted""#.into() };
        let (name, data) = wire(&alarm);
        assert_eq!(name, "alarm");
        let read: serde_json::Value = serde_json::from_str(&data).unwrap();
        assert_eq!(read["message"], r#"","data":{}} "quoted""#);
        assert_eq!(
            wire(&StreamEvent::TaskRemoved { id: "t".into(), last: None }),
            ("task_removed".into(), r#"{"id":"t","last":null}"#.into())
        );
    }

    #[test]
    fn a_deployment_that_stands_still_says_so() {
        let still = || Some(Standstill { since: Timestamp(1), words: "the canary stands".into() });
        let state = |paused, failing, change| {
            let view = DeploymentView {
                id: "d".into(),
                version: Timestamp(1),
                started_at: Timestamp(1),
                affected: vec!["/web".into()],
                steps: Vec::new(),
                current_step: 0,
                waiting_for: String::new(),
                progressed_at: Timestamp(1),
                remedy: String::new(),
                paused,
                failing,
                rolls_back: None,
            };
            let event = Event::Deployment { view: Arc::new(view), change };
            let mut touched = Touched::default();
            touched.add(&event);
            touched.deployments.values().next().map(|(_, state)| *state)
        };
        assert_eq!(state(None, None, DeploymentChange::Progress), Some("running"));
        assert_eq!(state(still(), None, DeploymentChange::Paused), Some("paused"));
        assert_eq!(state(None, still(), DeploymentChange::Restored), Some("failing"));
        assert_eq!(state(still(), still(), DeploymentChange::Progress), Some("paused"));
        assert_eq!(state(still(), None, DeploymentChange::Failed("cancelled".into())), Some("failed"));
    }

    #[test]
    fn kinds_are_named_or_all() {
        assert_eq!(Kinds::parse(None).unwrap(), Kinds::ALL);
        assert_eq!(Kinds::parse(Some("")).unwrap(), Kinds::NONE);
        let some = Kinds::parse(Some("node, task")).unwrap();
        assert!(some.nodes && some.tasks && !some.services && !some.usage);
        assert!(Kinds::parse(Some("node,tasks")).is_err());
    }
}

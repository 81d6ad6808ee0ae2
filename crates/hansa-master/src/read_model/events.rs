//! What happened, for people who ask later: the newest of it, in words.
//!
//! Tasks come and go by the thousand and everything else seldom, so each has a ring of its own: a busy minute of tasks does
//! not push out that a machine was lost. Of tasks mostly what was published is held, and words are made of it when somebody
//! asks.
//! Some 1 kB each, 12 MB in all at most. What a master restores when it begins to lead has not happened, and is not noted. Not here: frames of streams, which say how things are.

use super::{ReadModel, app_of};
use hansa_model::event::{
    AgentState, AgentView, AppView, DeploymentChange, Event, FrameworkView, TaskChange, TaskView,
};
use hansa_model::words::counted;
use hansa_model::{AppId, TaskId, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// What happened to tasks and is remembered.
const OF_TASKS: usize = 8_192;

/// Everything else that is remembered.
const OF_OTHERS: usize = 4_096;

/// What something happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PastKind {
    /// A machine.
    Node,
    /// A service.
    Service,
    /// A task.
    Task,
    /// A deployment.
    Deployment,
    /// A role.
    Role,
    /// A framework.
    Framework,
    /// Nothing but the operator.
    Alarm,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Rises by one with each.
    pub number: u64,
    /// When, by the kernel's clock.
    pub at: Timestamp,
    /// To what.
    pub kind: PastKind,
    /// To which of them.
    pub subject: String,
    /// What, for people.
    pub words: String,
    /// The service that it has to do with.
    pub service: Option<AppId>,
    /// The name of the machine that it has to do with.
    pub hostname: Option<Arc<str>>,
}

/// What happened to a task.
#[derive(Debug)]
enum TaskPast {
    /// What was published of it, of which words can be made.
    Changed { number: u64, at: Timestamp, view: Arc<TaskView>, change: TaskChange },
    /// Words that were made when it happened.
    Told(Past),
}

/// As much as is remembered.
#[derive(Debug, Default)]
pub(super) struct PastEvents {
    number: u64,
    tasks: VecDeque<TaskPast>,
    others: VecDeque<Past>,
}

impl PastEvents {
    fn push_task(&mut self, at: Timestamp, view: &Arc<TaskView>, change: TaskChange) {
        self.number += 1;
        let view = view.clone();
        push(&mut self.tasks, OF_TASKS, TaskPast::Changed { number: self.number, at, view, change });
    }

    /// Whatever has to do with a task goes to the tasks' ring, however it is told.
    fn push(&mut self, past: Past) {
        self.number += 1;
        let past = Past { number: self.number, ..past };
        match past.kind {
            PastKind::Task => push(&mut self.tasks, OF_TASKS, TaskPast::Told(past)),
            _ => push(&mut self.others, OF_OTHERS, past),
        }
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = Past> {
        let (mut tasks, mut others) =
            (self.tasks.iter().rev().peekable(), self.others.iter().rev().peekable());
        std::iter::from_fn(move || match (tasks.peek(), others.peek()) {
            (Some(task), Some(other)) if task.number() > other.number => tasks.next().map(TaskPast::told),
            (Some(_), None) => tasks.next().map(TaskPast::told),
            _ => others.next().cloned(),
        })
    }
}

fn push<T>(ring: &mut VecDeque<T>, most: usize, one: T) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(one);
}

impl TaskPast {
    fn number(&self) -> u64 {
        match self {
            Self::Changed { number, .. } => *number,
            Self::Told(past) => past.number,
        }
    }

    fn told(&self) -> Past {
        let (number, at, view, change) = match self {
            Self::Changed { number, at, view, change } => (*number, *at, view, *change),
            Self::Told(past) => return past.clone(),
        };
        let status = &view.status;
        let because = if status.message.is_empty() { "" } else { ": " };
        let words = match (change, status.healthy) {
            (TaskChange::Placed, _) => format!("is given to {}", view.hostname),
            (TaskChange::Health, Some(true)) => "is healthy".to_owned(),
            (TaskChange::Health, _) => format!("is unhealthy{because}{}", status.message),
            (TaskChange::State | TaskChange::Restored, _) => {
                let state = status.state.name();
                format!("is {state} on {}{because}{}", view.hostname, status.message)
            }
        };
        Past {
            number,
            at,
            kind: PastKind::Task,
            subject: status.task.as_str().to_owned(),
            words,
            service: app_of(view).cloned(),
            hostname: Some(view.hostname.clone()),
        }
    }
}

impl ReadModel {
    /// Notes an event that is about to be folded, if people would want to know.
    pub(super) fn note(&mut self, at: Timestamp, event: &Event) {
        if self.index == 0 {
            // The state that the leadership began with.
            return;
        }
        match event {
            Event::Task { view, change } => match (change, view.status.healthy) {
                (TaskChange::Restored, _) | (TaskChange::Health, None) => {}
                _ => self.past.push_task(at, view, *change),
            },
            other => {
                if let Some(past) = self.told_as(at, other) {
                    self.past.push(past);
                }
            }
        }
    }

    /// What happened, with the service and the machine of the task, if it is known.
    fn with_task(&self, task: &TaskId, past: Past) -> Past {
        let Some(view) = self.task(task) else { return past };
        Past { service: app_of(view).cloned(), hostname: Some(view.hostname.clone()), ..past }
    }

    fn told_as(&self, at: Timestamp, event: &Event) -> Option<Past> {
        let past = |kind, subject: &str, words: String| {
            let subject = subject.to_owned();
            Some(Past { number: 0, at, kind, subject, words, service: None, hostname: None })
        };
        let service = |id: &AppId, words| {
            past(PastKind::Service, id.as_str(), words).map(|past| Past { service: Some(id.clone()), ..past })
        };
        match event {
            Event::Agent(view) => {
                let words = node_words(self.agent(view.id.as_str()).map(|agent| &*agent.view), view)?;
                past(PastKind::Node, view.id.as_str(), words)
                    .map(|past| Past { hostname: Some(view.hostname.clone()), ..past })
            }
            Event::AgentRemoved(id) => {
                let name = self.agent(id.as_str()).map(|agent| agent.view.hostname.clone());
                let words = format!("node {} is forgotten", name.as_deref().unwrap_or(id.as_str()));
                past(PastKind::Node, id.as_str(), words).map(|past| Past { hostname: name, ..past })
            }
            Event::UnhealthyKill { task, reason } => {
                let words = format!("is killed because it is unhealthy: {reason}");
                past(PastKind::Task, task.as_str(), words).map(|past| self.with_task(task, past))
            }
            Event::AppVersion(version) => {
                let instances = counted(version.spec.instances.into(), "instance");
                service(&version.spec.id, format!("has a new version with {instances}"))
            }
            Event::App(view) => {
                service(&view.current.spec.id, service_words(self.app(&view.current.spec.id), view)?)
            }
            Event::AppRemoved(id) => service(id, "is removed".into()),
            Event::Deployment { view, change } => {
                let names: Vec<&str> = view.affected.iter().take(3).map(AppId::as_str).collect();
                let more = view.affected.len().saturating_sub(names.len());
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                let of = format!("deployment of {}{more}", names.join(", "));
                let words = match change {
                    DeploymentChange::Started => format!("{of} began"),
                    DeploymentChange::Succeeded => format!("{of} is done"),
                    DeploymentChange::Failed(why) => format!("{of} was given up: {why}"),
                    DeploymentChange::Paused => format!("{of} is paused"),
                    DeploymentChange::Resumed => format!("{of} goes on"),
                    DeploymentChange::Failing(why) => format!("{of} comes no nearer to its goal: {why}"),
                    DeploymentChange::StepStarted
                    | DeploymentChange::StepSucceeded
                    | DeploymentChange::Progress
                    | DeploymentChange::Restored => return None,
                };
                let only = view.affected.first().filter(|_| view.affected.len() == 1);
                past(PastKind::Deployment, view.id.as_str(), words)
                    .map(|past| Past { service: only.cloned(), ..past })
            }
            Event::Role(view) => {
                let before = self.roles.get(&view.role.name);
                let same = before.is_some_and(|before| before.role == view.role);
                let usual = before.is_none() && view.role.is_usual();
                (!same && !usual)
                    .then(|| past(PastKind::Role, view.role.name.as_str(), "has new settings".into()))?
            }
            Event::Framework(view) => {
                let before = self.framework(view.info.id.as_str()).map(|framework| &*framework.view);
                past(PastKind::Framework, view.info.id.as_str(), framework_words(before, view)?)
            }
            Event::FrameworkRemoved(id) => {
                let name = self.framework(id.as_str()).map(|framework| framework.view.info.name.clone());
                let words = format!("framework {} is gone for ever", name.as_deref().unwrap_or(id.as_str()));
                past(PastKind::Framework, id.as_str(), words)
            }
            Event::Alarm { code, message } => past(PastKind::Alarm, code, message.clone()),
            // Tasks' changes are noted as they are.
            Event::Task { .. }
            | Event::TaskRemoved(_)
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
            | Event::GivenUpEnded { .. } => None,
        }
    }
}

fn node_words(before: Option<&AgentView>, now: &AgentView) -> Option<String> {
    let state = |state| match state {
        AgentState::Active => "takes work",
        AgentState::Deactivated => "is deactivated: it takes no new work",
        AgentState::Draining => "is being drained",
        AgentState::Disconnected => "has lost its connection",
        AgentState::Unreachable => "is out of reach",
    };
    match before {
        None => Some(format!("node {} joined", now.hostname)),
        Some(before) if before.state != now.state => {
            Some(format!("node {} {}", now.hostname, state(now.state)))
        }
        Some(_) => None,
    }
}

fn service_words(before: Option<&Arc<AppView>>, now: &AppView) -> Option<String> {
    let failing = now.failing.as_ref()?;
    let was_failing = before.is_some_and(|before| before.failing.is_some());
    (!was_failing).then(|| format!("fails again and again: {}", failing.last))
}

fn framework_words(before: Option<&FrameworkView>, now: &FrameworkView) -> Option<String> {
    let name = &now.info.name;
    match before {
        None => Some(format!("framework {name} subscribed")),
        Some(before) if before.connected != now.connected => Some(match now.connected {
            true => format!("framework {name} is connected"),
            false => format!("framework {name} went away"),
        }),
        Some(_) => None,
    }
}

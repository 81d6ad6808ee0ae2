//! Apps: a version, and all that is known about a running one. The definition itself is `super::definition`'s.

use super::{milli, task};
use crate::marathon::select::Embed;
use hansa_model::Timestamp;
use hansa_model::app::AppVersion;
use hansa_model::event::{AppView, TaskFailure, TaskView};
use hansa_model::spec::Origin;
use hansa_model::task::TaskState;
use serde_json::{Map, Value, json};

pub use super::definition::{definition, health_check};

/// A version of an app, as `/v2/apps/{id}/versions/{version}` shows it.
pub fn version(version: &AppVersion) -> Map<String, Value> {
    let mut app = definition(&version.spec);
    app.insert("version".into(), json!(version.version.to_rfc3339()));
    app.insert(
        "versionInfo".into(),
        json!({
            "lastScalingAt": version.last_scaling_at.to_rfc3339(),
            "lastConfigChangeAt": version.last_config_change_at.to_rfc3339(),
        }),
    );
    app
}

/// `{"versions": […]}`, newest first.
pub fn versions(versions: impl IntoIterator<Item = Timestamp>) -> Value {
    let mut versions: Vec<Timestamp> = versions.into_iter().collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    json!({"versions": versions.iter().map(|version| version.to_rfc3339()).collect::<Vec<_>>()})
}

/// How many tasks of an app there are, by what they are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Placed, not yet running.
    pub staged: u32,
    /// Running.
    pub running: u32,
    /// Of those, the ones whose checks succeed.
    pub healthy: u32,
    /// And those whose checks fail.
    pub unhealthy: u32,
}

impl Counts {
    /// Counts one task.
    pub fn add(&mut self, task: &TaskView) {
        match task.status.state {
            TaskState::Staging | TaskState::Starting => self.staged += 1,
            TaskState::Running => {
                self.running += 1;
                match task.status.healthy {
                    Some(true) => self.healthy += 1,
                    Some(false) => self.unhealthy += 1,
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// Counts some tasks.
    pub fn of<'a>(tasks: impl IntoIterator<Item = &'a TaskView>) -> Self {
        let mut counts = Self::default();
        tasks.into_iter().for_each(|task| counts.add(task));
        counts
    }
}

/// What is known about a running app.
pub struct Running<'a> {
    /// The app.
    pub app: &'a AppView,
    /// Its tasks, counted.
    pub counts: Counts,
    /// Its live tasks, for embedding; only looked at when asked for.
    pub tasks: Vec<&'a TaskView>,
    /// Machines and versions, for embedding tasks.
    pub world: &'a dyn task::World,
    /// Now.
    pub now: Timestamp,
}

/// An app with everything that `embed` asks for.
pub fn info(running: &Running<'_>, embed: Embed) -> Map<String, Value> {
    let mut app = version(&running.app.current);
    let mut put = |name: &str, value: Value| drop(app.insert(name.to_owned(), value));
    if embed.counts {
        put("tasksStaged", json!(running.counts.staged));
        put("tasksRunning", json!(running.counts.running));
        put("tasksHealthy", json!(running.counts.healthy));
        put("tasksUnhealthy", json!(running.counts.unhealthy));
    }
    if embed.deployments {
        put("deployments", running.app.deployments.iter().map(|id| json!({"id": id})).collect());
    }
    if embed.tasks {
        put("tasks", running.tasks.iter().map(|view| task::task(view, running.world)).collect());
    }
    if embed.readiness {
        put("readinessCheckResults", task::readiness(running.tasks.iter().copied()));
    }
    if let (true, Some(failure)) = (embed.last_task_failure, &running.app.last_failure) {
        put("lastTaskFailure", task_failure(failure));
    }
    if embed.task_stats {
        // Marathon's newest line calls it `tasksStats`; every client reads `taskStats`, and the PyPI client fails on the
        // other name, so only who asks by that name gets it.
        let stats = task_stats(&running.app.current, &running.tasks, running.now);
        if embed.tasks_stats {
            put("tasksStats", stats.clone());
        }
        put("taskStats", stats);
    }
    app
}

/// The answer to creating an app: everything about it, which is not much yet.
pub fn created(current: &AppVersion, deployment: &hansa_model::DeploymentId) -> Map<String, Value> {
    let mut app = version(current);
    for name in ["tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"] {
        app.insert(name.into(), json!(0));
    }
    app.insert("deployments".into(), json!([{"id": deployment}]));
    app
}

fn task_failure(failure: &TaskFailure) -> Value {
    json!({
        "appId": failure.app,
        "taskId": failure.task,
        "state": failure.state.name(),
        "message": failure.message,
        "host": failure.hostname,
        "slaveId": failure.agent,
        "timestamp": failure.at.to_rfc3339(),
        "version": failure.version.to_rfc3339(),
    })
}

/// Numbers and ages of tasks: of all, of those of the latest configuration and of older ones, and of those started since
/// the app was last scaled.
fn task_stats(current: &AppVersion, tasks: &[&TaskView], now: Timestamp) -> Value {
    let config = |task: &TaskView| match &task.origin {
        Origin::App { version, .. } => *version,
        Origin::Framework => Timestamp(0),
    };
    let latest = |task: &TaskView| config(task) >= current.last_config_change_at;
    let mut stats = Map::new();
    let mut put = |name: &str, choose: &dyn Fn(&TaskView) -> bool| {
        let chosen: Vec<&TaskView> = tasks.iter().copied().filter(|task| choose(task)).collect();
        if !chosen.is_empty() {
            stats.insert(name.to_owned(), json!({"stats": summary(&chosen, now)}));
        }
    };
    put("startedAfterLastScaling", &|task| task.staged_at > current.last_scaling_at);
    put("withLatestConfig", &latest);
    put("withOutdatedConfig", &|task| !latest(task));
    put("totalSummary", &|_| true);
    Value::Object(stats)
}

fn summary(tasks: &[&TaskView], now: Timestamp) -> Value {
    let counts = Counts::of(tasks.iter().copied());
    let mut stats = json!({"counts": {
        "staged": counts.staged,
        "running": counts.running,
        "healthy": counts.healthy,
        "unhealthy": counts.unhealthy,
    }});
    let mut ages: Vec<u64> = tasks
        .iter()
        .filter(|task| task.status.state == TaskState::Running)
        .filter_map(|task| task.started_at.map(|started| now.since(started)))
        .collect();
    ages.sort_unstable();
    if let Some(&low) = ages.get(ages.len().saturating_sub(1) / 2) {
        let high = ages[ages.len() / 2];
        let average = ages.iter().sum::<u64>() / ages.len() as u64;
        stats["lifeTime"] =
            json!({"averageSeconds": milli(average), "medianSeconds": milli(low.midpoint(high))});
    }
    stats
}

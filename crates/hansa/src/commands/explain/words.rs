//! How things are and why, in words. Pure: from answers of the master to sentences.

use super::{Explained, Kind};
use crate::commands::app::list::state;
use crate::commands::node::list::state as node_state;
use crate::commands::task::list::state as task_state;
use crate::commands::task::logs::short_id;
use crate::text;
use hansa_api::hansa::{Deployment, Health, Node, Service, Task};
use hansa_api::plans::Explained as Placement;
use hansa_model::Timestamp;
use hansa_model::event::AgentState;
use hansa_model::task::TaskState;

/// Why a service is as it is.
pub fn service(
    service: &Service,
    tasks: &[Task],
    deployments: &[Deployment],
    placement: Option<&Placement>,
    now: Timestamp,
) -> Explained {
    let id = service.id.to_string();
    let mut why = Vec::new();
    let mut remedies = Vec::new();
    for deployment in deployments.iter().filter(|one| service.deployments.contains(&one.id)) {
        why.extend(standing(deployment, now));
        if !deployment.remedy.is_empty() {
            remedies.push(deployment.remedy.clone());
        }
    }
    if let Some(failing) = &service.failing {
        let since = text::age(now, failing.since);
        why.push(format!(
            "its instances end again and again, {} in {since}; the last one: {}; each next attempt waits {}",
            text::count(failing.count.into(), "time"),
            failing.last,
            text::span(failing.delay_ms)
        ));
    } else if let Some(failure) = &service.last_failure {
        let when = service.last_failure_at.map(|at| format!(", {} ago", text::age(now, at)));
        why.push(format!("its last failure{}: {failure}", when.unwrap_or_default()));
    }
    let logs = format!("`hansa logs {id}`");
    // One failure is not yet a row of them; whoever asks at once is to learn as much.
    let ends =
        service.failing.is_some() || (service.health == Health::Unhealthy && service.last_failure.is_some());
    if ends && !remedies.iter().any(|remedy| remedy.contains(&logs)) {
        remedies.push(format!("{logs} shows what they wrote before they ended"));
    }
    if ends {
        remedies.push(match service.deployments.first() {
            Some(deployment) => format!(
                "`hansa deployment cancel {}` takes the change under way back; `hansa app update {id} --force` with \
                 other fields replaces it",
                deployment.as_str().get(..8).unwrap_or(deployment.as_str())
            ),
            None => format!(
                "`hansa app update {id}` with the fields to mend, such as cmd=…; `hansa app rollback {id}` brings the \
                 version before back"
            ),
        });
    }
    let unhealthy = tasks.iter().filter(|task| task.healthy == Some(false) && !task.state.is_terminal());
    for task in unhealthy.take(3) {
        why.push(format!("{} on {} is unhealthy: {}", short_id(&task.id), task.hostname, checks(task)));
    }
    let unreachable = tasks.iter().filter(|task| task.state == TaskState::Unreachable).count();
    if unreachable > 0 {
        why.push(format!(
            "{} on machines that are out of reach",
            text::count(unreachable as u64, "instance")
        ));
    }
    let short = service.running + service.staged < service.instances;
    match placement.map(|placement| &placement.explanation) {
        Some(placement) if placement.choice.is_none() => {
            why.push(format!("no machine takes one more instance: {}", placement.summary));
            remedies.push(format!(
                "ask for less (`hansa app update {id} cpus=… mem=…`), drop a constraint, or add a machine"
            ));
        }
        Some(placement) if !short => why.push(format!(
            "one more instance would fit on {} of {}",
            placement.fitting,
            text::count(placement.machines.into(), "machine")
        )),
        _ => {}
    }
    // What helps may be said by the deployment and by us.
    let mut seen = std::collections::BTreeSet::new();
    // … and this is what the deployment sends people to.
    let this = format!("`hansa explain {id}`");
    remedies.retain(|remedy| !remedy.contains(&this) && seen.insert(remedy.clone()));
    let mut summary = format!("is {}: ", state(service));
    summary.push_str(&match service.instances {
        0 => format!("it asks for no instances; `hansa app scale {id} 1` runs one"),
        instances => format!("{} of {} running", service.running, text::count(instances.into(), "instance")),
    });
    if service.healthy + service.unhealthy > 0 {
        summary.push_str(&format!(", {} healthy", service.healthy));
    }
    let stuck = placement.is_some_and(|placement| placement.explanation.choice.is_none());
    Explained {
        kind: Kind::Service,
        id,
        summary,
        why,
        remedies,
        placement: placement.filter(|_| stuck || short).cloned(),
    }
}

/// Why a deployment is where it is.
fn standing(deployment: &Deployment, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let step = (deployment.step + 1).min(deployment.steps);
    let mut line = format!("deployment {} is in step {step} of {}", deployment.id, deployment.steps);
    if !deployment.doing.is_empty() {
        line.push_str(&format!(" ({})", deployment.doing.join(", ")));
    }
    if !deployment.waiting_for.is_empty() {
        let since = text::age(now, deployment.waiting_since);
        let waits = text::from_now(&deployment.waiting_for, now);
        line.push_str(&format!(" and waits: {waits} (no progress for {since})"));
    }
    lines.push(line);
    for (word, at) in [("paused", &deployment.paused), ("failing", &deployment.failing)] {
        if let Some(at) = at {
            lines.push(format!("it is {word} for {}: {}", text::age(now, at.since), at.words));
        }
    }
    lines
}

/// The same as an answer of its own.
pub fn deployment(deployment: &Deployment, now: Timestamp) -> Explained {
    let services: Vec<&str> = deployment.services.iter().map(|id| id.as_str()).collect();
    let mut remedies = Vec::new();
    if !deployment.remedy.is_empty() {
        remedies.push(deployment.remedy.clone());
    }
    if deployment.paused.is_some() {
        remedies.push(format!("`hansa deployment resume {}` lets it go on", deployment.id));
    }
    remedies.push(format!("`hansa deployment cancel {}` goes back to what was before", deployment.id));
    Explained {
        kind: Kind::Deployment,
        id: deployment.id.to_string(),
        summary: format!("changes {} for {}", services.join(", "), text::age(now, deployment.started_at)),
        why: standing(deployment, now),
        remedies,
        placement: None,
    }
}

/// What a task's checks say.
fn checks(task: &Task) -> String {
    let failing = task.health.iter().find(|check| check.alive != Some(true));
    match failing {
        Some(check) => {
            let times = text::count(check.consecutive_failures.into(), "failure");
            let cause = check.last_failure_cause.as_deref().unwrap_or("the check does not succeed");
            format!("{cause} ({times} in a row)")
        }
        None => "its checks do not succeed".into(),
    }
}

/// Why a task is as it is.
pub fn task(task: &Task, now: Timestamp) -> Explained {
    let mut why = Vec::new();
    let mut remedies = Vec::new();
    why.push(match task.state {
        TaskState::Staging => format!(
            "it was assigned {} ago and its machine has not started it yet",
            text::age(now, task.staged_at)
        ),
        TaskState::Starting => {
            "its machine prepares it: fetches its image and files, makes its container".into()
        }
        TaskState::Running => {
            format!("it runs for {}", text::age(now, task.started_at.unwrap_or(task.staged_at)))
        }
        TaskState::Killing => "it was told to end and is given time for it".into(),
        TaskState::Unreachable => {
            format!("its machine {} is out of reach; it may still run there", task.hostname)
        }
        TaskState::Finished => "it ended by itself with exit code 0".into(),
        TaskState::Failed => "it ended by itself, and not well".into(),
        TaskState::Killed => "it ended because it was told to".into(),
        TaskState::Error => "it cannot be run as it is described".into(),
        TaskState::Dropped => "it never started".into(),
        TaskState::Gone => "its machine says that it is not there".into(),
        TaskState::GoneByOperator => "its machine was declared gone for ever".into(),
        TaskState::Unknown => "nobody knows it".into(),
    });
    if !task.message.is_empty() {
        why.push(format!("its machine says: {}", task.message.replace('\n', " ")));
    }
    if let Some(reason) = &task.reason {
        let plain = reason.trim_start_matches("REASON_").to_lowercase().replace('_', " ");
        why.push(format!("reason: {plain}"));
    }
    if task.healthy == Some(false) {
        why.push(checks(task));
    }
    if task.state.is_terminal() || task.healthy == Some(false) {
        remedies.push(format!("`hansa task logs {} --stderr` shows what it wrote", short_id(&task.id)));
    }
    if task.state == TaskState::Unreachable {
        remedies.push(format!("`hansa explain {}` says how its machine is", task.hostname));
    }
    if let Some(app) = &task.app {
        remedies.push(format!("`hansa explain {app}` says how its service is"));
    }
    let place = if task.state.is_terminal() { "was" } else { "is" };
    let (id, state) = (task.id.to_string(), task_state(task));
    let summary = match task.state.is_terminal() {
        true => format!("{place} on {}: {state}", task.hostname),
        false => format!("{place} {state} on {}", task.hostname),
    };
    Explained { kind: Kind::Task, id, summary, why, remedies, placement: None }
}

/// Why a machine is as it is.
pub fn node(node: &Node, now: Timestamp) -> Explained {
    let mut why = Vec::new();
    let mut remedies = Vec::new();
    let since = text::age(now, node.since);
    let name = &node.hostname;
    match node.state {
        AgentState::Active => {
            let free = |total: u64, given: u64| total.saturating_sub(given);
            why.push(format!(
                "it takes work; {} of {} cpus and {} of {} memory are not given away",
                text::cpus(free(node.total.cpus_milli, node.allocated.cpus_milli)),
                text::cpus(node.total.cpus_milli),
                text::bytes(free(node.total.mem, node.allocated.mem)),
                text::bytes(node.total.mem)
            ));
        }
        AgentState::Deactivated => {
            why.push("it takes no new tasks because an operator said so; what runs there runs on".into());
            remedies.push(format!("`hansa node reactivate {name}` lets it take tasks again"));
        }
        AgentState::Draining => {
            why.push("its tasks are started elsewhere because an operator said so; nothing new comes".into());
            remedies.push(format!("`hansa node reactivate {name}` ends the draining"));
        }
        AgentState::Disconnected => {
            why.push(format!(
                "its agent lost its connection {since} ago; its tasks run on, nothing new comes"
            ));
            remedies.push(format!("look at the agent on {name}: does it run, and does it reach the master?"));
        }
        AgentState::Unreachable => {
            why.push(format!("nothing was heard from it for {since}; its tasks are started elsewhere"));
            remedies.push(format!("look at {name} itself; if it comes back, it joins again by itself"));
        }
    }
    if let Some(used) = &node.used {
        why.push(format!(
            "its tasks really use {} cpus ({} of what is given) and {} memory ({})",
            text::cpus(used.cpus_milli),
            text::percent(used.cpus_milli, node.allocated.cpus_milli),
            text::bytes(used.mem),
            text::percent(used.mem, node.allocated.mem)
        ));
    }
    why.extend(node.missing_isolation.iter().map(|missing| format!("less isolated: {missing}")));
    let summary =
        format!("is {} for {since}, with {}", node_state(node.state), text::count(node.tasks.into(), "task"));
    Explained { kind: Kind::Node, id: name.clone(), summary, why, remedies, placement: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use hansa_model::event::Failing;

    #[test]
    fn a_service_that_fails_says_how_and_what_shows_more() {
        let failing = Failing {
            since: Timestamp(1_000),
            count: 8,
            last: "command exited with status 3".into(),
            delay_ms: 10_000,
        };
        let sample = Service { failing: Some(failing), deployments: vec![], ..samples::service() };
        let said = service(&sample, &[], &[], None, Timestamp(61_000));
        assert_eq!(said.summary, "is failing: 2 of 3 instances running, 1 healthy");
        assert!(
            said.why[0].contains("8 times in 1m; the last one: command exited with status 3"),
            "{said:?}"
        );
        assert!(said.remedies[0].contains("hansa logs /demo/web"), "{said:?}");
        assert!(said.remedies[1].contains("hansa app rollback /demo/web"), "{said:?}");
        // A deployment is in the way of a rollback.
        let under_way = Service { deployments: vec!["0123456789".into()], ..sample.clone() };
        let said = service(&under_way, &[], &[], None, Timestamp(61_000));
        assert!(said.remedies[1].starts_with("`hansa deployment cancel 01234567`"), "{said:?}");
        // It has just failed for the first time.
        let once = Service {
            failing: None,
            health: Health::Unhealthy,
            last_failure: Some("command exited with status 3".into()),
            ..sample
        };
        let said = service(&once, &[], &[], None, Timestamp(61_000));
        assert!(said.remedies[0].contains("hansa logs /demo/web"), "{said:?}");
    }

    #[test]
    fn a_machine_that_takes_no_work_says_what_lets_it() {
        let sample = Node { state: AgentState::Draining, ..samples::node() };
        let said = node(&sample, Timestamp(61_000));
        assert_eq!(said.summary, "is draining for 1m, with 3 tasks");
        assert!(said.remedies[0].contains("hansa node reactivate node1"), "{said:?}");
    }

    #[test]
    fn a_task_that_ended_says_why() {
        let sample = Task {
            state: TaskState::Failed,
            healthy: None,
            message: "command exited with status 3".into(),
            reason: Some("REASON_COMMAND_EXECUTOR_FAILED".into()),
            ..samples::task("web.1")
        };
        let said = task(&sample, Timestamp(61_000));
        assert_eq!(said.summary, "was on node1: failed");
        assert_eq!(said.why[2], "reason: command executor failed");
        assert!(said.remedies[1].contains("hansa explain /demo/web"), "{said:?}");
    }
}
